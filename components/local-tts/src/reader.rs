//! Text as it is said: numbers, dates, abbreviations, signs and addresses in words, with the pauses between.

use crate::lexicon::{
    ABBREVIATIONS, ADDRESS_SIGNS, DOMAINS, DOTLESS, MAGNITUDES, MONEY, MONTHS, NEEDS_CAPITAL, NEEDS_NUMBER,
    ONLY_JOINED, SIGNS, SPELLED, UNITS, WORDS_IN_CAPITALS, find, find_sign,
};
use crate::numbers;
use crate::prosody::End;

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

    /// What has a digit in it.
    fn figures(&mut self, core: &str, rest: &[&str]) -> usize {
        let mut core = core;
        let bare = |text: &&str| text.trim_end_matches(closes).to_owned();
        // An address of numbers, a telephone's number.
        if self.grouped(core) {
            return 0;
        }
        while let Some(sign) = core.chars().next().filter(|sign| !sign.is_ascii_alphanumeric() && *sign != '.') {
            let after = &core[sign.len_utf8()..];
            if let Some(names) = find_sign(MONEY, sign)
                && let Some(taken) = self.money(after, names, rest)
            {
                return taken;
            }
            match sign {
                '-' => self.say("minus"),
                sign => self.say(find_sign(SIGNS, sign).unwrap_or_default()),
            }
            core = after;
        }
        if let Some(taken) = self.clock(core, rest) {
            return taken;
        }
        if let Some(taken) = self.date(core, rest) {
            return taken;
        }
        for (between, said) in
            [('-', "to"), ('/', ""), ('x', "by"), ('×', "by"), ('=', "equals"), ('+', "plus"), ('*', "times")]
        {
            let Some((one, other)) = core.split_once(between) else { continue };
            let figures = |text: &str| text.starts_with(|it: char| it.is_ascii_digit());
            let plain = one.bytes().all(|it| it.is_ascii_digit() || it == b'.' || it == b',');
            if !figures(one) || !figures(other) || !plain {
                continue;
            }
            if core == "24/7" {
                self.say("twenty four seven");
                return 0;
            }
            if between == '/' {
                match numbers::fraction(one, other) {
                    Some(said) => {
                        if self.last_word().is_some_and(|word| NUMBER_WORDS.contains(&word)) {
                            self.say("and");
                        }
                        // One half is rather a half after a number.
                        self.say(said.strip_prefix("one ").map(|part| format!("a {part}")).as_ref().unwrap_or(&said));
                    }
                    None => {
                        self.say(&numbers::words(one));
                        self.say("slash");
                        self.figures(other, &[]);
                    }
                }
                return 0;
            }
            self.amount(one, &[]);
            self.say(said);
            return self.figures(other, rest);
        }
        let digits = core.bytes().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, ending) = core.split_at(digits);
        let suffix = ending.to_lowercase();
        if digits > 0 && matches!(suffix.as_str(), "st" | "nd" | "rd" | "th") {
            self.say(&numbers::ordinal(number));
            return 0;
        }
        if matches!(digits, 2 | 4) && matches!(ending, "s" | "'s") && number.ends_with('0') {
            self.say(&numbers::decade(number));
            return 0;
        }
        let month_after = rest.first().map(bare).is_some_and(|next| MONTHS.contains(&next.to_lowercase().as_str()));
        let day = number.parse().is_ok_and(|day: u32| (1..=31).contains(&day)) && ending.is_empty();
        if day && self.last_word().is_some_and(|word| MONTHS.contains(&word)) {
            self.say(&numbers::ordinal(number));
            return 0;
        }
        if day && month_after && digits < 3 {
            if self.last_word() != Some("the") {
                self.say("the");
            }
            self.say(&numbers::ordinal(number));
            self.say("of");
            return 0;
        }
        self.amount(core, rest)
    }

    /// A number with or without a unit; anything else piece by piece.
    fn amount(&mut self, core: &str, rest: &[&str]) -> usize {
        let length = core.bytes().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',')).count();
        let (number, unit) = core.split_at(length);
        let Some(said) = numbers::decimal(number) else {
            self.pieces(core);
            return 0;
        };
        let one = number == "1";
        let year = number.len() == 4 && number.parse().is_ok_and(|year: u32| (1100..2100).contains(&year));
        if unit.is_empty() {
            let next = rest.first().map(|next| next.trim_end_matches(closes));
            let named = next.filter(|next| !ONLY_JOINED.contains(next)).and_then(|next| find(UNITS, next));
            self.say(&if year && named.is_none() { numbers::year(number) } else { said });
            if let Some((singular, plural)) = named {
                self.say(if one { singular } else { plural });
                return 1;
            }
            return 0;
        }
        let unit = unit.trim_start_matches('-');
        let squared = unit.ends_with(['²', '³']);
        let plain = unit.trim_end_matches(['²', '³']);
        match find(UNITS, plain) {
            Some((singular, plural)) => {
                self.say(&said);
                if squared {
                    self.say(if unit.ends_with('²') { "square" } else { "cubic" });
                }
                self.say(if one { singular } else { plural });
            }
            None if unit.starts_with(|it: char| it.is_ascii_alphabetic()) || unit.starts_with('/') => {
                self.say(&said);
                self.pieces(unit.trim_start_matches('/'));
            }
            None => {
                self.say(&said);
                self.pieces(unit);
            }
        }
        0
    }

    fn money(&mut self, amount: &str, names: [&str; 4], rest: &[&str]) -> Option<usize> {
        let length = amount.bytes().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',')).count();
        let (number, ending) = amount.split_at(length);
        let said = numbers::decimal(number)?;
        let [one, many, cent, cents] = names;
        let next = rest.first().map(|next| next.trim_end_matches(closes)).unwrap_or_default();
        let spaced = ending.is_empty() && next.len() > 1;
        if let Some(magnitude) = find(MAGNITUDES, if spaced { next } else { ending }) {
            self.say(&format!("{said} {magnitude} {many}"));
            return Some(usize::from(spaced));
        }
        match number.split_once('.').filter(|(_, part)| part.len() == 2) {
            Some((whole, part)) => {
                let whole = numbers::without_commas(whole)?;
                let zero = whole.trim_start_matches('0').is_empty();
                if !zero {
                    self.say(&format!("{} {}", numbers::words(&whole), if whole == "1" { one } else { many }));
                }
                if part != "00" || zero {
                    if !zero {
                        self.say("and");
                    }
                    let part = part.trim_start_matches('0');
                    let part = if part.is_empty() { "0" } else { part };
                    self.say(&format!("{} {}", numbers::words(part), if part == "1" { cent } else { cents }));
                }
            }
            None => self.say(&format!("{said} {}", if number == "1" { one } else { many })),
        }
        if !ending.is_empty() {
            self.pieces(ending);
        }
        Some(0)
    }

    fn clock(&mut self, core: &str, rest: &[&str]) -> Option<usize> {
        let lower = core.to_ascii_lowercase();
        let (time, mut half) = match lower.find(['a', 'p']) {
            Some(at) => (&lower[..at], Some(lower[at..].replace('.', ""))),
            None => (lower.as_str(), None),
        };
        if half.as_deref().is_some_and(|half| half != "am" && half != "pm") {
            return None;
        }
        let parts: Vec<&str> = time.split(':').collect();
        let digits = |part: &&str| (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if !(parts.len() == 2 || parts.len() == 3 || parts.len() == 1 && half.is_some()) || !parts.iter().all(digits) {
            return None;
        }
        let number = |part: &str| part.parse::<u32>().ok();
        if number(parts[0])? > 24
            || parts[1..].iter().any(|part| number(part).is_none_or(|value| value > 59) || part.len() < 2)
        {
            return None;
        }
        self.say(&numbers::words(&number(parts[0])?.to_string()));
        let mut taken = 0;
        if half.is_none() {
            let next = rest.first().map(|next| next.trim_end_matches(closes).replace('.', "").to_ascii_lowercase());
            half = next.filter(|next| next == "am" || next == "pm");
            taken = usize::from(half.is_some());
        }
        match parts.get(1).copied() {
            None => {}
            Some("00") if half.is_some() => {}
            Some("00") if parts.len() == 2 => self.say(if number(parts[0])? > 12 { "hundred" } else { "o'clock" }),
            Some(minutes) if minutes.starts_with('0') && minutes != "00" => {
                self.say("oh");
                self.say(&numbers::words(&minutes[1..]));
            }
            Some(minutes) => self.say(&numbers::words(&number(minutes)?.to_string())),
        }
        if let Some(seconds) = parts.get(2) {
            self.say("and");
            self.say(&numbers::words(&number(seconds)?.to_string()));
            self.say("seconds");
        }
        if let Some(half) = half {
            self.items.push(Item::Letters(half, false));
        }
        Some(taken)
    }

    fn date(&mut self, core: &str, _rest: &[&str]) -> Option<usize> {
        let number =
            |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<usize>().ok()).flatten();
        let (date, time) =
            core.split_once('T').map_or((core, None), |(date, time)| (date, Some(time.trim_end_matches('Z'))));
        let parts: Vec<&str> = date.split(['-', '/']).collect();
        let [one, two, three] = parts[..] else { return None };
        let (year, month, day) = if one.len() == 4 { (one, two, three) } else { (three, one, two) };
        if year.len() != 4 || one.len() != 4 && date.contains('-') {
            return None;
        }
        number(year)?;
        let (mut month, mut day) = (number(month)?, number(day)?);
        if month > 12 && day <= 12 {
            std::mem::swap(&mut month, &mut day);
        }
        let name = MONTHS.get(month.checked_sub(1)?)?;
        if !(1..=31).contains(&day) {
            return None;
        }
        self.say(&format!("{name} {}", numbers::ordinal(&day.to_string())));
        self.pause(End::Comma);
        self.say(&numbers::year(year));
        if let Some(time) = time {
            self.say("at");
            let time = time.split(['.', '+']).next().unwrap_or_default();
            self.clock(time, &[]);
        }
        Some(0)
    }

    /// Numbers in three groups or more, as telephones and networks have them, or what begins with a plus and is long.
    fn grouped(&mut self, core: &str) -> bool {
        let digits = core.trim_start_matches('+');
        let all = |by: char, least: usize| {
            let parts: Vec<&str> = digits.split(by).collect();
            let good = parts.len() >= least
                && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit()));
            good.then(|| parts.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        if let Some(parts) = all('.', 3) {
            let said: Vec<String> = parts.iter().map(|part| numbers::words(part)).collect();
            self.say(&said.join(" point "));
            return true;
        }
        let date = digits.split('-').next().is_some_and(|first| first.len() == 4) && digits.split('-').count() == 3;
        let parts = match all('-', 3).filter(|_| !date) {
            Some(parts) => parts,
            None => match all('-', 2) {
                Some(parts) if parts[0].len() == 3 && parts[1].len() == 4 => parts,
                None if core.starts_with('+') && digits.len() > 6 && digits.bytes().all(|it| it.is_ascii_digit()) => {
                    vec![digits.to_owned()]
                }
                _ => return false,
            },
        };
        if core.starts_with('+') {
            self.say("plus");
        }
        for part in parts {
            self.say(&numbers::one_by_one(&part));
            self.pause(End::Comma);
        }
        if let Some(Item::Break(_)) = self.items.last() {
            self.items.pop();
        }
        true
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
