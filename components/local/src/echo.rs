//! A chat answer that says what it is: no language model.

use hybrid_guest::types::{Completion, Conversation, Message, Role, Token, Usage};
use serde_json::Value;

pub(crate) const MODEL: &str = "local/echo";

/// Enough to recognise a question by.
const MAX_QUOTED: usize = 500;
const SAYS: &str =
    "This is an embedded stand-in and no language model: to get an answer, set HF_API_KEY or name a model.";

/// Words of an answer, each with the white space before it. One word counts as one token, here and in what was asked: a
/// stand-in has no tokens of its own, and callers who count something should see numbers that behave.
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

pub(crate) fn answer(conversation: &Conversation) -> Answer {
    let asked = conversation.messages.iter().rev().filter(|message| message.role == Role::User).find_map(text);
    let text = match asked.as_deref().map(str::trim).filter(|asked| !asked.is_empty()) {
        Some(asked) => format!("{SAYS} You asked: “{}”", quoted(asked)),
        None => SAYS.to_owned(),
    };
    let mut words = words(&text);
    let most = conversation.max_tokens.map_or(usize::MAX, |most| most as usize);
    let finish_reason = if words.len() > most { "length" } else { "stop" };
    words.truncate(most);

    let said = conversation.messages.iter().filter_map(self::text);
    let prompt_tokens = said.map(|text| text.split_whitespace().count() as u32).sum();
    let completion_tokens = words.len() as u32;
    let usage = Usage { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens, more: None };
    Answer { words, finish_reason, usage }
}

/// What a turn says, be it in `text` or in a `content` of OpenAI's form, which wins.
fn text(message: &Message) -> Option<String> {
    let content = message.more.as_deref().and_then(|more| {
        let mut more: Value = serde_json::from_str(more).ok()?;
        match more.get_mut("content")?.take() {
            Value::String(text) => Some(text),
            Value::Array(parts) => {
                Some(parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" "))
            }
            _ => None,
        }
    });
    content.or_else(|| message.text.clone())
}

fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Splits before white space that follows a word, so that the words put together are the text again.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut gap = true;
    for character in text.chars() {
        let starts = character.is_whitespace() && !gap;
        gap = character.is_whitespace();
        match words.last_mut() {
            Some(word) if !starts => word.push(character),
            _ => words.push(character.to_string()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(role: Role, text: &str) -> Message {
        Message { role, text: Some(text.to_owned()), more: None }
    }

    fn conversation(messages: Vec<Message>, max_tokens: Option<u32>) -> Conversation {
        Conversation { messages, max_tokens, temperature: None, more: None }
    }

    #[test]
    fn it_says_what_it_is_and_quotes_the_last_question() {
        let turns = vec![says(Role::User, "First?"), says(Role::Assistant, "Yes."), says(Role::User, "Why is it so?")];
        let whole = answer(&conversation(turns, None)).whole();
        let text = whole.text.expect("text");
        assert!(text.starts_with(SAYS) && text.ends_with("“Why is it so?”"), "{text}");
        assert_eq!(whole.finish_reason, "stop");
        let usage = whole.usage.expect("usage");
        assert_eq!(usage.prompt_tokens, 6);
        assert_eq!(usage.total_tokens, 6 + text.split_whitespace().count() as u32);
    }

    #[test]
    fn long_questions_are_cut_between_characters() {
        let text = answer(&conversation(vec![says(Role::User, &"é".repeat(700))], None)).whole().text.expect("text");
        assert_eq!(text.matches('é').count(), MAX_QUOTED);
        assert!(text.ends_with("…”"));
    }

    #[test]
    fn max_tokens_cuts_the_answer_and_says_so() {
        let whole = answer(&conversation(vec![says(Role::User, "Hello")], Some(5))).whole();
        assert_eq!(whole.text.as_deref(), Some("This is an embedded stand-in"));
        assert_eq!(whole.finish_reason, "length");
        assert_eq!(whole.usage.expect("usage").completion_tokens, 5);
    }

    #[test]
    fn the_pieces_make_the_whole() {
        let asked = conversation(vec![says(Role::User, "two  spaces\n and a line")], None);
        let whole = answer(&asked).whole().text.expect("text");
        let pieces = answer(&asked).pieces();
        let text: String =
            pieces.iter().filter_map(|t| if let Token::Text(t) = t { Some(t.as_str()) } else { None }).collect();
        assert_eq!(text, whole);
        assert!(matches!(&pieces[pieces.len() - 2..], [Token::Finished(why), Token::Usage(_)] if why == "stop"));
    }

    #[test]
    fn a_list_of_parts_is_read_too() {
        let more = r#"{"content": [{"type": "text", "text": "What is this?"}, {"type": "image_url"}]}"#;
        let turn = Message { role: Role::User, text: None, more: Some(more.to_owned()) };
        let text = answer(&conversation(vec![turn], None)).whole().text.expect("text");
        assert!(text.ends_with("“What is this?”"), "{text}");
    }
}
