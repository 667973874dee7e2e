//! How long each sound lasts, and how the pitch goes over a phrase.
//!
//! Durations by the rules of Klatt 1979: each sound has its own and shrinks or grows by where it stands.

use crate::phones::{Kind, Phone, phone};

/// How a phrase ends, and so what the pitch does and how long the pause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// A long phrase is broken where one could breathe.
    Breath,
    Comma,
    /// Brackets, dashes, colons and semicolons.
    Colon,
    Statement,
    Exclamation,
    /// One that yes or no answers.
    Question,
    Paragraph,
}

/// How much a word matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Articles, prepositions and the like: no accent.
    Function,
    /// What is said of something: verbs we know, adverbs. A small accent.
    Light,
    Content,
    Emphatic,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// As in `letters.rs`.
    pub(crate) sounds: String,
    pub(crate) weight: Weight,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Phrase {
    pub(crate) words: Vec<Word>,
    pub(crate) end: End,
}

/// One sound with its time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) phone: &'static Phone,
    pub(crate) milliseconds: f32,
    /// In the main stressed syllable of its word, in another stressed one, or in neither.
    pub(crate) stress: Stress,
    pub(crate) begins_word: bool,
    /// dB of an accent's loudness.
    pub(crate) louder: f32,
    weight: Weight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stress {
    None,
    Secondary,
    Primary,
}

impl End {
    fn pause(self) -> f32 {
        match self {
            End::Breath => 40.0,
            End::Comma => 190.0,
            End::Colon => 260.0,
            End::Statement | End::Exclamation | End::Question => 420.0,
            End::Paragraph => 650.0,
        }
    }
}

/// The sounds of a phrase with their durations; the pause after it is the last. `pace` is 2 for a voice half as fast.
pub(crate) fn timed(phrase: &Phrase, pace: f32) -> Vec<Segment> {
    let mut segments = segments(phrase);
    allophones(&mut segments);
    let durations: Vec<f32> = (0..segments.len()).map(|at| duration(&segments, at)).collect();
    for (segment, milliseconds) in segments.iter_mut().zip(durations) {
        segment.milliseconds = milliseconds * pace;
    }
    if let Some(silence) = phone('_') {
        segments.push(Segment {
            phone: silence,
            milliseconds: phrase.end.pause() * pace,
            stress: Stress::None,
            begins_word: true,
            louder: 0.0,
            weight: Weight::Function,
        });
    }
    segments
}

fn segments(phrase: &Phrase) -> Vec<Segment> {
    let mut segments = Vec::new();
    for word in &phrase.words {
        let mut stress = Stress::None;
        let mut begins_word = true;
        for symbol in word.sounds.chars() {
            match symbol {
                '\'' => stress = Stress::Primary,
                ',' => stress = Stress::Secondary,
                symbol => {
                    let Some(phone) = phone(symbol) else { continue };
                    segments.push(Segment {
                        phone,
                        milliseconds: 0.0,
                        stress: if phone.is_vowel() { stress } else { Stress::None },
                        begins_word,
                        louder: 0.0,
                        weight: word.weight,
                    });
                    begins_word = false;
                    stress = if phone.is_vowel() { Stress::None } else { stress };
                }
            }
        }
    }
    // A consonant before a vowel belongs to its syllable.
    let mut stress = Stress::None;
    for at in (0..segments.len()).rev() {
        if segments[at].phone.is_vowel() {
            stress = segments[at].stress;
        } else if segments.get(at + 1).is_some_and(|next| !next.begins_word && onset(&segments, at)) {
            segments[at].stress = stress;
        }
        if segments[at].begins_word {
            stress = Stress::None;
        }
    }
    for segment in &mut segments {
        let accented = matches!(segment.weight, Weight::Content | Weight::Emphatic);
        segment.louder = match segment.stress {
            Stress::Primary if segment.weight == Weight::Emphatic => 2.0,
            Stress::Primary if accented => 1.0,
            Stress::Primary | Stress::Secondary => 0.0,
            Stress::None => -2.0,
        };
    }
    segments
}

