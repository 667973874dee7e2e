//! What looks at a pixel's surroundings or at its place in the picture.

use crate::band::Band;
use crate::operation::{Reach, Texture};
use crate::tone::luma;

/// Beyond this a blur is one of rows summed up, three times; below, of the bell curve itself.
const SUMMED_FROM: f32 = 4.0;

impl Texture {
    /// Rows around a pixel that it looks at, and of which number its bands begin at a multiple.
    pub(crate) fn needs(&self, width: usize, height: usize) -> (usize, usize) {
        let size = Size { width, height };
        match *self {
            Texture::Blur(reach) => (spread(size.sigma(reach)), 1),
            Texture::Sharpen(_) => (spread(size.fine()), 1),
            Texture::Pixelate(reach) => (0, size.block(reach)),
            Texture::Oil(reach) => (2 * size.brush(reach), 1),
            Texture::Sketch => (spread(size.pencil()) + 1, 1),
            Texture::Edges => (1, 1),
            Texture::Denoise(_) => (2 * size.grain(), 1),
            Texture::Noise(_) | Texture::Vignette(_) => (0, 1),
        }
    }

    pub(crate) fn apply(&self, band: &mut Band, seed: u64) {
        let size = Size { width: band.width, height: band.height };
        match *self {
            Texture::Blur(reach) => blur(&mut band.data, band.width, band.rows, band.channels, size.sigma(reach)),
            Texture::Sharpen(by) => sharpen(band, size.fine(), by),
            Texture::Pixelate(reach) => pixelate(band, size.block(reach)),
            Texture::Oil(reach) => oil(band, size.brush(reach)),
            Texture::Sketch => sketch(band, size.pencil()),
            Texture::Edges => edges(band),
            Texture::Noise(by) => noise(band, by, seed),
            Texture::Denoise(by) => denoise(band, size.grain(), by),
            Texture::Vignette(by) => vignette(band, by),
        }
    }
}

/// What is usual goes by the picture's size: the same words look the same on a small picture and on a large one.
#[derive(Clone, Copy)]
struct Size {
    width: usize,
    height: usize,
}

impl Size {
    fn diagonal(self) -> f32 {
        (self.width as f32).hypot(self.height as f32)
    }

    fn sigma(self, reach: Reach) -> f32 {
        match reach {
            Reach::Pixels(pixels) => pixels,
            Reach::Usual(times) => (self.diagonal() * 0.006 * times).max(0.8 * times.min(2.0)),
        }
        .min(self.diagonal() / 4.0)
        .max(0.3)
    }

    fn block(self, reach: Reach) -> usize {
        let usual = |times: f32| (self.width.min(self.height) as f32 / 40.0 * times).max(2.0);
        let block = match reach {
            Reach::Pixels(pixels) => pixels,
            Reach::Usual(times) => usual(times),
        };
        (block.round() as usize).clamp(1, self.width.max(self.height))
    }

    fn brush(self, reach: Reach) -> usize {
        let radius = match reach {
            Reach::Pixels(pixels) => pixels,
            Reach::Usual(times) => (self.diagonal() / 260.0 * times).max(2.0),
        };
        (radius.round() as usize).clamp(1, 64)
    }

    fn fine(self) -> f32 {
        (self.diagonal() / 1300.0).clamp(0.8, 4.0)
    }

    fn pencil(self) -> f32 {
        (self.diagonal() / 160.0).clamp(2.0, 40.0)
    }

    fn grain(self) -> usize {
        ((self.diagonal() / 900.0).round() as usize).clamp(2, 8)
    }
}

/// How many pixels away a blur still takes something from.
fn spread(sigma: f32) -> usize {
    if sigma < SUMMED_FROM { (3.0 * sigma).ceil() as usize } else { boxes(sigma).iter().sum() }
}

