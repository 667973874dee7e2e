//! A picture put together from parts that are worked out: sky, ridges, water, trees, houses. Which parts come from the prompt's
//! words, what they are like from its hash, their colours from the colours and moods that it names.

use hybrid_picture::colour::{self, Colour};

use crate::canvas::{Canvas, Field, Rgb, mix, smoothstep};
use crate::draw;
use crate::noise::Noise;

mod places;

/// What a picture is of, as far as parts for it are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Land,
    Sea,
    Space,
    City,
    Forest,
    Figure,
    Abstract,
}

/// Whole words, the subject that is the most telling first.
const SUBJECTS: &[(Subject, &str)] = &[
    (
        Subject::Space,
        "space galaxy galaxies nebula planet planets universe cosmos cosmic stars starry astronaut spaceship rocket alien moon \
         milky saturn mars jupiter comet asteroid orbit",
    ),
    (
        Subject::City,
        "city skyline town street streets building buildings tower towers skyscraper skyscrapers downtown metropolis urban \
         tokyo paris london york cyberpunk neon house houses village castle cathedral bridge architecture",
    ),
    (
        Subject::Forest,
        "forest forests tree trees wood woods woodland jungle pine pines fir grove rainforest cabin deer wolf",
    ),
    (
        Subject::Sea,
        "sea seas ocean beach coast shore lake water river wave waves boat boats ship sailing island islands bay harbour harbor \
         lagoon pond fjord lighthouse underwater whale dolphin fish",
    ),
    (
        Subject::Figure,
        "portrait person people woman man girl boy child face king queen wizard robot knight princess selfie model figure hero \
         cat dog kitten puppy bear fox lion tiger owl statue",
    ),
    (
        Subject::Land,
        "landscape landscapes mountain mountains hill hills valley desert dunes canyon field fields meadow meadows prairie \
         countryside volcano cliff cliffs snow winter alps peak peaks horizon nature sunset sunrise farm garden flowers road path \
         sky clouds autumn spring",
    ),
];

impl Subject {
    pub(crate) fn of(prompt: &str) -> Subject {
        let said = |words: &str| has(prompt, words);
        SUBJECTS.iter().find(|(_, words)| said(words)).map_or(Subject::Abstract, |&(subject, _)| subject)
    }
}

fn has(prompt: &str, words: &str) -> bool {
    let mut own = prompt.split(|character: char| !character.is_alphabetic());
    own.any(|own| words.split_whitespace().any(|word| word.eq_ignore_ascii_case(own)))
}

/// What the light and the air are like.
#[derive(Debug, Clone, Copy)]
struct Mood {
    night: bool,
    stormy: bool,
    low_sun: bool,
    misty: bool,
    snow: bool,
    /// Added to lightness.
    light: f32,
    /// Of chroma.
    colourful: f32,
    /// Towards warm above nought.
    warm: f32,
}

impl Mood {
    fn of(prompt: &str, state: &mut u64) -> Mood {
        let said = |words: &str| has(prompt, words);
        let chance = unit(state);
        let stormy = said("storm stormy thunder rain rainy tempest dramatic wild angry");
        let night =
            said("night midnight moonlit moonlight nocturnal starry") || said("dark") && !said("bright day noon");
        let bright = said("bright sunny day noon light cheerful happy summer vivid");
        let low_sun = said("sunset sunrise dawn dusk evening golden twilight morning")
            || (!night && !bright && !stormy && chance < 0.3);
        let calm = said("calm serene peaceful quiet gentle soft pastel tranquil dreamy");
        Mood {
            night,
            stormy,
            low_sun: low_sun && !night,
            misty: said("mist misty fog foggy haze hazy mysterious") || calm,
            snow: said("snow snowy winter ice icy frozen arctic alps"),
            light: if bright { 0.05 } else { 0.0 }
                - if stormy { 0.10 } else { 0.0 }
                - if said("dark gloomy moody") { 0.08 } else { 0.0 },
            colourful: if stormy { 0.5 } else { 1.0 }
                * if calm { 0.85 } else { 1.0 }
                * if said("vivid colourful colorful vibrant neon") { 1.3 } else { 1.0 },
            warm: if said("warm autumn desert cosy cozy summer hot") { 1.0 } else { 0.0 }
                - if said("cold winter icy cool frozen arctic") { 1.0 } else { 0.0 },
        }
    }
}

