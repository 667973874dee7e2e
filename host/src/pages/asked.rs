//! What the headers of a request for a file say (RFC 9110).

use std::ops::Range;

use http::{HeaderMap, HeaderName, header};

/// The encodings that a client takes and files may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Encodings {
    brotli: bool,
    gzip: bool,
}

impl Encodings {
    pub fn of(headers: &HeaderMap) -> Self {
        let mut any = None;
        let (mut brotli, mut gzip) = (None, None);
        for (name, taken) in choices(headers, header::ACCEPT_ENCODING) {
            match name.as_str() {
                "br" => brotli = Some(taken),
                "gzip" | "x-gzip" => gzip = Some(taken),
                "*" => any = Some(taken),
                _ => {}
            }
        }
        let taken = |one: Option<bool>| one.or(any).unwrap_or(false);
        Self { brotli: taken(brotli), gzip: taken(gzip) }
    }

    /// Name and file ending, the smaller first.
    pub fn in_order(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        [(self.brotli, "br", "br"), (self.gzip, "gzip", "gz")]
            .into_iter()
            .filter_map(|(taken, name, ending)| taken.then_some((name, ending)))
    }
}

/// Whether somebody at a browser asks: programs take anything, or JSON.
pub fn wants_page(headers: &HeaderMap) -> bool {
    choices(headers, header::ACCEPT).any(|(name, taken)| taken && name == "text/html")
}

/// The members of a list header in lower case, each with whether its weight is more than nothing.
fn choices(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = (String, bool)> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(
        |member| {
            let mut parts = member.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            (name, weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0)))
        },
    )
}

/// `if-none-match`: whether the client has this already.
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).any(|known| {
        // Proxies that encode again weaken tags.
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}

/// How much of a file is wanted.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    Whole,
    Bytes(Range<usize>),
    /// A part that the file does not have.
    Nothing,
}

/// One range; of several, or of what is not understood, the whole is a right answer too.
pub fn part(headers: &HeaderMap, tag: &str, size: usize) -> Part {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let Some(range) = text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")) else { return Part::Whole };
    // The rest of another version is of no use. Dates are not compared: there are none in our answers.
    if headers.contains_key(header::IF_RANGE) && text(header::IF_RANGE) != Some(tag) {
        return Part::Whole;
    }
    let Some((first, last)) = range.split_once('-') else { return Part::Whole };
    let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // Too many digits are a large number.
        true if !digits.is_empty() => Some(digits.parse::<usize>().unwrap_or(usize::MAX)),
        _ => None,
    };
    let range = match (number(first.trim()), number(last.trim())) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.trim().is_empty() => first..size,
        (None, Some(last)) if first.trim().is_empty() => size.saturating_sub(last)..size,
        _ => return Part::Whole,
    };
    if range.start < range.end { Part::Bytes(range) } else { Part::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().expect("a header's value"))])
    }

    #[test]
    fn encodings_are_taken_as_weighed() {
        let of = |text: &str| Encodings::of(&headers(header::ACCEPT_ENCODING, text));
        assert_eq!(of("gzip, deflate, br"), Encodings { brotli: true, gzip: true });
        assert_eq!(of("br;q=0, *"), Encodings { brotli: false, gzip: true });
        assert_eq!(of("GZIP;q=0.5"), Encodings { brotli: false, gzip: true });
        assert_eq!(of("identity"), Encodings::default());
        assert_eq!(of("*;q=0"), Encodings::default());
    }

    #[test]
    fn browsers_name_pages_and_programs_do_not() {
        let wants = |text: &str| wants_page(&headers(header::ACCEPT, text));
        assert!(wants("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(!wants("*/*") && !wants("application/json, text/plain, */*") && !wants("text/html;q=0"));
        assert!(!wants_page(&HeaderMap::new()));
    }

    #[test]
    fn parts_are_those_of_the_standard() {
        let of = |text: &str| part(&headers(header::RANGE, text), "\"t\"", 100);
        assert_eq!(of("bytes=0-9"), Part::Bytes(0..10));
        assert_eq!(of("bytes=90-"), Part::Bytes(90..100));
        assert_eq!(of("bytes=-10"), Part::Bytes(90..100));
        assert_eq!(of("bytes=-1000"), Part::Bytes(0..100));
        assert_eq!(of("bytes=50-99999999999999999999999"), Part::Bytes(50..100));
        assert_eq!(of("bytes=100-"), Part::Nothing);
        assert_eq!(of("bytes=-0"), Part::Nothing);
        for whole in ["bytes=9-0", "bytes=0-1,5-6", "lines=0-1", "bytes=", "bytes=-", "bytes=a-b", "bytes=+1-2"] {
            assert_eq!(of(whole), Part::Whole, "{whole}");
        }
        let mut other = headers(header::RANGE, "bytes=0-9");
        other.insert(header::IF_RANGE, "\"older\"".parse().expect("a tag"));
        assert_eq!(part(&other, "\"t\"", 100), Part::Whole);
    }

    #[test]
    fn a_known_tag_is_known_weakened_too() {
        let known = |text: &str| is_known(&headers(header::IF_NONE_MATCH, text), "\"t\"");
        assert!(known("\"t\"") && known("\"a\", W/\"t\"") && known("*"));
        assert!(!known("\"a\"") && !known("t"));
    }
}
