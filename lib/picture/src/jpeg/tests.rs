use std::io::BufReader;

use super::{Jpeg, WHOLE};

/// Written by libjpeg: `(name, bytes)`.
macro_rules! pictures {
    ($($name:literal),+) => { [$(($name, include_bytes!(concat!("../../tests/pictures/", $name, ".jpg")).as_slice())),+] };
}

const PICTURES: [(&str, &[u8]); 12] = pictures!(
    "420",
    "422",
    "444",
    "gray",
    "cmyk",
    "restarts",
    "progressive-420",
    "progressive-444",
    "progressive-gray",
    "progressive-restarts",
    "odd",
    "progressive-odd"
);

fn decoded(bytes: &[u8], eighths: u32) -> (u32, u32, Vec<u8>) {
    let jpeg = Jpeg::open(bytes).expect("it is a JPEG");
    let ((width, height), gray) = (jpeg.size(eighths), jpeg.is_gray());
    let mut data = Vec::new();
    jpeg.rows(eighths, |row| data.extend_from_slice(row)).expect("it can be read");
    if gray {
        data = data.iter().flat_map(|&gray| [gray; 3]).collect();
    }
    assert_eq!(data.len(), (width * height * 3) as usize);
    (width, height, data)
}

/// By the decoder of others.
fn reference(bytes: &[u8]) -> image::RgbImage {
    image::load_from_memory_with_format(bytes, image::ImageFormat::Jpeg).expect("it is a JPEG").into_rgb8()
}

fn psnr(one: &[u8], other: &[u8]) -> f64 {
    assert_eq!(one.len(), other.len());
    let error: f64 = one.iter().zip(other).map(|(one, other)| f64::from(one.abs_diff(*other)).powi(2)).sum();
    20.0 * 255_f64.log10() - 10.0 * (error / one.len() as f64).max(1e-6).log10()
}

#[test]
fn every_way_of_writing_one_is_read_as_others_read_it() {
    for (name, bytes) in PICTURES {
        let (_, _, data) = decoded(bytes, WHOLE);
        // What is not written for each pixel, decoders make up in their own ways: the others go from one sample to the
        // next in a line, and so come no nearer to what these were made from.
        let least = if name.contains("444") || name.contains("gray") || name == "cmyk" { 50.0 } else { 30.0 };
        let psnr = psnr(&data, reference(bytes).as_raw());
        assert!(psnr > least, "{name}: {psnr}");
    }
}

#[test]
fn smaller_it_is_the_same_picture_made_smaller() {
    // With odd sides, the last row and column would stand for less of the picture than the others.
    for (name, bytes) in PICTURES.into_iter().filter(|(name, _)| !name.contains("odd")) {
        for eighths in 1..WHOLE {
            let (width, height, data) = decoded(bytes, eighths);
            let whole = image::DynamicImage::from(reference(bytes));
            let smaller = whole.resize_exact(width, height, image::imageops::FilterType::CatmullRom).into_rgb8();
            let psnr = psnr(&data, smaller.as_raw());
            assert!(psnr > 24.0, "{name} in {eighths} eighths: {psnr}");
            println!("{name} in {eighths} eighths: {psnr}");
        }
    }
}

#[test]
fn a_progressive_one_holds_less_the_smaller_it_is_wanted() {
    let (_, bytes) = PICTURES.into_iter().find(|(name, _)| *name == "progressive-444").expect("it is there");
    let held: Vec<u64> = (1..=WHOLE).map(|eighths| Jpeg::open(bytes).expect("a JPEG").held_bytes(eighths)).collect();
    // 12 by 9 blocks of three components; to a block, two bytes a frequency that shows and eight besides.
    assert_eq!(held[1], 12 * 9 * 3 * (2 * 4 + 8));
    assert_eq!(held[7], 12 * 9 * 3 * (2 * 64 + 8));
    assert!(held.is_sorted());
    let (_, baseline) = PICTURES[2];
    assert_eq!(Jpeg::open(baseline).expect("a JPEG").held_bytes(WHOLE), 0);
}

#[test]
fn in_small_pieces_it_is_the_same() {
    for (name, bytes) in PICTURES {
        let jpeg = Jpeg::open(BufReader::with_capacity(3, bytes)).expect("it is a JPEG");
        let (gray, mut data) = (jpeg.is_gray(), Vec::new());
        jpeg.rows(WHOLE, |row| data.extend_from_slice(row)).expect("it can be read");
        if !gray {
            assert!(data == decoded(bytes, WHOLE).2, "{name}");
        }
    }
}

#[test]
fn what_is_damaged_is_read_as_far_as_it_goes_and_never_a_panic() {
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for (name, bytes) in PICTURES {
        for _ in 0..300 {
            let mut bytes = bytes.to_vec();
            for _ in 0..1 + next(4) {
                let at = next(bytes.len());
                bytes[at] = next(256) as u8;
            }
            bytes.truncate(bytes.len() - next(bytes.len() / 2));
            let Ok(jpeg) = Jpeg::open(bytes.as_slice()) else { continue };
            let eighths = 1 + next(8) as u32;
            let (width, height) = jpeg.size(eighths);
            if width * height > 1_000_000 {
                continue;
            }
            let mut rows = 0;
            let read = jpeg.rows(eighths, |_| rows += 1);
            assert!(read.is_err() || rows == height, "{name}: {rows} of {height} rows");
        }
    }
    // The upper half of the file makes the upper part of the picture.
    let (_, bytes) = PICTURES[2];
    let (_, _, half) = decoded(&bytes[..bytes.len() / 2], WHOLE);
    let whole = reference(bytes);
    let quarter = half.len() / 4;
    assert!(psnr(&half[..quarter], &whole.as_raw()[..quarter]) > 45.0);
    let last = &half[half.len() - 96 * 3..];
    assert!(last.windows(6).all(|two| two[..3] == two[3..] || two[0].abs_diff(two[3]) < 90), "{last:?}");
}

#[test]
fn scans_without_end_come_to_an_end() {
    let (_, bytes) = PICTURES.into_iter().find(|(name, _)| *name == "progressive-gray").expect("it is there");
    // The last scan again and again.
    let start = bytes.windows(2).rposition(|pair| pair == [0xff, 0xda]).expect("a scan");
    let scan = &bytes[start..bytes.len() - 2];
    let endless = [&bytes[..start], &scan.repeat(5_000)].concat();
    assert_eq!(decoded(&endless, WHOLE).0, 96);
}