/// Radii of three sums that come near the bell curve.
fn boxes(sigma: f32) -> [usize; 3] {
    let ideal = (4.0 * sigma * sigma + 1.0).sqrt();
    let low = ((ideal as usize - 1) | 1).max(1);
    let low = if low as f32 > ideal { low - 2 } else { low };
    let (l, variance) = (low as f32, 12.0 * sigma * sigma);
    let smaller = ((variance - 3.0 * l * l - 12.0 * l - 9.0) / (-4.0 * l - 4.0)).round().clamp(0.0, 3.0) as usize;
    std::array::from_fn(|at| if at < smaller { low / 2 } else { low / 2 + 1 })
}

/// Gauss's blur, in place; what lies beyond the edges is as the edges are.
pub(crate) fn blur(data: &mut [u8], width: usize, rows: usize, channels: usize, sigma: f32) {
    let transparent = channels == 4;
    if transparent {
        multiply(data);
    }
    let stride = width * channels;
    let kernel: Kernel = if sigma < SUMMED_FROM { Kernel::Bell(bell(sigma)) } else { Kernel::Boxes(boxes(sigma)) };
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for row in data.chunks_exact_mut(stride) {
        one.clear();
        one.extend(row.iter().map(|&sample| f32::from(sample)));
        kernel.along(&mut one, &mut other, width, channels);
        for (sample, new) in row.iter_mut().zip(&one) {
            *sample = (new + 0.5) as u8;
        }
    }
    // Columns beside each other, as many as fill a few registers, as one wide pixel.
    const STRIP: usize = 32;
    for from in (0..stride).step_by(STRIP) {
        let strip = STRIP.min(stride - from);
        one.clear();
        for row in data.chunks_exact(stride) {
            one.extend(row[from..from + strip].iter().map(|&sample| f32::from(sample)));
        }
        kernel.along(&mut one, &mut other, rows, strip);
        for (row, new) in data.chunks_exact_mut(stride).zip(one.chunks_exact(strip)) {
            for (sample, new) in row[from..from + strip].iter_mut().zip(new) {
                *sample = (new + 0.5) as u8;
            }
        }
    }
    if transparent {
        divide(data);
    }
}

enum Kernel {
    /// The middle, and what is to one side.
    Bell(Vec<f32>),
    Boxes([usize; 3]),
}

fn bell(sigma: f32) -> Vec<f32> {
    let half: Vec<f32> =
        (0..=(3.0 * sigma).ceil() as usize).map(|x| (-0.5 * (x as f32 / sigma).powi(2)).exp()).collect();
    let sum = 2.0 * half.iter().sum::<f32>() - half[0];
    half.iter().map(|weight| weight / sum).collect()
}

impl Kernel {
    /// Over `length` pixels of `lanes` samples each.
    fn along(&self, line: &mut Vec<f32>, other: &mut Vec<f32>, length: usize, lanes: usize) {
        other.clear();
        other.resize(line.len(), 0.0);
        let at = |index: isize| index.clamp(0, length as isize - 1) as usize * lanes;
        match self {
            Kernel::Bell(half) => {
                for x in 0..length {
                    let to = &mut other[x * lanes..(x + 1) * lanes];
                    for (sum, middle) in to.iter_mut().zip(&line[x * lanes..(x + 1) * lanes]) {
                        *sum = middle * half[0];
                    }
                    for (away, weight) in half.iter().enumerate().skip(1) {
                        let (before, after) = (at(x as isize - away as isize), at(x as isize + away as isize));
                        let pairs = line[before..before + lanes].iter().zip(&line[after..after + lanes]);
                        for (sum, (before, after)) in to.iter_mut().zip(pairs) {
                            *sum += (before + after) * weight;
                        }
                    }
                }
                std::mem::swap(line, other);
            }
            Kernel::Boxes(radii) => {
                for &radius in radii {
                    average(line, other, length, lanes, radius);
                    std::mem::swap(line, other);
                }
            }
        }
    }
}

