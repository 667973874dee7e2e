//! The voices that can be chosen.

/// One speaker: what differs between people with the same accent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Voice {
    /// Hertz, in the middle of a statement.
    pub(crate) pitch: f32,
    /// How far the pitch moves; 1.0 is lively but sober.
    pub(crate) range: f32,
    /// Formants against a man's: shorter throats have higher ones, the first and the others not alike.
    pub(crate) formants: [f32; 3],
    /// The share of a period in which the vocal folds are apart.
    pub(crate) open: f32,
    /// dB that the source loses at 3 kHz.
    pub(crate) tilt: f32,
    /// Breath in the voice, dB under full scale.
    pub(crate) breath: f32,
    /// Durations against the first voice's.
    pub(crate) pace: f32,
}

/// By `speaker_id`.
pub(crate) static VOICES: &[Voice] = &[
    // A man in his thirties.
    Voice { pitch: 112.0, range: 1.0, formants: [1.0, 1.0, 1.0], open: 0.55, tilt: 2.0, breath: -52.0, pace: 1.0 },
    // A woman.
    Voice { pitch: 184.0, range: 0.95, formants: [1.11, 1.14, 1.11], open: 0.66, tilt: 7.0, breath: -45.0, pace: 1.0 },
    // An older, deeper man.
    Voice { pitch: 86.0, range: 0.85, formants: [0.96, 0.95, 0.95], open: 0.5, tilt: 5.0, breath: -50.0, pace: 1.06 },
    // A younger, brighter woman.
    Voice { pitch: 208.0, range: 1.1, formants: [1.13, 1.16, 1.14], open: 0.68, tilt: 8.0, breath: -44.0, pace: 0.96 },
];
