//! Which sentences answer, and which carry a text: by vectors where a model gives them, by shared words where none does.

use std::collections::{HashMap, HashSet};

use super::text::{is_common, is_unspaced, telling, words};

/// How near each of a list of texts is to one text, and to one another.
pub(super) enum Nearness {
    /// Vectors of length 1, the question's first.
    Meaning(Vec<Vec<f32>>),
    Words(Vec<HashSet<String>>),
}

impl Nearness {
    /// `question` and `texts` in this order are what `vectors` are of.
    pub(super) fn of(question: &str, texts: &[String], vectors: Option<Vec<Vec<f32>>>) -> Nearness {
        match vectors.filter(|vectors| vectors.len() == texts.len() + 1) {
            Some(vectors) => Nearness::Meaning(vectors),
            None => {
                let all = std::iter::once(question).chain(texts.iter().map(String::as_str));
                Nearness::Words(all.map(telling).collect())
            }
        }
    }

    /// From -1 to 1 by meaning, 0 to 1 by words.
    fn between(&self, one: usize, other: usize) -> f32 {
        match self {
            Nearness::Meaning(vectors) => vectors[one].iter().zip(&vectors[other]).map(|(a, b)| a * b).sum(),
            Nearness::Words(words) => {
                let (one, other) = (&words[one], &words[other]);
                let shared = one.intersection(other).count() as f32;
                if shared == 0.0 { 0.0 } else { shared / (one.len() as f32 * other.len() as f32).sqrt() }
            }
        }
    }

    fn to_question(&self, text: usize) -> f32 {
        self.between(0, text + 1)
    }

    /// From here on a text has to do with a question. Unrelated English sentences stay below 0.25, what answers is mostly
    /// above 0.4.
    fn enough(&self) -> f32 {
        match self {
            Nearness::Meaning(_) => 0.3,
            Nearness::Words(_) => 0.12,
        }
    }

    /// All texts, the nearest to the question first.
    pub(super) fn order(&self, count: usize) -> Vec<(usize, f32)> {
        let mut order: Vec<(usize, f32)> = (0..count).map(|text| (text, self.to_question(text))).collect();
        order.sort_by(|one, other| other.1.total_cmp(&one.1));
        order
    }

    /// The few texts that answer, in the order in which they were said; none when none has to do with it.
    pub(super) fn answers(&self, count: usize, most: usize) -> Vec<usize> {
        let order = self.order(count);
        let Some(&(_, best)) = order.first().filter(|(_, best)| *best >= self.enough()) else { return Vec::new() };
        // What is much less near than the best only has the topic in common.
        let mut found: Vec<usize> =
            order.into_iter().take_while(|(_, near)| *near >= best * 0.8).take(most).map(|(text, _)| text).collect();
        found.sort_unstable();
        found
    }

    /// The texts that say most of what all say together without repeating one another, in their order.
    pub(super) fn summary(&self, count: usize, most: usize) -> Vec<usize> {
        // The mean nearness to all others; what opens a text mostly says what it is about.
        let carried = |text: usize| {
            let others =
                (0..count).filter(|other| *other != text).map(|other| self.between(text + 1, other + 1)).sum::<f32>();
            others / count.max(2) as f32 + 0.1 / (1 + text) as f32
        };
        let weights: Vec<f32> = (0..count).map(carried).collect();
        let mut found: Vec<usize> = Vec::new();
        while found.len() < most.min(count) {
            let gain = |text: &usize| {
                let repeats = found.iter().map(|taken| self.between(*text + 1, *taken + 1)).fold(0.0_f32, f32::max);
                weights[*text] - 0.35 * repeats
            };
            let left = (0..count).filter(|text| !found.contains(text));
            let Some(next) = left.max_by(|one, other| gain(one).total_cmp(&gain(other))) else { break };
            found.push(next);
        }
        found.sort_unstable();
        found
    }
}

/// What a text is about: words and pairs of words that come often, longer ones before shorter ones.
pub(super) fn keywords(texts: &[String], most: usize) -> Vec<String> {
    let mut counts: HashMap<String, (usize, usize)> = HashMap::new();
    let mut at = 0;
    for text in texts {
        let mut before: Option<String> = None;
        for word in words(text) {
            at += 1;
            if is_common(&word) || word.chars().all(char::is_numeric) {
                before = None;
                continue;
            }
            counts.entry(word.clone()).or_insert((0, at)).0 += 1;
            // Where no spaces are written, a word here is two letters, and two of them overlap.
            if let Some(before) = before.filter(|before| !before.chars().chain(word.chars()).any(is_unspaced)) {
                counts.entry(format!("{before} {word}")).or_insert((0, at)).0 += 1;
            }
            before = Some(word);
        }
    }
    // A pair counts when it comes again, and then says more than its words.
    let weight =
        |word: &str, count: usize| if word.contains(' ') { if count > 1 { count * 2 + 1 } else { 0 } } else { count };
    let mut order: Vec<(String, usize, usize)> = counts
        .into_iter()
        .map(|(word, (count, first))| (weight(&word, count), word, first))
        .map(|(w, word, f)| (word, w, f))
        .collect();
    order.retain(|(_, weight, _)| *weight > 0);
    order.sort_by(|one, other| other.1.cmp(&one.1).then(one.2.cmp(&other.2)));
    let mut found: Vec<String> = Vec::new();
    for (word, ..) in order {
        if found.len() == most {
            break;
        }
        if !found.iter().any(|taken| taken.split(' ').any(|part| part == word)) {
            found.push(word);
        }
    }
    found
}
