//! What a large picture costs: the work on a photo for a model, inside a component beside the same code natively; and `POST
//! /edit-image` with a file of 25 MB, and with photos of up to 40 megapixels, edited inside the platform and by a model elsewhere.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use standin::{Noise, Photo};

use super::server::Server;
use crate::process::{cargo, run};
use crate::tree;

/// Files about as large as the limit lets in, in the formats without loss, and how large a picture that is.
const NOISE: [(Noise, &str, u16, u16); 4] = [
    (Noise::Bmp, "BMP", 3456, 2520),
    (Noise::WebP, "lossless WebP", 7296, 5472),
    (Noise::Gif, "interlaced GIF", 7296, 5472),
    (Noise::Png, "interlaced PNG", 7296, 5472),
];
const MOST_MB: f64 = 100.0;
const PATIENCE: Duration = Duration::from_secs(60);
const SETTLES: Duration = Duration::from_secs(2);
const PROMPTS: [&str; 4] = ["brighten", "blur", "rotate left", "resize to 800x600"];

/// A photo of 12 megapixels with as much detail as makes 4 MB of it, as phones do.
const PHOTO: Photo = Photo { width: 4000, height: 3008, progressive: false, halved: true, detail: 15 };
const TURNS: usize = 5;
const MOST_RATIO: f64 = 1.6;

/// Prints how long it takes to make a photo ready for a model, from the file to the PNG of 1024 pixels, inside a component and
/// natively: the same code in the same profile, in turns, the best of each.
fn ratio(host: &Path) -> anyhow::Result<()> {
    let example = ["build", "--profile", "component", "--package", "hybrid-picture", "--example"];
    run(cargo().args(example).arg("prepare"))?;
    run(cargo().args(example).args(["served", "--target", "wasm32-wasip2"]))?;
    let native = tree::target().join("component/examples/prepare");
    let component = tree::target().join("wasm32-wasip2/component/examples/served.wasm");
    let photo = PHOTO.jpeg();
    let file = tree::target().join("bench-photo.jpg");
    std::fs::write(&file, &photo)?;
    let arguments = ["serve", &component.to_string_lossy(), "--listen", "127.0.0.1:0"];
    let server = Server::start("pictures", host, &arguments, &[("LOG_LEVEL", "warn")])?;
    let (mut inside, mut natively) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..TURNS {
        inside = inside.min(posted(&server, &photo)?);
        let output = Command::new(&native).arg(&file).arg("3").output().context("starting the native one")?;
        let told = String::from_utf8(output.stdout)?;
        let best = told.lines().find_map(|line| line.strip_prefix("best ")?.strip_suffix(" ms"));
        natively = natively.min(best.context("the native one says no time")?.parse()?);
    }
    let (ratio, bytes) = (inside / natively, photo.len() as f64 / 1e6);
    println!(
        "\n12 MP JPEG ({bytes:.1} MB) to a PNG of 1024 pixels: {inside:.0} ms inside a component, {natively:.0} ms natively: \
         {ratio:.2} x"
    );
    ensure!(ratio <= MOST_RATIO, "it takes {ratio:.2} times as long as natively, and {MOST_RATIO} are allowed");
    Ok(())
}

/// The best of three, as the component says it.
fn posted(server: &Server, photo: &[u8]) -> anyhow::Result<f64> {
    let answer = asked(server, "/3", "image/jpeg", photo)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
    // In chunks, of which there is one.
    let number = body.lines().find(|line| line.contains('.')).with_context(|| answer.clone())?;
    Ok(number.trim().parse()?)
}

