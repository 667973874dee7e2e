//! Makes the two tables that `src/letters.rs` reads out of the CMU Pronouncing Dictionary.
//!
//! `pack CMUDICT_FILE DIRECTORY`: learns letter-to-sound rules, and lists the words that they, and the endings that
//! `letters.rs` knows, get wrong. `data/additions.txt` is put over the dictionary. Equal input gives equal bytes.
//! `pack --measure CMUDICT_FILE` learns from nine words of ten, and tells how many of the others the rules get right.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fs;
use std::path::Path;

#[path = "../src/letters.rs"]
#[expect(dead_code, reason = "the component's half")]
mod letters;

use letters::{Table, by_rule, context, pronounced};

/// Sounds that one letter stands for at most: the x of "luxury", the u of "use".
const MOST: usize = 2;
/// A rule must put this many more words right than wrong; with fewer, the words themselves take less room.
const WORTH: usize = 3;
const ROUNDS: usize = 6;

const ARPABET: &[(&str, char)] = &[
    ("AA", 'A'),
    ("AE", 'a'),
    ("AH", 'V'),
    ("AO", 'O'),
    ("AW", 'W'),
    ("AY", 'Y'),
    ("EH", 'E'),
    ("ER", 'R'),
    ("EY", 'e'),
    ("IH", 'I'),
    ("IY", 'i'),
    ("OW", 'o'),
    ("OY", 'y'),
    ("UH", 'U'),
    ("UW", 'u'),
    ("B", 'b'),
    ("CH", 'C'),
    ("D", 'd'),
    ("DH", 'D'),
    ("F", 'f'),
    ("G", 'g'),
    ("HH", 'h'),
    ("JH", 'J'),
    ("K", 'k'),
    ("L", 'l'),
    ("M", 'm'),
    ("N", 'n'),
    ("NG", 'G'),
    ("P", 'p'),
    ("R", 'r'),
    ("S", 's'),
    ("SH", 'S'),
    ("T", 't'),
    ("TH", 'T'),
    ("V", 'v'),
    ("W", 'w'),
    ("Y", 'j'),
    ("Z", 'z'),
    ("ZH", 'Z'),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--measure", dictionary] => measure(&read(&fs::read_to_string(dictionary)?, "")?),
        [dictionary, directory] => {
            let directory = Path::new(directory);
            let additions = fs::read_to_string(directory.join("additions.txt"))?;
            let words = read(&fs::read_to_string(dictionary)?, &additions)?;
            let rules = learn(words.iter().filter(|(word, _)| is_plain(word)));
            let exceptions = exceptions(&words, &rules);
            fs::write(directory.join("rules.txt"), rules)?;
            fs::write(directory.join("exceptions.txt"), exceptions)?;
        }
        _ => return Err("usage: pack CMUDICT_FILE DIRECTORY, or pack --measure CMUDICT_FILE".into()),
    }
    Ok(())
}

type Words = BTreeMap<String, String>;

/// Words and their sounds, each the first way that is given.
fn read(dictionary: &str, additions: &str) -> Result<Words, Box<dyn Error>> {
    let mut words = Words::new();
    for line in dictionary.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut fields = line.split_whitespace();
        let Some(word) = fields.next() else { continue };
        if word.len() < 40 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'\'') {
            words.insert(word.to_owned(), fields.map(sound).collect::<Result<String, _>>()?);
        }
    }
    for line in additions.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (word, sounds) = line.split_once(' ').ok_or("a line of additions.txt is a word and its sounds")?;
        words.insert(word.to_owned(), sounds.to_owned());
    }
    Ok(words)
}

fn sound(arpabet: &str) -> Result<String, String> {
    let (name, stress) = match arpabet.as_bytes() {
        [name @ .., stress @ b'0'..=b'2'] => (name, *stress),
        name => (name, b' '),
    };
    if name == b"AH" && stress == b'0' {
        return Ok("@".to_owned());
    }
    let known = ARPABET.iter().find(|(own, _)| own.as_bytes() == name);
    let (_, sound) = known.ok_or_else(|| format!("no sound is called {arpabet}"))?;
    Ok(match stress {
        b'1' => format!("'{sound}"),
        b'2' => format!(",{sound}"),
        _ => sound.to_string(),
    })
}

