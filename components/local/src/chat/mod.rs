//! Chat answers without a language model: what is said is taken from the conversation's own text, sentence by sentence.
//!
//! It finds the sentences that answer a question, sums a text up, ranks passages, lists keywords, and tells about the
//! platform. [`Work`] says which texts it wants vectors of; without them it goes by the words that texts share.

mod help;
mod intent;
mod rank;
#[cfg(test)]
mod tests;
mod text;

use hybrid_guest::types::{Completion, Conversation, Token, Usage};

use intent::{Request, Wish};
use rank::Nearness;

pub(crate) const MODEL: &str = "local/extractive";
/// What it was called when it only repeated the question.
pub(crate) const OLD_MODEL: &str = "local/echo";

/// In every answer, once.
const SAYS: &str = "No language model runs here, so this is put together from the conversation's own text: for an answer by a \
                    model set HF_API_KEY, or name an OpenAI-compatible endpoint in the model table.";
/// Each takes up to a hundredth of a second to be made a vector of.
const MOST_TEXTS: usize = 64;
/// Enough to recognise a question by.
const MOST_QUOTED: usize = 500;
const MOST_ANSWERS: usize = 3;
const MOST_KEYWORDS: usize = 10;

/// What is to be done for a conversation.
pub(crate) struct Work {
    request: Request,
    /// The sentences to choose from.
    texts: Vec<String>,
    max_tokens: Option<u32>,
    prompt_tokens: u32,
}

impl Work {
    pub(crate) fn of(conversation: &Conversation) -> Work {
        let mut request = intent::request(conversation);
        let mut texts = match request.wish {
            Wish::Help => help::PASSAGES.iter().map(|passage| (*passage).to_owned()).collect(),
            _ => std::mem::take(&mut request.given),
        };
        if request.wish == Wish::Answer && texts.is_empty() {
            // With nothing to answer from, it may still be a question about the platform.
            texts = help::PASSAGES.iter().map(|passage| (*passage).to_owned()).collect();
            request.wish = Wish::Help;
        }
        if texts.len() > MOST_TEXTS && request.wish != Wish::Keywords {
            // The nearest by words, or for a summary some from everywhere.
            let mut kept: Vec<usize> = match request.wish {
                Wish::Summary => (0..MOST_TEXTS).map(|at| at * texts.len() / MOST_TEXTS).collect(),
                _ => {
                    let order = Nearness::of(&request.question, &texts, None).order(texts.len());
                    order.into_iter().take(MOST_TEXTS).map(|(text, _)| text).collect()
                }
            };
            kept.sort_unstable();
            texts = kept.into_iter().map(|at| std::mem::take(&mut texts[at])).collect();
        }
        let said = conversation.messages.iter().filter_map(intent::said);
        let prompt_tokens = said.map(|text| pieces(&text).len() as u32).sum();
        Work { request, texts, max_tokens: conversation.max_tokens, prompt_tokens }
    }

    /// The texts whose vectors would help: the question, then all it chooses from. Empty where none would.
    pub(crate) fn wanted(&self) -> Vec<String> {
        // What the platform says of itself is worded so that the words find it.
        if matches!(self.request.wish, Wish::Keywords | Wish::Help) || self.texts.is_empty() {
            return Vec::new();
        }
        std::iter::once(&self.request.question).chain(&self.texts).cloned().collect()
    }

    /// The answer, with the vectors of what was wanted, row after row, where a model gave them.
    pub(crate) fn answer(self, vectors: Option<Vec<Vec<f32>>>) -> Answer {
        let Work { request, texts, max_tokens, prompt_tokens } = self;
        let nearness = Nearness::of(&request.question, &texts, vectors);
        let text = format!("{}\n\n{SAYS}", found(&request, &texts, &nearness));
        let mut words = pieces(&text);
        let most = max_tokens.map_or(usize::MAX, |most| most as usize);
        let finish_reason = if words.len() > most { "length" } else { "stop" };
        words.truncate(most);
        let completion_tokens = words.len() as u32;
        let usage =
            Usage { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens, more: None };
        Answer { words, finish_reason, usage }
    }
}

fn found(request: &Request, texts: &[String], nearness: &Nearness) -> String {
    let chosen = |places: Vec<usize>| places.into_iter().map(|at| texts[at].as_str()).collect::<Vec<_>>().join(" ");
    let nothing = || format!("Nothing in this conversation answers “{}”.", quoted(&request.question));
    match request.wish {
        Wish::Keywords if texts.is_empty() => "There is no text here to find keywords in.".to_owned(),
        Wish::Keywords => rank::keywords(texts, MOST_KEYWORDS).join(", "),
        Wish::Summary if texts.is_empty() => "There is no text here to sum up.".to_owned(),
        // A fifth of the text, and no more than one reads in one go.
        Wish::Summary => chosen(nearness.summary(texts.len(), (texts.len() / 5).clamp(1, 5))),
        Wish::Ranking if texts.is_empty() => "There are no passages here to rank.".to_owned(),
        Wish::Ranking => {
            let order = nearness.order(texts.len()).into_iter().enumerate();
            order
                .map(|(at, (text, near))| format!("{}. {} ({near:.2})", at + 1, texts[text]))
                .collect::<Vec<_>>()
                .join("\n")
        }
        Wish::Help if intent::names_itself(&request.question) && help::is_about_all(&request.question) => {
            texts[0].clone()
        }
        Wish::Help => match nearness.answers(texts.len(), 2) {
            places if !places.is_empty() => chosen(places),
            _ if request.question.is_empty() => texts[0].clone(),
            _ => format!("{} {}", nothing(), texts[0]),
        },
        Wish::Answer => match nearness.answers(texts.len(), MOST_ANSWERS) {
            places if !places.is_empty() => chosen(places),
            _ => nothing(),
        },
    }
}

/// Pieces of an answer. One counts as one token, here and in what was asked: a stand-in has no tokens of its own, and callers
/// who count something should see numbers that behave.
pub(crate) struct Answer {
    words: Vec<String>,
    finish_reason: &'static str,
    usage: Usage,
}

impl Answer {
    pub(crate) fn whole(self) -> Completion {
        Completion {
            text: Some(self.words.concat()),
            finish_reason: self.finish_reason.to_owned(),
            usage: Some(self.usage),
            more: None,
            choices: None,
        }
    }

    pub(crate) fn pieces(self) -> Vec<Token> {
        let end = [Token::Finished(self.finish_reason.to_owned()), Token::Usage(self.usage)];
        self.words.into_iter().map(Token::Text).chain(end).collect()
    }
}

fn quoted(text: &str) -> String {
    match text.char_indices().nth(MOST_QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Splits before white space that follows a word, and before every letter of a script without spaces, so that the pieces put
/// together are the text again.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut gap = true;
    for letter in text.chars() {
        let starts = (letter.is_whitespace() && !gap) || text::is_unspaced(letter);
        gap = letter.is_whitespace();
        match pieces.last_mut() {
            Some(piece) if !starts => piece.push(letter),
            _ => pieces.push(letter.to_string()),
        }
    }
    pieces
}
