//! Pictures inside JSON, decoded piece by piece out of the body they came in: a photo is held once, not three times.
//!
//! Both alphabets are taken, with or without padding, with white space (mail programs break lines) and JSON's escapes
//! (`\/`, `\n`, `\u002b`), for the text is read where it stands in the body.

const BLANK: u8 = 64;
const PAD: u8 = 65;
const ESCAPE: u8 = 66;
const FOREIGN: u8 = 67;

const fn classes() -> [u8; 256] {
    let mut classes = [FOREIGN; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut value = 0;
    while value < 64 {
        classes[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    classes[b'-' as usize] = 62;
    classes[b'_' as usize] = 63;
    classes[b' ' as usize] = BLANK;
    classes[b'\t' as usize] = BLANK;
    classes[b'\r' as usize] = BLANK;
    classes[b'\n' as usize] = BLANK;
    classes[b'=' as usize] = PAD;
    classes[b'\\' as usize] = ESCAPE;
    classes
}

static CLASSES: [u8; 256] = classes();

/// What stands behind `data:image/png;base64,`; the whole text where there is no such beginning. None when it is a
/// `data:` URL of another kind.
pub(crate) fn without_prefix(text: &[u8]) -> Option<&[u8]> {
    if !text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"data:")) {
        return Some(text);
    }
    // A media type with parameters is no longer than this.
    let comma = text.iter().take(256).position(|byte| *byte == b',')?;
    let kind = &text[..comma];
    let encoded = kind.len() >= 7 && kind[kind.len() - 7..].eq_ignore_ascii_case(b";base64");
    encoded.then(|| &text[comma + 1..])
}

/// The length of what the text stands for, or what is wrong with it.
pub(crate) fn check(text: &[u8]) -> Result<u64, &'static str> {
    let (mut at, mut symbols, mut pads) = (0, 0_u64, 0_u64);
    loop {
        if pads == 0 {
            while let Some(four) = text.get(at..at + 4) {
                if four.iter().any(|byte| CLASSES[*byte as usize] >= 64) {
                    break;
                }
                symbols += 4;
                at += 4;
            }
        }
        match class(text, &mut at) {
            None => break,
            Some(BLANK) => {}
            Some(PAD) => pads += 1,
            Some(FOREIGN) => return Err("must be base64"),
            Some(_) if pads > 0 => return Err("must be base64; it goes on after its end"),
            Some(_) => symbols += 1,
        }
    }
    if symbols % 4 == 1 || pads > 2 || (pads > 0 && !(symbols + pads).is_multiple_of(4)) {
        return Err("must be base64; it is cut short");
    }
    Ok(symbols * 3 / 4)
}

/// Decodes a text that was checked.
#[derive(Default)]
pub(crate) struct Decoder {
    at: usize,
    bits: u32,
    symbols: u32,
}

impl Decoder {
    /// Decodes on until `out` is full to its capacity or nothing is left.
    pub(crate) fn fill(&mut self, text: &[u8], out: &mut Vec<u8>) {
        while out.capacity() - out.len() >= 3 {
            if self.symbols == 0
                && let Some(&[a, b, c, d]) = text.get(self.at..self.at + 4)
            {
                let [a, b, c, d] = [a, b, c, d].map(|byte| CLASSES[byte as usize]);
                if a < 64 && b < 64 && c < 64 && d < 64 {
                    out.extend_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
                    self.at += 4;
                    continue;
                }
            }
            match class(text, &mut self.at) {
                Some(value) if value < 64 => {
                    self.bits = self.bits << 6 | u32::from(value);
                    self.symbols += 1;
                    if self.symbols == 4 {
                        out.extend_from_slice(&self.bits.to_be_bytes()[1..]);
                        (self.bits, self.symbols) = (0, 0);
                    }
                }
                Some(_) => {}
                None => {
                    // Two symbols are one byte, three are two.
                    let bytes = (self.bits << (6 * (4 - self.symbols)) as u8).to_be_bytes();
                    let rest = self.symbols.saturating_sub(1) as usize;
                    out.extend_from_slice(&bytes[1..1 + rest]);
                    (self.bits, self.symbols) = (0, 0);
                    return;
                }
            }
        }
    }
}

/// The class of the next character, of which an escape is one.
fn class(text: &[u8], at: &mut usize) -> Option<u8> {
    let class = CLASSES[*text.get(*at)? as usize];
    *at += 1;
    if class != ESCAPE {
        return Some(class);
    }
    let escaped = text.get(*at).copied();
    *at += 1;
    Some(match escaped {
        Some(b'/') => CLASSES[b'/' as usize],
        Some(b'n' | b'r' | b't') => BLANK,
        Some(b'u') => {
            let digits = text.get(*at..*at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
            *at += 4;
            let character = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
            character.and_then(|it| u8::try_from(it).ok()).map_or(FOREIGN, |byte| match CLASSES[byte as usize] {
                ESCAPE => FOREIGN,
                class => class,
            })
        }
        _ => FOREIGN,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Result<Vec<u8>, &'static str> {
        let length = check(text.as_bytes())?;
        let (mut decoder, mut whole) = (Decoder::default(), Vec::new());
        loop {
            // Small pieces, so that every seam is met.
            let mut piece = Vec::with_capacity(5);
            decoder.fill(text.as_bytes(), &mut piece);
            if piece.is_empty() {
                break;
            }
            whole.extend(piece);
        }
        assert_eq!(whole.len() as u64, length, "{text}");
        Ok(whole)
    }

    #[test]
    fn both_alphabets_with_and_without_padding() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("TQ==", b"M"),
            ("TQ", b"M"),
            ("TWE=", b"Ma"),
            ("TWFu", b"Man"),
            ("aGVsbG8gd29ybGQh", b"hello world!"),
            ("+/+/", &[0xfb, 0xff, 0xbf]),
            ("-_-_", &[0xfb, 0xff, 0xbf]),
        ] {
            assert_eq!(decode(text).as_deref(), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn white_space_and_escapes_are_read_over() {
        assert_eq!(decode("TW Fu\r\nTWE=\n").as_deref(), Ok(&b"ManMa"[..]));
        assert_eq!(decode(r"+\/+\/\n").as_deref(), Ok(&[0xfb, 0xff, 0xbf][..]));
        assert_eq!(decode(r"\u002b\u002F+/").as_deref(), Ok(&[0xfb, 0xff, 0xbf][..]));
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["T", "TWFuT", "TQ=", "TQ===", "TQ==TQ==", "T*Fu", "TWF\u{fc}", r"TWF\x", r"TWFu\u00", "="] {
            assert!(check(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn data_urls_lose_their_beginning() {
        for (text, rest) in [
            ("data:image/png;base64,TWFu", Some("TWFu")),
            (r"data:image\/png;base64,TWFu", Some("TWFu")),
            ("DATA:;BASE64,TWFu", Some("TWFu")),
            ("TWFu", Some("TWFu")),
            ("data:image/png,TWFu", None),
            ("data:image/png;base64", None),
        ] {
            assert_eq!(without_prefix(text.as_bytes()), rest.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn every_length_and_byte_survives() {
        // An independent encoder, a bit at a time.
        for length in 0..=257_usize {
            let bytes: Vec<u8> = (0..length).map(|index| (index * 37 + length) as u8).collect();
            let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let text: String = bits
                .chunks(6)
                .map(|six| (0..6).fold(0, |value, at| value << 1 | six.get(at).copied().unwrap_or(0)))
                .map(|value: u8| char::from(alphabet[usize::from(value)]))
                .collect();
            assert_eq!(decode(&text), Ok(bytes));
        }
    }
}
