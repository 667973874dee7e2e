//! A picture of up to 25 MB and 40 megapixels needs no more than 100 MB of the host's memory, whatever is done with it.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use standin::{Noise, Options, Photo, Standin};

use crate::house::{Folder, Process};
use crate::jobs_killed::start;

const MOST_MB: u64 = 100;
const LARGE: Photo = Photo { width: 7296, height: 5472, progressive: false, halved: true, detail: 27 };
const COLOURFUL: Photo = Photo { progressive: true, halved: false, detail: 12, ..LARGE };
const ELSEWHERE: (&str, &str) = ("elsewhere/edit", "nicer");
const BRIGHTER: (&str, &str) = ("local/classical-edit", "brighten");

/// What is sent, what is wanted, and how wide it comes back at least.
const ASKED: [(&str, File, (&str, &str), u32); 13] = [
    ("a JPEG for a model elsewhere", File::Photo(LARGE), ELSEWHERE, 1024),
    ("one that is edited here", File::Photo(LARGE), BRIGHTER, 3600),
    ("one that is turned here", File::Photo(LARGE), ("local/classical-edit", "rotate left"), 2700),
    ("a progressive one with all its colours", File::Photo(COLOURFUL), ELSEWHERE, 1024),
    ("the same, edited here", File::Photo(COLOURFUL), ("local/classical-edit", "blur"), 912),
    ("a BMP for a model elsewhere", File::Noise(Noise::Bmp, 3456, 2520), ELSEWHERE, 1024),
    ("one that is edited here, as large as it is", File::Noise(Noise::Bmp, 3456, 2520), BRIGHTER, 3456),
    ("a lossless WebP for a model elsewhere", File::Noise(Noise::WebP, 7296, 5472), ELSEWHERE, 1024),
    ("one that is edited here", File::Noise(Noise::WebP, 7296, 5472), BRIGHTER, 3600),
    ("an interlaced GIF for a model elsewhere", File::Noise(Noise::Gif, 7296, 5472), ELSEWHERE, 1024),
    ("one that is edited here", File::Noise(Noise::Gif, 7296, 5472), BRIGHTER, 1800),
    ("an interlaced PNG for a model elsewhere", File::Noise(Noise::Png, 7296, 5472), ELSEWHERE, 1024),
    ("one that is edited here", File::Noise(Noise::Png, 7296, 5472), BRIGHTER, 3648),
];

#[derive(Clone, Copy)]
enum File {
    Photo(Photo),
    Noise(Noise, u16, u16),
}

impl File {
    fn large(self) -> Vec<u8> {
        match self {
            File::Photo(photo) => photo.jpeg(),
            File::Noise(noise, width, height) => noise.file(width, height),
        }
    }

    fn small(self) -> Vec<u8> {
        match self {
            File::Photo(photo) => Photo { width: 64, height: 48, ..photo }.jpeg(),
            File::Noise(noise, ..) => noise.file(64, 48),
        }
    }
}

#[tokio::test]
#[ignore = "it measures memory, and what runs beside it changes that: `cargo xtask test` runs it alone"]
async fn large_photos_take_little_memory() {
    let standin = Standin::start(Options::default()).expect("a stand-in");
    for (what, file, wish, least) in ASKED {
        let (mut rises, mut width) = ([0; 3], 0);
        for rise in &mut rises {
            (*rise, width) = rise_mb(&standin, file, wish).await;
            assert!(width >= least, "{what} comes back {width} pixels wide");
        }
        println!("{what}: {rises:?} MB, {width} pixels wide");
        assert!(rises.iter().all(|rise| *rise <= MOST_MB), "{what}: {rises:?} MB");
    }
}

/// Each in a process of its own: what one request left would hide what the next one takes.
async fn rise_mb(standin: &Standin, file: File, wish: (&str, &str)) -> (u64, u32) {
    let folder = Folder::new();
    let (host, address) = start(&folder, standin, "", "");
    ask(&address, &file.small(), wish).await;
    std::fs::write(format!("/proc/{}/clear_refs", host.id()), "5").expect("the peak is forgotten");
    let before = memory_mb(&host, "VmRSS:");
    let file = file.large();
    assert!((19_000_000..26_214_400).contains(&file.len()), "{} bytes", file.len());
    let width = ask(&address, &file, wish).await;
    (memory_mb(&host, "VmHWM:").saturating_sub(before), width)
}

/// How wide the answer is.
async fn ask(address: &str, image: &[u8], (model, prompt): (&str, &str)) -> u32 {
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
    body[16..20].iter().fold(0, |width, byte| width << 8 | u32::from(*byte))
}

/// Of the process, in millions of bytes.
fn memory_mb(host: &Process, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.id())).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024 / 1_000_000
}
