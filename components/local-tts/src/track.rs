//! From sounds with durations to what the mouth does, frame by frame.
//!
//! Formants go from one sound's target to the next through a value at the boundary, which the narrower of the two decides
//! (after Holmes, Mattingly and Shearme 1964, with loci that depend on the vowel). Amplitudes step, and each step has its
//! own slope.

use crate::phones::{Kind, Noise, Phone, Place};
use crate::prosody::{Segment, Stress, Tune};
use crate::synth::{FRAME, Frame, RATE, Throat, noise_power};
use crate::voice::Voice;

const FRAME_MS: f32 = FRAME as f32 * 1000.0 / RATE as f32;
/// A vowel's amplitude at the glottis, so that speech comes out around -20 dB of full scale.
const VOICE: f32 = 0.16;
/// The mouth is slow: formants are averaged over so many frames to each side.
const SLUGGISH: usize = 3;

pub(crate) fn throat(voice: &Voice) -> Throat {
    Throat { scale: voice.formants[2], open: voice.open, tilt: voice.tilt, breath: linear(voice.breath) / VOICE }
}

pub(crate) fn frames(segments: &[Segment], tune: &Tune, voice: &Voice, pace: f32) -> Vec<Frame> {
    let total: f32 = segments.iter().map(|segment| segment.milliseconds).sum();
    let count = frame_count(total);
    let steps = steps(segments, pace);
    let paths = paths(segments);

    let mut frames = Vec::with_capacity(count);
    let mut at = 0;
    let mut step = 0;
    let mut from = Levels::default();
    for index in 0..count {
        let now = (index as f32 + 0.5) * FRAME_MS;
        while at + 1 < paths.len() && now >= paths[at + 1].start {
            at += 1;
        }
        while step + 1 < steps.len() && now >= steps[step + 1].start {
            from = steps[step].levels_at(steps[step + 1].start, &from);
            step += 1;
        }
        let levels = steps[step].levels_at(now, &from);
        let path = &paths[at];
        let within = (now - path.start).min(path.length);
        let semitones = tune.at(now) * voice.range;
        frames.push(Frame {
            pitch: voice.pitch * 2_f32.powf(semitones / 12.0),
            voicing: levels.voicing,
            aspiration: levels.aspiration,
            formants: std::array::from_fn(|formant| path.formant(formant, within)),
            bandwidths: path.bandwidths,
            noise: levels.noise,
            nasal: path.nasal_at(within),
            tilt: levels.tilt,
        });
    }
    smoothed(&mut frames);
    for frame in &mut frames {
        for formant in 0..3 {
            frame.formants[formant] *= voice.formants[formant];
            frame.bandwidths[formant] *= 0.5 + 0.5 * voice.formants[formant];
        }
    }
    frames
}

pub(crate) fn frame_count(milliseconds: f32) -> usize {
    (milliseconds / FRAME_MS).round() as usize
}

fn linear(db: f32) -> f32 {
    if db <= -90.0 { 0.0 } else { 10_f32.powf(db / 20.0) }
}

