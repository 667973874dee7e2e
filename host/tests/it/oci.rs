//! Components from a registry of OCI images, and from a folder with the layout of one.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::house::{Folder, House, Process, one_probe, other_version, probe};

/// Who may read in the stand-in registry.
pub const ACCOUNT: &str = "reader:open sesame";

pub fn digest(bytes: &[u8]) -> String {
    let digits: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

/// What the tools of the Bytecode Alliance write of a component.
fn manifest(wasm: &[u8]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "application/vnd.wasm.config.v0+json", "digest": digest(b"{}"), "size": 2 },
        "layers": [{ "mediaType": "application/wasm", "digest": digest(wasm), "size": wasm.len() }],
    })
}

/// A folder in the layout of images, with a component by each tag.
pub fn layout(components: &[(&str, Vec<u8>)]) -> Folder {
    let folder = Folder::new();
    let blobs = folder.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).expect("a folder");
    let put = |bytes: &[u8]| {
        let digest = digest(bytes);
        std::fs::write(blobs.join(&digest[7..]), bytes).expect("a blob");
        digest
    };
    let mut manifests = Vec::new();
    for (tag, wasm) in components {
        put(wasm);
        let text = manifest(wasm).to_string();
        manifests.push(json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": put(text.as_bytes()), "size": text.len(),
            "annotations": { "org.opencontainers.image.ref.name": tag },
        }));
    }
    folder.write("oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}");
    folder.write("index.json", json!({ "schemaVersion": 2, "manifests": manifests }).to_string());
    folder
}

/// A registry as it stands on the net: it wants a token, gives one to who has an account, and leads to its bytes at
/// another address. Lives as long as the test.
pub struct Registry {
    pub address: String,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    address: String,
    /// By path.
    pages: BTreeMap<String, (String, Bytes)>,
}

impl Registry {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let held = Arc::new(Mutex::new(Held { address: address.clone(), ..Held::default() }));
        let served = Arc::clone(&held);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let held = Arc::clone(&served);
                let service = service_fn(move |request| {
                    let answer = held.lock().expect("nobody panics").answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { address, held }
    }

    /// Takes a component, as `repository:tag`.
    pub fn push(&self, repository: &str, tag: &str, wasm: &[u8]) {
        self.push_manifest(repository, tag, &manifest(wasm), wasm);
    }

    fn push_manifest(&self, repository: &str, tag: &str, manifest: &Value, wasm: &[u8]) {
        let (text, kind) = (Bytes::from(manifest.to_string()), "application/vnd.oci.image.manifest.v1+json".to_owned());
        let mut held = self.held.lock().expect("nobody panics");
        for reference in [tag.to_owned(), digest(&text)] {
            held.pages.insert(format!("/v2/{repository}/manifests/{reference}"), (kind.clone(), text.clone()));
        }
        let blob = ("application/octet-stream".to_owned(), Bytes::copy_from_slice(wasm));
        let named = manifest["layers"][0]["digest"].as_str().expect("a digest").to_owned();
        held.pages.insert(format!("/v2/{repository}/blobs/{named}"), blob);
    }
}

impl Held {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let shown = |request: &Request<Incoming>| {
            request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().expect("text").to_owned())
        };
        let told = |status: StatusCode, text: Bytes| {
            Response::builder().status(status).body(Full::new(text)).expect("an answer")
        };
        let path = request.uri().path();
        if path == "/token" {
            use base64::Engine as _;
            let wanted = format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(ACCOUNT));
            let query = request.uri().query().unwrap_or_default();
            if shown(request) != Some(wanted) || !query.contains("service=stand-in&scope=repository:") {
                return told(StatusCode::UNAUTHORIZED, Bytes::new());
            }
            return told(StatusCode::OK, json!({ "token": "come in" }).to_string().into());
        }
        if let Some(path) = path.strip_prefix("/storage") {
            // Whoever has the bytes is not to see the token.
            if shown(request).is_some() {
                return told(StatusCode::BAD_REQUEST, Bytes::new());
            }
            return told(StatusCode::OK, self.pages[path].1.clone());
        }
        if shown(request).as_deref() != Some("Bearer come in") {
            let mut answer = told(StatusCode::UNAUTHORIZED, Bytes::new());
            let realm = format!("http://{}/token", self.address);
            let challenge = format!("Bearer realm=\"{realm}\",service=\"stand-in\",scope=\"repository:x:pull\"");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge.parse().expect("a header"));
            return answer;
        }
        let Some((kind, text)) = self.pages.get(path) else {
            let words = json!({ "errors": [{ "code": "MANIFEST_UNKNOWN", "message": "manifest unknown" }] });
            return told(StatusCode::NOT_FOUND, words.to_string().into());
        };
        if path.contains("/blobs/") {
            let mut answer = told(StatusCode::TEMPORARY_REDIRECT, Bytes::new());
            let port = self.address.rsplit_once(':').expect("a port").1;
            let place = format!("http://localhost:{port}/storage{path}");
            answer.headers_mut().insert(header::LOCATION, place.parse().expect("a header"));
            return answer;
        }
        let mut answer = told(StatusCode::OK, text.clone());
        answer.headers_mut().insert(header::CONTENT_TYPE, kind.parse().expect("a header"));
        answer
    }
}

