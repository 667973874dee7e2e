//! Space, the city, the forest and figures.

use hybrid_picture::colour::{self, Colour};

use super::{Scene, between, has, unit};
use crate::canvas::{Field, Rgb, mix, over, smoothstep};
use crate::draw;

impl Scene<'_> {
    pub(super) fn space(&mut self, state: &mut u64) {
        let (w, h) = self.size();
        let short = w.min(h);
        let named = colour::named(self.prompt);
        let hue = unit(state) * 360.0;
        let tone = |index: usize, away: f32| {
            named.get(index).or(named.first()).copied().unwrap_or(Colour {
                lightness: 0.55,
                chroma: 0.17,
                hue: hue + away,
            })
        };
        let glow = |colour: Colour, lightness: f32| {
            colour::srgb(Colour { lightness, chroma: (colour.chroma + 0.02).min(0.2), ..colour }.lab()).map(f32::from)
        };
        let (one, two) = (glow(tone(0, 0.0), 0.55), glow(tone(1, 60.0), 0.62));
        let (ox, oy) = (between(state, 0.0, 50.0), between(state, 0.0, 50.0));
        let angle = unit(state) * 3.1;
        let (sine, cosine) = angle.sin_cos();
        let noise = self.noise;
        let (width, height) = (self.canvas.width, self.canvas.height);
        let scaled = move |x: f32, y: f32| (x / short * 2.2 + ox, y / short * 2.2 + oy);
        let gas = Field::new(width, height, 3, |x, y| {
            let (u, v) = scaled(x, y);
            let (dx, dy) = (noise.at::<3>(u, v) - 0.5, noise.at::<3>(u + 9.0, v - 4.0) - 0.5);
            let band = ((x - w / 2.0) * sine - (y - h / 2.0) * cosine) / short + 0.5 * dx;
            noise.at::<5>(u + 2.2 * dx, v + 2.2 * dy) * (0.45 + 0.85 * (-band * band * 9.0).exp())
        });
        let other = Field::new(width, height, 6, |x, y| noise.at::<3>(x / short * 1.6 + oy, y / short * 1.6 + ox));
        let dust = Field::new(width, height, 3, |x, y| noise.at::<5>(x / short * 3.4 + oy, y / short * 3.4 + ox));
        for y in 0..height {
            for x in 0..width {
                let density = smoothstep((gas.at(x, y) - 0.3) / 0.5);
                let colour = mix(one, two, smoothstep((other.at(x, y) - 0.35) / 0.3));
                let mut pixel = over([7.0, 8.0, 18.0], colour, density * 0.85);
                pixel = mix(pixel, [255.0, 240.0, 228.0], 0.55 * smoothstep((density - 0.62) / 0.5));
                pixel =
                    mix(pixel, [5.0, 5.0, 11.0], 0.75 * smoothstep((dust.at(x, y) - 0.52) / 0.16) * density.max(0.15));
                self.canvas.put(x, y, pixel);
            }
        }
        self.stars(state, ((w * h / 900.0) as usize).min(3500), h);
        if has(self.prompt, "planet planets moon mars saturn jupiter alien astronaut spaceship orbit")
            || unit(state) < 0.55
        {
            self.planet(state, tone(1, 150.0));
        }
    }

    fn planet(&mut self, state: &mut u64, colour: Colour) {
        let (w, h) = self.size();
        let short = w.min(h);
        let radius = short * between(state, 0.16, 0.27);
        let (cx, cy) = (w * between(state, 0.3, 0.7), h * between(state, 0.34, 0.66));
        let (ox, oy) = (between(state, 0.0, 50.0), between(state, 0.0, 50.0));
        let striped = unit(state) < 0.6 || has(self.prompt, "saturn jupiter");
        let ring = has(self.prompt, "saturn ring rings") || (striped && unit(state) < 0.5);
        let shade = |lightness: f32, chroma: f32, hue: f32| {
            colour::srgb(Colour { lightness, chroma, hue: colour.hue + hue }.lab()).map(f32::from)
        };
        let (dark, light) = (shade(0.38, 0.10, -12.0), shade(0.86, 0.08, 18.0));
        let angle = between(state, -0.5, 0.5);
        let (sine, cosine) = angle.sin_cos();
        let sun = [-0.62_f32, -0.5, 0.6];
        let ring_at = |dx: f32, dy: f32| {
            let (u, v) = ((dx * cosine + dy * sine) / radius, (dy * cosine - dx * sine) / radius * 3.6);
            let away = (u * u + v * v).sqrt();
            let gap = 1.0 - 0.8 * smoothstep(1.0 - (away - 1.78).abs() / 0.05);
            let lines = 0.72 + 0.28 * (away * 46.0).sin() * (away * 17.0).cos();
            (smoothstep((away - 1.32) / 0.06) * smoothstep((2.25 - away) / 0.08) * gap * lines, v)
        };
        let reach = radius * 2.35;
        for y in (cy - reach).max(0.0) as usize..((cy + reach).max(0.0) as usize).min(self.canvas.height) {
            for x in (cx - reach).max(0.0) as usize..((cx + reach).max(0.0) as usize).min(self.canvas.width) {
                let (dx, dy) = (x as f32 - cx, y as f32 - cy);
                let away = (dx * dx + dy * dy).sqrt() / radius;
                let (ring_cover, side) = if ring { ring_at(dx, dy) } else { (0.0, 0.0) };
                let ring_colour = mix(light, [214.0, 196.0, 170.0], 0.5);
                if ring_cover > 0.0 && side < 0.0 {
                    self.canvas.blend(x, y, ring_colour, 0.8 * ring_cover);
                }
                if away < 1.0 {
                    let (nx, ny) = (dx / radius, dy / radius);
                    let nz = (1.0 - nx * nx - ny * ny).max(0.0).sqrt();
                    let (u, v) = (nx * cosine + ny * sine, ny * cosine - nx * sine);
                    let level = if striped {
                        let pull = self.noise.at::<4>(u * 2.0 + ox, v * 5.0 + oy) - 0.5;
                        self.noise.at::<3>(ox, v * 6.5 + 1.1 * pull + oy)
                    } else {
                        self.noise.at::<5>(u * 2.2 / (0.5 + nz) + ox, v * 2.2 / (0.5 + nz) + oy)
                    };
                    let base = mix(dark, light, smoothstep((level - 0.26) / 0.48));
                    let lit = (nx * sun[0] + ny * sun[1] + nz * sun[2]).max(0.0);
                    let pixel = base.map(|part| part * (0.04 + 1.08 * lit));
                    let rim = smoothstep((away - 0.86) / 0.14) * lit;
                    let pixel = mix(pixel, [200.0, 222.0, 255.0], 0.4 * rim);
                    self.canvas.blend(x, y, pixel, ((1.0 - away) * radius).clamp(0.0, 1.0));
                } else {
                    let lit = ((dx * sun[0] + dy * sun[1]) / (away * radius)).max(0.0);
                    self.canvas.blend(x, y, [150.0, 190.0, 255.0], 0.32 * lit * (-(away - 1.0) * 22.0).exp());
                }
                if ring_cover > 0.0 && side >= 0.0 {
                    self.canvas.blend(x, y, ring_colour, 0.85 * ring_cover);
                }
            }
        }
    }

    pub(super) fn city(&mut self, state: &mut u64) {
        let (w, h) = self.size();
        let short = w.min(h);
        let horizon = h * between(state, 0.72, 0.8);
        self.sky(state, horizon);
        let neon = has(self.prompt, "neon cyberpunk tokyo");
        let dark = self.mood.night || neon;
        let wet = unit(state) < 0.6 || has(self.prompt, "river water bay harbour harbor sea bridge rain rainy");
        let ground = if wet { h * 0.86 } else { h };
        for layer in 0..4 {
            let near = layer as f32 / 3.0;
            let body = mix(self.palette.horizon, mix(self.palette.far, self.palette.near, near), 0.35 + 0.65 * near);
            let mut x = -short * 0.05;
            while x < w {
                let wide = short * between(state, 0.035, 0.095) * (0.75 + 0.6 * near);
                let tall = unit(state).powf(1.6);
                let middle = 1.0 - ((x + wide / 2.0) / w * 2.0 - 1.0).abs() * 0.45;
                let top = ground - short * (0.10 + 0.52 * tall * middle) * (1.05 - 0.45 * near);
                self.house(state, [x, top, wide, ground], body, near, dark, neon);
                x += wide * between(state, 0.85, 1.25);
            }
        }
        if wet {
            self.water(state, ground);
        }
    }

    fn house(
        &mut self,
        state: &mut u64,
        [left, top, wide, ground]: [f32; 4],
        body: Rgb,
        near: f32,
        dark: bool,
        neon: bool,
    ) {
        let short = self.canvas.width.min(self.canvas.height) as f32;
        let shade = between(state, 0.86, 1.08);
        let body = body.map(|part| part * shade);
        let lit_side = if self.sun.0 < left { 1 } else { 0 };
        let window = (short * 0.0085 * (0.7 + 0.5 * near)).max(2.0);
        let lamp = if neon {
            self.palette.accents[draw::next(state) as usize % self.palette.accents.len()]
        } else {
            [255.0, 214.0, 140.0]
        };
        let share = if dark { between(state, 0.25, 0.6) } else { between(state, 0.04, 0.16) };
        let salt = draw::next(state);
        let stepped = unit(state) < 0.35;
        for y in top.max(0.0) as usize..(ground as usize).min(self.canvas.height) {
            // Some have a narrower top.
            let inset = if stepped && (y as f32) < top + (ground - top) * 0.12 { wide * 0.22 } else { 0.0 };
            for x in (left + inset).max(0.0) as usize..((left + wide - inset).max(0.0) as usize).min(self.canvas.width)
            {
                let (dx, dy) = (x as f32 - left, y as f32 - top);
                let side = (dx / wide > 0.66) == (lit_side == 0);
                let low = smoothstep(dy / (ground - top)) * 0.3 * (1.0 - near);
                let mut pixel = body.map(|part| part * if side { 0.9 } else { 1.06 });
                pixel = mix(pixel, self.palette.horizon, low);
                let (column, row) = (dx / window, dy / (window * 1.5));
                let inside = (0.25..0.8).contains(&column.fract()) && (0.25..0.75).contains(&row.fract());
                let margin = dx > window * 0.6 && dx < wide - window * 0.6 && dy > window;
                if inside && margin && inset == 0.0 {
                    let mut own = salt ^ ((column as u64) << 20) ^ (row as u64);
                    let chance = (draw::next(&mut own) >> 40) as f32 / (1 << 24) as f32;
                    let light = if chance < share { 0.9 } else { 0.0 };
                    let glass = mix(pixel, self.palette.zenith, 0.25);
                    pixel = mix(glass, lamp, light * (0.35 + 0.6 * near));
                }
                self.canvas.put(x, y, pixel);
            }
        }
        if unit(state) < 0.2 {
            let x = left + wide / 2.0;
            let high = short * between(state, 0.02, 0.06);
            for up in 0..high as usize {
                self.canvas.blend_at(x, top - up as f32, body, 0.9);
            }
        }
    }

    pub(super) fn forest(&mut self, state: &mut u64) {
        let (w, h) = self.size();
        let short = w.min(h);
        let horizon = h * between(state, 0.55, 0.68);
        self.sky(state, horizon);
        self.ridges(state, horizon * 0.92, 2, 0.7);
        let layers = 5;
        for layer in 0..layers {
            let near = layer as f32 / (layers - 1) as f32;
            let colour = mix(self.palette.far, self.palette.near, near.powf(0.7));
            let colour = mix(self.palette.horizon, colour, 0.35 + 0.65 * near);
            let ground = horizon + (h * 1.03 - horizon) * (0.12 + 0.88 * near.powf(1.2));
            // Mist between the rows.
            let mist = mix(self.palette.horizon, colour, 0.35);
            let from = (ground - short * 0.16).max(0.0) as usize;
            for y in from..self.canvas.height {
                let t = smoothstep((y as f32 - from as f32) / (short * 0.2)) * (0.7 - 0.45 * near);
                for x in 0..self.canvas.width {
                    self.canvas.blend(x, y, mist, t);
                }
            }
            let high = short * (0.17 + 0.40 * near);
            let mut x = -high * 0.2 * unit(state);
            while x < w + high * 0.2 {
                let tall = high * between(state, 0.6, 1.15);
                let shade = between(state, 0.85, 1.12);
                // The middle of the nearest row stays open, so that one looks in.
                let open = near > 0.9 && (x / w - 0.5).abs() < 0.24;
                if !open {
                    let foot = ground + between(state, -0.01, 0.02) * short;
                    self.conifer(state, x, foot, tall, colour.map(|part| part * shade));
                }
                x += tall * between(state, 0.16, 0.34);
            }
            for y in (ground.max(0.0) as usize)..self.canvas.height {
                for x in 0..self.canvas.width {
                    let soft = self.noise.single(x as f32 / short * 9.0, layer as f32 * 7.0) * short * 0.02;
                    let edge = (y as f32 - ground + soft).clamp(0.0, 1.0);
                    let deep = 1.0 - 0.25 * ((y as f32 - ground) / (short * 0.3)).clamp(0.0, 1.0);
                    self.canvas.blend(x, y, colour.map(|part| part * deep), edge);
                }
            }
        }
    }

    fn conifer(&mut self, state: &mut u64, x: f32, foot: f32, tall: f32, colour: Rgb) {
        let rows = tall as usize;
        let boughs = between(state, 7.0, 12.0);
        let salt = unit(state) * 90.0;
        let dark = colour.map(|part| part * 0.8);
        for row in 0..rows {
            let down = row as f32 / tall;
            let bough = (down * boughs).fract();
            let ragged = 0.75 + 0.5 * self.noise.single(down * 40.0 + salt, salt);
            let half = tall * 0.17 * down.powf(0.85) * (0.5 + 0.5 * bough) * ragged + 0.6;
            let y = foot - tall + row as f32;
            for dx in -(half as i32)..=half as i32 {
                let side = dx as f32 / half.max(1.0);
                let pixel = mix(colour, dark, (0.5 + 0.5 * side) * 0.8 + 0.2 * (1.0 - bough));
                let edge = ((half - dx.abs() as f32) + 0.3).clamp(0.0, 1.0);
                self.canvas.blend_at(x + dx as f32, y, pixel, edge);
            }
        }
    }

    /// A backdrop out of focus, and somebody's shape before it.
    pub(super) fn figure(&mut self, state: &mut u64) {
        let (w, h) = self.size();
        let short = w.min(h);
        let (ox, oy) = (between(state, 0.0, 50.0), between(state, 0.0, 50.0));
        let noise = self.noise;
        let back = Field::new(self.canvas.width, self.canvas.height, 8, |x, y| {
            noise.at::<2>(x / short * 1.3 + ox, y / short * 1.3 + oy)
        });
        for y in 0..self.canvas.height {
            let t = y as f32 / h;
            let base = mix(self.palette.middle, self.palette.zenith, smoothstep(t));
            for x in 0..self.canvas.width {
                self.canvas.put(x, y, mix(base, self.palette.horizon, 0.9 * smoothstep((back.at(x, y) - 0.35) / 0.4)));
            }
        }
        let accents = self.palette.accents.clone();
        for _ in 0..26 {
            let colour = mix(accents[draw::next(state) as usize % accents.len()], [255.0; 3], 0.45);
            let (x, y, size) = (unit(state) * w, unit(state) * h * 0.8, short * between(state, 0.015, 0.06));
            self.canvas.dot(x, y, size, colour, between(state, 0.08, 0.3));
        }
        let animal = has(self.prompt, "cat dog kitten puppy bear fox lion tiger owl wolf");
        let size = short * 0.2;
        let (cx, cy) = (w / 2.0 + short * between(state, -0.04, 0.04), h / 2.0 - short * 0.06);
        let lean = between(state, -0.12, 0.12);
        let dark = mix(self.palette.near, [20.0, 18.0, 30.0], 0.45);
        let rim = mix(self.palette.sun, accents[0], 0.35);
        let inside = |x: f32, y: f32| -> f32 {
            // Below nought is inside; measured in heads.
            let (u, v) = ((x - cx) / size + lean * (y - cy) / size, (y - cy) / size);
            let head = ((u / 0.82).powi(2) + (v / if animal { 0.86 } else { 1.05 }).powi(2)).sqrt() - 1.0;
            let neck = if v > 0.0 && v < 1.9 { u.abs() - 0.40 } else { 9.0 };
            let broad = 0.5 + 1.75 * smoothstep((v - 1.15) / 1.1);
            let shoulders = if v > 1.15 { (u.abs() - broad) * 0.6 } else { 9.0 };
            let ear = if animal {
                let (e, f) = (u.abs() - 0.52, v + 0.78);
                ((e * 2.2).abs() + f * 0.9).max(-f - 0.75) - 0.42
            } else {
                let hair = ((u / 0.95).powi(2) + ((v + 0.16) / 1.08).powi(2)).sqrt() - 1.0;
                if v < 0.55 { hair } else { 9.0 }
            };
            head.min(neck).min(shoulders).min(ear)
        };
        for y in 0..self.canvas.height {
            for x in 0..self.canvas.width {
                let (px, py) = (x as f32, y as f32);
                let depth = inside(px, py);
                if depth < 0.02 {
                    let grain = noise.at::<3>(px / size * 1.6 + ox, py / size * 1.6 + oy) - 0.5;
                    let side =
                        ((px - cx) / size * if self.sun.0 < cx { -1.0 } else { 1.0 } * 0.5 + 0.5).clamp(0.0, 1.0);
                    let lit = smoothstep((depth + 0.3) / 0.3) * side;
                    let pixel = mix(
                        dark,
                        self.palette.near.map(|part| part * 1.25),
                        (0.35 + 0.5 * side + 0.5 * grain).clamp(0.0, 1.0) * 0.6,
                    );
                    let pixel = mix(pixel, rim, 0.85 * lit);
                    self.canvas.blend(x, y, pixel, ((0.02 - depth) * size * 0.5).clamp(0.0, 1.0));
                }
            }
        }
    }
}
