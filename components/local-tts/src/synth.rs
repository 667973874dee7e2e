//! The synthesiser: a glottal source and noise, sent through resonators that move (Klatt 1980, with the source of Klatt and
//! Klatt 1990).

use std::f32::consts::{PI, TAU};

pub(crate) const RATE: u32 = 22_050;
/// Samples between two settings of the resonators: 2.5 ms.
pub(crate) const FRAME: usize = 55;

/// What the mouth does during one frame. Amplitudes are linear, frequencies in hertz.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame {
    pub(crate) pitch: f32,
    pub(crate) voicing: f32,
    pub(crate) aspiration: f32,
    pub(crate) formants: [f32; 3],
    pub(crate) bandwidths: [f32; 3],
    /// Noise at F2 to F7 and past them.
    pub(crate) noise: [f32; 7],
    /// 0 closed, 1 the nose open.
    pub(crate) nasal: f32,
    /// dB that the source loses at 3 kHz, more than the voice's own.
    pub(crate) tilt: f32,
}

/// The resonances above F3, which hardly move: frequency and bandwidth of a man's.
const HIGHER: [(f32, f32); 5] = [(3350.0, 165.0), (4100.0, 200.0), (4950.0, 290.0), (5900.0, 390.0), (7000.0, 520.0)];
/// Where noise resonates: F2 and F3 as they are, then these.
const NOISE: [(f32, f32); 4] = [(3350.0, 350.0), (4000.0, 450.0), (5200.0, 1100.0), (7600.0, 2600.0)];
/// Bandwidths of F2 and F3 for noise.
const NOISE_LOW: [f32; 2] = [180.0, 260.0];
const NASAL: f32 = 270.0;
const NASAL_ZERO: f32 = 480.0;
const NASAL_WIDTH: f32 = 100.0;

/// Two poles.
#[derive(Debug, Clone, Copy, Default)]
struct Resonator {
    a: f32,
    b: f32,
    c: f32,
    last: [f32; 2],
}

impl Resonator {
    /// Passes slow changes as they are.
    fn set(&mut self, hertz: f32, width: f32) {
        let radius = (-PI * width / RATE as f32).exp();
        self.c = -radius * radius;
        self.b = 2.0 * radius * (TAU * hertz / RATE as f32).cos();
        self.a = 1.0 - self.b - self.c;
    }

    /// Passes its own frequency as it is.
    fn set_peak(&mut self, hertz: f32, width: f32) {
        self.set(hertz, width);
        let angle = TAU * hertz / RATE as f32;
        let real = 1.0 - self.b * angle.cos() - self.c * (2.0 * angle).cos();
        let imaginary = self.b * angle.sin() + self.c * (2.0 * angle).sin();
        self.a = real.hypot(imaginary);
    }

    fn pass(&mut self, sample: f32) -> f32 {
        let out = self.a * sample + self.b * self.last[0] + self.c * self.last[1];
        self.last = [out, self.last[0]];
        out
    }

    /// The same as two zeros.
    fn stop(&mut self, sample: f32) -> f32 {
        let out = (sample - self.b * self.last[0] - self.c * self.last[1]) / self.a;
        self.last = [sample, self.last[0]];
        out
    }
}

/// What belongs to the speaker and does not move.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Throat {
    /// The higher formants against a man's.
    pub(crate) scale: f32,
    pub(crate) open: f32,
    pub(crate) tilt: f32,
    /// Breath in the voice, linear.
    pub(crate) breath: f32,
}

pub(crate) struct Synth {
    throat: Throat,
    last: Frame,
    low: [Resonator; 3],
    higher: [Resonator; 5],
    nasal_pole: Resonator,
    nasal_zero: Resonator,
    noise: [Resonator; 6],
    random: u32,
    /// In periods.
    phase: f32,
    /// Of the period that runs: no two are quite alike.
    jitter: f32,
    shimmer: f32,
    drift: f32,
    tilted: f32,
    /// Time since the beginning, for the slow wavering of any voice.
    seconds: f32,
}

impl Synth {
    pub(crate) fn new(throat: Throat, first: Frame) -> Synth {
        let mut synth = Synth {
            throat,
            last: Frame { voicing: 0.0, aspiration: 0.0, noise: [0.0; 7], ..first },
            low: Default::default(),
            higher: Default::default(),
            nasal_pole: Resonator::default(),
            nasal_zero: Resonator::default(),
            noise: Default::default(),
            random: 0x2545_f491,
            phase: 0.0,
            jitter: 1.0,
            shimmer: 1.0,
            drift: 0.0,
            tilted: 0.0,
            seconds: 0.0,
        };
        for (resonator, (hertz, width)) in synth.higher.iter_mut().zip(HIGHER) {
            resonator.set(hertz * throat.scale, width * throat.scale);
        }
        for (resonator, (hertz, width)) in synth.noise[2..].iter_mut().zip(NOISE) {
            resonator.set_peak((hertz * throat.scale).min(0.44 * RATE as f32), width);
        }
        synth.nasal_pole.set(NASAL, NASAL_WIDTH);
        synth
    }

