//! Text as it is said: numbers, dates, abbreviations, signs and addresses in words, with the pauses between.

use crate::lexicon::{
    ABBREVIATIONS, ADDRESS_SIGNS, DOMAINS, DOTLESS, MONEY, NEEDS_CAPITAL, NEEDS_NUMBER, SIGNS, SPELLED, UNITS,
    WORDS_IN_CAPITALS, find, find_sign,
};
use crate::numbers;
use crate::prosody::End;

mod figures;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// Small letters and apostrophes.
    Word(String),
    /// One written in capitals for its weight.
    Loud(String),
    /// Said letter by letter, and an s after them or not.
    Letters(String, bool),
    Break(End),
}

/// What is said of a text that `fold` has made plain.
pub(crate) fn read(text: &str) -> Vec<Item> {
    let letters = || text.chars().filter(|letter| letter.is_ascii_alphabetic());
    let shouted =
        letters().count() > 12 && letters().filter(char::is_ascii_uppercase).count() * 10 > letters().count() * 8;
    let mut reader = Reader { items: Vec::new(), shouted };
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() {
            reader.pause(End::Paragraph);
            continue;
        }
        let line = line.trim_start_matches(['#', '>', '*', '•']).trim_start();
        // A dash begins an item of a list, or a number below nought.
        let line = line.strip_prefix("- ").or_else(|| line.strip_prefix("– ")).unwrap_or(line).trim_start();
        let line = line.replace("--", " — ").replace("...", "… ");
        let chunks: Vec<&str> = line.split_whitespace().collect();
        let mut at = 0;
        while at < chunks.len() {
            at += 1 + reader.chunk(&chunks, at);
        }
        // A heading or a verse ends with its line.
        reader.pause(End::Colon);
    }
    reader.pause(End::Statement);
    reader.items
}

struct Reader {
    items: Vec<Item>,
    /// Nearly all of it is in capitals, which then mean nothing.
    shouted: bool,
}

impl Reader {
    fn say(&mut self, words: &str) {
        self.items.extend(words.split_whitespace().map(|word| match word.len() {
            1 if word != "a" => Item::Letters(word.to_owned(), false),
            _ => Item::Word(word.to_owned()),
        }));
    }

    /// A pause after something said; of two the longer stays.
    fn pause(&mut self, end: End) {
        match self.items.last_mut() {
            None => {}
            Some(Item::Break(last)) => {
                let strength = |end: End| match end {
                    End::Breath => 0,
                    End::Comma => 1,
                    End::Colon => 2,
                    End::Statement => 3,
                    End::Exclamation | End::Question => 4,
                    End::Paragraph => 5,
                };
                // A paragraph's last sentence still asks what it asked.
                if strength(end) > strength(*last) && !(end == End::Paragraph && *last == End::Question) {
                    *last = end;
                }
            }
            Some(_) => self.items.push(Item::Break(end)),
        }
    }

