//! `sizes`: how large the components are, and how large they may be.

use std::fs;

use anyhow::{Context, ensure};

use crate::tree::{self, Guest};

/// A component should start in a moment and fit an edge node many times over.
const PLAIN_BYTES: u64 = 400_000;
/// Picture and audio codecs, a dictionary of sounds, and the docs page, are data and code that one cannot do without.
const LARGE_BYTES: u64 = 3_000_000;
/// A model's weights are mapped from the file, and loaded as they are touched.
const MODEL_BYTES: u64 = 33_000_000;
/// Those that carry a model's weights; composed files have them only where somebody asks.
pub const MODELS: &[&str] = &["local-embedding"];
/// Those that carry a codec, a dictionary or the docs page.
const LARGE: &[&str] = &["image", "image-edit", "tts", "stt", "local", "local-tts", "local-image-edit", "router"];

/// What the guest's file may weigh.
pub fn limit(guest: &Guest) -> u64 {
    match guest.name.as_str() {
        name if MODELS.contains(&name) => MODEL_BYTES,
        name if LARGE.contains(&name) => LARGE_BYTES,
        _ => PLAIN_BYTES,
    }
}

pub fn print() -> anyhow::Result<()> {
    let mut too_large = Vec::new();
    for guest in tree::guests()? {
        let path = guest.file(&tree::root());
        let size = fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?.len();
        let limit = limit(&guest);
        println!("{:<16} {:>9} of {limit:>9} bytes", guest.name, size);
        if size > limit {
            too_large.push(guest.name);
        }
    }
    ensure!(too_large.is_empty(), "larger than they may be: {}", too_large.join(", "));
    Ok(())
}
