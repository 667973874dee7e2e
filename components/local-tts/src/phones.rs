//! The sounds of American English: what they are like in the mouth, and where their formants lie for a grown man.
//!
//! Formants and bandwidths after Klatt 1980 (tables II and III), durations after Klatt 1979; bandwidths, tilt
//! and the voices were then tuned until an offline recogniser understood more of them.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Vowel,
    /// w, y, r and l: vowels in a hurry.
    Glide,
    Nasal,
    Stop,
    Affricate,
    Fricative,
    Aspirate,
    Silence,
}

/// Where the mouth narrows. Formants of the neighbours bend towards it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Labial,
    Dental,
    Alveolar,
    Palatal,
    Velar,
    /// Nowhere: the sound is all target.
    Open,
}

/// Noise of air: how loud it is as a whole, and its share at each resonance, all in dB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise {
    /// Of full scale, as a root mean square.
    pub(crate) level: f32,
    /// At F2 to F7, and past all of them.
    pub(crate) bands: [f32; 7],
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Phone {
    pub(crate) symbol: char,
    pub(crate) kind: Kind,
    pub(crate) voiced: bool,
    pub(crate) place: Place,
    /// Hertz.
    pub(crate) formants: [f32; 3],
    pub(crate) bandwidths: [f32; 3],
    /// Where a diphthong goes.
    pub(crate) glide_to: Option<[f32; 3]>,
    /// Milliseconds, in a stressed syllable in the middle of a phrase, and what it is never shorter than.
    pub(crate) inherent: f32,
    pub(crate) minimum: f32,
    /// dB of voicing below a vowel's.
    pub(crate) voicing: f32,
    pub(crate) noise: Option<Noise>,
}

const NO: f32 = -99.0;

const fn vowel(symbol: char, formants: [f32; 3], bandwidths: [f32; 3], inherent: f32, minimum: f32) -> Phone {
    Phone {
        symbol,
        kind: Kind::Vowel,
        voiced: true,
        place: Place::Open,
        formants,
        bandwidths,
        glide_to: None,
        inherent,
        minimum,
        voicing: 0.0,
        noise: None,
    }
}

const fn to(phone: Phone, formants: [f32; 3]) -> Phone {
    Phone { glide_to: Some(formants), ..phone }
}

const fn consonant(symbol: char, kind: Kind, place: Place, like: Phone, voicing: f32) -> Phone {
    Phone { symbol, kind, place, voicing, ..like }
}

const fn noisy(phone: Phone, voiced: bool, level: f32, bands: [f32; 7]) -> Phone {
    Phone { voiced, noise: Some(Noise { level, bands }), ..phone }
}

use Kind::{Affricate, Aspirate, Fricative, Glide, Nasal, Silence, Stop};
use Place::{Alveolar, Dental, Labial, Open, Palatal, Velar};

const FLAT: [f32; 7] = [NO, NO, NO, NO, NO, -4.0, 0.0];
const HISS: [f32; 7] = [NO, NO, -28.0, -14.0, 0.0, 1.0, NO];
const HUSH: [f32; 7] = [-22.0, 0.0, -5.0, -5.0, -10.0, -16.0, NO];