    fn last_word(&self) -> Option<&str> {
        match self.items.last()? {
            Item::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Reads the chunk at `at`, and gives how many after it were read with it.
    fn chunk(&mut self, chunks: &[&str], at: usize) -> usize {
        let whole = chunks[at];
        if whole == "—" || whole == "-" {
            self.pause(End::Colon);
            return 0;
        }
        let unopened = whole.trim_start_matches(['"', '\'', '(', '[', '{', '*', '_', '`', '¿', '¡', '…', '|']);
        if whole.starts_with(['(', '[', '{']) && !unopened.is_empty() {
            self.pause(End::Comma);
        }
        // An apostrophe before a decade or a clipped word belongs to it.
        let opened = whole.len() > unopened.len() && whole.starts_with(['"', '\'']);
        let core = unopened.trim_end_matches(closes);
        let mut tail = &unopened[core.len()..];
        let owned = core.ends_with('s') && tail.starts_with('\'') && !opened;
        let core = if owned { &unopened[..=core.len()] } else { core };
        tail = if owned { &tail[1..] } else { tail };
        let next = chunks.get(at + 1).copied();

        let dotted = tail.starts_with('.');
        let mut end = end_of(tail);
        let mut taken = 0;
        if core.is_empty() {
            for sign in unopened.chars() {
                if let Some(said) = find_sign(SIGNS, sign) {
                    self.say(said);
                }
            }
        } else if let Some(ends) = dotted.then(|| self.abbreviation(core, next)).flatten() {
            if tail == "." && !(ends && next.is_none_or(begins_sentence)) {
                end = None;
            }
        } else {
            taken = self.core(core, &chunks[at + 1..], tail.is_empty());
            for read in &chunks[at + 1..at + 1 + taken] {
                let said = read.trim_end_matches(closes);
                end = end_of(&read[said.len()..]);
            }
            // "5 ft. 3 in. tall": a unit's dot ends a sentence only where another begins.
            if taken > 0
                && end == Some(End::Statement)
                && chunks.get(at + 1 + taken).is_some_and(|it| !begins_sentence(it))
            {
                end = None;
            }
        }
        if let Some(end) = end {
            self.pause(end);
        }
        taken
    }

    /// An abbreviation with a dot after it; says whether a sentence can end with it.
    fn abbreviation(&mut self, core: &str, next: Option<&str>) -> Option<bool> {
        let parts: Vec<&str> = core.split('.').collect();
        if parts.len() > 1 && parts.iter().all(|part| is_initial(part) || *part == "Ph") {
            let key = core.replace('.', "").to_lowercase();
            match find(ABBREVIATIONS, &key) {
                Some((said, _)) => self.say(said),
                None => self.items.push(Item::Letters(key, false)),
            }
            return Some(!matches!(core, "e.g" | "i.e"));
        }
        if self.last_word().is_some_and(|word| NUMBER_WORDS.contains(&word))
            && let Some((_, plural)) = find(UNITS, core)
        {
            self.say(plural);
            return Some(true);
        }
        let key = core.to_lowercase();
        let (said, ends) = find(ABBREVIATIONS, &key)?;
        let number_follows = next.is_some_and(|next| next.starts_with(|it: char| it.is_ascii_digit()));
        let name_follows = next.is_some_and(begins_sentence);
        if NEEDS_NUMBER.contains(&key.as_str()) && !number_follows {
            return None;
        }
        let capital = core.starts_with(|first: char| first.is_ascii_uppercase());
        // St. James's St.
        if key == "st" && capital && !name_follows {
            self.say("street");
            return Some(true);
        }
        if NEEDS_CAPITAL.contains(&key.as_str()) && !(capital && (name_follows || number_follows)) {
            return None;
        }
        if key.len() == 1 || (key == "in" && !number_follows) {
            return None;
        }
        self.say(said);
        Some(ends)
    }

    /// A chunk without what stands around it; gives how many chunks after it were read with it. `joined` is false when
    /// punctuation parts it from the next.
    fn core(&mut self, core: &str, rest: &[&str], joined: bool) -> usize {
        if let Some((name, _)) =
            DOTLESS.iter().find_map(|key| (core.to_lowercase() == *key).then(|| find(ABBREVIATIONS, key))?)
        {
            self.say(name);
            return 0;
        }
        if is_address(core) {
            self.address(core);
            return 0;
        }
        let numeral =
            self.last_word().is_some_and(|word| NUMBERED.contains(&word)).then(|| numbers::roman(core)).flatten();
        if let Some(value) = numeral {
            self.say(&numbers::words(&value.to_string()));
            return 0;
        }
        if core.contains(|letter: char| letter.is_ascii_digit()) {
            return self.figures(core, if joined { rest } else { &[] });
        }
        let dots = core.split('.').collect::<Vec<_>>();
        if dots.len() > 1 && dots.iter().all(|part| part.is_empty() || is_initial(part)) {
            let key = core.replace('.', "").to_lowercase();
            match find(ABBREVIATIONS, &key) {
                Some((said, _)) => self.say(said),
                None => self.items.push(Item::Letters(key, false)),
            }
            return 0;
        }
        self.pieces(core);
        0
    }

    /// Words with signs between or within them.
    fn pieces(&mut self, core: &str) {
        if core.eq_ignore_ascii_case("and/or") {
            return self.say("and or");
        }
        if let Some(tag) = core.strip_prefix('#').filter(|tag| tag.starts_with(|it: char| it.is_ascii_alphabetic())) {
            self.say("hashtag");
            return self.pieces(tag);
        }
        let mut rest = core;
        while !rest.is_empty() {
            let word = rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '\'').unwrap_or(rest.len());
            self.piece(&rest[..word]);
            rest = &rest[word..];
            let Some(sign) = rest.chars().next() else { break };
            rest = &rest[sign.len_utf8()..];
            let inside = !rest.is_empty() && word > 0;
            match sign {
                '.' if inside => self.say("dot"),
                ',' | ';' | ':' | '…' if inside => self.pause(End::Comma),
                '!' | '?' | '—' if inside => self.pause(End::Colon),
                '/' if !inside => {}
                _ => {
                    if let Some(said) = find_sign(SIGNS, sign) {
                        self.say(said);
                    }
                }
            }
        }
    }

    /// Letters and digits, split where the one becomes the other and where a small letter is followed by a capital.
    fn piece(&mut self, piece: &str) {
        let bytes = piece.as_bytes();
        let mut start = 0;
        for at in 1..=bytes.len() {
            let splits = at == bytes.len() || {
                let (before, after) = (bytes[at - 1], bytes[at]);
                before.is_ascii_digit() != after.is_ascii_digit() && before != b'\'' && after != b'\''
                    || before.is_ascii_lowercase()
                        && after.is_ascii_uppercase()
                        && !matches!(&piece[start..at], "Mc" | "Mac")
            };
            if splits && start < at {
                self.word(&piece[start..at]);
                start = at;
            }
        }
    }

    fn word(&mut self, word: &str) {
        let trimmed = word.trim_matches('\'');
        let word = if word.ends_with("s'") { word.trim_start_matches('\'') } else { trimmed };
        if word.is_empty() {
            return;
        }
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.say(&if word.len() > 4 { numbers::one_by_one(word) } else { numbers::words(word) });
        }
        let small = word.to_ascii_lowercase();
        if word.len() == 1 {
            // The article is small in capitals too where a sentence begins with it.
            return match word {
                "a" | "A" if matches!(self.items.last(), None | Some(Item::Break(_))) || word == "a" => self.say("a"),
                "I" | "i" => self.items.push(Item::Word("i".to_owned())),
                _ => self.items.push(Item::Letters(small, false)),
            };
        }
        let (stem, plural) = match word.strip_suffix("'s").or_else(|| word.strip_suffix('s')) {
            Some(stem) if stem.len() > 1 && is_capitals(stem) => (stem, true),
            _ => (word, false),
        };
        if is_capitals(stem) && !self.shouted || is_unsayable(stem) {
            let read =
                WORDS_IN_CAPITALS.contains(&stem) || stem.len() > 3 && !SPELLED.contains(&stem) && !is_unsayable(stem);
            let is_word = read || stem.len() < 4 && COMMON_SHORT.contains(&small.as_str());
            if !is_word {
                return self.items.push(Item::Letters(stem.to_ascii_lowercase(), plural));
            }
            if stem.len() > 1 && !WORDS_IN_CAPITALS.contains(&stem) && is_capitals(stem) {
                return self.items.push(Item::Loud(small));
            }
        }
        self.items.push(Item::Word(small));
    }