/// The average over `2 * radius + 1` pixels: one comes in, one goes out.
fn average(from: &[f32], to: &mut [f32], length: usize, lanes: usize, radius: usize) {
    let pixel = |index: isize| {
        let at = index.clamp(0, length as isize - 1) as usize * lanes;
        &from[at..at + lanes]
    };
    let radius = radius as isize;
    let share = 1.0 / (2 * radius + 1) as f32;
    let mut sums = vec![0.0_f32; lanes];
    for x in -radius..=radius {
        for (sum, sample) in sums.iter_mut().zip(pixel(x)) {
            *sum += sample;
        }
    }
    for (x, to) in (0..).zip(to.chunks_exact_mut(lanes)) {
        let (out, coming) = (pixel(x - radius), pixel(x + radius + 1));
        for (((sum, to), out), coming) in sums.iter_mut().zip(to).zip(out).zip(coming) {
            *to = *sum * share;
            *sum += coming - out;
        }
    }
}

/// What is transparent weighs nothing while pixels are mixed.
fn multiply(data: &mut [u8]) {
    for pixel in data.chunks_exact_mut(4) {
        let alpha = u32::from(pixel[3]);
        for sample in &mut pixel[..3] {
            *sample = ((u32::from(*sample) * alpha + 127) / 255) as u8;
        }
    }
}

fn divide(data: &mut [u8]) {
    for pixel in data.chunks_exact_mut(4) {
        let alpha = u32::from(pixel[3]).max(1);
        for sample in &mut pixel[..3] {
            *sample = ((u32::from(*sample) * 255 + alpha / 2) / alpha).min(255) as u8;
        }
    }
}

/// Adds what a blur takes away.
fn sharpen(band: &mut Band, sigma: f32, by: f32) {
    let mut soft = band.data.clone();
    blur(&mut soft, band.width, band.rows, band.channels, sigma);
    let by = (by * 256.0) as i32;
    for (pixel, soft) in band.data.chunks_exact_mut(band.channels).zip(soft.chunks_exact(band.channels)) {
        for (sample, soft) in pixel[..3].iter_mut().zip(soft) {
            let own = i32::from(*sample);
            *sample = (own + (((own - i32::from(*soft)) * by + 128) >> 8)).clamp(0, 255) as u8;
        }
    }
}

fn pixelate(band: &mut Band, block: usize) {
    let (width, channels) = (band.width, band.channels);
    let stride = width * channels;
    for rows in band.data.chunks_mut(block * stride) {
        let high = rows.len() / stride;
        for left in (0..width).step_by(block) {
            let wide = block.min(width - left);
            let mut sums = [0_u64; 4];
            for row in rows.chunks_exact(stride) {
                for pixel in row[left * channels..(left + wide) * channels].chunks_exact(channels) {
                    for (sum, sample) in sums.iter_mut().zip(pixel) {
                        *sum += u64::from(*sample);
                    }
                }
            }
            let count = (wide * high) as u64;
            let mean = sums.map(|sum| ((sum + count / 2) / count) as u8);
            for row in rows.chunks_exact_mut(stride) {
                for pixel in row[left * channels..(left + wide) * channels].chunks_exact_mut(channels) {
                    pixel.copy_from_slice(&mean[..channels]);
                }
            }
        }
    }
}

