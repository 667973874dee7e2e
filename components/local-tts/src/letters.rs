//! How a word sounds, from how it is written: a dictionary of exceptions, endings taken off and put on again, and rules
//! for all the rest.
//!
//! A sound is one character (`phones.rs`), and a vowel has `'` before it in the main stressed syllable, `,` in another
//! stressed one: `hello` is `h@l'o`. Where the two tables come from is in `PROVENANCE.md`.

/// Lines of a key, a space and what it stands for, sorted by key.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a>(pub(crate) &'a str);

pub(crate) static EXCEPTIONS: Table<'static> = Table(include_str!("../data/exceptions.txt"));
/// The letter to be spoken and the letters around it, right and left by turns from near to far; `#` is a word's end. The
/// longest line that fits is the rule.
pub(crate) static RULES: Table<'static> = Table(include_str!("../data/rules.txt"));

/// Letters on each side that a rule looks at.
pub(crate) const AROUND: usize = 5;
const VOWELS: &str = "AaV@OWYEReIioyUu";

/// The sounds of a word in small letters from a to z, with apostrophes.
pub(crate) fn sounds(word: &str) -> String {
    pronounced(word, &|word| EXCEPTIONS.get(word).map(str::to_owned), &|word| by_rule(word, RULES))
}

pub(crate) fn is_vowel(sound: char) -> bool {
    VOWELS.contains(sound)
}

impl<'a> Table<'a> {
    pub(crate) fn get(self, key: &str) -> Option<&'a str> {
        let text = self.0.as_bytes();
        let (mut low, mut high) = (0, text.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let start = text[..middle].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
            let end = text[middle..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |end| middle + end);
            let line = &self.0[start..end];
            let (found, value) = line.split_once(' ')?;
            match found.cmp(key) {
                std::cmp::Ordering::Equal => return Some(value),
                std::cmp::Ordering::Less => low = end + 1,
                std::cmp::Ordering::Greater => high = start,
            }
        }
        None
    }
}

pub(crate) fn pronounced(
    word: &str,
    known: &dyn Fn(&str) -> Option<String>,
    by_rule: &dyn Fn(&str) -> String,
) -> String {
    if let Some(sounds) = known(word) {
        return sounds;
    }
    let possessor = word.strip_suffix("'s").or_else(|| word.strip_suffix('\'').filter(|owner| owner.ends_with('s')));
    if let Some(owner) = possessor.filter(|owner| !owner.is_empty()) {
        let owner_sounds = pronounced(owner, known, by_rule);
        return if word.ends_with('s') { with_s(&owner_sounds) } else { owner_sounds };
    }
    if let Some(sounds) = derived(word, known) {
        return sounds;
    }
    by_rule(&word.replace('\'', ""))
}

/// A word that is a known one with an ending or a beginning.
fn derived(word: &str, known: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    if let Some(stem) = word.strip_suffix("n't") {
        return Some(format!("{}@nt", known(stem)?));
    }
    for (ending, sounds) in [("'ll", "@l"), ("'re", "R"), ("'ve", "@v"), ("'d", "d")] {
        if let Some(stem) = word.strip_suffix(ending) {
            return Some(known(stem)? + sounds);
        }
    }
    if let Some(stem) = word.strip_suffix('s').filter(|stem| stem.len() > 2 && !stem.ends_with('s')) {
        let base = known(stem)
            .filter(|_| !stem.ends_with(['x', 'z']))
            .or_else(|| stem.strip_suffix('e').filter(|it| ends_hissing(it)).and_then(known))
            .or_else(|| stem.strip_suffix("ie").and_then(|stem| known(&format!("{stem}y"))))
            .or_else(|| derived(stem, known));
        if let Some(base) = base {
            return Some(with_s(&base));
        }
    }
    if let Some(base) = word.strip_suffix("ed").and_then(|stem| base_of(stem, known)) {
        return Some(with_d(&base));
    }
    for (ending, sounds) in [("ing", "IG"), ("er", "R"), ("ers", "Rz"), ("est", "@st"), ("able", "@b@l")] {
        if let Some(base) = word.strip_suffix(ending).and_then(|stem| base_of(stem, known)) {
            return Some(base + sounds);
        }
    }
    for (ending, sounds) in
        [("ly", "li"), ("ness", "n@s"), ("ment", "m@nt"), ("less", "l@s"), ("ful", "f@l"), ("like", "l,Yk")]
    {
        let Some(stem) = word.strip_suffix(ending).filter(|stem| stem.len() > 2) else { continue };
        let base = known(stem)
            .or_else(|| stem.strip_suffix('i').and_then(|stem| known(&format!("{stem}y"))))
            .or_else(|| derived(stem, known));
        if let Some(mut base) = base {
            // "really" and "fully" have one l.
            if sounds.starts_with('l') && base.ends_with('l') {
                base.pop();
            }
            return Some(base + sounds);
        }
    }
    for (beginning, sounds) in [("un", "@n"), ("non", "n,An"), ("over", ",ovR"), ("under", ",VndR"), ("re", "ri")] {
        let Some(rest) = word.strip_prefix(beginning).filter(|rest| rest.len() > 3) else { continue };
        if let Some(base) = known(rest).or_else(|| derived(rest, known)) {
            return Some(sounds.to_owned() + &base);
        }
    }
    None
}

