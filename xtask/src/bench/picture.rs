//! What a large picture costs: `POST /edit-image` with a file of 25 MB, and with photos of up to 40 megapixels, edited inside the
//! platform and by a model elsewhere.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use standin::Photo;

use super::server::Server;

/// 24-bit BMP: what is noise in every format, and a file as large as the limit lets in.
const WIDTH: u32 = 3_456;
const HEIGHT: u32 = 2_520;
const HEAD: usize = 54;
const MOST_MB: f64 = 100.0;
const PATIENCE: Duration = Duration::from_secs(60);
const PROMPTS: [&str; 4] = ["brighten", "blur", "rotate left", "resize to 800x600"];

/// Prints how much more memory the host has at the most while it works, and fails where that is too much.
pub(super) fn print(host: &Path) -> anyhow::Result<()> {
    let noise_file = noise(WIDTH, HEIGHT);
    let small = noise(64, 48);
    println!("\nPOST /edit-image with a file of {} MB", noise_file.len() / 1_000_000);
    for prompt in PROMPTS {
        measured(host, None, prompt, &small, &noise_file, prompt)?;
    }
    // Otherwise an upstream that costs nothing answers.
    let ourselves = std::env::current_exe()?;
    let standin = Server::start("stand-in", &ourselves, &["standin", "--zero-latency"], &[])?;
    let upstream = format!("http://{}", standin.address);
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
    server.forget_peak()?;
    let (picture, before, began) = (base64(picture), server.resident_mb()?, Instant::now());
    edited(&server, &picture, prompt, upstream.is_none())?;
    let (took, rise) = (began.elapsed(), server.peak_mb()? - before);
    println!("{what:<44} {:>6} ms, {rise:>5.0} MB more than the {before:.0} MB before", took.as_millis());
    ensure!(rise <= MOST_MB, "`{what}` took {rise:.0} MB, and {MOST_MB:.0} are allowed");
    Ok(())
}

fn edited(server: &Server, picture: &str, prompt: &str, inside: bool) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(&server.address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let body = format!(r#"{{"prompt": "{prompt}", "model": null, "image": "{picture}"}}"#);
    write!(
        stream,
        "POST /edit-image HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        server.address,
        body.len(),
    )?;
    stream.write_all(body.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("no answer")?;
    let head = String::from_utf8_lossy(&answer[..answer.len().min(2048)]).to_lowercase();
    ensure!(head.starts_with("http/1.1 200 "), "{head}");
    ensure!(head.contains("x-model: local/classical-edit") == inside, "somebody else answered: {head}");
    Ok(())
}

fn noise(width: u32, height: u32) -> Vec<u8> {
    // Rows have a multiple of four bytes with these widths.
    let length = (width * height * 3) as usize;
    let mut bytes = Vec::with_capacity(HEAD + length);
    bytes.extend_from_slice(b"BM");
    let size = (HEAD + length) as u32;
    for word in [size, 0, HEAD as u32, 40, width, height, 1 | 24 << 16, 0, length as u32, 2835, 2835, 0, 0] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    let mut state = 1_u32;
    bytes.extend((0..length).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    }));
    bytes
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
