use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hybrid_ai::health;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::house::{Folder, House, folder_of_probes, one_probe, root};

/// Made for these tests, for `localhost` and a hundred years.
fn pem(name: &str) -> Vec<u8> {
    std::fs::read(root().join("host/tests/tls").join(name)).expect("a file of the tests")
}

/// A folder with the certificate of this name as `certificate.pem` and `key.pem`.
fn shown(name: &str) -> Folder {
    let folder = Folder::new();
    show(&folder, name);
    folder
}

fn show(folder: &Folder, name: &str) {
    folder.write("certificate.pem", pem(&format!("{name}.pem")));
    folder.write("key.pem", pem(&format!("{name}-key.pem")));
}

fn lines(folder: &Folder) -> String {
    let path = |name: &str| folder.path().join(name).display().to_string();
    format!("[tls]\ncertificate = {:?}\nkey = {:?}\n", path("certificate.pem"), path("key.pem"))
}

async fn house(certificate: &Folder) -> (Folder, House) {
    let folder = folder_of_probes(&["one"]);
    let house = House::of(folder.path(), &one_probe(&lines(certificate))).await;
    (folder, house)
}

/// A connection that trusts this certificate alone.
async fn connect(
    house: &House,
    trusted: &Path,
    protocol: &str,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).expect("a certificate")).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(house.authority()).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn certificate(name: &str) -> std::path::PathBuf {
    root().join("host/tests/tls").join(format!("{name}.pem"))
}

fn request(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("https://localhost{path}"))
        .header("host", "localhost")
        .body(Full::default())
        .expect("a request")
}

#[tokio::test]
async fn clients_come_by_tls_in_either_version_of_http() {
    let certificates = shown("one");
    let (_folder, house) = house(&certificates).await;

    let stream = connect(&house, &certificate("one"), "h2").await.expect("TLS");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let answer = sender.send_request(request("/scheme")).await.expect("an answer");
    assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes(), "https");

    let stream = connect(&house, &certificate("one"), "http/1.1").await.expect("TLS");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1");
    tokio::spawn(connection);
    // Also after a silence in which nothing is kept of it but its socket.
    for pause_ms in [0, 2500, 0] {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        let answer = sender.send_request(request("/scheme")).await.expect("an answer");
        assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes(), "https");
    }

    // Without TLS nobody is answered.
    let plain = house.raw("GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(!plain.contains("hello"), "{plain}");
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let certificates = shown("one");
    let (_folder, house) = house(&certificates).await;
    connect(&house, &certificate("one"), "h2").await.expect("the first certificate");
    // Half of the new one, and nonsense, change nothing.
    certificates.write("certificate.pem", pem("two.pem"));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    connect(&house, &certificate("one"), "h2").await.expect("still the first");
    show(&certificates, "two");
    for _ in 0..200 {
        if connect(&house, &certificate("two"), "h2").await.is_ok() {
            assert!(connect(&house, &certificate("one"), "h2").await.is_err());
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the second certificate was never shown");
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_not_waited_for() {
    let certificates = shown("one");
    let folder = folder_of_probes(&["one"]);
    let text = one_probe(&format!("{}[limits]\nheader_ms = 200\n", lines(&certificates)));
    let house = House::of(folder.path(), &text).await;
    assert_eq!(house.raw("\u{16}").await, "");
}

#[tokio::test]
async fn the_health_check_goes_by_tls_too() {
    let certificates = shown("one");
    let (_folder, house) = house(&certificates).await;
    let (address, config) = (house.authority().parse().expect("an address"), house.registry.config());
    // The probe answers every path with 200.
    let checked =
        tokio::task::spawn_blocking(move || health::check(address, config.tls.as_ref())).await.expect("a thread");
    checked.expect("healthy");
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused_at_the_start() {
    let certificates = shown("one");
    certificates.write("key.pem", pem("two-key.pem"));
    let folder = folder_of_probes(&["one"]);
    let config = crate::house::config(&one_probe(&lines(&certificates)));
    let registry = hybrid_ai::registry::Registry::open(Arc::new(config), folder.path()).expect("the components load");
    let error = hybrid_ai::server::Server::bind(registry, true).await.err().expect("a refusal");
    assert!(format!("{error:#}").contains("tls.key"), "{error:#}");
}
