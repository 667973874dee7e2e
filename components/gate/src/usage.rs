//! What an answer says of its own cost, in `x-log-usage`: `capability=llm input_tokens=12 output_tokens=30`.
//!
//! The header is for whoever is outermost, who takes it off. An answer that is streamed has it among its trailers, for
//! it is known at the end only; one that breaks off has none, and counts as a request alone.

/// What limits are about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub tokens: u32,
    pub pictures: u32,
}

impl Usage {
    /// None where nothing is counted in it.
    pub(crate) fn parse(text: &[u8]) -> Option<Usage> {
        let (mut usage, mut counted) = (Usage::default(), false);
        let text = std::str::from_utf8(text).unwrap_or_default();
        for (name, value) in text.split(' ').filter_map(|pair| pair.split_once('=')) {
            let count = || value.parse::<u32>().unwrap_or(0);
            counted |= matches!(name, "input_tokens" | "output_tokens" | "pictures");
            match name {
                "input_tokens" | "output_tokens" => usage.tokens = usage.tokens.saturating_add(count()),
                "pictures" => usage.pictures = count(),
                _ => {}
            }
        }
        counted.then_some(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_tokens_count() {
        let usage = Usage::parse(b"capability=llm model=a/b input_tokens=12 output_tokens=30");
        assert_eq!(usage, Some(Usage { tokens: 42, pictures: 0 }));
        assert_eq!(Usage::parse(b"pictures=4 input_tokens=x"), Some(Usage { tokens: 0, pictures: 4 }));
        assert_eq!(Usage::parse(b"\xff"), None);
        assert_eq!(Usage::parse(b"capability=llm"), None);
    }
}