fn is_plain(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// Sounds, each with the mark before it.
fn split(sounds: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, sound) in sounds.char_indices() {
        if !matches!(sound, '\'' | ',') {
            parts.push(&sounds[start..=at]);
            start = at + 1;
        }
    }
    parts
}

fn bare(sounds: &[&str]) -> String {
    sounds.concat().replace(['\'', ','], "").replace('@', "V")
}

/// How likely a letter stands for some sounds.
type Odds = HashMap<(u8, String), f64>;

fn learn<'a>(words: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let pairs: Vec<(&[u8], Vec<&str>)> = words
        .map(|(word, sounds)| (word.as_bytes(), split(sounds)))
        .filter(|(word, sounds)| sounds.len() <= word.len() * MOST)
        .collect();
    let mut odds = Odds::new();
    for round in 0..ROUNDS {
        let mut counts = Odds::new();
        for (word, sounds) in &pairs {
            expect(word, sounds, (round > 0).then_some(&odds), &mut counts);
        }
        let mut totals: HashMap<u8, f64> = HashMap::new();
        for ((letter, _), count) in &counts {
            *totals.entry(*letter).or_default() += count;
        }
        odds = counts
            .into_iter()
            .map(|(key, count)| {
                let total = totals[&key.0];
                (key, count / total)
            })
            .collect();
    }
    let mut examples: BTreeMap<char, Vec<(String, String)>> = BTreeMap::new();
    for (word, sounds) in &pairs {
        for (at, stands_for) in aligned(word, sounds, &odds).into_iter().enumerate() {
            examples.entry(char::from(word[at])).or_default().push((context(word, at), stands_for));
        }
    }
    let mut rules = BTreeMap::new();
    for (letter, examples) in examples {
        let examples: Vec<_> = examples.iter().map(|(key, sounds)| (key.as_str(), sounds.as_str())).collect();
        let (usual, _) = most(&examples);
        rules.insert(letter.to_string(), usual.to_owned());
        grow(&letter.to_string(), &examples, usual, &mut rules);
    }
    rules.into_iter().map(|(key, sounds)| format!("{key} {sounds}\n")).collect()
}

/// One pass forwards and backwards over all ways to share the sounds among the letters.
fn expect(word: &[u8], sounds: &[&str], odds: Option<&Odds>, counts: &mut Odds) {
    let (n, m) = (word.len(), sounds.len());
    let weight = |at: usize, from: usize, to: usize| -> f64 {
        match odds {
            Some(odds) => odds.get(&(word[at], bare(&sounds[from..to]))).copied().unwrap_or_default(),
            // One sound for a letter is the usual thing.
            None => {
                if to - from == 1 {
                    1.0
                } else {
                    0.2
                }
            }
        }
    };
    let mut forward = vec![vec![0.0; m + 1]; n + 1];
    let mut backward = forward.clone();
    (forward[0][0], backward[n][m]) = (1.0, 1.0);
    for at in 0..n {
        for from in 0..=m {
            if forward[at][from] > 0.0 {
                for to in from..=(from + MOST).min(m) {
                    forward[at + 1][to] += forward[at][from] * weight(at, from, to);
                }
            }
        }
    }
    let total = forward[n][m];
    if total <= 0.0 {
        return;
    }
    for at in (0..n).rev() {
        for from in 0..=m {
            for to in from..=(from + MOST).min(m) {
                let share = weight(at, from, to) * backward[at + 1][to];
                backward[at][from] += share;
                if share > 0.0 && forward[at][from] > 0.0 {
                    *counts.entry((word[at], bare(&sounds[from..to]))).or_default() +=
                        forward[at][from] * share / total;
                }
            }
        }
    }
}

