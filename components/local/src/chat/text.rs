//! Text taken apart: sentences, words, and which words say nothing, in scripts with and without spaces.

use std::collections::HashSet;

/// Sentences in order, trimmed. A line is never joined to the next: lists, titles and code would run together.
pub(super) fn sentences(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut start = 0;
        let mut letters = line.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            let next = letters.peek().map(|&(_, next)| next);
            if ends(letter, next) && !is_abbreviated(&line[start..at]) {
                // Closing marks belong to what they close.
                let mut end = at + letter.len_utf8();
                while let Some(&(at, next)) = letters.peek()
                    && matches!(
                        next,
                        '.' | '!' | '?' | '。' | '！' | '？' | '"' | '\'' | '”' | '’' | '»' | '」' | '』' | ')' | '）'
                    )
                {
                    end = at + next.len_utf8();
                    letters.next();
                }
                found.push(&line[start..end]);
                start = end;
            }
        }
        found.push(&line[start..]);
    }
    found.into_iter().map(str::trim).filter(|sentence| sentence.chars().any(char::is_alphanumeric)).collect()
}

/// Whether a letter ends a sentence, `next` being what follows it.
fn ends(letter: char, next: Option<char>) -> bool {
    match letter {
        '。' | '！' | '？' | '｡' | '؟' | '۔' | '।' => true,
        '.' | '!' | '?' | '…' => {
            next.is_none_or(|next| next.is_whitespace() || matches!(next, '"' | '\'' | '”' | '’' | '»' | ')'))
        }
        _ => false,
    }
}

/// Whether a full stop after this ends a word, and no sentence: `e.g`, `Dr`, a single capital, the number of a list's item.
fn is_abbreviated(before: &str) -> bool {
    const SHORT: &[&str] = &[
        "mr", "mrs", "ms", "dr", "prof", "st", "vs", "etc", "no", "fig", "al", "approx", "inc", "bzw", "z.b", "e.g",
        "i.e", "cf", "ca", "sr", "sra", "nr", "str", "usw",
    ];
    let before = before.trim_start();
    let word = before.rsplit(char::is_whitespace).next().unwrap_or_default().trim_start_matches(['(', '"', '“']);
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    let item = word == before && !word.is_empty() && word.chars().all(|letter| letter.is_ascii_digit());
    initial || item || SHORT.contains(&word.to_lowercase().as_str())
}

/// Words in lower case. Where a script writes none, each pair of neighbouring letters is one.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for run in text.split(|letter: char| !letter.is_alphanumeric() && letter != '\'').filter(|run| !run.is_empty()) {
        let letters: Vec<char> = run.trim_matches('\'').chars().flat_map(char::to_lowercase).collect();
        match letters.as_slice() {
            [] => {}
            [one] => words.push(one.to_string()),
            several if several.iter().any(|&letter| is_unspaced(letter)) => {
                words.extend(several.windows(2).map(|pair| pair.iter().collect::<String>()));
            }
            several => words.push(several.iter().collect()),
        }
    }
    words
}

/// Chinese, Japanese and Thai letters.
pub(super) fn is_unspaced(letter: char) -> bool {
    matches!(letter, '\u{e00}'..='\u{e7f}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}')
}

/// Words that say what a text is about: not those that every text has. An ending is cut off, so that `rivers` meets `river`.
pub(super) fn telling(text: &str) -> HashSet<String> {
    words(text).into_iter().filter(|word| !is_common(word)).map(|word| stem(&word).to_owned()).collect()
}

pub(super) fn stem(word: &str) -> &str {
    let long_enough = |rest: &&str| rest.chars().count() >= 4;
    for ending in ["ing", "ed", "es", "s", "en", "e"] {
        if let Some(rest) = word.strip_suffix(ending).filter(long_enough) {
            return rest;
        }
    }
    word
}

/// The commonest words of the app's languages, those of questions among them.
pub(super) fn is_common(word: &str) -> bool {
    const COMMON: &str = "a an and any are as at be been but by can could did do does for from had has have he her his how i if in \
        into is it its just me more my no not of on or our please she should so some than that the their them then there these \
        they this those to too up us was we were what when where which while who whom whose why will with would you your \
        am aber als an auch auf aus bei bin bis das dass dem den der des die doch ein eine einem einen einer es für hat hatte \
        ich im ist kann man mit nach nicht noch nur oder sein sich sie sind so über um und uns von vor war warum was wenn wer \
        werden wie wir wird wo zu zum zur \
        au aux avec ce ces cette comme dans de des du elle en est et eux il ils je la le les leur lui ma mais mes mon ne nous \
        où ou par pas pour pourquoi qu quand que quel quelle qui sa se ses son sont sur te tu un une vous \
        al como con cómo cuál cuando cuándo del dónde donde el ella ellos era es esta este fue la las lo los más muy nos para \
        pero por porque qué que quién se sin sobre son su sus también una uno y ya \
        في من على إلى عن أن إن هذا هذه التي الذي ما هو هي كان كانت لا و أو ثم قد كل هل متى أين كيف لماذا";
    thread_local! {
        static WORDS: HashSet<&'static str> = COMMON.split_whitespace().collect();
    }
    WORDS.with(|words| words.contains(word))
        || word.chars().all(|letter| matches!(letter, '\u{3040}'..='\u{309f}'))
        || (word.len() == 1 && !word.as_bytes()[0].is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_a_reader_says_so() {
        assert_eq!(
            sentences(
                "Dr. Lee paid 3.50 dollars, e.g. in cash. \"Why?\" she asked. He left…\n1. First item\n2. Second"
            ),
            [
                "Dr. Lee paid 3.50 dollars, e.g. in cash.",
                "\"Why?\"",
                "she asked.",
                "He left…",
                "1. First item",
                "2. Second"
            ]
        );
        assert_eq!(
            sentences("東京は首都です。人口は多い！\nأين القط؟ في البيت."),
            ["東京は首都です。", "人口は多い！", "أين القط؟", "في البيت."]
        );
        assert!(sentences(" \n…\n---").is_empty());
    }

    #[test]
    fn telling_words_meet_across_endings() {
        assert_eq!(telling("The rivers flooded"), telling("river, flooding"));
        assert!(telling("What is it? Wie ist es? Qu'est-ce que c'est").len() <= 2);
        assert!(telling("東京の人口").contains("東京"));
    }
}
