//! Text into the numbers of BERT's uncased word pieces, exactly as HuggingFace's `tokenizers` does it.

use unicode_categories::UnicodeCategories;
use unicode_normalization::UnicodeNormalization;

use crate::packed::{self, Vocabulary};

const UNKNOWN: u16 = 100;
const START: u16 = 101;
const END: u16 = 102;
/// Longer words are unknown, unread.
const MAX_LETTERS: usize = 100;
/// Found in a text as they are written, before anything is done to it.
const SPECIAL: [(&str, u16); 5] = [("[PAD]", 0), ("[UNK]", UNKNOWN), ("[CLS]", START), ("[SEP]", END), ("[MASK]", 103)];

/// At most `most` numbers, the start's and the end's among them.
pub(crate) fn tokens(vocabulary: &Vocabulary<'_>, text: &str, most: usize) -> Vec<u16> {
    let most = most - 1;
    let mut tokens = vec![START];
    let mut rest = text;
    while tokens.len() < most {
        let special = rest.match_indices('[').find_map(|(at, _)| {
            let found = SPECIAL.iter().find(|(name, _)| rest[at..].starts_with(name))?;
            Some((at, found))
        });
        let Some((at, &(name, id))) = special else {
            stretch(vocabulary, rest, most, &mut tokens);
            break;
        };
        stretch(vocabulary, &rest[..at], most, &mut tokens);
        tokens.push(id);
        rest = &rest[at + name.len()..];
    }
    tokens.truncate(most);
    tokens.push(END);
    tokens
}

fn stretch(vocabulary: &Vocabulary<'_>, text: &str, most: usize, tokens: &mut Vec<u16>) {
    let mut word = String::new();
    let mut ended = |word: &mut String| {
        if !word.is_empty() {
            pieces(vocabulary, word, tokens);
            word.clear();
        }
        tokens.len() < most
    };
    for letter in normalized(text) {
        if letter.is_whitespace() {
            if !ended(&mut word) {
                return;
            }
        } else if letter.is_ascii_punctuation() || letter.is_punctuation() {
            ended(&mut word);
            word.push(letter);
            if !ended(&mut word) {
                return;
            }
        } else {
            word.push(letter);
        }
    }
    ended(&mut word);
}

/// Without control characters and accents, in lower case, and with Chinese characters standing alone.
fn normalized(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .filter(|&letter| !matches!(letter, '\0' | '\u{fffd}') && (is_blank(letter) || !letter.is_other()))
        .flat_map(|letter| {
            let chinese = is_chinese(letter);
            let letter = if letter.is_whitespace() { ' ' } else { letter };
            [chinese.then_some(' '), Some(letter), chinese.then_some(' ')].into_iter().flatten()
        })
        .nfd()
        .filter(|letter| !letter.is_mark_nonspacing())
        .flat_map(char::to_lowercase)
}

/// Control characters that count as white space.
fn is_blank(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r')
}

fn is_chinese(letter: char) -> bool {
    matches!(letter,
        '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{20000}'..='\u{2a6df}' | '\u{2a700}'..='\u{2b73f}'
        | '\u{2b740}'..='\u{2b81f}' | '\u{2b920}'..='\u{2ceaf}' | '\u{f900}'..='\u{faff}' | '\u{2f800}'..='\u{2fa1f}')
}

/// The longest piece that the vocabulary has, then the longest of the rest; unknown as a whole when some rest has none.
fn pieces(vocabulary: &Vocabulary<'_>, word: &str, tokens: &mut Vec<u16>) {
    if word.chars().count() > MAX_LETTERS {
        tokens.push(UNKNOWN);
        return;
    }
    let before = tokens.len();
    let mut states = [(0_usize, 0_u32); MAX_LETTERS];
    let mut start = 0;
    while start < word.len() {
        let continues = start > 0;
        let mut state = packed::begin(continues);
        let mut count = 0;
        for (at, letter) in word[start..].char_indices() {
            let end = start + at + letter.len_utf8();
            state = word.as_bytes()[start + at..end].iter().fold(state, |state, &byte| packed::further(state, byte));
            states[count] = (end, state);
            count += 1;
        }
        let found = states[..count].iter().rev().find_map(|&(end, state)| {
            let id = vocabulary.find(state, continues, &word.as_bytes()[start..end])?;
            Some((id, end))
        });
        let Some((id, end)) = found else {
            tokens.truncate(before);
            tokens.push(UNKNOWN);
            return;
        };
        tokens.push(id);
        start = end;
    }
}
