//! What was removed grows over from what is around it: PatchMatch (Barnes 2009) in the manner of Wexler's completion (2007).
//!
//! From a small copy of the picture to the whole one, each patch that touches the hole looks for the patch outside of it
//! that is most like it, and the hole becomes what its patches say on average.

use hybrid_picture::Pixels;

use crate::shape::bounds;

/// Pixels to each side of a patch's middle.
const HALF: usize = 3;
const SIDE: usize = 2 * HALF + 1;
/// A picture of so few pixels a side is the first to be filled.
const SMALLEST: usize = 24;
/// More of the picture than this is filled at half its size, and the patches' places carried over.
const MAX_PIXELS: usize = 1_500_000;
const MAX_LEVELS: usize = 9;
/// What filling takes beside the picture: less than 20 bytes for each pixel around the hole.
pub(crate) const MOST_BYTES: u64 = 20 * MAX_PIXELS as u64;
const LEAST_MARGIN: usize = 64;

/// Fills what `mask` shows. False when nothing is left to fill from.
pub(crate) fn fill(picture: &mut Pixels, mask: &[u8], seed: u64) -> bool {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let Some(hole) = bounds(mask, width) else { return true };
    let [left, top, right, bottom] = hole.map(|side| side as usize);
    if mask.iter().all(|&masked| masked != 0) {
        return false;
    }
    let margin = margin(right - left, bottom - top);
    let (x0, y0) = (left.saturating_sub(margin), top.saturating_sub(margin));
    let (x1, y1) = ((right + margin).min(width), (bottom + margin).min(height));
    let channels = usize::from(picture.channels);
    let mut window = Window::new(x1 - x0, y1 - y0);
    for y in 0..window.height {
        for x in 0..window.width {
            let from = (y0 + y) * width + x0 + x;
            let pixel = &picture.data[from * channels..from * channels + 3];
            let at = y * window.width + x;
            window.colours[at] = [pixel[0], pixel[1], pixel[2], 0];
            window.hole[at] = mask[from] != 0;
        }
    }
    if window.hole.iter().all(|&hole| hole) {
        return false;
    }
    complete(&mut window, &mut Chance(seed ^ 0x517c_c1b7));
    for y in top..bottom {
        for x in left..right {
            let at = y * width + x;
            if mask[at] != 0 {
                let new = window.colours[(y - y0) * window.width + x - x0];
                let pixel = &mut picture.data[at * channels..(at + 1) * channels];
                pixel[..3].copy_from_slice(&new[..3]);
                pixel[3..].fill(255);
            }
        }
    }
    true
}

/// How much of what is around a hole it is filled from. What is far is seldom like it, and costs time and memory.
fn margin(wide: usize, high: usize) -> usize {
    let most = wide.max(high).clamp(LEAST_MARGIN, 700);
    // As much as can be searched in its whole size.
    (LEAST_MARGIN..=most)
        .rev()
        .step_by(16)
        .find(|margin| (wide + 2 * margin) * (high + 2 * margin) <= MAX_PIXELS)
        .unwrap_or(LEAST_MARGIN)
}

/// A part of the picture, four bytes a pixel for the sake of wide registers.
#[derive(Clone)]
struct Window {
    width: usize,
    height: usize,
    colours: Vec<[u8; 4]>,
    hole: Vec<bool>,
}

/// Where the patch is that is most like the one about each pixel; for those that touch the hole.
struct Matches {
    /// Those that touch the hole, in reading order.
    targets: Vec<u32>,
    to: Vec<u32>,
    far: Vec<u32>,
    /// Whether a patch about the pixel lies inside of the picture and outside of the hole.
    sources: Vec<bool>,
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (((self.0 >> 33) * most as u64) >> 31) as usize
    }
}