pub(crate) static PHONES: &[Phone] = &[
    vowel('i', [310.0, 2080.0, 2960.0], [45.0, 120.0, 180.0], 155.0, 55.0),
    vowel('I', [400.0, 1850.0, 2570.0], [50.0, 100.0, 105.0], 135.0, 40.0),
    to(vowel('e', [490.0, 1750.0, 2520.0], [70.0, 100.0, 150.0], 180.0, 70.0), [330.0, 2080.0, 2650.0]),
    vowel('E', [540.0, 1690.0, 2500.0], [60.0, 90.0, 120.0], 150.0, 70.0),
    vowel('a', [650.0, 1680.0, 2430.0], [70.0, 120.0, 180.0], 230.0, 80.0),
    vowel('A', [710.0, 1180.0, 2600.0], [110.0, 70.0, 120.0], 240.0, 100.0),
    vowel('O', [600.0, 960.0, 2570.0], [90.0, 90.0, 75.0], 240.0, 100.0),
    vowel('V', [620.0, 1230.0, 2550.0], [80.0, 60.0, 105.0], 140.0, 60.0),
    to(vowel('o', [540.0, 1050.0, 2300.0], [80.0, 70.0, 70.0], 220.0, 80.0), [430.0, 860.0, 2300.0]),
    vowel('U', [450.0, 1120.0, 2350.0], [80.0, 90.0, 75.0], 160.0, 60.0),
    to(vowel('u', [340.0, 1180.0, 2200.0], [65.0, 100.0, 105.0], 210.0, 70.0), [320.0, 900.0, 2200.0]),
    vowel('R', [470.0, 1280.0, 1560.0], [90.0, 60.0, 70.0], 180.0, 80.0),
    vowel('@', [500.0, 1400.0, 2500.0], [70.0, 80.0, 105.0], 105.0, 50.0),
    to(vowel('Y', [680.0, 1180.0, 2550.0], [100.0, 70.0, 120.0], 250.0, 150.0), [400.0, 1950.0, 2550.0]),
    to(vowel('W', [670.0, 1250.0, 2550.0], [80.0, 70.0, 105.0], 260.0, 100.0), [420.0, 900.0, 2350.0]),
    to(vowel('y', [540.0, 930.0, 2400.0], [80.0, 70.0, 90.0], 280.0, 150.0), [360.0, 1880.0, 2480.0]),
    consonant('w', Glide, Open, vowel('w', [290.0, 610.0, 2150.0], [50.0, 80.0, 60.0], 80.0, 60.0), -5.0),
    consonant('j', Glide, Open, vowel('j', [260.0, 2100.0, 3020.0], [45.0, 150.0, 225.0], 80.0, 40.0), -5.0),
    consonant('r', Glide, Open, vowel('r', [310.0, 1060.0, 1400.0], [70.0, 100.0, 90.0], 80.0, 40.0), -5.0),
    consonant('l', Glide, Open, vowel('l', [340.0, 1000.0, 2850.0], [55.0, 100.0, 180.0], 80.0, 45.0), -5.0),
    // A dark l, at the end of a syllable, and the t of "water".
    consonant('L', Glide, Open, vowel('L', [440.0, 820.0, 2650.0], [60.0, 90.0, 150.0], 85.0, 50.0), -4.0),
    consonant('4', Glide, Alveolar, vowel('4', [280.0, 1650.0, 2600.0], [80.0, 120.0, 150.0], 28.0, 22.0), -10.0),
    consonant('m', Nasal, Labial, vowel('m', [480.0, 1150.0, 2130.0], [50.0, 200.0, 200.0], 75.0, 60.0), -6.0),
    consonant('n', Nasal, Alveolar, vowel('n', [480.0, 1450.0, 2470.0], [50.0, 260.0, 260.0], 70.0, 50.0), -6.0),
    consonant('G', Nasal, Velar, vowel('G', [480.0, 1950.0, 2750.0], [60.0, 260.0, 260.0], 95.0, 60.0), -6.0),
    noisy(
        consonant('p', Stop, Labial, vowel('p', [400.0, 1100.0, 2150.0], [200.0, 130.0, 220.0], 90.0, 50.0), NO),
        false,
        -31.0,
        [-6.0, -10.0, NO, NO, NO, NO, 0.0],
    ),
    noisy(
        consonant('t', Stop, Alveolar, vowel('t', [400.0, 1600.0, 2600.0], [200.0, 120.0, 250.0], 80.0, 45.0), NO),
        false,
        -25.0,
        [NO, -26.0, -14.0, -5.0, 0.0, -3.0, NO],
    ),
    noisy(
        consonant('k', Stop, Velar, vowel('k', [400.0, 1990.0, 2850.0], [200.0, 160.0, 280.0], 85.0, 55.0), NO),
        false,
        -26.0,
        [0.0, -2.0, -14.0, -16.0, -20.0, -24.0, NO],
    ),
    noisy(
        consonant('b', Stop, Labial, vowel('b', [200.0, 1100.0, 2150.0], [65.0, 110.0, 130.0], 80.0, 55.0), -12.0),
        true,
        -36.0,
        [-6.0, -10.0, NO, NO, NO, NO, 0.0],
    ),
    noisy(
        consonant('d', Stop, Alveolar, vowel('d', [200.0, 1600.0, 2600.0], [65.0, 100.0, 170.0], 75.0, 45.0), -12.0),
        true,
        -31.0,
        [NO, -20.0, -8.0, -2.0, 0.0, -6.0, NO],
    ),
    noisy(
        consonant('g', Stop, Velar, vowel('g', [200.0, 1990.0, 2850.0], [65.0, 150.0, 280.0], 80.0, 55.0), -12.0),
        true,
        -31.0,
        [0.0, -2.0, -14.0, -16.0, -20.0, -24.0, NO],
    ),
    noisy(
        consonant('C', Affricate, Palatal, vowel('C', [350.0, 1800.0, 2700.0], [200.0, 90.0, 300.0], 130.0, 90.0), NO),
        false,
        -25.0,
        HUSH,
    ),
    noisy(
        consonant(
            'J',
            Affricate,
            Palatal,
            vowel('J', [260.0, 1800.0, 2700.0], [60.0, 80.0, 270.0], 115.0, 80.0),
            -12.0,
        ),
        true,
        -30.0,
        HUSH,
    ),
    noisy(
        consonant('f', Fricative, Labial, vowel('f', [340.0, 1100.0, 2080.0], [200.0, 120.0, 150.0], 100.0, 75.0), NO),
        false,
        -36.0,
        FLAT,
    ),
    noisy(
        consonant('v', Fricative, Labial, vowel('v', [240.0, 1100.0, 2080.0], [60.0, 90.0, 120.0], 60.0, 45.0), -9.0),
        true,
        -43.0,
        FLAT,
    ),
    noisy(
        consonant('T', Fricative, Dental, vowel('T', [340.0, 1290.0, 2540.0], [200.0, 90.0, 200.0], 95.0, 65.0), NO),
        false,
        -38.0,
        [NO, NO, -14.0, -10.0, -4.0, 0.0, -4.0],
    ),
    noisy(
        consonant('D', Fricative, Dental, vowel('D', [270.0, 1290.0, 2540.0], [60.0, 80.0, 170.0], 55.0, 35.0), -9.0),
        true,
        -46.0,
        [NO, NO, -14.0, -10.0, -4.0, 0.0, -4.0],
    ),
    noisy(
        consonant('s', Fricative, Alveolar, vowel('s', [340.0, 1390.0, 2530.0], [200.0, 80.0, 200.0], 110.0, 65.0), NO),
        false,
        -27.0,
        HISS,
    ),
    noisy(
        consonant(
            'z',
            Fricative,
            Alveolar,
            vowel('z', [250.0, 1390.0, 2530.0], [70.0, 60.0, 180.0], 80.0, 45.0),
            -10.0,
        ),
        true,
        -33.0,
        HISS,
    ),
    noisy(
        consonant('S', Fricative, Palatal, vowel('S', [340.0, 1840.0, 2700.0], [200.0, 100.0, 300.0], 110.0, 80.0), NO),
        false,
        -25.0,
        HUSH,
    ),
    noisy(
        consonant('Z', Fricative, Palatal, vowel('Z', [260.0, 1840.0, 2700.0], [70.0, 80.0, 280.0], 75.0, 50.0), -10.0),
        true,
        -31.0,
        HUSH,
    ),
    consonant('h', Aspirate, Open, vowel('h', [500.0, 1400.0, 2500.0], [200.0, 120.0, 160.0], 75.0, 40.0), NO),
    consonant('_', Silence, Open, vowel('_', [500.0, 1450.0, 2500.0], [80.0, 100.0, 150.0], 100.0, 0.0), NO),
];