/// Whether only consonants that can begin a syllable together stand between this one and the vowel after it.
fn onset(segments: &[Segment], at: usize) -> bool {
    match segments.get(at + 1) {
        Some(next) if next.begins_word => false,
        Some(next) if next.phone.is_vowel() => true,
        Some(next) => {
            let after = segments.get(at + 2).is_some_and(|after| after.phone.is_vowel() && !after.begins_word);
            let own = segments[at].phone;
            let joined = match next.phone.kind {
                Kind::Glide => matches!(own.kind, Kind::Stop) || matches!(own.symbol, 'f' | 'T' | 's' | 'S' | 'h'),
                Kind::Stop => own.symbol == 's' && !next.phone.voiced,
                Kind::Nasal => own.symbol == 's',
                _ => false,
            };
            (after || next.phone.kind == Kind::Stop) && joined && onset(segments, at + 1)
        }
        None => false,
    }
}

/// The same letter of the dictionary is said otherwise in some places.
fn allophones(segments: &mut [Segment]) {
    for at in 0..segments.len() {
        let before = at.checked_sub(1).map(|before| segments[before].phone);
        let after = segments.get(at + 1).copied();
        let own = segments[at];
        let after_vowel = before.is_some_and(|before| before.is_vowel() || before.symbol == 'r');
        let before_weak = after.is_some_and(|after| after.phone.is_vowel() && after.stress == Stress::None);
        let other = match own.phone.symbol {
            't' | 'd' if after_vowel && before_weak && !own.begins_word => '4',
            'l' if before.is_some() && !own.begins_word && !after.is_some_and(|it| it.phone.is_vowel()) => 'L',
            _ => continue,
        };
        if let Some(phone) = phone(other) {
            segments[at].phone = phone;
        }
    }
}

fn duration(segments: &[Segment], at: usize) -> f32 {
    let own = segments[at];
    let phone = own.phone;
    let vowel = phone.is_vowel();
    let next = segments.get(at + 1);
    let before = at.checked_sub(1).map(|before| segments[before]);
    let ends_word = next.is_none_or(|next| next.begins_word);
    let word_start = (0..=at).rev().find(|&at| segments[at].begins_word).unwrap_or(0);
    let word_end = (at + 1..segments.len()).find(|&at| segments[at].begins_word).unwrap_or(segments.len());
    let later_vowel = segments[at + 1..].iter().any(|it| it.phone.is_vowel());
    let last_syllable = !segments[at + 1..word_end].iter().any(|it| it.phone.is_vowel());
    let syllables = segments[word_start..word_end].iter().filter(|it| it.phone.is_vowel()).count();
    let stressed = own.stress != Stress::None;

    let mut minimum = phone.minimum;
    let mut share = 1.0;
    let phrase_final = !later_vowel && segments[..=at].iter().any(|it| it.phone.is_vowel());
    if vowel {
        share *= if phrase_final { 1.35 } else { 0.68 };
        if !last_syllable {
            share *= 0.85;
        }
        if syllables > 1 {
            share *= 0.85;
        }
        if own.weight == Weight::Emphatic && own.stress == Stress::Primary {
            share *= 1.3;
        }
        if own.weight == Weight::Function {
            share *= 0.85;
        }
        share *= before_consonant(segments, at, word_end, phrase_final);
    } else {
        if phrase_final && !matches!(phone.kind, Kind::Stop | Kind::Affricate) {
            share *= 1.3;
        }
        if !own.begins_word {
            share *= 0.85;
        }
    }
    if !stressed {
        minimum *= 0.6;
        share *= match phone.kind {
            Kind::Vowel if !last_syllable && word_start + 1 < at => 0.55,
            Kind::Glide if next.is_some_and(|next| next.phone.is_vowel()) => 0.5,
            _ => 0.75,
        };
    }
    let consonant = |segment: Option<&Segment>| segment.is_some_and(|it| !it.phone.is_vowel());
    if vowel {
        if before.is_some_and(|before| before.phone.is_vowel() && !own.begins_word) {
            share *= 0.8;
        }
    } else {
        let before = before.as_ref().filter(|_| !own.begins_word);
        let next = next.filter(|_| !ends_word);
        share *= match (consonant(before), consonant(next)) {
            (true, true) => 0.6,
            (true, false) | (false, true) => 0.75,
            _ => 1.0,
        };
    }
    let mut milliseconds = (phone.inherent - minimum) * share + minimum;
    let aspirated = before.is_some_and(|it| it.phone.kind == Kind::Stop && !it.phone.voiced);
    if aspirated && stressed && !phone.is_obstruent() {
        milliseconds += 22.0;
    }
    milliseconds * 1.08
}