    fn address(&mut self, core: &str) {
        let core = core.strip_prefix("https://").or_else(|| core.strip_prefix("http://")).unwrap_or(core);
        let core = core.strip_prefix("mailto:").unwrap_or(core).trim_end_matches('/');
        let mut start = 0;
        for (at, sign) in core.char_indices().chain([(core.len(), ' ')]) {
            if sign.is_ascii_alphanumeric() {
                continue;
            }
            match &core[start..at] {
                "www" => self.say("w w w"),
                part @ ("com" | "org" | "net" | "gov" | "info" | "dev" | "app") => self.say(part),
                part if part.len() < 3 && !part.is_empty() && !COMMON_SHORT.contains(&part) => {
                    let spelled = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
                    if spelled(part) {
                        self.items.push(Item::Letters(part.to_lowercase(), false));
                    } else {
                        self.piece(part);
                    }
                }
                part => self.piece(part),
            }
            if let Some(said) = find_sign(ADDRESS_SIGNS, sign) {
                self.say(said);
            }
            start = at + sign.len_utf8();
        }
    }
}

/// Short words that people write in capitals too.
const COMMON_SHORT: &[&str] = &[
    "am", "an", "and", "any", "are", "as", "at", "be", "but", "by", "can", "did", "do", "for", "get", "go", "has",
    "he", "her", "him", "his", "how", "if", "in", "is", "it", "let", "may", "me", "my", "new", "no", "not", "now",
    "of", "off", "on", "one", "or", "our", "out", "see", "she", "so", "the", "to", "too", "two", "up", "was", "we",
    "who", "why", "yes", "you", "all", "big", "old", "our", "own", "say", "set", "stop", "try", "use", "way", "run",
    "end", "day", "red", "top", "hot", "bad",
];
/// After these a number in Roman figures stands.
const NUMBERED: &[&str] = &[
    "chapter",
    "part",
    "war",
    "section",
    "volume",
    "act",
    "scene",
    "phase",
    "appendix",
    "type",
    "class",
    "level",
    "title",
    "book",
    "stage",
    "grade",
    "henry",
    "louis",
    "charles",
    "george",
    "elizabeth",
    "edward",
    "pope",
    "richard",
    "james",
];
/// What a number can end with, before a fraction.
const NUMBER_WORDS: &[&str] = &[
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "hundred",
    "thousand", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];

