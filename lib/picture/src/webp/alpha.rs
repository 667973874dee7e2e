use std::io::Read;

use super::lossless::{self, SHORT};

/// How transparent a picture with loss is: a plane of its own, each sample of it what it is more than its neighbours.
pub(super) struct Alpha {
    size: (u32, u32),
    /// The row before.
    above: Vec<u8>,
    done: u32,
}

impl Alpha {
    pub(super) fn new(size: (u32, u32)) -> Alpha {
        Alpha { size, above: vec![0; size.0 as usize], done: 0 }
    }

    /// Hands out the plane, row by row.
    pub(super) fn rows(mut self, mut file: impl Read, mut to: impl FnMut(&[u8])) -> Result<(), String> {
        let mut head = 0;
        file.read_exact(std::slice::from_mut(&mut head)).map_err(|_| SHORT.to_owned())?;
        let (packed, by) = (head & 3, head >> 2 & 3);
        match packed {
            0 => {
                let mut row = vec![0; self.above.len()];
                for _ in 0..self.size.1 {
                    file.read_exact(&mut row).map_err(|_| SHORT.to_owned())?;
                    to(self.undone(&row, by));
                }
                Ok(())
            }
            1 => {
                let mut row = Vec::new();
                lossless::rows(file, self.size, false, |pixels| {
                    row.clear();
                    row.extend(pixels.iter().map(|argb| (argb >> 8) as u8));
                    to(self.undone(&row, by));
                })
            }
            _ => Err("the WebP has transparency of an unknown kind".to_owned()),
        }
    }

    fn undone(&mut self, row: &[u8], by: u8) -> &[u8] {
        let is_first = self.done == 0;
        self.done += 1;
        // What was above is written over from the left; to the left of the first is what was above it.
        let mut left = if is_first { 0 } else { self.above[0] };
        let mut corner = left;
        for (above, step) in self.above.iter_mut().zip(row) {
            let expected = match by {
                0 => 0,
                2 if !is_first => *above,
                3 if !is_first => (i32::from(left) + i32::from(*above) - i32::from(corner)).clamp(0, 255) as u8,
                _ => left,
            };
            corner = *above;
            left = step.wrapping_add(expected);
            *above = left;
        }
        &self.above
    }
}