    /// The samples of one frame, which goes on from the one before without a seam.
    pub(crate) fn frame(&mut self, frame: &Frame, out: &mut Vec<f32>) {
        for at in 0..3 {
            self.low[at].set(frame.formants[at], frame.bandwidths[at]);
        }
        for (at, low) in NOISE_LOW.into_iter().enumerate() {
            self.noise[at].set_peak(frame.formants[at + 1], low);
        }
        self.nasal_zero.set(NASAL + frame.nasal * (NASAL_ZERO - NASAL), NASAL_WIDTH);
        let tilt = falling(self.throat.tilt + frame.tilt);
        self.seconds += FRAME as f32 / RATE as f32;
        // Klatt and Klatt's flutter: three slow sines that never meet.
        let flutter = [12.7, 7.1, 4.7].map(|hertz| (TAU * hertz * self.seconds).sin()).iter().sum::<f32>();
        self.drift = 1.0 + 0.004 * flutter;

        let step = 1.0 / FRAME as f32;
        for at in 1..=FRAME {
            let share = at as f32 * step;
            let between = |from: f32, to: f32| from + (to - from) * share;
            let pitch = between(self.last.pitch, frame.pitch) * self.drift * self.jitter;
            let voicing = between(self.last.voicing, frame.voicing);
            let aspiration = between(self.last.aspiration, frame.aspiration);

            let (glottis, opened) = self.glottis(pitch / RATE as f32);
            self.tilted += (1.0 - tilt) * (glottis - self.tilted);
            let hiss = self.white();
            let gust = if voicing > 0.01 { 0.35 + 1.3 * opened } else { 1.0 };
            let breath = (aspiration + self.throat.breath * voicing) * gust;
            let mut sound = voicing * self.shimmer * self.tilted + breath * hiss;
            sound = self.nasal_zero.stop(self.nasal_pole.pass(sound));
            for resonator in self.higher.iter_mut().rev().chain(self.low.iter_mut().rev()) {
                sound = resonator.pass(sound);
            }

            let hiss = hiss * if voicing > 0.01 { 0.5 + opened } else { 1.0 };
            let mut sign = 1.0;
            for (band, resonator) in self.noise.iter_mut().enumerate() {
                let amount = between(self.last.noise[band], frame.noise[band]);
                // Neighbours would cancel each other between their peaks.
                sound += sign * resonator.pass(amount * hiss);
                sign = -sign;
            }
            sound += between(self.last.noise[6], frame.noise[6]) * hiss;
            out.push(sound);
        }
        self.last = *frame;
    }

    /// The flow through the glottis, differentiated, and how far it is open.
    fn glottis(&mut self, step: f32) -> (f32, f32) {
        self.phase += step;
        if self.phase >= 1.0 {
            self.phase -= 1.0;
            self.jitter = 1.0 + 0.006 * self.white();
            self.shimmer = 1.0 + 0.03 * self.white();
        }
        let open = self.throat.open;
        let within = self.phase / open;
        let (mut flow, opened) = if within < 1.0 {
            (within * (2.0 - 3.0 * within), 6.75 * within * within * (1.0 - within))
        } else {
            (0.0, 0.0)
        };
        // The folds close at once, between two samples: without this the step would fold back as tones of its own.
        let after = (self.phase - open) / step;
        if (0.0..1.0).contains(&after) {
            flow -= 0.5 * (1.0 - after) * (1.0 - after);
        } else if (-1.0..0.0).contains(&after) {
            flow += 0.5 * (1.0 + after) * (1.0 + after);
        }
        (flow, opened)
    }

    /// White noise with a root mean square of one, between -1.7 and 1.7.
    fn white(&mut self) -> f32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        (self.random as f32 / u32::MAX as f32 - 0.5) * 3.464
    }
}

/// The factor of a one-pole low pass that loses so many dB at 3 kHz.
fn falling(db: f32) -> f32 {
    if db < 0.1 {
        return 0.0;
    }
    let gain = 10_f32.powf(-db / 10.0);
    let cosine = (TAU * 3000.0 / RATE as f32).cos();
    // (1-k)^2 / (1 - 2k cos + k^2) = gain, for k.
    let half = (1.0 - gain * cosine) / (1.0 - gain);
    half - (half * half - 1.0).sqrt()
}

/// How loud noise with these bands would be, as a root mean square: a resonator passes as much of white noise as a
/// rectangle half as wide again as its bandwidth.
pub(crate) fn noise_power(bands: [f32; 7]) -> f32 {
    let widths = NOISE_LOW.iter().copied().chain(NOISE.iter().map(|(_, width)| *width));
    let resonant: f32 =
        widths.zip(bands).map(|(width, band)| band * band * 0.5 * PI * width / (0.5 * RATE as f32)).sum();
    (resonant + bands[6] * bands[6]).sqrt()
}