/// The colours of a picture, dark to light and far to near.
struct Palette {
    zenith: Rgb,
    middle: Rgb,
    horizon: Rgb,
    sun: Rgb,
    cloud: Rgb,
    cloud_dark: Rgb,
    far: Rgb,
    near: Rgb,
    water: Rgb,
    accents: Vec<Rgb>,
}

impl Palette {
    fn of(prompt: &str, mood: Mood, subject: Subject, state: &mut u64) -> Palette {
        let c = |lightness: f32, chroma: f32, hue: f32| Colour { lightness, chroma, hue };
        let turn = (unit(state) - 0.5) * 30.0;
        let mut sky = match () {
            () if mood.night => [c(0.17, 0.06, 275.0), c(0.27, 0.08, 268.0), c(0.42, 0.09, 260.0)],
            () if mood.stormy => [c(0.36, 0.03, 255.0), c(0.52, 0.03, 245.0), c(0.72, 0.04, 220.0)],
            () if mood.low_sun => [c(0.45, 0.10, 278.0), c(0.70, 0.12, 20.0), c(0.87, 0.12, 72.0)],
            () => [c(0.58, 0.12, 250.0), c(0.76, 0.08, 238.0), c(0.93, 0.035, 210.0)],
        };
        let mut land = match subject {
            Subject::Forest => [c(0.62, 0.06, 165.0), c(0.19, 0.05, 155.0)],
            Subject::City => [c(0.58, 0.05, 265.0), c(0.18, 0.035, 275.0)],
            _ if mood.snow => [c(0.80, 0.03, 250.0), c(0.42, 0.05, 255.0)],
            _ if has(prompt, "desert dunes canyon") => [c(0.76, 0.08, 65.0), c(0.44, 0.10, 48.0)],
            _ if has(prompt, "autumn") => [c(0.68, 0.09, 55.0), c(0.34, 0.10, 45.0)],
            _ if mood.low_sun || mood.night => [c(0.58, 0.07, 300.0), c(0.20, 0.05, 285.0)],
            _ => [c(0.66, 0.05, 235.0), c(0.33, 0.08, 150.0)],
        };
        let mut water = if mood.night { c(0.2, 0.06, 265.0) } else { c(0.42, 0.08, 232.0) };
        let mut sun = if mood.night {
            c(0.95, 0.02, 240.0)
        } else if mood.low_sun {
            c(0.95, 0.10, 80.0)
        } else {
            c(0.99, 0.03, 95.0)
        };
        // Colours that are named come first: the first two are the sky's, the next the land's.
        let named = colour::named(prompt);
        let towards = |own: Colour, named: Colour, share: f32| {
            let chroma = own.chroma + (named.chroma - own.chroma) * share;
            let lightness = own.lightness + (named.lightness - own.lightness) * 0.35 * share;
            Colour { lightness, chroma, hue: if named.chroma < 0.03 { own.hue } else { named.hue } }
        };
        if let Some(&first) = named.first() {
            let second = named.get(1).copied().unwrap_or(Colour { hue: first.hue + 24.0 + turn * 0.4, ..first });
            sky = [towards(sky[0], first, 0.9), towards(sky[1], first, 0.9), towards(sky[2], second, 0.75)];
            let ground = named.get(2).or(named.get(1)).copied().unwrap_or(first);
            land = land.map(|own| towards(own, ground, if named.len() > 1 { 0.9 } else { 0.55 }));
            water = towards(water, first, 0.7);
            sun = towards(sun, second, 0.3);
        }
        let air = |colour: Colour| {
            let colour = Colour {
                lightness: (colour.lightness + mood.light).clamp(0.05, 0.99),
                chroma: colour.chroma * mood.colourful,
                hue: colour.hue + turn * 0.5,
            };
            let rgb = colour::srgb(colour.lab()).map(f32::from);
            [rgb[0] * (1.0 + 0.06 * mood.warm), rgb[1], rgb[2] * (1.0 - 0.08 * mood.warm)]
        };
        let [zenith, middle, horizon] = sky.map(air);
        let [far, near] = land.map(air);
        let (sun, water) = (air(sun), air(water));
        let accents = if named.is_empty() {
            vec![air(c(0.75, 0.15, 70.0)), air(c(0.7, 0.15, 20.0))]
        } else {
            named.into_iter().map(air).collect()
        };
        let white = if mood.night { [90.0, 98.0, 130.0] } else { [252.0, 250.0, 248.0] };
        let cloud = if mood.stormy {
            mix(middle, [120.0; 3], 0.3)
        } else {
            mix(white, sun, if mood.low_sun { 0.45 } else { 0.1 })
        };
        let cloud_dark = mix(if mood.stormy { [52.0, 56.0, 66.0] } else { middle }, zenith, 0.35);
        Palette { zenith, middle, horizon, sun, cloud, cloud_dark, far, near, water, accents }
    }
}