fn complete(whole: &mut Window, chance: &mut Chance) {
    let mut levels = vec![std::mem::replace(whole, Window::new(0, 0))];
    while let Some(last) = levels.last()
        && last.width.min(last.height) > SMALLEST
        && levels.len() < MAX_LEVELS
    {
        let next = last.halved();
        if next.hole.iter().all(|&hole| hole) {
            break;
        }
        levels.push(next);
    }
    let mut before: Option<(Window, Matches)> = None;
    while let Some(mut level) = levels.pop() {
        let coarse = before.take();
        let Some(mut matches) = Matches::new(&level, chance) else {
            // Too small for patches, or nothing but edges around the hole.
            match &coarse {
                Some((small, _)) => level.take_colours(small),
                None => level.spread(),
            }
            before = Some((level, Matches::none()));
            continue;
        };
        match &coarse {
            Some((small, found)) if !found.targets.is_empty() => {
                matches.carry(&level, small, found);
                level.take_colours(small);
                matches.vote(&mut level, false);
            }
            Some((small, _)) => level.take_colours(small),
            None => level.spread(),
        }
        let pixels = level.colours.len();
        let (rounds, searches) = match matches.targets.len() {
            0..4_000 => (6, 4),
            4_000..20_000 => (4, 3),
            20_000..80_000 => (2, 2),
            80_000..400_000 => (1, 2),
            _ => (1, 1),
        };
        if pixels <= MAX_PIXELS || coarse.is_none() {
            for round in 0..rounds {
                matches.measure(&level);
                for search in 0..searches {
                    matches.search(&level, search % 2 == 1, chance);
                }
                matches.vote(&mut level, round + 1 == rounds);
            }
        }
        before = Some((level, matches));
    }
    if let Some((level, _)) = before {
        *whole = level;
    }
}

impl Window {
    fn new(width: usize, height: usize) -> Window {
        Window { width, height, colours: vec![[0; 4]; width * height], hole: vec![false; width * height] }
    }

    /// At half the size. A pixel is known where one of its four is.
    fn halved(&self) -> Window {
        let mut half = Window::new(self.width.div_ceil(2), self.height.div_ceil(2));
        for y in 0..half.height {
            for x in 0..half.width {
                let mut sums = [0_u32; 4];
                let mut known = 0;
                for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                    let (x, y) = ((2 * x + dx).min(self.width - 1), (2 * y + dy).min(self.height - 1));
                    let at = y * self.width + x;
                    if !self.hole[at] {
                        known += 1;
                        for (sum, sample) in sums.iter_mut().zip(self.colours[at]) {
                            *sum += u32::from(sample);
                        }
                    }
                }
                let at = y * half.width + x;
                // Half known is known: a hole must not grow over all there is to take from.
                half.hole[at] = known < 2;
                if known > 0 {
                    half.colours[at] = sums.map(|sum| ((sum + known / 2) / known) as u8);
                }
            }
        }
        half
    }

    /// Fills the hole from its rim inwards, each pixel with the mean of those around it; then smooths it.
    fn spread(&mut self) {
        let mut open: Vec<usize> = (0..self.hole.len()).filter(|&at| self.hole[at]).collect();
        let all = open.clone();
        let mut known: Vec<bool> = self.hole.iter().map(|hole| !hole).collect();
        while !open.is_empty() {
            let mut filled = Vec::new();
            open.retain(|&at| {
                let Some(mean) = self.mean_about(at, |other| known[other]) else { return true };
                filled.push((at, mean));
                false
            });
            if filled.is_empty() {
                break;
            }
            for (at, mean) in filled {
                self.colours[at] = mean;
                known[at] = true;
            }
        }
        for _ in 0..30 {
            for &at in &all {
                if let Some(mean) = self.mean_about(at, |_| true) {
                    self.colours[at] = mean;
                }
            }
        }
    }

    fn mean_about(&self, at: usize, counts: impl Fn(usize) -> bool) -> Option<[u8; 4]> {
        let (x, y) = (at % self.width, at / self.width);
        let mut sums = [0_u32; 4];
        let mut count = 0;
        for y in y.saturating_sub(1)..(y + 2).min(self.height) {
            for x in x.saturating_sub(1)..(x + 2).min(self.width) {
                let other = y * self.width + x;
                if other != at && counts(other) {
                    count += 1;
                    for (sum, sample) in sums.iter_mut().zip(self.colours[other]) {
                        *sum += u32::from(sample);
                    }
                }
            }
        }
        (count > 0).then(|| sums.map(|sum| ((sum + count / 2) / count) as u8))
    }

    /// What is in the hole, from a picture half as large.
    fn take_colours(&mut self, small: &Window) {
        for at in (0..self.hole.len()).filter(|&at| self.hole[at]) {
            let (x, y) = (at % self.width, at / self.width);
            self.colours[at] =
                small.colours[(y / 2).min(small.height - 1) * small.width + (x / 2).min(small.width - 1)];
        }
    }

    /// Squares of the differences of two patches, both inside; given up beyond `most`.
    fn far(&self, one: usize, other: usize, most: u32) -> u32 {
        let mut sum = 0;
        let corner = HALF * self.width + HALF;
        let (mut one, mut other) = (one - corner, other - corner);
        for _ in 0..SIDE {
            let rows = self.colours[one..one + SIDE].as_flattened().iter();
            let row: i32 = rows
                .zip(self.colours[other..other + SIDE].as_flattened())
                .map(|(one, other)| {
                    let difference = i32::from(*one) - i32::from(*other);
                    difference * difference
                })
                .sum();
            sum += row as u32;
            if sum >= most {
                return sum;
            }
            one += self.width;
            other += self.width;
        }
        sum
    }
}