/// Kuwahara's filter: each pixel becomes the mean of that neighbouring square which is most even. Flat patches with sharp
/// edges between them come of it, as from a brush.
fn oil(band: &mut Band, radius: usize) {
    let (width, rows, channels) = (band.width, band.rows, band.channels);
    let stride = width * channels;
    // Means of squares with half the radius about every pixel; a quarter of a pixel's surroundings is one of them.
    let half = radius.div_ceil(2);
    let mut means = band.data.clone();
    box_blur(&mut means, width, rows, channels, half);
    let spread = variance(band, half);
    let away = half as isize;
    let around = [(-1, -1), (1, -1), (-1, 1), (1, 1), (0, -1), (0, 1), (-1, 0), (1, 0)];
    for y in 0..rows {
        for x in 0..width {
            let place = |(dx, dy): (isize, isize)| {
                let x = (x as isize + dx * away).clamp(0, width as isize - 1) as usize;
                let y = (y as isize + dy * away).clamp(0, rows as isize - 1) as usize;
                y * width + x
            };
            let least = around.iter().map(|&to| place(to)).min_by_key(|&at| spread[at]).unwrap_or(y * width + x);
            let from = &means[least * channels..least * channels + 3];
            band.data[y * stride + x * channels..][..3].copy_from_slice(from);
        }
    }
}

/// How uneven the lightness is in the square about each pixel.
fn variance(band: &Band, radius: usize) -> Vec<u32> {
    let (width, rows) = (band.width, band.rows);
    let light: Vec<f32> =
        band.data.chunks_exact(band.channels).map(|pixel| luma([pixel[0], pixel[1], pixel[2]]) as f32).collect();
    let mut squares: Vec<f32> = light.iter().map(|light| light * light).collect();
    let mut means = light;
    box_mean(&mut means, width, rows, radius);
    box_mean(&mut squares, width, rows, radius);
    squares.iter().zip(&means).map(|(square, mean)| ((square - mean * mean).max(0.0) * 16.0) as u32).collect()
}

fn box_blur(data: &mut [u8], width: usize, rows: usize, channels: usize, radius: usize) {
    let mut plane = vec![0.0; width * rows];
    for channel in 0..channels {
        for (plane, pixel) in plane.iter_mut().zip(data.chunks_exact(channels)) {
            *plane = f32::from(pixel[channel]);
        }
        box_mean(&mut plane, width, rows, radius);
        for (plane, pixel) in plane.iter().zip(data.chunks_exact_mut(channels)) {
            pixel[channel] = (plane + 0.5) as u8;
        }
    }
}

/// The mean of the square about each sample, in place.
fn box_mean(plane: &mut [f32], width: usize, rows: usize, radius: usize) {
    let mut other = vec![0.0; width];
    for row in plane.chunks_exact_mut(width) {
        average(row, &mut other, width, 1, radius);
        row.copy_from_slice(&other);
    }
    let mut whole = vec![0.0; width * rows];
    average(plane, &mut whole, rows, width, radius);
    plane.copy_from_slice(&whole);
}

/// A pencil's: white where the picture is even, dark where it is darker than its surroundings.
fn sketch(band: &mut Band, sigma: f32) {
    let mut gray: Vec<u8> =
        band.data.chunks_exact(band.channels).map(|pixel| luma([pixel[0], pixel[1], pixel[2]]) as u8).collect();
    // A pencil does not draw what single pixels make up.
    blur(&mut gray, band.width, band.rows, 1, 0.6);
    let mut soft = gray.clone();
    blur(&mut soft, band.width, band.rows, 1, sigma);
    for ((pixel, &gray), &soft) in band.data.chunks_exact_mut(band.channels).zip(&gray).zip(&soft) {
        // Two grays in a hundred are paper.
        let ratio = (f32::from(gray) + 12.0) / (f32::from(soft) + 12.0);
        let stroke = (ratio + 0.02).min(1.0).powf(2.4);
        pixel[..3].fill((stroke * 255.0 + 0.5) as u8);
    }
}

