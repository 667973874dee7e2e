//! Text in the letters of English: accents folded, typography made plain, other scripts refused.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::lexicon::{SIGNS, find_sign};

/// Letters of a script that is not spoken here, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Foreign(pub(crate) &'static str);

/// Small pictures and marks that nobody would say are left out later, where signs are read.
pub(crate) fn fold(text: &str) -> Result<String, Foreign> {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '²' | '³' | 'µ' | '№' | '®' | '©' => plain.push(letter),
            'μ' => plain.push('µ'),
            '™' => {}
            '‘' | '’' | 'ʼ' | '′' => plain.push('\''),
            '“' | '”' | '„' | '«' | '»' => plain.push('"'),
            '–' if plain.ends_with(|last: char| last.is_ascii_digit()) => plain.push('-'),
            '—' | '–' | '―' => plain.push_str(" — "),
            '‐' | '‑' | '\u{ad}' => plain.push('-'),
            '−' => plain.push('-'),
            'ß' => plain.push_str("ss"),
            'æ' => plain.push_str("ae"),
            'Æ' => plain.push_str("Ae"),
            'œ' => plain.push_str("oe"),
            'Œ' => plain.push_str("Oe"),
            'ø' => plain.push('o'),
            'Ø' => plain.push('O'),
            'đ' | 'ð' => plain.push('d'),
            'Đ' | 'Ð' => plain.push('D'),
            'ł' => plain.push('l'),
            'Ł' => plain.push('L'),
            'þ' => plain.push_str("th"),
            'Þ' => plain.push_str("Th"),
            'ı' => plain.push('i'),
            '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' => {}
            '¼'..='¾' | '⅐'..='⅞' => {
                // Two and a half is not twenty-one halves.
                if plain.ends_with(|last: char| last.is_ascii_digit()) {
                    plain.push(' ');
                }
                plain.extend(std::iter::once(letter).nfkd().map(|part| if part == '\u{2044}' { '/' } else { part }));
            }
            _ => plain.extend(std::iter::once(letter).nfkd().filter(|&part| !is_combining_mark(part))),
        }
    }
    let mut before = ' ';
    for letter in plain.chars() {
        let own = letter.is_ascii() || !(letter.is_alphabetic() || letter.is_numeric());
        let sign = find_sign(SIGNS, letter).is_some() && (before.is_ascii() || !before.is_alphabetic());
        if !own && !sign {
            return Err(Foreign(script(letter)));
        }
        before = letter;
    }
    Ok(plain)
}

/// For a message: what most people call the script.
fn script(letter: char) -> &'static str {
    match u32::from(letter) {
        0x370..=0x3ff | 0x1f00..=0x1fff => "Greek",
        0x400..=0x52f | 0x1c80..=0x1c8f | 0x2de0..=0x2dff | 0xa640..=0xa69f => "Cyrillic",
        0x530..=0x58f => "Armenian",
        0x590..=0x5ff => "Hebrew",
        0x600..=0x77f | 0x8a0..=0x8ff | 0xfb50..=0xfdff | 0xfe70..=0xfeff => "Arabic",
        0x900..=0xdff => "Indic",
        0xe00..=0xe7f => "Thai",
        0x10a0..=0x10ff => "Georgian",
        0x1100..=0x11ff | 0x3130..=0x318f | 0xac00..=0xd7ff => "Korean",
        0x3040..=0x30ff | 0x31f0..=0x31ff => "Japanese",
        0x2e80..=0x2fdf | 0x3400..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff => "Chinese",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_and_typography_are_made_plain() {
        assert_eq!(fold("Café naïve Ångström Łódź straße").as_deref(), Ok("Cafe naive Angstrom Lodz strasse"));
        assert_eq!(fold("“It’s”…").as_deref(), Ok("\"It's\"..."));
        assert_eq!(fold("2½ and ½").as_deref(), Ok("2 1/2 and 1/2"));
        assert_eq!(fold("5–10—so").as_deref(), Ok("5-10 — so"));
        assert_eq!(fold("ｆｕｌｌ １２").as_deref(), Ok("full 12"));
        assert_eq!(fold("5 μm, π 🎉").as_deref(), Ok("5 µm, π 🎉"));
    }

    #[test]
    fn other_scripts_are_named() {
        for (text, script) in [
            ("Привет", "Cyrillic"),
            ("hello мир", "Cyrillic"),
            ("你好", "Chinese"),
            ("こんにちは", "Japanese"),
            ("안녕", "Korean"),
            ("مرحبا", "Arabic"),
            ("שלום", "Hebrew"),
            ("Καλημέρα", "Greek"),
            ("नमस्ते", "Indic"),
            ("٣٤", "Arabic"),
        ] {
            assert_eq!(fold(text), Err(Foreign(script)), "{text}");
        }
    }
}
