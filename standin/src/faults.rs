//! Faults by the model's name; the crate's doc lists them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    Fail {
        times: u32,
        status: u16,
    },
    Always(u16),
    Unserved,
    Gone,
    Gated,
    Slow(Duration),
    /// As `Slow`, for the first calls only.
    Late {
        times: u32,
        wait: Duration,
    },
    Drip(Duration),
    Hang,
    Close,
    Truncated,
    Garbage,
    Html,
    WrongType,
    Mislabelled,
    Endless,
    Huge {
        megabytes: usize,
    },
    Loading {
        seconds: f64,
    },
    RateLimit {
        seconds: u64,
        times: Option<u32>,
    },
    StreamCut,
    StreamError,
    StreamEarly,
    StreamHang,
    StreamSlow(Duration),
}

impl Fault {
    pub(crate) fn of(model: &str) -> Option<Fault> {
        let name = model.rsplit('/').next()?;
        let mut words = name.split('-');
        let fault = match words.next()? {
            "fail" => Fault::Fail { times: number(words.next())?, status: number(words.next())? },
            "always" => Fault::Always(number(words.next())?),
            "unserved" => Fault::Unserved,
            "gone" => Fault::Gone,
            "gated" => Fault::Gated,
            "slow" => Fault::Slow(Duration::from_millis(number(words.next())?)),
            "late" => Fault::Late { times: number(words.next())?, wait: Duration::from_millis(number(words.next())?) },
            "drip" => Fault::Drip(Duration::from_millis(number(words.next())?)),
            "hang" => Fault::Hang,
            "close" => Fault::Close,
            "truncated" => Fault::Truncated,
            "garbage" => Fault::Garbage,
            "html" => Fault::Html,
            "wrong" if words.next() == Some("type") => Fault::WrongType,
            "mislabelled" => Fault::Mislabelled,
            "endless" => Fault::Endless,
            "huge" => Fault::Huge { megabytes: number(words.next())? },
            "loading" => Fault::Loading { seconds: number(words.next()).unwrap_or(0.1) },
            "ratelimit" => Fault::RateLimit { seconds: number(words.next())?, times: number(words.next()) },
            "stream" => match words.next()? {
                "cut" => Fault::StreamCut,
                "error" => Fault::StreamError,
                "early" => Fault::StreamEarly,
                "hang" => Fault::StreamHang,
                "slow" => Fault::StreamSlow(Duration::from_millis(number(words.next())?)),
                _ => return None,
            },
            _ => return None,
        };
        Some(fault)
    }
}

fn number<T: std::str::FromStr>(word: Option<&str>) -> Option<T> {
    word?.parse().ok()
}

/// Calls for each model id.
#[derive(Default)]
pub(crate) struct Counts(Mutex<HashMap<String, u32>>);

impl Counts {
    /// How many came before this one.
    pub(crate) fn next(&self, model: &str) -> u32 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(model.to_owned()).or_default();
        *count += 1;
        *count - 1
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_faults() {
        assert_eq!(Fault::of("fault/fail-2-503-image"), Some(Fault::Fail { times: 2, status: 503 }));
        assert_eq!(Fault::of("any/always-429"), Some(Fault::Always(429)));
        assert_eq!(Fault::of("fault/ratelimit-7"), Some(Fault::RateLimit { seconds: 7, times: None }));
        assert_eq!(Fault::of("fault/ratelimit-1-2-tts"), Some(Fault::RateLimit { seconds: 1, times: Some(2) }));
        assert_eq!(Fault::of("fault/stream-cut"), Some(Fault::StreamCut));
        assert_eq!(Fault::of("fault/wrong-type-tts"), Some(Fault::WrongType));
        assert_eq!(Fault::of("openai/whisper-large-v3"), None);
        assert_eq!(Fault::of("stabilityai/stable-diffusion-3-medium"), None);
    }
}