/// How steep the lightness is (Sobel): white lines on black.
fn edges(band: &mut Band) {
    let (width, rows) = (band.width as isize, band.rows as isize);
    let gray: Vec<i32> =
        band.data.chunks_exact(band.channels).map(|pixel| luma([pixel[0], pixel[1], pixel[2]]) as i32).collect();
    let at = |x: isize, y: isize| gray[(y.clamp(0, rows - 1) * width + x.clamp(0, width - 1)) as usize];
    let mut places = (0..rows).flat_map(|y| (0..width).map(move |x| (x, y)));
    for pixel in band.data.chunks_exact_mut(band.channels) {
        let (x, y) = places.next().unwrap_or_default();
        let across = at(x + 1, y - 1) + 2 * at(x + 1, y) + at(x + 1, y + 1)
            - at(x - 1, y - 1)
            - 2 * at(x - 1, y)
            - at(x - 1, y + 1);
        let down = at(x - 1, y + 1) + 2 * at(x, y + 1) + at(x + 1, y + 1)
            - at(x - 1, y - 1)
            - 2 * at(x, y - 1)
            - at(x + 1, y - 1);
        let steep = ((across * across + down * down) as f32).sqrt();
        pixel[..3].fill(steep.min(255.0) as u8);
    }
}

/// Grain, the same in all channels, as film has it; equal for equal seeds.
fn noise(band: &mut Band, by: f32, seed: u64) {
    let width = band.width;
    for (at, pixel) in band.data.chunks_exact_mut(band.channels).enumerate() {
        let place = (band.top * width + at) as u64;
        let mut mixed = (place ^ seed.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // Four of 16 bits come near the bell curve.
        let sum: i64 = (0..4).map(|part| ((mixed >> (16 * part)) & 0xffff) as i64).sum::<i64>() - 2 * 0xffff;
        let grain = (sum as f32 / 37_837.0 * by * 255.0) as i32;
        for sample in &mut pixel[..3] {
            *sample = (i32::from(*sample) + grain).clamp(0, 255) as u8;
        }
    }
}

/// The guided filter, by itself: even parts become their mean, edges stay.
fn denoise(band: &mut Band, radius: usize, by: f32) {
    let (width, rows, channels) = (band.width, band.rows, band.channels);
    let even = (by * 14.0).powi(2);
    let mut own: Vec<f32> = vec![0.0; width * rows];
    for channel in 0..3 {
        for (own, pixel) in own.iter_mut().zip(band.data.chunks_exact(channels)) {
            *own = f32::from(pixel[channel]);
        }
        let mut means = own.clone();
        box_mean(&mut means, width, rows, radius);
        let mut slopes: Vec<f32> = own.iter().map(|own| own * own).collect();
        box_mean(&mut slopes, width, rows, radius);
        // From the squares' mean to the slope, and from the mean to what is left of it.
        for (slope, mean) in slopes.iter_mut().zip(&mut means) {
            let variance = (*slope - *mean * *mean).max(0.0);
            *slope = variance / (variance + even);
            *mean *= 1.0 - *slope;
        }
        box_mean(&mut slopes, width, rows, radius);
        box_mean(&mut means, width, rows, radius);
        for (((own, slope), rest), pixel) in
            own.iter().zip(&slopes).zip(&means).zip(band.data.chunks_exact_mut(channels))
        {
            pixel[channel] = (own * slope + rest + 0.5).clamp(0.0, 255.0) as u8;
        }
    }
}

fn vignette(band: &mut Band, by: f32) {
    let (cx, cy) = (band.width as f32 / 2.0, band.height as f32 / 2.0);
    let corner = (cx * cx + cy * cy).recip();
    for (row, y) in band.data.chunks_exact_mut(band.width * band.channels).zip(band.top..) {
        for (pixel, x) in row.chunks_exact_mut(band.channels).zip(0..) {
            let (dx, dy) = (x as f32 + 0.5 - cx, y as f32 + 0.5 - cy);
            let away = ((dx * dx + dy * dy) * corner - 0.12).max(0.0);
            let factor = 1.0 - by * (1.0 - (1.0 - away / 0.88).powi(2));
            for sample in &mut pixel[..3] {
                *sample = (f32::from(*sample) * factor + 0.5).clamp(0.0, 255.0) as u8;
            }
        }
    }
}
