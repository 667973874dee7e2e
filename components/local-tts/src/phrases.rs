//! From words to phrases of sounds: which words are weak, which of two sounds a word has, where one takes breath.

use crate::letters::{is_vowel, sounds};
use crate::lexicon::{BEFORE_PAST, BEFORE_VERBS, BREAKS_BEFORE, LETTERS, LIGHT, QUESTION_WORDS, VERBS, WEAK, find};
use crate::prosody::{End, Phrase, Weight, Word};
use crate::reader::Item;

/// A phrase of more words is broken where it can be, and one of this many wherever it stands.
const LONG: usize = 8;
const LONGEST: usize = 18;
/// Words on each side of such a break at least.
const SIDE: usize = 3;

pub(crate) fn phrases(items: &[Item]) -> Vec<Phrase> {
    let mut phrases = Vec::new();
    let mut run: Vec<&Item> = Vec::new();
    let mut asks = None;
    for item in items {
        let Item::Break(end) = item else {
            // What a sentence begins with says what kind of question it is.
            asks.get_or_insert_with(|| matches!(item, Item::Word(word) if QUESTION_WORDS.contains(&word.as_str())));
            run.push(item);
            continue;
        };
        let end = match end {
            End::Question if asks == Some(true) => End::Statement,
            end => *end,
        };
        let mut broken = broken(&run).into_iter().peekable();
        while let Some(part) = broken.next() {
            let words = words(part);
            if !words.is_empty() {
                phrases.push(Phrase { words, end: if broken.peek().is_some() { End::Breath } else { end } });
            }
        }
        run.clear();
        if !matches!(end, End::Comma | End::Colon | End::Breath) {
            asks = None;
        }
    }
    phrases
}

/// A run of words in parts that can be said in one breath.
fn broken<'a>(run: &'a [&'a Item]) -> Vec<&'a [&'a Item]> {
    let mut parts = Vec::new();
    let mut rest = run;
    while rest.len() > LONG {
        let can = |at: usize| matches!(rest[at], Item::Word(word) if BREAKS_BEFORE.contains(&word.as_str()));
        // The earlier ones of the list are the better places.
        let rank = |at: &usize| match rest[*at] {
            Item::Word(word) => BREAKS_BEFORE.iter().position(|own| own == word),
            _ => None,
        };
        let places = SIDE + 1..(rest.len() + 1 - SIDE).min(LONGEST);
        let before_strong = |at: &usize| can(*at) && !can(*at - 1);
        let place = places.filter(before_strong).min_by_key(|at| {
            let uneven = at.abs_diff(rest.len().min(2 * LONG) / 2);
            rank(at).unwrap_or(usize::MAX) + 3 * uneven
        });
        let at = match place {
            Some(at) => at,
            None if rest.len() > LONGEST => LONGEST,
            None => break,
        };
        let (part, after) = rest.split_at(at);
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    parts
}

fn words(run: &[&Item]) -> Vec<Word> {
    let text = |at: Option<usize>| match at.and_then(|at| run.get(at)) {
        Some(Item::Word(word) | Item::Loud(word)) => Some(word.as_str()),
        _ => None,
    };
    let mut words = Vec::new();
    for (at, item) in run.iter().enumerate() {
        match item {
            Item::Break(_) => {}
            Item::Loud(word) => words.push(Word { sounds: sounds(word), weight: Weight::Emphatic }),
            Item::Letters(letters, plural) => spell(letters, *plural, &mut words),
            Item::Word(word) => {
                let before = at.checked_sub(1).and_then(|before| text(Some(before)));
                words.push(spoken(word, before, text(Some(at + 1)), at + 1 == run.len()));
            }
        }
    }
    // These change before a vowel.
    for at in 0..words.len().saturating_sub(1) {
        let vowel_follows = words[at + 1].sounds.trim_start_matches(['\'', ',']).starts_with(is_vowel);
        let changed = match words[at].sounds.as_str() {
            "D@" if vowel_follows => "Di",
            "t@" if vowel_follows => "tu",
            _ => continue,
        };
        words[at].sounds = changed.to_owned();
    }
    words.retain(|word| !word.sounds.is_empty());
    words
}

fn spell(letters: &str, plural: bool, words: &mut Vec<Word>) {
    let names: Vec<&str> =
        letters.bytes().filter(u8::is_ascii_lowercase).map(|letter| LETTERS[usize::from(letter - b'a')]).collect();
    let count = names.len();
    for (at, name) in names.into_iter().enumerate() {
        let last = at + 1 == count;
        let mut sounds = if last { name.to_owned() } else { name.replace('\'', ",") };
        if last && plural {
            sounds.push_str(if sounds.ends_with('s') { "Iz" } else { "z" });
        }
        words.push(Word { sounds, weight: if last { Weight::Content } else { Weight::Light } });
    }
}

fn spoken(word: &str, before: Option<&str>, next: Option<&str>, last: bool) -> Word {
    if let Some(weak) = find(WEAK, word) {
        // Alone or at the end it is said in full: "what are you looking for?"
        return match last {
            true if word == "a" => Word { sounds: "'e".to_owned(), weight: Weight::Content },
            true => {
                Word { sounds: sounds(word), weight: if before.is_none() { Weight::Content } else { Weight::Function } }
            }
            false => Word { sounds: weak.to_owned(), weight: Weight::Function },
        };
    }
    let weight = if LIGHT.contains(&word) { Weight::Light } else { Weight::Content };
    let among = |list: &[&str]| before.is_some_and(|before| list.contains(&before));
    let sounds = match word {
        "read" if among(BEFORE_PAST) => "r'Ed".to_owned(),
        "read" => "r'id".to_owned(),
        "lives" if before.is_some_and(|before| matches!(before, "he" | "she" | "it" | "who" | "that")) => {
            "l'Ivz".to_owned()
        }
        // "used to" against "used a hammer".
        "used" if next == Some("to") => "j'ust".to_owned(),
        _ => match find(VERBS, word) {
            Some((verb, _)) if among(BEFORE_VERBS) => verb.to_owned(),
            Some((_, other)) => other.to_owned(),
            None => sounds(word),
        },
    };
    Word { sounds, weight }
}
