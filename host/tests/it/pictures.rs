//! A picture of up to 25 MB and 40 megapixels needs no more than 100 MB of the host's memory, whatever is done with it.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use standin::{Options, Photo, Standin};

use crate::house::{Folder, Process};
use crate::jobs_killed::start;

const MOST_MB: u64 = 100;
const LARGE: Photo = Photo { width: 7296, height: 5472, progressive: false, halved: true, detail: 27 };
const ASKED: [(&str, Photo, &str, &str); 5] = [
    ("a JPEG for a model elsewhere", LARGE, "elsewhere/edit", "nicer"),
    ("one that is edited here", LARGE, "local/classical-edit", "brighten"),
    ("one that is turned here", LARGE, "local/classical-edit", "rotate left"),
    (
        "a progressive one with all its colours",
        Photo { progressive: true, halved: false, detail: 12, ..LARGE },
        "elsewhere/edit",
        "nicer",
    ),
    (
        "the same, edited here",
        Photo { progressive: true, halved: false, detail: 12, ..LARGE },
        "local/classical-edit",
        "blur",
    ),
];

#[tokio::test]
#[ignore = "it measures memory, and what runs beside it changes that: `cargo xtask test` runs it alone"]
async fn large_photos_take_little_memory() {
    let standin = Standin::start(Options::default()).expect("a stand-in");
    for (what, photo, model, prompt) in ASKED {
        let mut rises = [0; 3];
        for rise in &mut rises {
            *rise = rise_mb(&standin, photo, model, prompt).await;
        }
        println!("{what}: {rises:?} MB");
        assert!(rises.iter().all(|rise| *rise <= MOST_MB), "{what}: {rises:?} MB");
    }
}

/// Each in a process of its own: what one request left would hide what the next one takes.
async fn rise_mb(standin: &Standin, photo: Photo, model: &str, prompt: &str) -> u64 {
    let folder = Folder::new();
    let (host, address) = start(&folder, standin, "", "");
    let small = Photo { width: 64, height: 48, ..photo };
    ask(&address, &small.jpeg(), model, prompt).await;
    std::fs::write(format!("/proc/{}/clear_refs", host.id()), "5").expect("the peak is forgotten");
    let before = memory_mb(&host, "VmRSS:");
    let file = photo.jpeg();
    assert!((20_000_000..26_214_400).contains(&file.len()), "{} bytes", file.len());
    ask(&address, &file, model, prompt).await;
    memory_mb(&host, "VmHWM:").saturating_sub(before)
}

async fn ask(address: &str, image: &[u8], model: &str, prompt: &str) {
    const FIELD: &str = "--edge\r\ncontent-disposition: form-data; name=";
    let head = format!(
        "{FIELD}\"prompt\"\r\n\r\n{prompt}\r\n{FIELD}\"model\"\r\n\r\n{model}\r\n{FIELD}\"image\"; filename=\"a\"\r\n\r\n"
    );
    let body = [head.as_bytes(), image, b"\r\n--edge--\r\n"].concat();
    let request = Request::post(format!("{address}/edit-image"))
        .header("content-type", "multipart/form-data; boundary=edge")
        .body(Full::new(Bytes::from(body)))
        .expect("a request");
    let http: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = tokio::time::timeout(Duration::from_secs(60), http.request(request)).await.expect("in time");
    let (head, body) = answer.expect("an answer").into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    assert!(head.status.is_success() && body.starts_with(b"\x89PNG"), "{}", String::from_utf8_lossy(&body));
}

/// Of the process, in millions of bytes.
fn memory_mb(host: &Process, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.id())).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024 / 1_000_000
}
