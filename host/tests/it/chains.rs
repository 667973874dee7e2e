use std::sync::Arc;

use hybrid_ai::registry::Registry;

use crate::house::{Folder, House, config, folder_of_probes};

const GRANT: &str =
    "[components.one]\noutbound = [\"http://127.0.0.1:1\"]\n[components.two]\noutbound = [\"http://127.0.0.1:1\"]\n";

#[tokio::test]
async fn the_first_of_a_chain_serves_the_outside() {
    let folder = folder_of_probes(&["one", "two"]);
    let house = House::of(folder.path(), &format!("{GRANT}[chains]\n\"wasi:http/handler\" = [\"two\", \"one\"]")).await;
    let answer = house.get("/hello").await;
    assert!(answer.headers["x-components"].to_str().expect("text").starts_with("two@"));
    assert_eq!(answer.headers["x-components"].len(), "two@".len() + 12);
}

#[test]
fn sending_http_needs_a_grant() {
    let folder = folder_of_probes(&["one"]);
    let Err(error) = Registry::open(Arc::new(config("")), folder.path()) else { panic!("it was let in") };
    assert!(format!("{error:#}").contains("components.one.outbound"), "{error:#}");
}

#[tokio::test]
async fn a_grant_covers_the_hosts_it_names() {
    let folder = folder_of_probes(&["one"]);
    let house = House::of(folder.path(), &format!("{GRANT}[chains]\n\"wasi:http/handler\" = [\"one\"]")).await;
    // The answer is an error code either way; a refused host is told apart by the log, and never connected to.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let elsewhere = listener.local_addr().expect("an address");
    assert!(house.get(&format!("/send?{elsewhere}")).await.status.is_server_error());
    let connected = tokio::time::timeout(std::time::Duration::from_millis(100), listener.accept()).await;
    assert!(connected.is_err(), "a host that was not granted was called");
}

#[test]
fn an_empty_folder_is_told() {
    let folder = Folder::new();
    let Err(error) = Registry::open(Arc::new(config("")), folder.path()) else { panic!("nothing was served") };
    assert!(format!("{error:#}").contains("--components"), "{error:#}");
}

#[test]
fn a_file_that_is_no_component_is_told_by_name() {
    let folder = Folder::new();
    folder.write("broken.wasm", b"\0asm\x0d\0\x01\0garbage");
    let Err(error) = Registry::open(Arc::new(config("")), folder.path()) else { panic!("it was let in") };
    assert!(format!("{error:#}").contains("broken"), "{error:#}");
}

#[tokio::test]
async fn clients_cannot_say_where_they_come_from() {
    let folder = folder_of_probes(&["one"]);
    let house = House::of(folder.path(), &format!("{GRANT}[chains]\n\"wasi:http/handler\" = [\"one\"]")).await;
    let request = http::Request::get(format!("{}/headers", house.base))
        .header("spin-client-addr", "8.8.8.8:1")
        .body(http_body_util::Full::default())
        .expect("a request");
    let seen = house.send(request).await.text().to_owned();
    assert!(seen.contains("spin-client-addr: 127.0.0.1:") && !seen.contains("8.8.8.8"), "{seen}");
}