/// A number from nought to one by chance.
pub(crate) fn unit(state: &mut u64) -> f32 {
    (draw::next(state) >> 40) as f32 / (1 << 24) as f32
}

fn between(state: &mut u64, from: f32, to: f32) -> f32 {
    from + (to - from) * unit(state)
}

struct Scene<'a> {
    canvas: Canvas,
    noise: &'a Noise,
    palette: Palette,
    mood: Mood,
    prompt: &'a str,
    /// Where the sun is, in pixels.
    sun: (f32, f32),
}

/// Paints the subject in the size asked for.
pub(crate) fn paint(
    subject: Subject,
    prompt: &str,
    state: &mut u64,
    noise: &Noise,
    width: usize,
    height: usize,
) -> Vec<u8> {
    let mood = Mood::of(prompt, state);
    let palette = Palette::of(prompt, mood, subject, state);
    let (w, h) = (width as f32, height as f32);
    let sun = (
        w * between(state, 0.2, 0.8),
        h * if mood.low_sun { between(state, 0.36, 0.46) } else { between(state, 0.12, 0.26) },
    );
    let mut scene = Scene { canvas: Canvas::new(width, height), noise, palette, mood, prompt, sun };
    match subject {
        Subject::Land | Subject::Abstract => scene.land(state),
        Subject::Sea => scene.sea(state),
        Subject::Space => scene.space(state),
        Subject::City => scene.city(state),
        Subject::Forest => scene.forest(state),
        Subject::Figure => scene.figure(state),
    }
    if mood.stormy && has(prompt, "rain rainy storm stormy") && subject != Subject::Space {
        scene.rain(state);
    }
    scene.canvas.vignette(0.16);
    scene.canvas.bytes()
}

