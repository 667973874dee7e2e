//! How long a picture takes on its way to a model, natively or in Wasm: `prepare FILE [TIMES]`; without a file, a 12
//! megapixel noise as BMP.

use std::time::Instant;

use hybrid_picture::{Limits, prepare};

fn main() {
    let mut args = std::env::args().skip(1);
    let bytes = args.next().map_or_else(noise, |file| std::fs::read(file).expect("the file can be read"));
    let times: u32 = args.next().and_then(|times| times.parse().ok()).unwrap_or(5);
    let mut best = f64::INFINITY;
    for _ in 0..times {
        let copy = bytes.clone();
        let started = Instant::now();
        let prepared = prepare(&copy.into(), &Limits::default()).expect("the picture can be prepared");
        let ms = started.elapsed().as_secs_f64() * 1000.0;
        best = best.min(ms);
        println!("{ms:.1} ms: {}x{}, {} bytes", prepared.width, prepared.height, prepared.png.len());
    }
    println!("best {best:.1} ms");
}

fn noise() -> Vec<u8> {
    let (width, height) = (4000u32, 3000u32);
    let size = width * height * 3;
    let mut bytes = b"BM".to_vec();
    for word in [size + 54, 0, 54, 40, width, height, 1 | 24 << 16, 0, size, 2835, 2835, 0, 0] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    let mut state = 1u32;
    bytes.extend((0..size).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    }));
    bytes
}
