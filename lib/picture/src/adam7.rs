//! PNG whose pixels come in seven passes, each between those of the passes before it. It is read in its whole size, or with its sides
//! halved once or more: then what comes later is averaged into the pixel beside which it lies, and the whole is never there.

use std::io::{BufRead, Seek};

use crate::Pixels;

/// Where each pass begins and by how much it steps: across, and down.
const PASSES: [[usize; 4]; 7] =
    [[0, 8, 0, 8], [4, 8, 0, 8], [0, 4, 4, 8], [2, 4, 0, 4], [0, 2, 2, 4], [1, 2, 0, 2], [0, 1, 1, 2]];

/// How often the sides may be halved.
pub(crate) const MOST_HALVES: u32 = 3;

pub(crate) fn halved((width, height): (u32, u32), halves: u32) -> (u32, u32) {
    (width.div_ceil(1 << halves), height.div_ceil(1 << halves))
}

/// Reads a picture of so many channels.
pub(crate) fn pixels<R: BufRead + Seek>(
    reader: &mut png::Reader<R>,
    channels: usize,
    halves: u32,
) -> Result<Pixels, String> {
    let own = (reader.info().width, reader.info().height);
    let (width, height) = (own.0 as usize, own.1 as usize);
    let size = halved(own, halves);
    let (side, stride) = (1 << halves, size.0 as usize * channels);
    let mut data = vec![0; stride * size.1 as usize];
    // One from each square of `side` pixels comes in the first passes; each of the others brings as many as all before it.
    let first = PASSES.len() - 2 * halves as usize;
    for (pass, [left, across, top, down]) in PASSES.into_iter().enumerate() {
        let count = width.saturating_sub(left).div_ceil(across);
        for y in (top..height).step_by(down).filter(|_| count > 0) {
            let row = reader.next_row().map_err(|error| error.to_string())?.ok_or("it ends too early")?;
            // An animation's first frame may be smaller than its canvas; then the default image is not part of it.
            let row = Some(row.data()).filter(|row| row.len() == count * channels);
            let row = row.ok_or("its first frame does not fill it")?;
            let to = &mut data[(y >> halves) * stride..][..stride];
            if pass < first {
                for (x, pixel) in (left..width).step_by(across).zip(row.chunks_exact(channels)) {
                    to[(x >> halves) * channels..][..channels].copy_from_slice(pixel);
                }
            } else {
                let new = side / across;
                let known = (1 << (pass - first)) + y % side / down * new;
                average(to, row, channels, known, new);
            }
        }
    }
    Ok(Pixels::new(size.0, size.1, channels as u8, data))
}

/// Takes the next `new` pixels of a row into each one that is the mean of `known`. At the right edge there may be fewer.
fn average(to: &mut [u8], row: &[u8], channels: usize, known: usize, new: usize) {
    let all = (known + new) as u32;
    for (to, pixels) in to.chunks_exact_mut(channels).zip(row.chunks(new * channels)) {
        let count = (pixels.len() / channels) as u32;
        for (channel, to) in to.iter_mut().enumerate() {
            let sum: u32 = pixels.iter().skip(channel).step_by(channels).map(|sample| u32::from(*sample)).sum();
            *to = ((u32::from(*to) * known as u32 + sum * new as u32 / count + all / 2) / all) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::tests::interlaced;

    #[test]
    fn each_pixel_is_about_the_mean_of_its_square() {
        for (width, height) in [(1, 1), (2, 5), (5, 2), (37, 29), (64, 64)] {
            let of = |x: u32, y: u32| [(x * 3 + y) as u8, (x * y % 7 * 30) as u8, ((y * 5) ^ (x * 9)) as u8];
            let file = interlaced(width, height, of);
            for halves in 0..=MOST_HALVES {
                let mut reader = png::Decoder::new(Cursor::new(&file)).read_info().expect("a PNG");
                let pixels = pixels(&mut reader, 3, halves).expect("its pixels");
                assert_eq!((pixels.width, pixels.height), halved((width, height), halves));
                let side = 1 << halves;
                for (at, pixel) in (0..).zip(pixels.data.chunks_exact(3)) {
                    let (left, top) = (at % pixels.width * side, at / pixels.width * side);
                    // At the edges, pixels that are there alone may count more than others.
                    if (left + side > width || top + side > height) && side > 1 {
                        continue;
                    }
                    let square = (0..side * side).map(|at| of(left + at % side, top + at / side));
                    let sums = square.fold([0; 3], |sums, of| [0, 1, 2].map(|at| sums[at] + u32::from(of[at])));
                    for (sample, sum) in pixel.iter().zip(sums) {
                        let mean = f64::from(sum) / f64::from(side * side);
                        assert!((f64::from(*sample) - mean).abs() <= 2.0, "{width} {halves} {at}: {sample}, {mean}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_cut_off_is_told() {
        let file = interlaced(64, 64, |x, y| [x as u8, y as u8, (x * y) as u8]);
        let mut reader = png::Decoder::new(Cursor::new(&file[..file.len() / 2])).read_info().expect("a PNG");
        assert!(pixels(&mut reader, 3, 1).is_err());
    }
}