impl Scene<'_> {
    fn size(&self) -> (f32, f32) {
        (self.canvas.width as f32, self.canvas.height as f32)
    }

    /// From the top to the horizon and a little below.
    fn sky(&mut self, state: &mut u64, horizon: f32) {
        let (w, h) = self.size();
        let short = w.min(h);
        let (ox, oy) = (between(state, 0.0, 50.0), between(state, 0.0, 50.0));
        let noise = self.noise;
        // Clouds lie flat, and flatter towards the horizon.
        let clouds = Field::new(self.canvas.width, self.canvas.height, 4, |x, y| {
            let deep = (1.0 - y / (horizon * 1.06)).max(0.04);
            let flat = 0.35 + 0.65 * deep;
            let (u, v) = (x / short * 2.6 / flat.sqrt() + ox, y / short * 6.5 / flat + oy);
            let pull = noise.at::<2>(u * 0.6 + 7.0, v * 0.6) - 0.5;
            noise.at::<5>(u + 1.4 * pull, v + 0.8 * pull)
        });
        let cover = if self.mood.stormy { 0.36 } else { between(state, 0.46, 0.58) };
        let (sx, sy) = self.sun;
        let disc = short * if self.mood.low_sun { 0.045 } else { 0.032 };
        let palette = &self.palette;
        let strength = if self.mood.stormy {
            0.15
        } else if self.mood.night {
            0.55
        } else {
            1.0
        };
        let end = ((horizon + 2.0) as usize).min(self.canvas.height);
        for y in 0..end {
            let t = y as f32 / horizon;
            let base = if t < 0.55 {
                mix(palette.zenith, palette.middle, smoothstep(t / 0.55))
            } else {
                mix(palette.middle, palette.horizon, smoothstep((t - 0.55) / 0.45))
            };
            for x in 0..self.canvas.width {
                let (dx, dy) = (x as f32 - sx, y as f32 - sy);
                let away = (dx * dx + dy * dy).sqrt() / short;
                let glow =
                    strength * (0.85 / (1.0 + 55.0 * away * away) * 0.6 + 0.35 * (1.0 - away * 1.6).max(0.0).powi(2));
                let mut pixel = mix(base, palette.sun, (glow * if self.mood.night { 0.35 } else { 0.9 }).min(1.0));
                if strength > 0.2 {
                    let edge = smoothstep((disc - away * short) / (short * 0.003) + 0.5);
                    pixel = mix(pixel, palette.sun, edge);
                }
                let cloud = clouds.at(x, y);
                let thick = smoothstep((cloud - cover) / 0.2);
                if thick > 0.0 {
                    let lit = smoothstep((cloud - cover) / 0.34);
                    let colour =
                        mix(palette.cloud, palette.cloud_dark, if self.mood.stormy { lit } else { 0.55 * lit });
                    let colour = mix(colour, palette.sun, 0.5 * glow.min(0.8));
                    pixel =
                        mix(pixel, colour, thick * if self.mood.stormy { 0.95 } else { 0.72 } * (1.0 - 0.5 * t * t));
                }
                self.canvas.put(x, y, pixel);
            }
        }
        if self.mood.night {
            let stars = (w * horizon / 1800.0 * (1.0e6 / (w * h)).clamp(1.0, 3.0)) as usize;
            self.stars(state, stars.min(2500), horizon * 0.9);
        }
    }

    fn stars(&mut self, state: &mut u64, count: usize, below: f32) {
        let (w, h) = self.size();
        let scale = (w.min(h) / 900.0).max(0.6);
        for _ in 0..count {
            let (x, y) = (unit(state) * w, unit(state) * below);
            let bright = unit(state).powi(6);
            let warm = unit(state);
            let colour = [255.0, 235.0 + 15.0 * warm, 220.0 + 35.0 * (1.0 - warm)];
            self.canvas.dot(x, y, scale * (0.55 + 1.6 * bright), colour, 0.25 + 0.75 * bright.sqrt());
        }
    }

    /// Ridges one behind the other, the far ones in the colour of the air.
    fn ridges(&mut self, state: &mut u64, horizon: f32, layers: usize, rugged: f32) {
        let (w, h) = self.size();
        let short = w.min(h);
        for layer in 0..layers {
            let near = layer as f32 / (layers - 1).max(1) as f32;
            let (ox, oy) = (between(state, 0.0, 60.0), between(state, 0.0, 60.0));
            let base = horizon + (h - horizon) * near.powf(1.25) * 0.78;
            let high = short * rugged * (0.42 - 0.24 * near);
            let scale = (1.5 + 0.9 * near) / short;
            let noise = self.noise;
            let tops: Vec<f32> = (0..self.canvas.width)
                .map(|x| {
                    let u = x as f32 * scale + ox;
                    // Folded noise has the ridges of mountains; plain noise the backs of hills.
                    let fold = |u: f32| 1.0 - (2.0 * noise.single(u, oy) - 1.0).abs();
                    let sharp =
                        0.55 * fold(u) + 0.27 * fold(2.1 * u + 3.0) + 0.12 * fold(4.3 * u + 9.0) + 0.06 * fold(9.1 * u);
                    let round = 0.75 * noise.single(u * 0.8, oy + 3.0) + 0.25 * noise.single(u * 1.9, oy);
                    let fine = 0.03 * noise.single(u * 22.0, oy) + 0.015 * noise.single(u * 60.0, oy);
                    let rough = (rugged * 1.2 - near * 0.5).clamp(0.0, 1.0);
                    base - high * (mix1(round, sharp, rough) + fine * rough)
                })
                .collect();
            let colour = mix(self.palette.far, self.palette.near, near.powf(0.8));
            let colour = mix(self.palette.horizon, colour, 0.32 + 0.68 * near);
            let dark = mix(colour, [12.0, 14.0, 26.0], 0.28);
            let mist = mix(self.palette.horizon, colour, if self.mood.misty { 0.25 } else { 0.5 });
            let snow =
                if self.mood.night { [150.0, 160.0, 195.0] } else { mix([250.0; 3], self.palette.horizon, 0.15) };
            let snowy = (self.mood.snow || rugged > 0.8) && near < 0.75;
            let texture = Field::new(self.canvas.width, self.canvas.height, 3, |x, y| {
                noise.at::<4>(x * scale * 3.2 + ox + y * scale * 1.4, y * scale * 2.6 + oy)
            });
            let step = 3.max(self.canvas.width / 300);
            for x in 0..self.canvas.width {
                let top = tops[x].max(0.0);
                // Slopes that face the sun are lit.
                let (left, right) = (tops[x.saturating_sub(step)], tops[(x + step).min(self.canvas.width - 1)]);
                let slope = ((right - left) / (2.0 * step as f32)).clamp(-1.2, 1.2)
                    * if self.sun.0 < x as f32 { -1.0 } else { 1.0 };
                let from = top as usize;
                for y in from..self.canvas.height {
                    let down = y as f32 - tops[x];
                    let grain = texture.at(x, y) - 0.5;
                    let light = (0.5 - 0.34 * slope * (-down / (high * 0.7)).exp() + 1.1 * grain).clamp(0.0, 1.0);
                    let mut pixel = mix(dark, colour, light);
                    if snowy {
                        let line = high * (0.36 + 0.7 * grain);
                        pixel = mix(
                            pixel,
                            mix(snow, dark, 0.75 * (1.0 - light)),
                            0.85 * smoothstep((line - down) / (high * 0.1) + 0.3) * (1.0 - near),
                        );
                    }
                    let foggy = smoothstep(down / (high * 1.5)) * (0.75 - 0.55 * near);
                    pixel = mix(pixel, mist, foggy);
                    let edge = (y as f32 + 1.0 - tops[x]).clamp(0.0, 1.0);
                    self.canvas.blend(x, y, pixel, edge);
                }
            }
        }
    }

    fn land(&mut self, state: &mut u64) {
        let (w, h) = self.size();
        let horizon = h * between(state, 0.5, 0.62);
        self.sky(state, horizon);
        let flat = has(
            self.prompt,
            "field fields meadow meadows prairie hill hills countryside desert dunes farm garden flowers road sky clouds",
        );
        let rugged = if flat { 0.35 } else { between(state, 0.85, 1.05) };
        self.ridges(state, horizon, if flat { 4 } else { 5 }, rugged);
        if has(self.prompt, "flower flowers meadow garden spring") {
            let accents = self.palette.accents.clone();
            let scale = w.min(h) / 700.0;
            for _ in 0..1400 {
                let deep = unit(state).sqrt();
                let (x, y) = (unit(state) * w, h * (0.78 + 0.22 * deep));
                let colour = accents[draw::next(state) as usize % accents.len()];
                let colour = mix(colour, [255.0; 3], 0.35 * unit(state));
                self.canvas.dot(x, y, scale * (1.0 + 4.0 * deep * unit(state)), colour, 0.85);
            }
        }
        if has(self.prompt, "lake water river reflection") || (!flat && unit(state) < 0.35) {
            let shore = h * between(state, 0.80, 0.86);
            self.water(state, shore);
        }
    }

    /// Mirrors what is above `line` below it, with ripples and the sun's glitter.
    fn water(&mut self, state: &mut u64, line: f32) {
        let (w, h) = self.size();
        let short = w.min(h);
        let (ox, oy) = (between(state, 0.0, 60.0), between(state, 0.0, 60.0));
        let rough = if self.mood.stormy {
            2.2
        } else if self.mood.misty {
            0.5
        } else {
            1.0
        };
        let from = line as usize;
        let (sun_x, _) = self.sun;
        for y in from..self.canvas.height {
            let down = y as f32 - line;
            let near = down / (h - line).max(1.0);
            // Ripples are long and low far away, and come nearer.
            let fine = 1.0 / (0.25 + near);
            let mirrored = (line - down * 0.92 - 1.0).max(0.0);
            for x in 0..self.canvas.width {
                let u = (x as f32 - w / 2.0) / short * 7.0 * fine.min(2.4) + ox;
                let v = (near + 0.06).ln() * 11.0 + oy;
                let wave = self.noise.at::<3>(u * 0.55, v * 2.1) - 0.5;
                let shift = wave * rough * short * 0.05 * (0.15 + near);
                let at_x = (x as f32 + shift).clamp(0.0, w - 1.0) as usize;
                let at_y = (mirrored + shift * 0.9).clamp(0.0, line - 1.0) as usize;
                let deep = self.palette.water;
                let pixel = mix(self.canvas.get(at_x, at_y), deep, 0.24 + 0.34 * near);
                let pixel = mix(pixel, deep.map(|part| part * 0.6), (wave * 1.8 * rough).clamp(0.0, 0.5));
                let beam = (x as f32 - sun_x) / (short * (0.035 + 0.16 * near));
                let glitter =
                    (-beam * beam).exp() * smoothstep((-wave - 0.02) * 9.0) * if self.mood.stormy { 0.1 } else { 0.85 };
                self.canvas.put(x, y, mix(pixel, self.palette.sun, glitter));
            }
        }
    }

    fn sea(&mut self, state: &mut u64) {
        let (w, h) = self.size();
        let horizon = h * between(state, 0.46, 0.58);
        self.sun.1 = self.sun.1.min(horizon - h * 0.06);
        self.sky(state, horizon);
        if has(self.prompt, "lake island islands coast bay fjord harbour harbor river") || unit(state) < 0.5 {
            let short = w.min(h);
            let (ox, oy) = (between(state, 0.0, 60.0), between(state, 0.0, 60.0));
            let colour = mix(self.palette.horizon, self.palette.far, 0.75);
            for x in 0..self.canvas.width {
                let u = x as f32 / short * 1.7 + ox;
                let swell = self.noise.at::<4>(u, oy);
                let top = horizon - short * 0.36 * (swell - 0.5).max(0.0) * (0.4 + swell);
                for y in top.max(0.0) as usize..(horizon as usize + 1).min(self.canvas.height) {
                    let edge = (y as f32 + 1.0 - top).clamp(0.0, 1.0);
                    let t = smoothstep((y as f32 - top) / (short * 0.12));
                    self.canvas.blend(x, y, mix(colour, self.palette.horizon, 0.45 * t), edge);
                }
            }
        }
        self.water(state, horizon);
        if has(self.prompt, "boat boats ship sailing sail") {
            self.boat(state, horizon);
        }
    }

    fn boat(&mut self, state: &mut u64, horizon: f32) {
        let (w, h) = self.size();
        let size = w.min(h) * between(state, 0.11, 0.16);
        let (cx, cy) = (w * between(state, 0.3, 0.7), horizon + (h - horizon) * 0.22);
        let dark = self.palette.near.map(|part| part * 0.55);
        let sail = mix([246.0, 242.0, 234.0], self.palette.sun, 0.35);
        for y in 0..(size * 1.5) as usize {
            let up = y as f32 / size;
            for x in -(size as i32)..size as i32 {
                let across = x as f32 / size;
                let hull = up < 0.16 && across.abs() < 0.42 + 0.5 * up;
                let mast = across.abs() < 0.012 && up < 1.35;
                let main = (0.2..1.3).contains(&up) && (0.03..0.5 * (1.3 - up) / 1.1).contains(&across);
                let front = (0.22..1.15).contains(&up) && (-0.38 * (1.15 - up)..-0.03).contains(&across);
                let colour = if hull || mast {
                    dark
                } else if main || front {
                    mix(sail, dark, 0.12 * up)
                } else {
                    continue;
                };
                self.canvas.blend_at(cx + x as f32, cy - y as f32, colour, 1.0);
                self.canvas.blend_at(cx + x as f32, cy + y as f32 * 0.7, colour, 0.22 * (1.0 - up / 1.5));
            }
        }
    }

    fn rain(&mut self, state: &mut u64) {
        let (w, h) = self.size();
        let short = w.min(h);
        for _ in 0..700 {
            let (x, y, long) = (unit(state) * w * 1.1, unit(state) * h, short * between(state, 0.015, 0.05));
            let bright = between(state, 0.05, 0.18);
            for step in 0..long as usize {
                self.canvas.blend_at(x - step as f32 * 0.22, y + step as f32, [215.0, 222.0, 235.0], bright);
            }
        }
    }
}

fn mix1(from: f32, to: f32, along: f32) -> f32 {
    from + (to - from) * along
}