pub(crate) fn phone(symbol: char) -> Option<&'static Phone> {
    PHONES.iter().find(|phone| phone.symbol == symbol)
}

impl Phone {
    pub(crate) fn is_vowel(&self) -> bool {
        self.kind == Kind::Vowel
    }

    /// Where F1, F2 and F3 of a neighbour with these formants stand at the moment of closing or opening: a line for each
    /// place of articulation (Sussman's locus equations).
    pub(crate) fn locus(&self, neighbour: [f32; 3]) -> [f32; 3] {
        let [f1, f2, f3] = neighbour;
        let low = if self.voiced { 200.0 + 0.2 * f1 } else { 260.0 + 0.3 * f1 };
        match self.place {
            Labial => [low, 0.82 * f2 + 130.0, 0.75 * f3 + 400.0],
            Dental => [low, 0.55 * f2 + 600.0, 0.4 * f3 + 1530.0],
            Alveolar => [low, 0.42 * f2 + 1050.0, 0.4 * f3 + 1620.0],
            Palatal => [low, 0.32 * f2 + 1300.0, 0.3 * f3 + 1780.0],
            Velar if f2 > 1500.0 => [low, 0.5 * f2 + 1230.0, 0.7 * f3 + 700.0],
            Velar => [low, 1.08 * f2 + 200.0, 0.6 * f3 + 720.0],
            Open => {
                let [own1, own2, own3] = self.formants;
                [0.55 * own1 + 0.45 * f1, 0.55 * own2 + 0.45 * f2, 0.55 * own3 + 0.45 * f3]
            }
        }
    }
}