fn smooth(share: f32) -> f32 {
    let share = share.clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

fn smoothed(frames: &mut [Frame]) {
    type Sharp = ([f32; 3], [f32; 3], f32);
    let sharp: Vec<Sharp> = frames.iter().map(|frame| (frame.formants, frame.bandwidths, frame.nasal)).collect();
    for (index, frame) in frames.iter_mut().enumerate() {
        let window = &sharp[index.saturating_sub(SLUGGISH)..(index + SLUGGISH + 1).min(sharp.len())];
        let mean = |of: &dyn Fn(&Sharp) -> f32| window.iter().map(of).sum::<f32>() / window.len() as f32;
        frame.formants = std::array::from_fn(|at| mean(&|it| it.0[at]));
        frame.bandwidths = std::array::from_fn(|at| mean(&|it| it.1[at]));
        frame.nasal = mean(&|it| it.2);
    }
}

/// How loud each source is.
#[derive(Debug, Clone, Copy, Default)]
struct Levels {
    voicing: f32,
    aspiration: f32,
    noise: [f32; 7],
    tilt: f32,
}

/// Levels that are reached `ramp` milliseconds after `start`.
#[derive(Debug, Clone, Copy)]
struct Step {
    start: f32,
    ramp: f32,
    levels: Levels,
}

impl Step {
    fn levels_at(&self, now: f32, from: &Levels) -> Levels {
        let share = smooth((now - self.start) / self.ramp);
        let between = |from: f32, to: f32| from + (to - from) * share;
        Levels {
            voicing: between(from.voicing, self.levels.voicing),
            aspiration: between(from.aspiration, self.levels.aspiration),
            noise: std::array::from_fn(|band| between(from.noise[band], self.levels.noise[band])),
            tilt: between(from.tilt, self.levels.tilt),
        }
    }
}

fn bands(noise: Noise, louder: f32) -> [f32; 7] {
    let bands = noise.bands.map(linear);
    let scale = linear(noise.level + louder) / noise_power(bands);
    bands.map(|band| band * scale)
}

/// Milliseconds of a burst and of the breath after it.
const BURST: f32 = 9.0;

fn steps(segments: &[Segment], pace: f32) -> Vec<Step> {
    // Bursts and breaths hardly depend on how fast one speaks.
    let quick = pace.clamp(0.5, 1.3);
    let mut steps = vec![Step { start: 0.0, ramp: 1.0, levels: Levels::default() }];
    let mut start = 0.0;
    // Voice that comes late, after an aspirated stop.
    let mut late = 0.0_f32;
    for (at, segment) in segments.iter().enumerate() {
        let Segment { phone, milliseconds, louder, .. } = *segment;
        let before = at.checked_sub(1).map(|before| &segments[before]);
        let next = segments.get(at + 1);
        let voiced = Levels { voicing: VOICE * linear(phone.voicing + louder), ..Levels::default() };
        let silent = Levels::default();
        let mut step = |start: f32, ramp: f32, levels: Levels| steps.push(Step { start, ramp: ramp * quick, levels });
        match phone.kind {
            Kind::Vowel | Kind::Glide | Kind::Nasal => {
                let onset = late.min(0.6 * milliseconds);
                let ramp = match before.map(|it| it.phone) {
                    None => 30.0,
                    Some(it) if it.kind == Kind::Silence => 30.0,
                    Some(it) if matches!(it.kind, Kind::Stop | Kind::Affricate) => 10.0,
                    Some(it) if it.kind == Kind::Fricative => 22.0,
                    Some(it) if it.kind == Kind::Nasal || phone.kind == Kind::Nasal => 10.0,
                    Some(it) if it.symbol == '4' || phone.symbol == '4' => 8.0,
                    Some(_) => 30.0,
                };
                step(start + onset, ramp, voiced);
                late = 0.0;
            }
            Kind::Aspirate => {
                let between = before.is_some_and(|it| !it.phone.is_obstruent() && it.phone.kind != Kind::Silence);
                let breath = Levels {
                    aspiration: VOICE * linear(louder - 11.0),
                    voicing: if between { VOICE * linear(-14.0) } else { 0.0 },
                    tilt: 8.0,
                    ..silent
                };
                step(start, 25.0, breath);
            }
            Kind::Fricative => {
                let noise = phone.noise.map_or([0.0; 7], |noise| bands(noise, 0.5 * louder));
                let voicing = if phone.voiced { voiced.voicing } else { 0.0 };
                step(start, 22.0, Levels { voicing, noise, tilt: if phone.voiced { 6.0 } else { 0.0 }, ..silent });
            }
            Kind::Stop | Kind::Affricate => {
                let closed = Levels { voicing: if phone.voiced { voiced.voicing } else { 0.0 }, tilt: 22.0, ..silent };
                step(start, 12.0, closed);
                let noise = phone.noise.map_or([0.0; 7], |noise| bands(noise, 0.5 * louder));
                if phone.kind == Kind::Affricate {
                    let rubbing = 0.55 * milliseconds;
                    step(
                        start + milliseconds - rubbing,
                        4.0,
                        Levels { noise, voicing: 0.6 * closed.voicing, ..closed },
                    );
                } else if let Some(next) = next.filter(|next| released_into(phone, next.phone)) {
                    let final_burst = next.phone.kind == Kind::Silence;
                    let burst =
                        (BURST * quick * if phone.place == Place::Velar { 1.8 } else { 1.0 }).min(0.4 * milliseconds);
                    let opens = start + milliseconds - burst;
                    let softer = if final_burst { 0.6 } else { 1.0 };
                    step(opens, 2.5, Levels { noise: noise.map(|band| band * softer), ..closed });
                    let breath = if phone.voiced { 6.0 } else { aspirated(segment, before, next) } * quick;
                    let sonorant = !next.phone.is_obstruent() && next.phone.kind != Kind::Silence;
                    if sonorant {
                        late = breath;
                    }
                    if !phone.voiced {
                        let level = VOICE * linear(louder - if final_burst { 20.0 } else { 11.0 });
                        let rest = noise.map(|band| band * 0.25);
                        step(opens + burst, 5.0, Levels { aspiration: level, noise: rest, ..silent });
                        if !sonorant {
                            step(opens + burst + breath, 15.0, silent);
                        }
                    }
                }
            }
            Kind::Silence => step(start.max(0.0), 45.0, silent),
        }
        start += milliseconds;
    }
    // A breath may end after the next sound began.
    steps.sort_by(|one, other| one.start.total_cmp(&other.start));
    steps
}

/// Whether a stop opens before what follows, or stays shut into it.
fn released_into(stop: &Phone, next: &Phone) -> bool {
    match next.kind {
        Kind::Stop | Kind::Affricate => false,
        Kind::Nasal => next.place != stop.place,
        _ => true,
    }
}

/// Milliseconds of breath between a voiceless stop and the voice.
fn aspirated(stop: &Segment, before: Option<&Segment>, next: &Segment) -> f32 {
    let place = match stop.phone.place {
        Place::Labial => 0.0,
        Place::Velar => 14.0,
        _ => 8.0,
    };
    if next.phone.kind == Kind::Silence {
        return 25.0;
    }
    let after_s = !stop.begins_word && before.is_some_and(|it| it.phone.symbol == 's');
    match stop.stress {
        _ if after_s => 8.0,
        Stress::None if !stop.begins_word => 14.0 + place,
        Stress::None => 26.0 + place,
        _ if next.phone.kind == Kind::Glide => 50.0 + place,
        _ => 42.0 + place,
    }
}

/// The way of three formants through one sound.
#[derive(Debug)]
struct Path {
    start: f32,
    length: f32,
    /// Moments and values, the first at 0 and the last at the end.
    points: [[(f32, f32); 4]; 3],
    bandwidths: [f32; 3],
    /// At its beginning, in the middle and at its end.
    nasal: [f32; 3],
}

impl Path {
    fn formant(&self, formant: usize, within: f32) -> f32 {
        let points = &self.points[formant];
        let next = points.iter().position(|&(at, _)| at > within).unwrap_or(3).max(1);
        let ((from, low), (to, high)) = (points[next - 1], points[next]);
        low + (high - low) * smooth((within - from) / (to - from).max(0.1))
    }

    fn nasal_at(&self, within: f32) -> f32 {
        const REACH: f32 = 70.0;
        let reach = REACH.min(0.5 * self.length).max(1.0);
        let [first, middle, last] = self.nasal;
        if within < reach {
            first + (middle - first) * within / reach
        } else {
            last + (middle - last) * ((self.length - within) / reach).clamp(0.0, 1.0)
        }
    }
}

/// A sound whose formants are its own: what consonants bend towards.
fn is_open(phone: &Phone) -> bool {
    phone.place == Place::Open && matches!(phone.kind, Kind::Vowel | Kind::Glide)
}

fn paths(segments: &[Segment]) -> Vec<Path> {
    let ahead = |at: usize| segments[at..].iter().find(|it| is_open(it.phone)).map(|it| it.phone.formants);
    let behind = |at: usize| {
        let found = segments[..at].iter().rev().find(|it| is_open(it.phone));
        found.map(|it| it.phone.glide_to.unwrap_or(it.phone.formants))
    };
    let neutral = [500.0, 1450.0, 2500.0];
    // The boundary before each sound, and the one after the last.
    let boundaries: Vec<[f32; 3]> = (0..=segments.len())
        .map(|at| {
            let left = at.checked_sub(1).map(|left| segments[left].phone);
            let right = segments.get(at).map(|right| right.phone);
            let before = behind(at).or_else(|| ahead(at)).unwrap_or(neutral);
            let after = ahead(at).or_else(|| behind(at)).unwrap_or(neutral);
            boundary(left, right, before, after)
        })
        .collect();

    let mut paths = Vec::with_capacity(segments.len());
    let mut start = 0.0;
    for (at, segment) in segments.iter().enumerate() {
        let phone = segment.phone;
        let length = segment.milliseconds;
        let (first, last) = (boundaries[at], boundaries[at + 1]);
        let neighbour = |at: Option<usize>| at.and_then(|at| segments.get(at)).map(|it| it.phone);
        let (left, right) = (neighbour(at.checked_sub(1)), neighbour(Some(at + 1)));
        let points = std::array::from_fn(|formant| {
            let (on, off) = targets(phone, formant, first, last);
            let (mut rise, mut fall) = (reach(phone, left, formant), reach(phone, right, formant));
            if phone.glide_to.is_some() {
                rise = rise.max(0.2 * length).min(0.4 * length);
                fall = fall.min(0.3 * length).max(0.12 * length);
            }
            let crowded = (rise + fall) / (0.95 * length);
            if crowded > 1.0 {
                rise /= crowded;
                fall /= crowded;
            }
            // In a hurry the mouth does not get there.
            let missed = (0.35 * (crowded - 1.0)).clamp(0.0, 0.3);
            let middle = 0.5 * (first[formant] + last[formant]);
            let (on, off) = (on + (middle - on) * missed, off + (middle - off) * missed);
            [(0.0, first[formant]), (rise, on), (length - fall, off), (length, last[formant])]
        });
        let nasal = |phone: Option<&Phone>| f32::from(u8::from(phone.is_some_and(|it| it.kind == Kind::Nasal)));
        let own = nasal(Some(phone));
        let beside = |phone: Option<&Phone>| if own > 0.0 { 1.0 } else { 0.7 * nasal(phone) };
        paths.push(Path {
            start,
            length,
            points,
            bandwidths: phone.bandwidths,
            nasal: [beside(left), own, beside(right)],
        });
        start += length;
    }
    paths
}

/// What a sound wants, early and late in it.
fn targets(phone: &Phone, formant: usize, first: [f32; 3], last: [f32; 3]) -> (f32, f32) {
    let own = phone.formants[formant];
    match phone.kind {
        Kind::Vowel => (own, phone.glide_to.map_or(own, |to| to[formant])),
        Kind::Glide if phone.place == Place::Open => (own, own),
        Kind::Aspirate | Kind::Silence => (first[formant], last[formant]),
        // The lowest is the closure's own; the others stand where the neighbours want them.
        _ if formant == 0 => (own, own),
        _ => {
            let mixed = |boundary: f32| 0.75 * boundary + 0.25 * own;
            (mixed(first[formant]), mixed(last[formant]))
        }
    }
}

fn boundary(left: Option<&Phone>, right: Option<&Phone>, before: [f32; 3], after: [f32; 3]) -> [f32; 3] {
    let mean = |one: [f32; 3], other: [f32; 3]| std::array::from_fn(|at| 0.5 * (one[at] + other[at]));
    let (Some(left), Some(right)) = (left, right) else {
        return match left.or(right) {
            Some(phone) if narrow(phone) => phone.locus(after),
            _ => after,
        };
    };
    let end = left.glide_to.unwrap_or(left.formants);
    match (narrow(left), narrow(right)) {
        (true, true) => mean(left.locus(before), right.locus(after)),
        (true, false) => left.locus(after),
        (false, true) => right.locus(before),
        _ => match (left.kind, right.kind) {
            (Kind::Silence | Kind::Aspirate, _) => after,
            (_, Kind::Silence | Kind::Aspirate) if right.kind == Kind::Silence => before,
            (_, Kind::Aspirate) => mean(before, after),
            (Kind::Glide, Kind::Vowel) => left.locus(right.formants),
            (Kind::Vowel, Kind::Glide) => right.locus(end),
            _ => mean(end, right.formants),
        },
    }
}

fn narrow(phone: &Phone) -> bool {
    phone.place != Place::Open
}

/// Milliseconds that the way to or from a neighbour takes within `phone`.
fn reach(phone: &Phone, neighbour: Option<&Phone>, formant: usize) -> f32 {
    let Some(neighbour) = neighbour else { return 1.0 };
    if narrow(phone) {
        return if formant == 0 { 12.0 } else { 30.0 };
    }
    let reach = match (neighbour.kind, neighbour.place) {
        (Kind::Silence | Kind::Aspirate, _) => 5.0,
        (Kind::Vowel, _) if phone.kind == Kind::Glide => 30.0,
        (Kind::Vowel, _) => 70.0,
        (Kind::Glide, Place::Open) if phone.kind == Kind::Glide => 30.0,
        (Kind::Glide, Place::Open) => 65.0,
        (_, Place::Labial) => 45.0,
        (_, Place::Velar) => 65.0,
        _ => 55.0,
    };
    if formant == 0 { reach * 0.7 } else { reach }
}
