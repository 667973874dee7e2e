//! The one file: alone in an empty folder, with an empty environment, it is the whole platform.

use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use xtask::bench::dist::{Alone, Reply};
use xtask::{dist, tree};

/// Made of what is built, once for all tests here, beside the one that somebody may have made to give away.
fn file() -> &'static std::path::Path {
    static FILE: OnceLock<std::path::PathBuf> = OnceLock::new();
    FILE.get_or_init(|| dist::make(&tree::target().join("test-dist")).expect("it is packed"))
}

fn post(alone: &Alone, path: &str, body: &Value) -> Reply {
    let head = format!("POST {path} HTTP/1.0\r\ncontent-type: application/json\r\n");
    alone.ask(&head, body.to_string().as_bytes()).expect("an answer")
}

fn get(alone: &Alone, path: &str) -> Reply {
    alone.ask(&format!("GET {path} HTTP/1.0\r\n"), b"").expect("an answer")
}

/// What is asked of it, so that nothing is forgotten.
struct Tour<'a> {
    alone: &'a Alone,
    asked: Vec<&'static str>,
}

impl Tour<'_> {
    fn get(&mut self, path: &'static str) -> Vec<u8> {
        self.asked.push(path);
        self.taken(path, get(self.alone, path))
    }

    fn post(&mut self, path: &'static str, body: &Value) -> Vec<u8> {
        self.asked.push(path);
        self.taken(path, post(self.alone, path, body))
    }

    /// A form of files, each with its name and type.
    fn form(&mut self, path: &'static str, fields: &[(&str, &str, &[u8])]) -> Vec<u8> {
        self.asked.push(path);
        let mut form = Vec::new();
        for (name, kind, bytes) in fields {
            let file = if *kind == "text/plain" { "" } else { "; filename=\"a\"" };
            let head = format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\ncontent-type: {kind}");
            form.extend([head.as_bytes(), b"\r\n\r\n", bytes, b"\r\n"].concat());
        }
        form.extend_from_slice(b"--b--\r\n");
        let head = format!("POST {path} HTTP/1.0\r\ncontent-type: multipart/form-data; boundary=b\r\n");
        self.taken(path, self.alone.ask(&head, &form).expect("an answer"))
    }

    fn taken(&self, path: &str, reply: Reply) -> Vec<u8> {
        assert_eq!(reply.status, 200, "{path}: {}", String::from_utf8_lossy(&reply.body));
        reply.body
    }
}

fn answers_everything(alone: &Alone) {
    let mut tour = Tour { alone, asked: Vec::new() };
    let of = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("JSON");
    let health = of(&tour.get("/health"));
    assert!(health["status"].is_string(), "{health}");
    for path in ["/healthz", "/models", "/docs", "/v1/models"] {
        tour.get(path);
    }
    let picture = tour.post("/image", &json!({ "prompt": "a lake", "width": 64, "height": 64 }));
    assert!(picture.starts_with(b"\x89PNG"));
    let edited = tour.post("/edit-image", &json!({ "prompt": "make it grey", "image": base64(&picture) }));
    assert!(edited.starts_with(b"\x89PNG"));
    let speech = tour.post("/tts", &json!({ "text": "Hello" }));
    assert!(speech.starts_with(b"RIFF"));
    tour.form("/stt", &[("audio", "audio/wav", &speech)]);
    let messages = json!({ "messages": [{ "role": "user", "content": "Hello" }], "model": "local/extractive" });
    tour.post("/llm", &messages);
    let vector = of(&tour.post("/embedding", &json!({ "text": "Hello" })));
    assert_eq!(vector["embedding"].as_array().map(Vec::len), Some(384), "the model's weights are inside");
    tour.post("/v1/chat/completions", &messages);
    tour.post("/v1/completions", &json!({ "prompt": "Hello", "model": "local/extractive" }));
    let model = "sentence-transformers/all-MiniLM-L6-v2";
    let vectors = of(&tour.post("/v1/embeddings", &json!({ "input": ["Hello"], "model": model })));
    assert_eq!(vectors["data"][0]["embedding"].as_array().map(Vec::len), Some(384), "{vectors}");
    tour.post("/v1/images/generations", &json!({ "prompt": "a lake", "size": "64x64" }));
    tour.form("/v1/images/edits", &[("image", "image/png", &picture), ("prompt", "text/plain", b"make it grey")]);
    tour.post("/v1/audio/speech", &json!({ "input": "Hello", "model": "local/klatt-en", "voice": "alloy" }));
    tour.form("/v1/audio/transcriptions", &[("file", "audio/wav", &speech), ("model", "text/plain", b"whisper-1")]);
    let batch = of(&tour.post("/batch", &json!({ "path": "/embedding", "items": [{ "text": "Hello" }] })));
    assert_eq!(batch["succeeded"], 1, "{batch}");
    // Nothing else is told of that has a place of its own.
    let document = of(&tour.get("/openapi.json"));
    for path in document["paths"].as_object().expect("paths").keys().filter(|path| !path.contains('{')) {
        assert!(tour.asked.contains(&path.as_str()), "{path} was not asked");
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = char::from(DIGITS[(bits >> (18 - 6 * place) & 63) as usize]);
            out.push(if place <= chunk.len() { digit } else { '=' });
        }
    }
    out
}