/// Vowels are long before what is voiced, and short before what is not.
fn before_consonant(segments: &[Segment], at: usize, word_end: usize, phrase_final: bool) -> f32 {
    let Some(next) = segments[at + 1..word_end].first() else { return if phrase_final { 1.1 } else { 1.15 } };
    // An r or l or nasal hands on what comes after it.
    let deciding = match (next.phone.kind, segments[at + 1..word_end].get(1)) {
        (Kind::Nasal | Kind::Glide, Some(after)) if after.phone.is_obstruent() && !after.phone.voiced => after,
        _ => next,
    };
    let share: f32 = match (deciding.phone.kind, deciding.phone.voiced) {
        (Kind::Fricative, true) => 1.4,
        (Kind::Stop | Kind::Affricate, true) => 1.2,
        (Kind::Nasal, _) => 0.9,
        (Kind::Stop | Kind::Affricate, false) => 0.72,
        _ => 1.0,
    };
    if phrase_final { share } else { 0.6 + 0.4 * share }
}

impl Phone {
    pub(crate) fn is_obstruent(&self) -> bool {
        matches!(self.kind, Kind::Stop | Kind::Affricate | Kind::Fricative)
    }
}

/// The pitch over a phrase, in semitones around the voice's own.
pub(crate) struct Tune {
    length: f32,
    /// Where, how high, how wide: rises and falls on stressed syllables.
    accents: Vec<(f32, f32, f32)>,
    /// From when on the last movement goes, and how far.
    last: (f32, f32),
    /// Lower and flatter where a sentence comes to its end.
    end: End,
}

/// An accent's slopes take this long.
const SLOPE: f32 = 130.0;

impl Tune {
    pub(crate) fn of(phrase: &Phrase, segments: &[Segment]) -> Tune {
        let mut vowels = Vec::new();
        let mut now = 0.0;
        for segment in segments {
            if segment.phone.is_vowel() && segment.stress == Stress::Primary {
                let height = match segment.weight {
                    Weight::Function => 0.0,
                    Weight::Light => 1.2,
                    Weight::Content => 2.4,
                    Weight::Emphatic => 4.0,
                };
                if height > 0.0 {
                    vowels.push((now + 0.45 * segment.milliseconds, height, SLOPE));
                }
            }
            now += segment.milliseconds;
        }
        let length = now - segments.last().map_or(0.0, |pause| pause.milliseconds);
        // The first accent stands out, the ones between less, the last carries the sentence.
        let count = vowels.len();
        for (at, (_, height, _)) in vowels.iter_mut().enumerate() {
            *height *= match at {
                0 if count > 1 => 1.35,
                _ if at + 1 == count => 1.15,
                _ if at % 2 == 0 => 0.9,
                _ => 0.65,
            };
        }
        let nucleus = vowels.last().map_or(0.6 * length, |last| last.0);
        if phrase.end == End::Question
            && let Some(last) = vowels.last_mut()
        {
            // The last stressed syllable is low, and all after it goes up.
            last.1 *= -0.4;
        }
        if phrase.end == End::Exclamation {
            for accent in &mut vowels {
                accent.1 *= 1.3;
            }
        }
        let fall = match phrase.end {
            End::Statement | End::Paragraph | End::Exclamation => -4.5,
            End::Colon => -2.5,
            End::Comma => 1.6,
            End::Breath => 0.4,
            End::Question => 7.0,
        };
        // After the last accent, or where there is little left after it, over what is left.
        let from = (nucleus + 40.0).min(length - 140.0).max(0.0);
        Tune { length: length.max(1.0), accents: vowels, last: (from, fall), end: phrase.end }
    }

    /// Semitones at a moment.
    pub(crate) fn at(&self, milliseconds: f32) -> f32 {
        let (start, slope) = match self.end {
            End::Question => (1.0, -1.0),
            End::Comma | End::Breath => (1.8, -2.2),
            _ => (1.6, -3.0),
        };
        let declined = start + slope * (milliseconds / self.length).clamp(0.0, 1.0);
        let accents: f32 = self
            .accents
            .iter()
            .map(|&(at, height, width)| {
                let distance = (milliseconds - at) / width;
                if distance.abs() < 1.5 {
                    height * (0.5 + 0.5 * (distance * std::f32::consts::PI / 1.5).cos())
                } else {
                    0.0
                }
            })
            .sum();
        let (from, fall) = self.last;
        let done = ((milliseconds - from) / (self.length - from).max(1.0)).clamp(0.0, 1.0);
        declined + accents + fall * done * done * (3.0 - 2.0 * done)
    }
}
