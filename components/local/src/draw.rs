//! What a drawing needs beside its shapes: numbers by chance that can be had again, and writing PNG.

use std::io::Cursor;

use hybrid_guest::types::Reason;

/// FNV-1a of the text, with the seed in front of it.
pub(crate) fn hash(text: &str, seed: Option<u64>) -> u64 {
    let seed = seed.unwrap_or(0).to_le_bytes();
    let sum = seed
        .iter()
        .chain(text.trim().as_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |sum: u64, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut state = sum;
    next(&mut state)
}

/// SplitMix64.
pub(crate) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// An 8-bit PNG that says in a text chunk what it is.
pub(crate) fn png(width: u32, height: u32, colour: png::ColorType, data: &[u8], says: &str) -> Result<Vec<u8>, Reason> {
    // Growing from nothing would copy it ten times.
    let mut bytes = Cursor::new(Vec::with_capacity(data.len() / 2 + 1024));
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    // `Balanced` takes 20 times as long for a few percent.
    encoder.set_compression(png::Compression::Fast);
    encoder.set_filter(png::Filter::Adaptive);
    encoder
        .add_text_chunk("Comment".to_owned(), says.to_owned())
        .and_then(|()| encoder.write_header())
        .and_then(|mut writer| writer.write_image_data(data))
        .map_err(|error| Reason::Internal(format!("a PNG could not be written: {error}")))?;
    Ok(bytes.into_inner())
}