/// The likeliest way.
fn aligned(word: &[u8], sounds: &[&str], odds: &Odds) -> Vec<String> {
    let (n, m) = (word.len(), sounds.len());
    let mut best = vec![vec![(f64::NEG_INFINITY, 0); m + 1]; n + 1];
    best[0][0].0 = 0.0;
    for at in 0..n {
        for from in 0..=m {
            for to in from..=(from + MOST).min(m) {
                let odds = odds.get(&(word[at], bare(&sounds[from..to]))).copied().unwrap_or(1e-12);
                let score = best[at][from].0 + odds.ln();
                if score > best[at + 1][to].0 {
                    best[at + 1][to] = (score, from);
                }
            }
        }
    }
    let mut parts = Vec::with_capacity(n);
    let mut to = m;
    for at in (0..n).rev() {
        let from = best[at + 1][to].1;
        parts.push(sounds[from..to].concat());
        to = from;
    }
    parts.reverse();
    parts
}

fn most<'a>(examples: &[(&str, &'a str)]) -> (&'a str, usize) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, sounds) in examples {
        *counts.entry(sounds).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).unwrap_or_default()
}

/// Adds the rules with more context than `key` that are worth it, and gives how many examples come out right with them.
fn grow(key: &str, examples: &[(&str, &str)], usual: &str, rules: &mut BTreeMap<String, String>) -> usize {
    let right = |sounds: &str| examples.iter().filter(|(_, own)| *own == sounds).count();
    let plain = right(usual);
    let whole = examples.first().map_or(0, |(whole, _)| whole.len());
    if plain == examples.len() || key.len() >= whole {
        return plain;
    }
    let mut split: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for example in examples {
        split.entry(&example.0[..=key.len()]).or_default().push(*example);
    }
    let mut total = 0;
    for (longer, examples) in split {
        let inherited = examples.iter().filter(|(_, own)| *own == usual).count();
        let (own, count) = most(&examples);
        // Either with a rule of its own here, or only with rules further down.
        let mut with_own = BTreeMap::new();
        let mut without = BTreeMap::new();
        let own_right = if count >= inherited + WORTH { grow(longer, &examples, own, &mut with_own) } else { 0 };
        let without_right = grow(longer, &examples, usual, &mut without);
        let cost = |rules: &BTreeMap<String, String>, extra: usize| (rules.len() + extra) * (WORTH - 1);
        if own_right > 0
            && own_right as isize - cost(&with_own, 1) as isize > without_right as isize - cost(&without, 0) as isize
        {
            rules.insert(longer.to_owned(), own.to_owned());
            rules.append(&mut with_own);
            total += own_right;
        } else {
            rules.append(&mut without);
            total += without_right;
        }
    }
    total
}

/// The words that come out otherwise, the shorter ones first, since longer ones may be made of them.
fn exceptions(words: &Words, rules: &str) -> String {
    let mut order: Vec<(&String, &String)> = words.iter().collect();
    order.sort_by_key(|(word, _)| word.len());
    let mut found: BTreeMap<&str, &str> = BTreeMap::new();
    for (word, sounds) in order {
        let known = |word: &str| found.get(word).map(|&sounds| sounds.to_owned());
        if pronounced(word, &known, &|word| by_rule(word, Table(rules))) != *sounds {
            found.insert(word, sounds);
        }
    }
    found.into_iter().map(|(word, sounds)| format!("{word} {sounds}\n")).collect()
}

fn measure(words: &Words) {
    let plain = || words.iter().filter(|(word, _)| is_plain(word)).enumerate();
    let rules = learn(plain().filter(|(at, _)| at % 10 != 0).map(|(_, pair)| pair));
    let (mut all, mut right, mut but_for_stress) = (0, 0, 0);
    for (_, (word, sounds)) in plain().filter(|(at, _)| at % 10 == 0) {
        let found = by_rule(word, Table(&rules));
        all += 1;
        right += usize::from(found == *sounds);
        but_for_stress += usize::from(bare(&[&found]) == bare(&[sounds]));
    }
    println!(
        "{} rules, {} bytes; of {all} words {right} right, {but_for_stress} but for the stress",
        rules.lines().count(),
        rules.len()
    );
}
