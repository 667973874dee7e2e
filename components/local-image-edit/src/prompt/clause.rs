//! One thing that is asked for: a word that says what, and those that say how much and where.

use super::tokens::Token;
use super::words::{Effect, Form, Quality, Verb, Word};
use super::{Misunderstood, place_of};
use crate::operation::Place;

#[derive(Debug, Clone, Default)]
pub(super) struct Clause {
    /// Each with whether it has been made use of.
    words: Vec<(Token, bool)>,
}

/// Splits what a prompt says into clauses: at commas and "and", and where another thing to do begins.
pub(super) fn clauses(tokens: Vec<Token>, masked: bool) -> Result<Vec<Clause>, Misunderstood> {
    let mut clauses = vec![Clause::default()];
    let mut tokens = things_under_the_mask(tokens, masked).into_iter().peekable();
    let (mut adding, mut article) = (false, false);
    while let Some(mut token) = tokens.next() {
        let clause = clauses.last_mut().expect("there is one from the beginning");
        // "add a rose" asks for a flower; "add a rose tint" and "add more rose" do not.
        adding = if token.word == Word::Add {
            !matches!(token.text.as_str(), "give" | "have" | "with" | "into" | "like")
        } else {
            adding && token.word != Word::And
        };
        let noun = tokens.peek().is_some_and(|next| matches!(next.word, Word::ColourNoun | Word::Colour(_)));
        let wanted = adding && !clause.holds(|word| word == Word::More);
        // "a rose" is one too.
        if (wanted || article) && !noun && matches!(token.word, Word::Colour(_)) {
            token.word = Word::Unknown;
        }
        article = matches!(token.text.as_str(), "a" | "an");
        match token.word {
            Word::Filler | Word::The | Word::Add => continue,
            Word::And => {
                clauses.push(Clause::default());
                continue;
            }
            Word::Unknown => {
                let hint = if masked { "" } else { "; to change a thing in the picture, paint a mask over it" };
                return Err(Misunderstood::prompt(format!("`{}` is not understood{hint}", token.text)));
            }
            Word::Quality(Quality::Brightness, ..) => {
                let colour = tokens.peek().is_some_and(|next| matches!(next.word, Word::Colour(_)));
                match token.text.as_str() {
                    "dark" if colour => token.word = Word::Shade(-0.14),
                    "light" | "bright" if colour => token.word = Word::Shade(0.12),
                    _ => {}
                }
            }
            _ => {}
        }
        if is_head(token.word) && !clause.takes(&token) {
            let next = clause.split_before(&token);
            clauses.push(next);
        }
        clauses.last_mut().expect("there is one").words.push((token, false));
    }
    clauses.retain(|clause| !clause.words.is_empty());
    share(&mut clauses);
    Ok(clauses)
}

/// "make the old red car blue": the car, whatever it was like, is what the mask shows. Behind "remove" everything is.
fn things_under_the_mask(tokens: Vec<Token>, masked: bool) -> Vec<Token> {
    if !masked {
        return tokens;
    }
    let mut kept: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut removing = false;
    let mut adding = false;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let name = |token: &&Token| {
            let like = matches!(token.word, Word::Colour(_) | Word::Gray | Word::Quality(_, _, Form::Adjective));
            like || token.word == Word::Unknown
        };
        // "add a hat" asks for something that is not there.
        let named = if token.word == Word::The && !adding { tokens[at..].iter().take_while(name).count() } else { 0 };
        let named =
            tokens[at..at + named].iter().rposition(|token| token.word == Word::Unknown).map_or(0, |last| last + 1);
        match token.word {
            _ if named > 0 => {
                at += named;
                kept.push(Token { word: Word::Masked, ..tokens[at - 1].clone() });
            }
            Word::Unknown if removing => kept.push(Token { word: Word::Masked, ..token.clone() }),
            word => {
                removing = word == Word::Verb(Verb::Remove) || (removing && word != Word::And);
                adding = word == Word::Add || (adding && word != Word::And);
                kept.push(token.clone());
            }
        }
    }
    kept
}

/// "increase contrast and saturation by a fifth": the increase and the fifth are both's.
fn share(clauses: &mut [Clause]) {
    for at in 1..clauses.len() {
        let (before, rest) = clauses.split_at_mut(at);
        let (before, clause) = (&mut before[at - 1], &mut rest[0]);
        if !(clause.is_bare_noun() && before.has_noun()) {
            continue;
        }
        let signs: Vec<_> = before.words.iter().filter(|(token, _)| is_sign(token.word)).cloned().collect();
        if signs.is_empty() {
            continue;
        }
        clause.words.splice(0..0, signs);
        if !before.words.iter().any(|(token, _)| is_amount(token.word)) {
            let amounts = clause.words.iter().filter(|(token, _)| is_amount(token.word) || token.word == Word::To);
            before.words.extend(amounts.cloned().collect::<Vec<_>>());
        }
    }
}

impl Clause {
    pub(super) fn has_head(&self) -> bool {
        self.words.iter().any(|(token, _)| is_head(token.word))
    }

    /// The first unused word of a kind.
    pub(super) fn take<T>(&mut self, of: impl Fn(Word) -> Option<T>) -> Option<T> {
        self.words.iter_mut().filter(|(_, used)| !used).find_map(|(token, used)| {
            let found = of(token.word)?;
            *used = true;
            Some(found)
        })
    }