fn closes(sign: char) -> bool {
    matches!(sign, '.' | ',' | ';' | ':' | '!' | '?' | '…' | '"' | '\'' | ')' | ']' | '}' | '*' | '_' | '`' | '|')
        || !sign.is_ascii()
            && !sign.is_alphanumeric()
            && find_sign(SIGNS, sign).is_none()
            && find_sign(MONEY, sign).is_none()
}

/// The strongest of the marks after a word.
fn end_of(tail: &str) -> Option<End> {
    let has = |marks: &[char]| tail.contains(marks);
    if has(&['?']) {
        Some(End::Question)
    } else if has(&['!']) {
        Some(End::Exclamation)
    } else if has(&['.', '…']) {
        Some(End::Statement)
    } else if has(&[';', ':']) {
        Some(End::Colon)
    } else if has(&[',', ')', ']', '}']) {
        Some(End::Comma)
    } else {
        None
    }
}

fn is_initial(part: &str) -> bool {
    part.len() == 1 && part.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn begins_sentence(chunk: &str) -> bool {
    let first = chunk.trim_start_matches(['"', '\'', '(', '[']).chars().next();
    first.is_some_and(|first| first.is_ascii_uppercase())
}

fn is_capitals(word: &str) -> bool {
    word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Nothing to open the mouth for.
fn is_unsayable(word: &str) -> bool {
    word.len() < 7
        && word.bytes().all(|byte| byte.is_ascii_alphabetic() && !b"aeiouyAEIOUY".contains(&byte))
        && !matches!(
            word.to_ascii_lowercase().as_str(),
            "hmm" | "mm" | "shh" | "pst" | "psst" | "brr" | "tsk" | "mr" | "mrs"
        )
}

fn is_address(core: &str) -> bool {
    let lower = core.to_ascii_lowercase();
    if lower.contains("://") || lower.starts_with("www.") {
        return true;
    }
    if let Some((user, host)) = lower.split_once('@') {
        return !user.is_empty() && host.contains('.') && !host.ends_with('.');
    }
    let host = lower.split(['/', ':']).next().unwrap_or_default();
    match host.rsplit_once('.') {
        Some((name, domain)) => {
            let good = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'.');
            name.len() > 1
                && DOMAINS.contains(&domain)
                && name.bytes().all(good)
                && name.bytes().any(|it| it.is_ascii_alphabetic())
        }
        None => false,
    }
}