/// `hybrid-ai component swap one PLACE`: what it says, or why not.
async fn swap(house: &House, place: &str, account: Option<&str>) -> Result<String, String> {
    let mut command = Process::command();
    let admin = house.admin.trim_start_matches("http://").to_owned();
    command.stdout(std::process::Stdio::piped()).args(["component", "swap", "one", place, "--admin", &admin]);
    if let Some(account) = account {
        command.env("HYBRID_REGISTRY_AUTH", account);
    }
    let output = tokio::task::spawn_blocking(move || command.output().expect("the program")).await.expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

async fn house_of_one() -> (Folder, House) {
    let folder = Folder::new();
    std::fs::copy(probe(), folder.path().join("one.wasm")).expect("a copy");
    let house = House::of(folder.path(), &one_probe("")).await;
    (folder, house)
}

fn label(wasm: &[u8]) -> String {
    format!("one@{}", &digest(wasm)[7..19])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_comes_from_a_registry_by_tag_and_by_digest() {
    let (_folder, house) = house_of_one().await;
    let registry = Registry::start().await;
    let place = |rest: &str| format!("oci://{}/team/one{rest}", registry.address);
    registry.push("team/one", "1.2", &other_version(90));
    registry.push("team/one", "latest", &other_version(91));

    let told = swap(&house, &place(":1.2"), Some(ACCOUNT)).await.expect("it serves");
    assert!(told.contains(&label(&other_version(90))), "{told}");
    assert_eq!(house.version().await, label(&other_version(90)).as_str());
    // Without a word it is the latest.
    let told = swap(&house, &place(""), Some(ACCOUNT)).await.expect("it serves");
    assert!(told.contains(&label(&other_version(91))), "{told}");
    let by_digest = place(&format!("@{}", digest(manifest(&other_version(90)).to_string().as_bytes())));
    swap(&house, &by_digest, Some(ACCOUNT)).await.expect("it serves");
    assert_eq!(house.version().await, label(&other_version(90)).as_str());

    // What does not come, or is not what it says, changes nothing.
    let gone = swap(&house, &place(":9"), Some(ACCOUNT)).await.expect_err("there is none");
    assert!(gone.contains("404") && gone.contains("manifest unknown"), "{gone}");
    for account in [None, Some("reader:wrong")] {
        let shut = swap(&house, &place(":1.2"), account).await.expect_err("who is that");
        assert!(shut.contains("gives no token: 401"), "{shut}");
    }
    let mut other = manifest(&other_version(92));
    registry.push_manifest("team/one", "swapped", &other, &other_version(93));
    let swapped = swap(&house, &place(":swapped"), Some(ACCOUNT)).await.expect_err("other bytes");
    assert!(swapped.contains("its bytes have the SHA-256"), "{swapped}");
    other["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip".into();
    registry.push_manifest("team/one", "image", &other, &other_version(92));
    let image = swap(&house, &place(":image"), Some(ACCOUNT)).await.expect_err("an image of a container");
    assert!(image.contains("no layer of `application/wasm`"), "{image}");
    // The gates are the same for all.
    registry.push("team/one", "text", b"no component");
    let text = swap(&house, &place(":text"), Some(ACCOUNT)).await.expect_err("no component");
    assert!(text.contains("refused at the check `shape`"), "{text}");
    assert_eq!(house.version().await, label(&other_version(90)).as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_comes_from_a_folder_in_the_layout_of_images() {
    let (_folder, house) = house_of_one().await;
    let images = layout(&[("old", other_version(94)), ("new", other_version(95))]);
    let place = |path: &Path, tag: &str| format!("layout:{}{tag}", path.display());
    let told = swap(&house, &place(images.path(), ":new"), None).await.expect("it serves");
    assert!(told.contains(&label(&other_version(95))), "{told}");
    let which = swap(&house, &place(images.path(), ""), None).await.expect_err("there are two");
    assert!(which.contains("name one by its tag"), "{which}");
    let none = swap(&house, &place(images.path(), ":newest"), None).await.expect_err("there is none");
    assert!(none.contains("nothing by the tag `newest`"), "{none}");
    let only = layout(&[("only", other_version(96))]);
    swap(&house, &place(only.path(), ""), None).await.expect("there is one");
    assert_eq!(house.version().await, label(&other_version(96)).as_str());
    // Somebody has changed a blob.
    let blob = images.path().join("blobs/sha256").join(&digest(&other_version(94))[7..]);
    std::fs::write(blob, other_version(97)).expect("a blob");
    let changed = swap(&house, &place(images.path(), ":old"), None).await.expect_err("other bytes");
    assert!(changed.contains("its bytes have the SHA-256"), "{changed}");
    assert_eq!(house.version().await, label(&other_version(96)).as_str());
}
