//! What a scene is painted on.

pub(crate) type Rgb = [f32; 3];

/// Samples from 0 to 255, not yet rounded: layers of paint do not add up to steps.
pub(crate) struct Canvas {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pixels: Vec<Rgb>,
}

impl Canvas {
    pub(crate) fn new(width: usize, height: usize) -> Canvas {
        Canvas { width, height, pixels: vec![[0.0; 3]; width * height] }
    }

    pub(crate) fn get(&self, x: usize, y: usize) -> Rgb {
        self.pixels[y * self.width + x]
    }

    pub(crate) fn put(&mut self, x: usize, y: usize, colour: Rgb) {
        self.pixels[y * self.width + x] = colour;
    }

    pub(crate) fn blend(&mut self, x: usize, y: usize, colour: Rgb, cover: f32) {
        let pixel = &mut self.pixels[y * self.width + x];
        *pixel = mix(*pixel, colour, cover);
    }

    /// As `blend`; nothing where it is outside.
    pub(crate) fn blend_at(&mut self, x: f32, y: f32, colour: Rgb, cover: f32) {
        if x >= 0.0 && y >= 0.0 && x < self.width as f32 && y < self.height as f32 {
            self.blend(x as usize, y as usize, colour, cover);
        }
    }

    /// A disc with a soft rim.
    pub(crate) fn dot(&mut self, x: f32, y: f32, radius: f32, colour: Rgb, cover: f32) {
        let reach = radius.ceil() + 1.0;
        for row in (y - reach).max(0.0) as usize..((y + reach + 1.0).max(0.0) as usize).min(self.height) {
            for column in (x - reach).max(0.0) as usize..((x + reach + 1.0).max(0.0) as usize).min(self.width) {
                let (dx, dy) = (column as f32 + 0.5 - x, row as f32 + 0.5 - y);
                let away = (dx * dx + dy * dy).sqrt();
                self.blend(column, row, colour, cover * (radius - away + 0.5).clamp(0.0, 1.0));
            }
        }
    }

    /// Darkens the corners.
    pub(crate) fn vignette(&mut self, by: f32) {
        let (w, h) = (self.width as f32, self.height as f32);
        for (y, row) in self.pixels.chunks_exact_mut(self.width).enumerate() {
            let down = (y as f32 + 0.5) / h * 2.0 - 1.0;
            for (x, pixel) in row.iter_mut().enumerate() {
                let across = (x as f32 + 0.5) / w * 2.0 - 1.0;
                let away = (across * across + down * down - 0.5).max(0.0);
                *pixel = pixel.map(|part| part * (1.0 - by * away));
            }
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.pixels.as_flattened().iter().map(|sample| (sample + 0.5) as u8).collect()
    }
}

/// Numbers that change slowly over the picture: worked out at every few pixels, and between them on the way.
pub(crate) struct Field {
    columns: usize,
    step: usize,
    grid: Vec<f32>,
}

impl Field {
    pub(crate) fn new(width: usize, height: usize, step: usize, of: impl Fn(f32, f32) -> f32) -> Field {
        let (columns, rows) = (width / step + 2, height / step + 2);
        let mut grid = Vec::with_capacity(columns * rows);
        for row in 0..rows {
            grid.extend((0..columns).map(|column| of((column * step) as f32, (row * step) as f32)));
        }
        Field { columns, step, grid }
    }

    pub(crate) fn at(&self, x: usize, y: usize) -> f32 {
        let (column, row) = (x / self.step, y / self.step);
        let part = |at: usize| (at % self.step) as f32 / self.step as f32;
        let from = row * self.columns + column;
        let line = |from: usize| self.grid[from] + (self.grid[from + 1] - self.grid[from]) * part(x);
        let (above, below) = (line(from), line(from + self.columns));
        above + (below - above) * part(y)
    }
}

pub(crate) fn mix(from: Rgb, to: Rgb, along: f32) -> Rgb {
    std::array::from_fn(|part| from[part] + (to[part] - from[part]) * along)
}

/// Light added to light: never darker than either.
pub(crate) fn over(ground: Rgb, light: Rgb, by: f32) -> Rgb {
    std::array::from_fn(|part| 255.0 - (255.0 - ground[part]) * (1.0 - light[part] / 255.0 * by))
}

pub(crate) fn smoothstep(along: f32) -> f32 {
    let along = along.clamp(0.0, 1.0);
    along * along * (3.0 - 2.0 * along)
}
