use std::f64::consts::PI;

/// Rows of the filter between two samples, at most. The usual rates need fewer, and are met exactly (44.1 kHz: 160); with
/// an odd one, what the nearest row is off by is 60 dB down.
const MOST_PHASES: u64 = 1024;
/// Zero crossings of the filter on each side.
const CROSSINGS: f64 = 16.0;
/// Part of the band that is kept; the rest is for the filter to fall off.
const KEPT: f64 = 0.92;

/// Changes the rate of one channel, piece by piece, with a windowed sinc.
pub(crate) struct Resampler {
    from: u64,
    to: u64,
    half: usize,
    phases: u64,
    /// `phases + 1` rows of `2 * half` weights.
    filter: Vec<f32>,
    /// What is still needed of the input; zeros before its beginning.
    held: Vec<f32>,
    /// Where the next output sample lies, from the beginning of `held`: in `to`ths of an input sample, so that an hour of them
    /// adds up to an hour.
    at: u64,
    taken: u64,
    given: u64,
}

impl Resampler {
    pub(crate) fn new(from: u32, to: u32) -> Self {
        let step = f64::from(from) / f64::from(to);
        let cutoff = KEPT / step.max(1.0);
        let half = (CROSSINGS / cutoff).ceil() as usize;
        let (from, to) = (u64::from(from), u64::from(to));
        let phases = (to / common_divisor(from, to)).min(MOST_PHASES);
        let mut filter = Vec::with_capacity((phases as usize + 1) * 2 * half);
        for phase in 0..=phases {
            let row = (0..2 * half).map(|tap| {
                let x = tap as f64 - (half - 1) as f64 - phase as f64 / phases as f64;
                let sinc = if x == 0.0 { 1.0 } else { (PI * x * cutoff).sin() / (PI * x * cutoff) };
                // Blackman: 74 dB down, below what 16 bits of speech hold.
                let turn = PI * x / half as f64;
                let window = 0.42 + 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos();
                sinc * window.max(0.0) * cutoff
            });
            let row: Vec<f64> = row.collect();
            let sum: f64 = row.iter().sum();
            filter.extend(row.iter().map(|weight| (weight / sum) as f32));
        }
        Resampler {
            from,
            to,
            half,
            phases,
            filter,
            held: vec![0.0; half - 1],
            at: (half - 1) as u64 * to,
            taken: 0,
            given: 0,
        }
    }

    /// Takes samples in, and appends those that can be told by now.
    pub(crate) fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.held.extend_from_slice(samples);
        self.taken += samples.len() as u64;
        let taps = 2 * self.half;
        loop {
            let whole = (self.at / self.to) as usize;
            let first = whole + 1 - self.half;
            let Some(window) = self.held.get(first..first + taps) else { break };
            let row = ((self.at % self.to * self.phases + self.to / 2) / self.to) as usize;
            out.push(dot(window, &self.filter[row * taps..(row + 1) * taps]));
            self.given += 1;
            self.at += self.from;
        }
        let spent = ((self.at / self.to) as usize + 1 - self.half).min(self.held.len());
        self.held.drain(..spent);
        self.at -= spent as u64 * self.to;
    }

    /// Appends the rest, as if silence followed.
    pub(crate) fn finish(&mut self, out: &mut Vec<f32>) {
        let rest = resampled_length(self.taken, self.from, self.to).saturating_sub(self.given) as usize;
        let before = out.len();
        self.push(&vec![0.0; 2 * self.half + (self.from / self.to) as usize + 1], out);
        out.truncate(before + rest);
    }
}

/// How many samples become of `count`.
pub(crate) fn resampled_length(count: u64, from: u64, to: u64) -> u64 {
    (count * to + from / 2) / from
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// In eight sums, so that it can be done in vectors.
fn dot(samples: &[f32], weights: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (samples, weights) = (samples.as_chunks::<8>(), weights.as_chunks::<8>());
    for (samples, weights) in samples.0.iter().zip(weights.0) {
        for lane in 0..8 {
            sums[lane] += samples[lane] * weights[lane];
        }
    }
    let rest: f32 = samples.1.iter().zip(weights.1).map(|(sample, weight)| sample * weight).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f64, count: usize) -> Vec<f32> {
        (0..count).map(|n| (2.0 * PI * hertz * n as f64 / f64::from(rate)).sin() as f32).collect()
    }

    fn resampled(from: u32, samples: &[f32], piece: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(from, 16_000);
        let mut out = Vec::new();
        samples.chunks(piece).for_each(|piece| resampler.push(piece, &mut out));
        resampler.finish(&mut out);
        out
    }

    #[test]
    fn a_tone_stays_the_tone_it_was() {
        for rate in [8_000, 11_025, 22_050, 24_000, 44_100, 48_000, 96_000, 44_099] {
            let out = resampled(rate, &tone(rate, 440.0, rate as usize), 1000);
            assert_eq!(out.len(), 16_000, "from {rate}");
            let want = tone(16_000, 440.0, 16_000);
            let worst = out[200..15_800].iter().zip(&want[200..15_800]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 0.002, "from {rate}: off by {worst}");
        }
    }

    #[test]
    fn what_16_khz_cannot_hold_is_left_out() {
        let out = resampled(48_000, &tone(48_000, 10_000.0, 48_000), 4096);
        assert!(out[200..15_800].iter().all(|sample| sample.abs() < 0.002));
    }

    #[test]
    fn pieces_do_not_matter() {
        let samples = tone(44_100, 1000.0, 5000);
        assert_eq!(resampled(44_100, &samples, 7), resampled(44_100, &samples, 5000));
    }
}