#[test]
fn alone_it_answers_every_endpoint() {
    let alone = Alone::start(file(), &[], &[]).expect("it starts");
    answers_everything(&alone);
    if tree::target().join("app/index.html").is_file() {
        let page = get(&alone, "/app/");
        assert!(
            page.status == 200 && page.body.to_ascii_lowercase().starts_with(b"<!doctype html>"),
            "{}",
            page.status
        );
    }
}

#[test]
fn it_needs_no_place_to_write() {
    // Nothing can be made there, not even by root.
    let alone = Alone::start(file(), &[], &[("HYBRID_DATA_DIR", "/proc/hybrid-ai")]).expect("it starts");
    answers_everything(&alone);
}

#[test]
fn a_folder_that_is_named_serves_in_place_of_what_is_inside() {
    let folder = std::env::temp_dir().join(format!("hybrid-ai-nothing-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let said = Command::new(file()).arg("--components").arg(&folder).output().expect("it starts");
    std::fs::remove_dir_all(&folder).expect("it was there");
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("no .wasm file in"), "{said}");
}

/// As on a processor that the code inside is not for: what does not fit is compiled, and the rest is not.
#[test]
fn code_that_does_not_fit_the_machine_is_compiled_at_the_first_start() {
    let mut bytes = std::fs::read(file()).expect("the file");
    let tail = bytes.len() - 24;
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes")) as usize;
    let (at, length) = (number(tail), number(tail + 8));
    let index: Value = serde_json::from_slice(&bytes[at..at + length]).expect("the index");
    let mut components = index["components"].as_array().expect("components").iter();
    let one = components.find(|one| one["name"] == "unknown-model").expect("it is inside");
    let code = usize::try_from(one["code"]["at"].as_u64().expect("a place")).expect("a place");
    assert!(bytes[code..].starts_with(b"\x7fELF"));
    bytes[code] = 0;
    let folder = std::env::temp_dir().join(format!("hybrid-ai-elsewhere-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let other = folder.join("hybrid-ai");
    std::fs::write(&other, bytes).expect("a file");
    std::fs::set_permissions(&other, std::fs::metadata(file()).expect("the file").permissions()).expect("ours");
    let data = folder.join("data");
    let alone = Alone::start(&other, &[], &[("HYBRID_DATA_DIR", &data.display().to_string())]).expect("it starts");
    assert_eq!(get(&alone, "/models").status, 200);
    let compiled = data.join("compiled").read_dir().expect("a folder").flatten();
    let compiled = compiled.filter(|entry| entry.path().extension().is_some_and(|end| end == "cwasm"));
    assert_eq!(compiled.count(), 1);
    drop(alone);
    std::fs::remove_dir_all(&folder).expect("it was there");
}

#[test]
fn what_was_swapped_in_serves_after_the_next_start_too() {
    let data = std::env::temp_dir().join(format!("hybrid-ai-kept-{}", std::process::id()));
    let place = data.display().to_string();
    let folder = std::env::temp_dir().join(format!("hybrid-ai-swap-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut bytes = std::fs::read(tree::target().join("components/unknown-model.wasm")).expect("a component");
    // A custom section at its end: other bytes, the same behaviour.
    bytes.extend_from_slice(&[0, 4, 2, b'v', b'_', 1]);
    let other = folder.join("other.wasm");
    std::fs::write(&other, bytes).expect("a file");
    let version = |alone: &Alone, admin: &str| {
        let listed = alone.command(admin, &["component", "list"]).expect("a list");
        listed.lines().find(|line| line.starts_with("unknown-model ")).expect("it is there").to_owned()
    };
    let environment = [("HYBRID_DATA_DIR", place.as_str())];
    let alone = Alone::start(file(), &[], &environment).expect("it starts");
    let admin = alone.admin().expect("an address");
    let before = version(&alone, &admin);
    alone.command(&admin, &["component", "swap", "unknown-model", &other.display().to_string()]).expect("a swap");
    let digest = |line: &str| line.split_whitespace().nth(1).expect("a version").to_owned();
    let swapped = digest(&version(&alone, &admin));
    assert_ne!(digest(&before), swapped);
    // The way back leads to what is inside, and forth again.
    alone.command(&admin, &["component", "rollback", "unknown-model"]).expect("a way back");
    assert_eq!(digest(&version(&alone, &admin)), digest(&before));
    alone.command(&admin, &["component", "swap", "unknown-model", &other.display().to_string()]).expect("a swap");
    drop(alone);
    let alone = Alone::start(file(), &[], &environment).expect("it starts");
    let admin = alone.admin().expect("an address");
    assert_eq!(digest(&version(&alone, &admin)), swapped);
    drop(alone);
    std::fs::remove_dir_all(&data).expect("it was there");
    std::fs::remove_dir_all(&folder).expect("it was there");
}

#[test]
fn what_lies_beside_it_is_about_it() {
    let folder = file().parent().expect("a folder");
    let mut checking = Command::new("sha256sum");
    let checked = checking.args(["--check", "hybrid-ai.sha256"]).current_dir(folder).output().expect("sha256sum");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let list = std::fs::read_to_string(folder.join("hybrid-ai.cdx.json")).expect("the list");
    assert!(list.contains(&dist::sha256(file()).expect("a hash")));
}

#[test]
fn the_list_of_what_it_is_made_of_is_whole() {
    let bom: Value = serde_json::from_str(&xtask::sbom::written(&"ab".repeat(32)).expect("a list")).expect("JSON");
    assert_eq!((bom["bomFormat"].as_str(), bom["specVersion"].as_str()), (Some("CycloneDX"), Some("1.5")));
    let components = bom["components"].as_array().expect("components");
    let mut refs: Vec<&str> = components.iter().map(|one| one["bom-ref"].as_str().expect("a name")).collect();
    refs.push(bom["metadata"]["component"]["bom-ref"].as_str().expect("a name"));
    let count = refs.len();
    refs.sort_unstable();
    refs.dedup();
    assert_eq!(refs.len(), count, "every name once");
    for wanted in ["pkg:cargo/wasmtime@", "pkg:cargo/rustls@", "pkg:cargo/spin-sdk@", "file:router.wasm"] {
        assert!(refs.iter().any(|one| one.starts_with(wanted)), "{wanted}");
    }
    // What only tests need is in no product.
    assert!(!refs.iter().any(|one| one.starts_with("pkg:cargo/contract@") || one.starts_with("pkg:cargo/standin@")));
    for dependency in bom["dependencies"].as_array().expect("dependencies") {
        for needed in dependency["dependsOn"].as_array().expect("a list") {
            assert!(refs.contains(&needed.as_str().expect("a name")), "{needed}");
        }
    }
    for crate_of_others in components.iter().filter(|one| one["hashes"].is_array()) {
        assert_eq!(crate_of_others["hashes"][0]["content"].as_str().expect("a hash").len(), 64);
    }
}