impl Matches {
    fn none() -> Matches {
        Matches { targets: Vec::new(), to: Vec::new(), far: Vec::new(), sources: Vec::new() }
    }

    /// Patches that touch the hole, matched by chance; none where there is no patch to take from.
    fn new(level: &Window, chance: &mut Chance) -> Option<Matches> {
        let (width, height) = (level.width, level.height);
        if width < SIDE + 1 || height < SIDE + 1 {
            return None;
        }
        let mut matches = Matches {
            targets: Vec::new(),
            to: vec![0; width * height],
            far: vec![u32::MAX; width * height],
            sources: vec![false; width * height],
        };
        let mut count = 0;
        // How many of the hole's pixels each column has in the rows of a patch.
        let mut columns = vec![0_u8; width];
        let add_row = |columns: &mut [u8], y: usize, share: u8| {
            for (column, hole) in columns.iter_mut().zip(&level.hole[y * width..(y + 1) * width]) {
                *column = column.wrapping_add(if *hole { share } else { 0 });
            }
        };
        (0..SIDE - 1).for_each(|y| add_row(&mut columns, y, 1));
        for y in HALF..height - HALF {
            add_row(&mut columns, y + HALF, 1);
            for (x, patch) in (HALF..).zip(columns.windows(SIDE)) {
                let at = y * width + x;
                if patch.iter().all(|&holes| holes == 0) {
                    matches.sources[at] = true;
                    count += 1;
                } else {
                    matches.targets.push(at as u32);
                }
            }
            add_row(&mut columns, y - HALF, u8::MAX);
        }
        if count < 4 {
            return None;
        }
        let targets = std::mem::take(&mut matches.targets);
        for &at in &targets {
            matches.to[at as usize] = matches.any_source(chance) as u32;
        }
        matches.targets = targets;
        Some(matches)
    }

    /// A list of all of them would be as large as the picture.
    fn any_source(&self, chance: &mut Chance) -> usize {
        let start = (0..32).map(|_| chance.below(self.sources.len())).find(|&at| self.sources[at]);
        let start = start.unwrap_or_else(|| chance.below(self.sources.len()));
        let after = || self.sources[start..].iter().position(|&is| is).map(|by| start + by);
        after().or_else(|| self.sources.iter().position(|&is| is)).unwrap_or(start)
    }

    /// Takes over what was found in a picture half as large.
    fn carry(&mut self, level: &Window, small: &Window, found: &Matches) {
        // What does not fit exactly fits beside it.
        const ASIDE: [(isize, isize); 9] =
            [(0, 0), (2, 0), (-2, 0), (0, 2), (0, -2), (4, 4), (-4, 4), (4, -4), (-4, -4)];
        for &at in &self.targets {
            let at = at as usize;
            let (x, y) = (at % level.width, at / level.width);
            let small_x = (x / 2).clamp(HALF, small.width - HALF - 1);
            let small_y = (y / 2).clamp(HALF, small.height - HALF - 1);
            let small_at = small_y * small.width + small_x;
            // Whom nobody votes for: it comes from chance.
            self.far[at] = 1 << 24;
            if found.far[small_at] == u32::MAX {
                continue;
            }
            let to = found.to[small_at] as usize;
            let to_x = (2 * (to % small.width) + x) as isize - 2 * small_x as isize;
            let to_y = (2 * (to / small.width) + y) as isize - 2 * small_y as isize;
            let place = ASIDE.iter().find_map(|(dx, dy)| {
                let to_x = (to_x + dx).clamp(HALF as isize, (level.width - HALF - 1) as isize) as usize;
                let to_y = (to_y + dy).clamp(HALF as isize, (level.height - HALF - 1) as isize) as usize;
                let place = to_y * level.width + to_x;
                self.sources[place].then_some(place)
            });
            if let Some(place) = place {
                self.to[at] = place as u32;
                self.far[at] = 0;
            }
        }
    }

