//! From a prompt's letters to its words.

use hybrid_picture::colour::Colour;

use super::words::{LONGEST, Vocabulary, Word, is_comparative};

/// A word or phrase, as it was written and as it is understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) word: Word,
    /// "bluer": a shift towards it.
    pub(super) comparative: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Number(f32, String),
    Letters(String),
    Sign(char),
    Hex(Colour),
    /// A comma, a full stop, the end of a line.
    Stop,
}

/// The words of a prompt. `masked` is whether there is a mask: then "the car" is what lies under it, and no mistyped word.
pub(super) fn tokens(prompt: &str, vocabulary: &Vocabulary, masked: bool) -> Vec<Token> {
    let pieces = pieces(prompt);
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = 0;
    while at < pieces.len() {
        let (word, text, taken) = match &pieces[at] {
            Piece::Stop => (Word::And, ",".to_owned(), 1),
            Piece::Hex(colour) => (Word::Colour(*colour), "#".to_owned(), 1),
            Piece::Number(number, text) => {
                let (word, taken) = measure(*number, &pieces[at + 1..]);
                (word, text.clone(), taken + 1)
            }
            Piece::Sign('&') => (Word::And, "&".to_owned(), 1),
            Piece::Sign(sign) => (Word::Unknown, sign.to_string(), 1),
            Piece::Letters(first) => {
                let phrase = (1..=LONGEST).rev().find_map(|count| {
                    let phrase = phrase(pieces.get(at..at + count)?)?;
                    Some((vocabulary.find(&phrase)?, phrase, count))
                });
                phrase.unwrap_or_else(|| {
                    // "the boar" under a mask is an animal; elsewhere it may be anything.
                    let noun = masked && matches!(tokens.last(), Some(Token { word: Word::The, .. }));
                    let guess = if noun { None } else { vocabulary.guess(first) };
                    (guess.unwrap_or(Word::Unknown), first.clone(), 1)
                })
            }
        };
        // "twenty percent" is a measure too.
        let (word, taken) = match word {
            Word::Number(number) if !matches!(pieces[at], Piece::Number(..)) => {
                let (word, more) = measure(number, &pieces[at + taken..]);
                (word, taken + more)
            }
            other => (other, taken),
        };
        tokens.push(Token { comparative: is_comparative(&text), text, word });
        at += taken;
    }
    tokens
}

/// What a number is by what stands behind it, and how much of that belongs to it.
fn measure(number: f32, behind: &[Piece]) -> (Word, usize) {
    let letters = |at: usize| match behind.get(at) {
        Some(Piece::Letters(letters)) => letters.as_str(),
        _ => "",
    };
    let sign = |at: usize| match behind.get(at) {
        Some(Piece::Sign(sign)) => *sign,
        _ => ' ',
    };
    let next = |at: usize| match behind.get(at) {
        Some(&Piece::Number(next, _)) => Some(next),
        _ => None,
    };
    let is_pixels = |word: &str| matches!(word, "px" | "pixel" | "pixels" | "pxs");
    // "800px x 600px"
    let cross = usize::from(is_pixels(letters(0)));
    if matches!(sign(cross), '×' | '*') || matches!(letters(cross), "x" | "by") {
        if let Some(other) = next(cross + 1) {
            let unit = usize::from(is_pixels(letters(cross + 2)));
            return (Word::Size(number, other), cross + 2 + unit);
        }
        if cross == 0 && letters(0) != "by" {
            return (Word::Times(number), 1);
        }
    }
    if let (':' | '/', Some(other)) = (sign(0), next(1)) {
        return (Word::Ratio(number, other), 2);
    }
    match (sign(0), letters(0)) {
        ('%', _) | (_, "percent" | "pct") => (Word::Percent(number), 1),
        (_, "per") if letters(1) == "cent" => (Word::Percent(number), 2),
        ('°', _) | (_, "degrees" | "degree" | "deg" | "degs") => (Word::Degrees(number), 1),
        (_, word) if is_pixels(word) => (Word::Pixels(number), 1),
        (_, "times" | "fold") => (Word::Times(number), 1),
        (_, "to") if next(1).is_some() => (Word::Ratio(number, next(1).unwrap_or(1.0)), 2),
        _ => (Word::Number(number), 0),
    }
}

fn phrase(pieces: &[Piece]) -> Option<String> {
    let words: Option<Vec<&str>> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Letters(letters) => Some(letters.as_str()),
            Piece::Sign('&') => Some("and"),
            _ => None,
        })
        .collect();
    Some(words?.join(" "))
}

fn pieces(prompt: &str) -> Vec<Piece> {
    let characters: Vec<char> = prompt.to_lowercase().chars().collect();
    let at = |index: usize| characters.get(index).copied().unwrap_or(' ');
    let mut pieces = Vec::new();
    let mut index = 0;
    while index < characters.len() {
        let from = index;
        let character = at(index);
        if character.is_ascii_digit() || (character == '.' && at(index + 1).is_ascii_digit()) {
            while at(index).is_ascii_digit() || (at(index) == '.' && at(index + 1).is_ascii_digit()) {
                index += 1;
            }
            let digits: String = characters[from..index].iter().collect();
            let before = |back: usize| if from < back { ' ' } else { at(from - back) };
            let negative = matches!(before(1), '-' | '−') && !before(2).is_alphanumeric();
            let number = digits.parse::<f32>().unwrap_or(f32::MAX);
            pieces.push(Piece::Number(if negative { -number } else { number }, digits));
            continue;
        }
        if character.is_alphabetic() {
            while at(index).is_alphabetic() || (matches!(at(index), '\'' | '’') && at(index + 1).is_alphabetic()) {
                index += 1;
            }
            pieces.push(Piece::Letters(
                characters[from..index].iter().filter(|character| character.is_alphabetic()).collect(),
            ));
            continue;
        }
        index += 1;
        match character {
            '#' => {
                let digits: String = characters[index..].iter().take_while(|digit| digit.is_ascii_hexdigit()).collect();
                if let Some(colour) = hex(&digits) {
                    index += digits.len();
                    pieces.push(Piece::Hex(colour));
                } else {
                    pieces.push(Piece::Sign('#'));
                }
            }
            ',' | ';' | '.' | '!' | '?' | '\n' | '…' => pieces.push(Piece::Stop),
            ':' if !at(index).is_ascii_digit() => pieces.push(Piece::Stop),
            '+' => {}
            '%' | '°' | ':' | '/' | '×' | '*' | '&' => pieces.push(Piece::Sign(character)),
            '-' | '−' | '–' | '—' | '(' | ')' | '"' | '\'' | '“' | '”' | '’' | '‘' => {}
            space if space.is_whitespace() => {}
            other => pieces.push(Piece::Sign(other)),
        }
    }
    pieces
}

fn hex(digits: &str) -> Option<Colour> {
    let channel = |from: usize, length: usize| u8::from_str_radix(digits.get(from..from + length)?, 16).ok();
    let rgb = match digits.len() {
        3 => [channel(0, 1)? * 17, channel(1, 1)? * 17, channel(2, 1)? * 17],
        6 => [channel(0, 2)?, channel(2, 2)?, channel(4, 2)?],
        _ => return None,
    };
    Some(Colour::of_srgb(rgb))
}
