//! JPEG, read row by row and no larger than it is wanted: a photo of 40 megapixels on its way to a model's 1 never is as large in
//! memory. Of a progressive one the lowest frequencies are kept, as far as they show in the smaller picture, and a bit for each
//! of the others, without which the file could not be read on.
//!
//! What is damaged is read as far as it goes, and is gray from there on; what is no JPEG, or one of the kinds that
//! nobody writes (arithmetic coding, lossless, 12 bits), is refused.

mod bits;
mod block;
mod colours;
mod huffman;
mod idct;
#[cfg(test)]
mod tests;

use std::io::BufRead;

use bits::Bits;
use block::{Pass, Sketch, ZIGZAG};
use colours::Colours;
use huffman::Huffman;
use idct::{Basis, Block};

/// In the eighths in which pictures are made smaller.
pub(crate) const WHOLE: u32 = 8;
/// Cameras and programs write about ten. Each can be a few bytes that cost a walk through the whole picture.
const MOST_SCANS: usize = 200;

/// So few cost little, and all of them show where a picture becomes a fraction of its size.
const LEAST_KEPT: usize = 4;

const SHORT: Broken = Broken("the JPEG ends too early");
const WRONG: Broken = Broken("a part of the JPEG's header is wrong");

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(&'static str);

/// A JPEG whose header is read, up to where the compressed data begins.
pub(crate) struct Jpeg<R> {
    bits: Bits<R>,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// As it lies in the file, without its name.
    pub(crate) exif: Option<Vec<u8>>,
    progressive: bool,
    components: Vec<Component>,
    /// The most samples of any component to a unit, across and down.
    most: (usize, usize),
    colours: Colours,
    quantization: [Option<[u16; 64]>; 4],
    dc: [Option<Box<Huffman>>; 4],
    ac: [Option<Box<Huffman>>; 4],
    /// Units between restarts; nought when there are none.
    restart: usize,
    first: Scan,
}

/// A plane of the picture.
struct Component {
    id: u8,
    /// Blocks to a unit.
    across: usize,
    down: usize,
    table: usize,
    /// As it was when the plane's first scan came.
    quantization: Option<[u16; 64]>,
    dc: usize,
    ac: usize,
    level: i32,
}

struct Scan {
    components: Vec<usize>,
    pass: Pass,
}

/// What is kept of a plane until all scans are read.
struct Plane {
    wide: usize,
    places: [u8; 64],
    kept: usize,
    low: Vec<i16>,
    set: Vec<u64>,
}

/// A component's samples in one row of units.
struct Band {
    across: Basis,
    down: Basis,
    /// The samples of a block's sides.
    side: (usize, usize),
    lines: usize,
    /// Samples in a line, and with what a block may write behind it.
    length: usize,
    stride: usize,
    samples: Vec<u8>,
}

impl Band {
    /// Writes a block, in the order of the file.
    #[inline(always)]
    fn put(&mut self, block: &Block, x: usize, y: usize) {
        let from = y * self.side.1 * self.stride + x * self.side.0;
        idct::samples(block, &self.across, &self.down, &mut self.samples[from..], self.stride);
    }

    /// The line for this row of so many of the picture's; with fewer samples than the picture has, it is stretched.
    fn line<'a>(&'a self, y: usize, high: usize, length: usize, wide: &'a mut Vec<u8>) -> &'a [u8] {
        let line = &self.samples[y * self.lines / high * self.stride..][..self.length];
        if self.length == length {
            return line;
        }
        wide.clear();
        wide.extend((0..length).map(|x| line[x * self.length / length]));
        wide
    }
}

impl<R: BufRead> Jpeg<R> {
    pub(crate) fn open(reader: R) -> Result<Self, Broken> {
        let mut jpeg = Jpeg {
            bits: Bits::new(reader),
            width: 0,
            height: 0,
            exif: None,
            progressive: false,
            components: Vec::new(),
            most: (1, 1),
            colours: Colours::Ycc,
            quantization: [None; 4],
            dc: Default::default(),
            ac: Default::default(),
            restart: 0,
            first: Scan { components: Vec::new(), pass: Pass { from: 0, to: 63, refines: false, bit: 0 } },
        };
        let mut adobe = None;
        jpeg.first = jpeg.scan(&mut adobe)?.ok_or(SHORT)?;
        let ids: Vec<u8> = jpeg.components.iter().map(|component| component.id).collect();
        jpeg.colours = Colours::told(&ids, adobe).ok_or(Broken("the JPEG has colours of an unknown kind"))?;
        Ok(jpeg)
    }

    pub(crate) fn is_gray(&self) -> bool {
        self.colours == Colours::Gray
    }

    /// Of the picture in so many eighths of its size.
    pub(crate) fn size(&self, eighths: u32) -> (u32, u32) {
        ((self.width * eighths).div_ceil(WHOLE), (self.height * eighths).div_ceil(WHOLE))
    }

    /// What reading it in this size holds beside the rows that are handed out.
    pub(crate) fn held_bytes(&self, eighths: u32) -> u64 {
        if self.is_one_scan() {
            return 0;
        }
        let planes = self.components.iter().map(|component| {
            let (kept_across, kept_down) = self.kept(component, eighths as usize);
            let (wide, high) = self.padded(component);
            (wide * high * (kept_across * kept_down * 2 + 8)) as u64
        });
        planes.sum()
    }

    /// Hands out the picture in so many eighths of its size, row by row: gray, or RGB.
    pub(crate) fn rows(mut self, eighths: u32, mut to: impl FnMut(&[u8])) -> Result<(), Broken> {
        let side = eighths.clamp(1, WHOLE) as usize;
        let (width, height) = self.size(side as u32);
        let units = self.units();
        let (unit_wide, unit_high) = (self.most.0 * side, self.most.1 * side);
        let mut bands: Vec<Band> = self.components.iter().map(|component| self.band(component, side)).collect();
        let planes = if self.is_one_scan() { None } else { Some(self.all_scans(side)?) };
        if planes.is_none() {
            self.start(&(0..self.components.len()).collect::<Vec<_>>())?;
        }
        let mut until_restart = self.restart;
        let mut row = vec![0; width as usize * if self.is_gray() { 1 } else { 3 }];
        let mut wide: Vec<Vec<u8>> = vec![Vec::new(); self.components.len()];
        let mut left = height as usize;
        for unit_row in 0..units.1 {
            match &planes {
                Some(planes) => {
                    for ((component, plane), band) in self.components.iter().zip(planes).zip(&mut bands) {
                        plane.draw(component, unit_row, band);
                    }
                }
                None => self.read_row(units.0, &mut bands, &mut until_restart)?,
            }
            for y in 0..unit_high.min(left) {
                let lines = bands.iter().zip(&mut wide);
                let lines: Vec<&[u8]> =
                    lines.map(|(band, wide)| band.line(y, unit_high, units.0 * unit_wide, wide)).collect();
                self.colours.row(&lines, &mut row);
                to(&row);
            }
            left -= unit_high.min(left);
        }
        Ok(())
    }

    /// A row of units of the only scan, as samples.
    fn read_row(&mut self, units: usize, bands: &mut [Band], until_restart: &mut usize) -> Result<(), Broken> {
        let Jpeg { bits, components, dc, ac, restart, .. } = self;
        for unit in 0..units {
            if *restart > 0 {
                if *until_restart == 0 {
                    bits.restart();
                    components.iter_mut().for_each(|component| component.level = 0);
                    *until_restart = *restart;
                }
                *until_restart -= 1;
            }
            for (component, band) in components.iter_mut().zip(&mut *bands) {
                let (Some(dc), Some(ac)) = (&dc[component.dc], &ac[component.ac]) else { return Err(WRONG) };
                let Some(quantization) = &component.quantization else { return Err(WRONG) };
                for y in 0..component.down {
                    for x in 0..component.across {
                        let mut block = Block::even();
                        let mut last = 0;
                        if !bits.is_lost() {
                            last = block::whole(bits, dc, ac, &mut component.level, |at, value| {
                                block.put(at, value.wrapping_mul(i32::from(quantization[at])));
                            });
                        }
                        block.reaches(last);
                        band.put(&block, unit * component.across + x, y);
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads scan after scan to the end of the file.
    fn all_scans(&mut self, side: usize) -> Result<Vec<Plane>, Broken> {
        let mut planes: Vec<Plane> = self
            .components
            .iter()
            .map(|component| {
                let ((wide, high), (across, down)) = (self.padded(component), self.kept(component, side));
                let kept = across * down;
                let places = ZIGZAG.map(|at| {
                    let (row, column) = (usize::from(at / 8), usize::from(at % 8));
                    if row < down && column < across { (row * across + column) as u8 } else { u8::MAX }
                });
                Plane { wide, places, kept, low: vec![0; wide * high * kept], set: vec![0; wide * high] }
            })
            .collect();
        let components = std::mem::take(&mut self.first.components);
        let mut next = Some(Scan { components, pass: self.first.pass });
        for _ in 0..MOST_SCANS {
            let Some(scan) = next else { break };
            self.start(&scan.components)?;
            self.read_scan(&scan, &mut planes)?;
            // What is missing at the end of a progressive picture is its sharpness.
            next = self.scan(&mut None).unwrap_or(None);
        }
        Ok(planes)
    }

    fn read_scan(&mut self, scan: &Scan, planes: &mut [Plane]) -> Result<(), Broken> {
        let units = self.units();
        // A scan of one component has no units: its blocks come row by row, as many as have a pixel.
        let alone = scan.components.len() == 1;
        let (wide, high) = match scan.components[..] {
            [only] => {
                let component = &self.components[only];
                let blocks = |side: u32, own: usize, most: usize| (side as usize * own).div_ceil(most).div_ceil(8);
                let (across, down) = self.most;
                (blocks(self.width, component.across, across), blocks(self.height, component.down, down))
            }
            _ => units,
        };
        let Jpeg { bits, components, dc, ac, restart, progressive, .. } = self;
        let (pass, mut idle, mut until_restart) = (scan.pass, 0, *restart);
        for unit in 0..wide * high {
            if *restart > 0 {
                if until_restart == 0 {
                    bits.restart();
                    components.iter_mut().for_each(|component| component.level = 0);
                    (until_restart, idle) = (*restart, 0);
                }
                until_restart -= 1;
            }
            if bits.is_lost() {
                if *restart == 0 {
                    break;
                }
                continue;
            }
            let (unit_x, unit_y) = (unit % wide, unit / wide);
            for &index in &scan.components {
                let (component, plane) = (&mut components[index], &mut planes[index]);
                let (across, down) = if alone { (1, 1) } else { (component.across, component.down) };
                for number in 0..across * down {
                    let (x, y) = (unit_x * across + number % across, unit_y * down + number / across);
                    let at = y * plane.wide + x;
                    let mut block = Sketch {
                        low: &mut plane.low[at * plane.kept..(at + 1) * plane.kept],
                        set: &mut plane.set[at],
                        places: &plane.places,
                    };
                    match (&dc[component.dc], &ac[component.ac]) {
                        (Some(dc), Some(ac)) if !*progressive => {
                            block::whole(bits, dc, ac, &mut component.level, |at, value| block.put(at, value));
                        }
                        (Some(dc), _) if pass.from == 0 && !pass.refines => {
                            block::first_dc(bits, dc, &mut component.level, pass.bit, &mut block);
                        }
                        _ if pass.from == 0 && pass.refines => block::more_dc(bits, pass.bit, &mut block),
                        (_, Some(ac)) if pass.refines => block::more_ac(bits, ac, pass, &mut idle, &mut block),
                        (_, Some(ac)) if pass.from > 0 => block::first_ac(bits, ac, pass, &mut idle, &mut block),
                        _ => return Err(WRONG),
                    }
                }
            }
        }
        Ok(())
    }

    fn start(&mut self, components: &[usize]) -> Result<(), Broken> {
        self.bits.begin();
        for &index in components {
            let component = &mut self.components[index];
            component.level = 0;
            if component.quantization.is_none() {
                component.quantization = self.quantization[component.table];
            }
            component.quantization.ok_or(WRONG)?;
        }
        Ok(())
    }

    fn is_one_scan(&self) -> bool {
        !self.progressive && self.first.components.len() == self.components.len()
    }

    /// Units across and down: what has a block of every component.
    fn units(&self) -> (usize, usize) {
        let units = |side: u32, most: usize| (side as usize).div_ceil(8 * most);
        (units(self.width, self.most.0), units(self.height, self.most.1))
    }

    /// A component's blocks across and down, in whole units.
    fn padded(&self, component: &Component) -> (usize, usize) {
        let units = self.units();
        (units.0 * component.across, units.1 * component.down)
    }

    /// The samples of a block's sides: as many as bring all components to one size, where that is a whole number and not too many.
    fn sides(&self, component: &Component, side: usize) -> (usize, usize) {
        let one = |own: usize, most: usize| (side * most / own).clamp(1, idct::MOST);
        (one(component.across, self.most.0), one(component.down, self.most.1))
    }

    fn band(&self, component: &Component, side: usize) -> Band {
        let side = self.sides(component, side);
        let (lines, length) = (component.down * side.1, self.padded(component).0 * side.0);
        let stride = length + idct::MOST;
        let samples = vec![0; lines * stride];
        Band { across: Basis::new(side.0), down: Basis::new(side.1), side, lines, length, stride, samples }
    }

    /// How many of a block's frequencies are kept: as many as show, and where a component has fewer samples than others anyhow, as many
    /// as leave it as far behind them in the smaller picture.
    fn kept(&self, component: &Component, side: usize) -> (usize, usize) {
        let (across, down) = self.sides(component, side);
        (across.min(side.max(LEAST_KEPT)), down.min(side.max(LEAST_KEPT)))
    }

    /// Reads segments up to the next scan; none when there is none.
    fn scan(&mut self, adobe: &mut Option<u8>) -> Result<Option<Scan>, Broken> {
        loop {
            let marker = self.bits.marker().ok_or(SHORT)?;
            match marker {
                0x01 | 0xd0..=0xd8 => continue,
                0xd9 => return Ok(None),
                _ => {}
            }
            let length = usize::from(self.bits.word().ok_or(SHORT)?).checked_sub(2).ok_or(WRONG)?;
            let mut segment = Vec::with_capacity(length);
            for _ in 0..length {
                segment.push(self.bits.byte().ok_or(SHORT)?);
            }
            match marker {
                0xc0..=0xc2 if self.components.is_empty() => self.frame(marker, &segment).ok_or(WRONG)??,
                0xc0..=0xc2 => return Err(WRONG),
                0xc4 => self.codes(&segment).ok_or(WRONG)?,
                0xc3 | 0xc5..=0xcf => return Err(Broken("a JPEG of this kind is not read")),
                0xda => return self.scan_header(&segment).ok_or(WRONG).map(Some),
                0xdb => self.quantizations(&segment).ok_or(WRONG)?,
                0xdd => self.restart = usize::from(u16::from_be_bytes(*segment.first_chunk().ok_or(WRONG)?)),
                0xe1 if self.exif.is_none() => self.exif = segment.strip_prefix(b"Exif\0\0").map(<[u8]>::to_vec),
                0xee => *adobe = segment.strip_prefix(b"Adobe").and_then(|rest| rest.get(6)).copied().or(*adobe),
                _ => {}
            }
        }
    }

    fn frame(&mut self, marker: u8, segment: &[u8]) -> Option<Result<(), Broken>> {
        let [precision, high, low, left, right, count, components @ ..] = segment else { return None };
        if *precision != 8 {
            return Some(Err(Broken("a JPEG of other than 8 bits is not read")));
        }
        self.progressive = marker == 0xc2;
        (self.width, self.height) =
            (u16::from_be_bytes([*left, *right]).into(), u16::from_be_bytes([*high, *low]).into());
        for three in components.chunks_exact(3).take(usize::from(*count)) {
            let (across, down, table) = (usize::from(three[1] >> 4), usize::from(three[1] & 15), usize::from(three[2]));
            if !(1..=4).contains(&across) || !(1..=4).contains(&down) || table > 3 {
                return None;
            }
            let (id, quantization, level) = (three[0], None, 0);
            self.components.push(Component { id, across, down, table, quantization, dc: 0, ac: 0, level });
        }
        if self.components.len() != usize::from(*count) || !matches!(count, 1 | 3 | 4) || self.width == 0 {
            return None;
        }
        if let [only] = &mut self.components[..] {
            // A single component's blocks lie row by row, whatever its unit is said to be.
            (only.across, only.down) = (1, 1);
        }
        let most = |of: fn(&Component) -> usize| self.components.iter().map(of).max().unwrap_or(1);
        self.most = (most(|component| component.across), most(|component| component.down));
        // No height: it would come behind the first scan, and nobody writes that.
        (self.height > 0).then_some(Ok(()))
    }

    fn scan_header(&mut self, segment: &[u8]) -> Option<Scan> {
        let (&count, rest) = segment.split_first()?;
        let (chosen, rest) = rest.split_at_checked(2 * usize::from(count))?;
        let mut components = Vec::new();
        for pair in chosen.chunks_exact(2) {
            let index = self.components.iter().position(|component| component.id == pair[0])?;
            let (dc, ac) = (usize::from(pair[1] >> 4), usize::from(pair[1] & 15));
            if dc > 3 || ac > 3 || components.contains(&index) {
                return None;
            }
            (self.components[index].dc, self.components[index].ac) = (dc, ac);
            components.push(index);
        }
        if components.is_empty() {
            return None;
        }
        let mut pass = Pass { from: 0, to: 63, refines: false, bit: 0 };
        if self.progressive {
            let &[from, to, bits, ..] = rest else { return None };
            pass = Pass { from: from.into(), to: to.into(), refines: bits >> 4 != 0, bit: (bits & 15).into() };
            let of_dc = pass.from == 0 && pass.to == 0;
            let of_ac = pass.from > 0 && pass.from <= pass.to && pass.to < 64 && components.len() == 1;
            if !(of_dc || of_ac) || pass.bit > 13 {
                return None;
            }
        }
        Some(Scan { components, pass })
    }

    fn quantizations(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = segment.split_first() {
            let bytes = if kind >> 4 == 0 { 1 } else { 2 };
            let (values, rest) = rest.split_at_checked(64 * bytes)?;
            let mut table = [0; 64];
            for (to, value) in table.iter_mut().zip(values.chunks_exact(bytes)) {
                *to = value.iter().fold(0, |number, byte| number << 8 | u16::from(*byte));
            }
            *self.quantization.get_mut(usize::from(kind & 15))? = Some(table);
            segment = rest;
        }
        Some(())
    }

    fn codes(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let count: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let (told, rest) = rest.split_at_checked(count)?;
            let mut values = [0; 256];
            values.get_mut(..count)?.copy_from_slice(told);
            let tables = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *tables.get_mut(usize::from(kind & 15))? = Some(Box::new(Huffman::new(counts, values)?));
            segment = rest;
        }
        Some(())
    }
}

impl Plane {
    /// One of its rows of units, as samples.
    fn draw(&self, component: &Component, unit_row: usize, band: &mut Band) {
        let quantization = component.quantization.unwrap_or([1; 64]);
        for y in 0..component.down {
            for x in 0..self.wide {
                let number = (unit_row * component.down + y) * self.wide + x;
                let low = &self.low[number * self.kept..(number + 1) * self.kept];
                let last = 63 - (self.set[number] | 1).leading_zeros() as usize;
                let mut block = Block::even();
                for (at, (place, step)) in self.places.iter().zip(quantization).enumerate().take(last + 1) {
                    if let Some(&value) = low.get(usize::from(*place)) {
                        block.put(at, i32::from(value).wrapping_mul(i32::from(step)));
                    }
                }
                block.reaches(last);
                band.put(&block, x, y);
            }
        }
    }
}
