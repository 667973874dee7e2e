//! The name of a request, by which its log lines and its answer are found again.

/// Enough for a UUID or a trace id, too short to smuggle anything.
const MAX_LENGTH: usize = 64;

/// The caller's own name for the request, where it is a harmless one.
pub(crate) fn sane(theirs: &[u8]) -> Option<String> {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let fits = (1..=MAX_LENGTH).contains(&theirs.len()) && theirs.iter().all(harmless);
    fits.then(|| String::from_utf8_lossy(theirs).into_owned())
}

/// A new one from 128 random bits.
pub(crate) fn new(random: (u64, u64)) -> String {
    format!("{:016x}{:016x}", random.0, random.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_names_are_kept() {
        for name in ["a", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "trace.1_2", &"x".repeat(64)] {
            assert_eq!(sane(name.as_bytes()).as_deref(), Some(name));
        }
    }

    #[test]
    fn others_are_not() {
        for name in ["", "a b", "a\"b", "a\nb", "é", "<x>", &"x".repeat(65)] {
            assert_eq!(sane(name.as_bytes()), None, "{name:?}");
        }
    }

    #[test]
    fn a_new_one_is_32_hex_digits() {
        assert_eq!(new((1, u64::MAX)), "0000000000000001ffffffffffffffff");
        assert!(sane(new((7, 8)).as_bytes()).is_some());
    }
}
