//! The head of an answer: status and headers, and what the headers say in our words.

use std::time::Duration;

use hybrid_guest::json;

#[derive(Debug, Default, Clone)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    #[inline(never)]
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok().map(str::trim)
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    pub(crate) fn content_length(&self) -> Option<u64> {
        self.number("content-length")
    }

    /// The media type in lower case without parameters; empty when the upstream says none.
    #[inline(never)]
    pub(crate) fn content_type(&self) -> String {
        let value = self.get("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    pub(crate) fn is_json(&self) -> bool {
        let kind = self.content_type();
        kind == "application/json" || kind.ends_with("+json")
    }

    /// How long the upstream asks us to stay away. `now` is the time in seconds since 1970, for answers that name a date.
    #[cold]
    pub(crate) fn retry_after(&self, now: i64) -> Option<Duration> {
        if let Some(millis) = self.get("retry-after-ms").and_then(json::number) {
            return Duration::try_from_secs_f64(millis / 1000.0).ok();
        }
        if let Some(value) = self.get("retry-after") {
            let seconds = json::number(value).or_else(|| Some((date(value)? - now).max(0) as f64));
            if let Some(wait) = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
                return Some(wait);
            }
        }
        // The hub's own form: `"api";r=0;t=55`.
        let reset = self.get("ratelimit")?.split(';').find_map(|field| field.trim().strip_prefix("t="))?;
        reset.parse().ok().map(Duration::from_secs)
    }
}

/// Seconds since 1970 of an HTTP date, `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(text: &str) -> Option<i64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let text = text.get(5..25).filter(|text| text.is_ascii())?;
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().ok();
    let month = MONTHS.find(&text[3..6]).filter(|at| at % 3 == 0)? as i64 / 3 + 1;
    let (day, year) = (number(0, 2)?, number(7, 11)?);
    let (hour, minute, second) = (number(12, 14)?, number(15, 17)?, number(18, 20)?);
    // Days from the civil calendar, with years that begin in March so that leap days come last.
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = years * 365 + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
pub(crate) fn head(status: u16, headers: &[(&str, &str)]) -> Head {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    Head { status, headers }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_millis_or_a_date() {
        let wait = |name: &str, value: &str| head(429, &[(name, value)]).retry_after(784_111_770);
        assert_eq!(wait("Retry-After", "7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(wait("retry-after", "Sun, 06 Nov 1983 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("ratelimit", "\"api\";r=0;t=55"), Some(Duration::from_secs(55)));
        for bad in ["soon", "-1", "NaN", "inf", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49"] {
            assert_eq!(wait("retry-after", bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_count_leap_years() {
        assert_eq!(date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        assert_eq!(date("Mon, 23 Nov 2026 19:32:30 GMT"), Some(1_795_462_350));
    }

    #[test]
    fn content_types_lose_their_parameters() {
        let head = head(200, &[("Content-Type", "Application/JSON; charset=utf-8"), ("content-length", "12")]);
        assert!(head.is_json());
        assert_eq!((head.content_type().as_str(), head.content_length()), ("application/json", Some(12)));
    }
}