    fn measure(&mut self, level: &Window) {
        for &at in &self.targets {
            let at = at as usize;
            self.far[at] = level.far(at, self.to[at] as usize, u32::MAX);
        }
    }

    /// Looks where the neighbours found something, then by chance, nearer and nearer to the best.
    fn search(&mut self, level: &Window, backwards: bool, chance: &mut Chance) {
        let (width, height) = (level.width, level.height);
        let targets = std::mem::take(&mut self.targets);
        let mut visit = |at: usize| {
            let (mut best, mut far) = (self.to[at] as usize, self.far[at]);
            let step = |away: usize| if backwards { at + away } else { at - away };
            for away in [1, width] {
                let neighbour = step(away);
                if self.far[neighbour] == u32::MAX {
                    continue;
                }
                let to = self.to[neighbour] as usize;
                let candidate = if backwards { to.wrapping_sub(away) } else { to + away };
                if candidate != best && self.sources.get(candidate) == Some(&true) {
                    let distance = level.far(at, candidate, far);
                    if distance < far {
                        (best, far) = (candidate, distance);
                    }
                }
            }
            let mut radius = width.max(height);
            while radius >= 1 && far > 0 {
                let (x, y) = (best % width, best / width);
                let near = |chance: &mut Chance, middle: usize, length: usize| {
                    let low = middle.saturating_sub(radius);
                    low + chance.below((middle + radius + 1).min(length) - low)
                };
                let candidate = near(chance, y, height) * width + near(chance, x, width);
                if self.sources[candidate] {
                    let distance = level.far(at, candidate, far);
                    if distance < far {
                        (best, far) = (candidate, distance);
                    }
                }
                radius /= 2;
            }
            (self.to[at], self.far[at]) = (best as u32, far);
        };
        if backwards {
            targets.iter().rev().for_each(|&at| visit(at as usize));
        } else {
            targets.iter().for_each(|&at| visit(at as usize));
        }
        self.targets = targets;
    }

    /// Each pixel of the hole becomes the mean of what the patches over it say; who found a better match counts for more,
    /// and in the last round by far.
    fn vote(&self, level: &mut Window, last: bool) {
        let (width, height) = (level.width, level.height);
        let mut sorted: Vec<u32> = self.targets.iter().map(|&at| self.far[at as usize]).collect();
        let three_quarters = sorted.len() * 3 / 4;
        let usual = match sorted.get(three_quarters) {
            Some(_) => *sorted.select_nth_unstable(three_quarters).1,
            None => 0,
        };
        let sharp = if last { 8.0 } else { 2.0 } / (usual.max(1) as f32);
        let weights: Vec<f32> = self
            .targets
            .iter()
            .map(|&at| (-(self.far[at as usize].min(1 << 24) as f32) * sharp).exp().max(1e-6))
            .collect();
        let rows: Vec<usize> = {
            // Where the targets of each row begin.
            let mut rows = vec![0; height + 1];
            for &at in &self.targets {
                rows[at as usize / width + 1] += 1;
            }
            for y in 0..height {
                rows[y + 1] += rows[y];
            }
            rows
        };
        let mut sums = vec![[0.0_f32; 4]; width];
        let mut new = Vec::new();
        for y in 0..height {
            if !level.hole[y * width..(y + 1) * width].contains(&true) {
                continue;
            }
            sums.fill([0.0; 4]);
            let from = rows[y.saturating_sub(HALF)];
            let to = rows[(y + HALF + 1).min(height)];
            for (&at, weight) in self.targets[from..to].iter().zip(&weights[from..to]) {
                let (at, match_at) = (at as usize, self.to[at as usize] as usize);
                let (x, row) = (at % width, at / width);
                let source = match_at + (y + HALF - row) * width - HALF * width - HALF;
                for (sum, colour) in sums[x - HALF..=x + HALF].iter_mut().zip(&level.colours[source..source + SIDE]) {
                    for (sum, sample) in sum[..3].iter_mut().zip(colour) {
                        *sum += weight * f32::from(*sample);
                    }
                    sum[3] += weight;
                }
            }
            for (x, sum) in sums.iter().enumerate() {
                if level.hole[y * width + x] && sum[3] > 0.0 {
                    let mean = |channel: usize| (sum[channel] / sum[3] + 0.5) as u8;
                    new.push((y * width + x, [mean(0), mean(1), mean(2), 0]));
                }
            }
        }
        for (at, colour) in new {
            level.colours[at] = colour;
        }
    }
}