/// What stands before an ending that begins with a vowel: as it is, without its last e, with one letter for two, or with a
/// y for an i.
fn base_of(stem: &str, known: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    if stem.len() < 2 {
        return None;
    }
    let bytes = stem.as_bytes();
    let doubled = bytes[bytes.len() - 1] == bytes[bytes.len() - 2] && !stem.ends_with(['l', 's', 'e', 'o']);
    if doubled && let Some(base) = known(&stem[..stem.len() - 1]) {
        return Some(base);
    }
    known(&format!("{stem}e"))
        .or_else(|| known(stem))
        .or_else(|| stem.strip_suffix('i').and_then(|stem| known(&format!("{stem}y"))))
}

fn ends_hissing(stem: &str) -> bool {
    ["s", "x", "z", "ch", "sh"].iter().any(|end| stem.ends_with(end))
}

/// The plural and what sounds like it.
fn with_s(base: &str) -> String {
    let ending = match base.chars().last() {
        Some('s' | 'z' | 'S' | 'Z' | 'C' | 'J') => "Iz",
        Some('p' | 't' | 'k' | 'f' | 'T') => "s",
        _ => "z",
    };
    base.to_owned() + ending
}

fn with_d(base: &str) -> String {
    let ending = match base.chars().last() {
        Some('t' | 'd') => "Id",
        Some('p' | 'k' | 'f' | 'T' | 's' | 'S' | 'C') => "t",
        _ => "d",
    };
    base.to_owned() + ending
}

/// The word by letter-to-sound rules alone.
pub(crate) fn by_rule(word: &str, rules: Table<'_>) -> String {
    let letters: Vec<u8> = word.bytes().filter(u8::is_ascii_lowercase).collect();
    let mut sounds = String::new();
    for at in 0..letters.len() {
        let key = context(&letters, at);
        let rule = (1..=key.len()).rev().find_map(|length| rules.get(&key[..length]));
        sounds.push_str(rule.unwrap_or_default());
    }
    stressed_once(&sounds)
}

/// The letter at `at`, and those around it as a rule's key has them.
pub(crate) fn context(letters: &[u8], at: usize) -> String {
    let letter = |at: Option<usize>| at.and_then(|at| letters.get(at)).map_or('#', |&letter| char::from(letter));
    let mut key = String::from(char::from(letters[at]));
    for distance in 1..=AROUND {
        key.push(letter(Some(at + distance)));
        key.push(letter(at.checked_sub(distance)));
    }
    key
}

/// Rules see a few letters only: where they stress two syllables the first is left, where none, one is chosen.
fn stressed_once(sounds: &str) -> String {
    let mut out = String::with_capacity(sounds.len() + 1);
    let mut stressed = false;
    for sound in sounds.chars() {
        let second = sound == '\'' && stressed;
        stressed |= sound == '\'';
        out.push(if second { ',' } else { sound });
    }
    if stressed {
        return out;
    }
    if let Some(at) = out.find(',') {
        out.replace_range(at..=at, "'");
        return out;
    }
    let vowels: Vec<(usize, char)> = out.char_indices().filter(|&(_, sound)| is_vowel(sound)).collect();
    let full = vowels.iter().find(|(_, sound)| *sound != '@').or(vowels.first());
    if let Some(&(at, sound)) = full {
        // A schwa cannot be stressed; the vowel that is nearest can.
        let stressed = if sound == '@' { "'V".to_owned() } else { format!("'{sound}") };
        out.replace_range(at..=at, &stressed);
    }
    out
}
