use crate::draw;

/// Noise repeats after so many cells, far more than a picture shows.
const CELLS: usize = 64;

/// Smooth noise: random numbers at the corners of cells, and the way between them.
pub(crate) struct Noise {
    corners: Box<[f32; CELLS * CELLS]>,
}

impl Noise {
    pub(crate) fn new(state: &mut u64) -> Noise {
        let mut corners = Box::new([0.0; CELLS * CELLS]);
        for corner in corners.iter_mut() {
            *corner = (draw::next(state) >> 40) as f32 / (1 << 24) as f32;
        }
        Noise { corners }
    }

    /// 0 to 1, mostly about the middle: each octave twice as fine and half as strong.
    pub(crate) fn at<const OCTAVES: usize>(&self, mut x: f32, mut y: f32) -> f32 {
        let (mut sum, mut weight, mut weights) = (0.0, 1.0, 0.0);
        for _ in 0..OCTAVES {
            sum += weight * self.single(x, y);
            weights += weight;
            weight *= 0.5;
            // Turned a little, or the cells of all octaves would line up.
            (x, y) = (1.73 * x - y + 17.3, x + 1.73 * y + 9.1);
        }
        sum / weights
    }

    /// One octave.
    pub(crate) fn single(&self, x: f32, y: f32) -> f32 {
        // Far from the origin's other side, so that cutting off rounds down.
        let (x, y) = (x + 4096.0, y + 4096.0);
        let (column, row) = (x as u32 as usize, y as u32 as usize);
        let (along, down) = (smooth(x - column as f32), smooth(y - row as f32));
        let corner = |row: usize, column: usize| self.corners[(row % CELLS) * CELLS + column % CELLS];
        let above = mix(corner(row, column), corner(row, column + 1), along);
        let below = mix(corner(row + 1, column), corner(row + 1, column + 1), along);
        mix(above, below, down)
    }
}

pub(crate) fn mix(from: f32, to: f32, along: f32) -> f32 {
    from + (to - from) * along
}

pub(crate) fn smooth(along: f32) -> f32 {
    along * along * (3.0 - 2.0 * along)
}
