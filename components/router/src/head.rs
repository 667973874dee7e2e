//! What stands before a request's body.

/// The headers, copied out of the runtime in one go: each question to it costs more than a copy.
#[derive(Default)]
pub(crate) struct Head {
    headers: Vec<(String, Vec<u8>)>,
    target: String,
}

/// What a body claims to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Json,
    Form,
    /// A recording without anything around it.
    Audio,
    /// Nothing was said.
    Unsaid,
    Other,
}

impl Head {
    pub(crate) fn new(target: String, headers: Vec<(String, Vec<u8>)>) -> Head {
        Head { headers, target }
    }

    pub(crate) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    pub(crate) fn length(&self) -> Option<u64> {
        self.get("content-length")?.trim().parse().ok()
    }

    pub(crate) fn kind(&self) -> Kind {
        let Some(value) = self.get("content-type") else { return Kind::Unsaid };
        let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.split_once('/') {
            Some(("application", "json")) => Kind::Json,
            Some(("application", subtype)) if subtype.ends_with("+json") => Kind::Json,
            Some(("multipart", "form-data")) => Kind::Form,
            // Browsers name what they record after its container.
            Some(("audio", _) | ("application", "octet-stream") | ("video", "webm" | "mp4")) => Kind::Audio,
            None if kind.is_empty() => Kind::Unsaid,
            _ => Kind::Other,
        }
    }

    pub(crate) fn wants_events(&self) -> bool {
        self.get("accept").is_some_and(|accept| accept.to_ascii_lowercase().contains("text/event-stream"))
    }

    #[cfg(test)]
    pub(crate) fn of(headers: &[(&str, &str)]) -> Head {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        Head { headers, target: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_told_apart() {
        for (value, kind) in [
            ("application/json", Kind::Json),
            ("Application/JSON; charset=utf-8", Kind::Json),
            ("application/vnd.api+json", Kind::Json),
            ("multipart/form-data; boundary=x", Kind::Form),
            ("audio/wav", Kind::Audio),
            ("application/octet-stream", Kind::Audio),
            ("text/plain", Kind::Other),
            ("application/x-www-form-urlencoded", Kind::Other),
            ("json", Kind::Other),
            ("", Kind::Unsaid),
        ] {
            assert_eq!(Head::of(&[("Content-Type", value)]).kind(), kind, "{value}");
        }
        assert_eq!(Head::default().kind(), Kind::Unsaid);
    }

    #[test]
    fn a_target_may_have_a_query() {
        assert_eq!(Head::new("/stt?language=en?".to_owned(), Vec::new()).query(), "language=en?");
        assert_eq!(Head::new("/stt".to_owned(), Vec::new()).query(), "");
    }
}