    pub(super) fn has(&mut self, word: Word) -> bool {
        self.take(|own| (own == word).then_some(())).is_some()
    }

    /// Whether a word is there, used or not.
    pub(super) fn holds(&self, is: impl Fn(Word) -> bool) -> bool {
        self.words.iter().any(|(token, _)| is(token.word))
    }

    pub(super) fn is_comparative(&self) -> bool {
        self.words.iter().any(|(token, _)| token.comparative)
    }

    /// The first word that nothing was made of.
    pub(super) fn left_over(&self) -> Option<&str> {
        self.words.iter().find(|(_, used)| !used).map(|(token, _)| token.text.as_str())
    }

    pub(super) fn text(&self) -> String {
        let head = self.words.iter().find(|(token, used)| *used && is_head(token.word)).or(self.words.first());
        head.map(|(token, _)| token.text.clone()).unwrap_or_default()
    }

    pub(super) fn only_place(&self) -> Option<Place> {
        match self.words.as_slice() {
            [(token, _)] => place_of(token.word),
            _ => None,
        }
    }

    pub(super) fn is_masked_thing(&self) -> bool {
        self.words.iter().all(|(token, _)| token.word == Word::Masked)
    }

    /// "crop 10 px from the left and 20 px from the top": what is done is said once.
    pub(super) fn inherit(&mut self, before: &Clause) {
        let measures = self.holds(|word| matches!(word, Word::Pixels(_) | Word::Percent(_)));
        let head = before.words.iter().find(|(token, _)| matches!(token.word, Word::Verb(Verb::Crop | Verb::Trim)));
        if let (true, Some((token, _))) = (measures, head) {
            self.words.insert(0, (token.clone(), false));
        }
    }

    fn is_bare_noun(&self) -> bool {
        self.has_noun() && !self.words.iter().any(|(token, _)| is_sign(token.word))
    }

    fn has_noun(&self) -> bool {
        self.words.iter().filter(|(token, _)| is_head(token.word)).all(|(token, _)| is_noun(token.word))
            && self.has_head()
    }

    /// Whether one more word that says what to do still says the same thing.
    fn takes(&self, new: &Token) -> bool {
        let heads = || self.words.iter().map(|(token, _)| token.word).filter(|word| is_head(*word));
        let mut colours_to = heads().map(|head| {
            matches!(
                head,
                Word::Colour(_) | Word::ColourNoun | Word::Gray | Word::Verb(Verb::Tint | Verb::Fill | Verb::Remove)
            )
        });
        heads().all(|head| match (head, new.word) {
            (Word::Verb(Verb::Remove), Word::Quality(_, _, Form::Noun) | Word::Effect(_)) => true,
            (Word::Quality(_, _, form), Word::Quality(Quality::Shadows | Quality::Highlights, ..)) => {
                form != Form::Noun
            }
            (Word::Quality(one, ..), Word::Quality(other, ..)) => one == other,
            (Word::Quality(Quality::Hue | Quality::Saturation | Quality::Warmth, ..), Word::ColourNoun) => true,
            (Word::ColourNoun, Word::Quality(Quality::Saturation, ..)) => true,
            (Word::Effect(Effect::Posterise | Effect::Invert), Word::ColourNoun) => true,
            (Word::Effect(one), Word::Effect(other)) => one == other,
            (Word::Verb(Verb::Tint), Word::Effect(Effect::Oil)) => true,
            (Word::Verb(one), Word::Verb(other)) => one == other || one == Verb::Resize && other == Verb::Fit,
            (_, Word::Colour(_) | Word::Gray | Word::ColourNoun) => colours_to.next().unwrap_or(false),
            _ => false,
        })
    }

    /// Ends this clause; what stood just before the new word and belongs to it comes along.
    fn split_before(&mut self, new: &Token) -> Clause {
        let has_level = |words: &[(Token, bool)]| words.iter().filter(|(token, _)| is_level(token.word)).count() > 1;
        let verb = matches!(new.word, Word::Verb(_) | Word::Effect(_) | Word::Quality(_, _, Form::Verb));
        let belongs = self.words.iter().rev().take_while(|(token, _)| {
            is_sign(token.word) || (is_level(token.word) && (!verb || has_level(&self.words)))
        });
        let from = self.words.len() - belongs.count();
        Clause { words: self.words.split_off(from) }
    }
}

pub(super) fn is_head(word: Word) -> bool {
    matches!(
        word,
        Word::Quality(..) | Word::Effect(_) | Word::Verb(_) | Word::Colour(_) | Word::Gray | Word::ColourNoun
    )
}

fn is_noun(word: Word) -> bool {
    matches!(word, Word::Quality(_, _, Form::Noun) | Word::ColourNoun)
}

fn is_sign(word: Word) -> bool {
    matches!(word, Word::More | Word::Less | Word::Too)
}

fn is_level(word: Word) -> bool {
    matches!(word, Word::Level(_))
}

fn is_amount(word: Word) -> bool {
    matches!(word, Word::Level(_) | Word::Number(_) | Word::Percent(_) | Word::Times(_) | Word::Half)
}