/// Prints how much more memory the host has at the most while it works, and fails where that is too much.
pub(super) fn print(host: &Path) -> anyhow::Result<()> {
    ratio(host)?;
    println!("\nPOST /edit-image with files of up to 25 MB");
    let (bmp, small) = (Noise::Bmp.file(3456, 2520), Noise::Bmp.file(64, 48));
    for prompt in PROMPTS {
        measured(host, None, &format!("BMP, {} MB, {prompt}", bmp.len() / 1_000_000), &small, &bmp, prompt)?;
    }
    // Otherwise an upstream that costs nothing answers.
    let ourselves = std::env::current_exe()?;
    let standin = Server::start("stand-in", &ourselves, &["standin", "--zero-latency"], &[])?;
    let upstream = format!("http://{}", standin.address);
    for (noise, kind, width, height) in NOISE {
        let (file, small) = (noise.file(width, height), noise.file(64, 48));
        let megapixels = u32::from(width) * u32::from(height) / 1_000_000;
        let what = format!("{megapixels} MP {kind}, {} MB", file.len() / 1_000_000);
        measured(host, None, &format!("{what}, brighten"), &small, &file, "brighten")?;
        measured(host, Some(&upstream), &format!("{what}, a model elsewhere"), &small, &file, "nicer")?;
    }
    for (megapixels, width, height, detail) in [(12, 4000, 3008, 40), (24, 6000, 4000, 40), (40, 7296, 5472, 26)] {
        for (progressive, kind) in [(false, "JPEG"), (true, "progressive JPEG")] {
            let photo = Photo { width, height, progressive, halved: true, detail };
            let (file, small) = (photo.jpeg(), Photo { width: 64, height: 48, ..photo }.jpeg());
            let what = format!("{megapixels} MP {kind}, {} MB", file.len() / 1_000_000);
            measured(host, None, &format!("{what}, brighten"), &small, &file, "brighten")?;
            measured(host, Some(&upstream), &format!("{what}, a model elsewhere"), &small, &file, "nicer")?;
        }
    }
    Ok(())
}

/// Each on a host of its own: what one request left would hide what the next one takes.
fn measured(
    host: &Path,
    upstream: Option<&str>,
    what: &str,
    small: &[u8],
    picture: &[u8],
    prompt: &str,
) -> anyhow::Result<()> {
    let key = if upstream.is_some() { "hf_bench" } else { "" };
    let mut environment = vec![("LOG_LEVEL", "warn"), ("HF_API_KEY", key), ("HF_TOKEN", "")];
    environment.extend(upstream.map(|url| ("HF_BASE_URL", url)));
    let server = Server::start("pictures", host, &["serve", "--listen", "127.0.0.1:0"], &environment)?;
    edited(&server, &base64(small), prompt, upstream.is_none())?;
    // A host that has just started still reads the files of large components, which is not the picture's doing.
    std::thread::sleep(SETTLES);
    server.forget_peak()?;
    let (picture, before, began) = (base64(picture), server.resident_mb()?, Instant::now());
    edited(&server, &picture, prompt, upstream.is_none())?;
    let (took, rise) = (began.elapsed(), server.peak_mb()? - before);
    println!("{what:<48} {:>6} ms, {rise:>5.0} MB more than the {before:.0} MB before", took.as_millis());
    ensure!(rise <= MOST_MB, "`{what}` took {rise:.0} MB, and {MOST_MB:.0} are allowed");
    Ok(())
}

fn edited(server: &Server, picture: &str, prompt: &str, inside: bool) -> anyhow::Result<()> {
    let body = format!(r#"{{"prompt": "{prompt}", "model": null, "image": "{picture}"}}"#);
    let head = asked(server, "/edit-image", "application/json", body.as_bytes())?;
    ensure!(head.starts_with("http/1.1 200 "), "{head}");
    ensure!(head.contains("x-model: local/classical-edit") == inside, "somebody else answered: {head}");
    Ok(())
}

/// The beginning of the answer.
fn asked(server: &Server, path: &str, content_type: &str, body: &[u8]) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(&server.address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        server.address,
        body.len(),
    )?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("no answer")?;
    Ok(String::from_utf8_lossy(&answer[..answer.len().min(2048)]).to_lowercase())
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len() / 3 * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        // Without padding: the platform takes both.
        let symbols = [18, 12, 6, 0].into_iter().take(three.len() + 1);
        text.extend(symbols.map(|shift| char::from(ALPHABET[(bits >> shift & 63) as usize])));
    }
    text
}
