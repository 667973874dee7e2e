//! What the last turn wants, and of which text: told by a few words in the languages of the app.

use hybrid_guest::types::{Conversation, Message, Role};
use serde_json::Value;

use super::help;
use super::text::{sentences, words};

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Wish {
    Answer,
    Summary,
    Keywords,
    Ranking,
    /// About the platform itself.
    Help,
}

/// The last turn of the user, taken apart.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) wish: Wish,
    /// The sentences that ask, as written.
    pub(super) question: String,
    /// Everything else that was said by system and user, sentence by sentence, oldest first.
    pub(super) given: Vec<String>,
}

/// Beginnings of words, and words in scripts that write no spaces.
const SUMMARY: &[&str] = &[
    "summar",
    "tl;dr",
    "tldr",
    "in short",
    "main points",
    "key points",
    "zusammenfass",
    "fasse ",
    "kurzfassung",
    "résum",
    "resum",
    "要約",
    "まとめ",
    "总结",
    "總結",
    "摘要",
    "لخص",
    "ملخص",
    "تلخيص",
];
const KEYWORDS: &[&str] = &[
    "keyword",
    "key word",
    "key phrase",
    "key term",
    "main topics",
    "schlagw",
    "stichw",
    "schlüsselw",
    "mots-clés",
    "mots clés",
    "palabras clave",
    "キーワード",
    "关键词",
    "關鍵詞",
    "الكلمات المفتاحية",
    "كلمات مفتاحية",
];
const RANKING: &[&str] = &[
    "rank ",
    "rank:",
    "rank these",
    "most relevant",
    "most similar",
    "sort by relevance",
    "order by relevance",
    "best match",
    "closest to",
    "relevanteste",
    "am ähnlichsten",
    "ordne ",
    "plus pertinent",
    "más relevante",
    "関連順",
    "最相关",
    "最相關",
    "الأكثر صلة",
];
/// What somebody says who asks the platform what it is.
const ITSELF: &[&str] = &[
    "this api",
    "this platform",
    "this server",
    "the api",
    "your api",
    "the platform",
    "endpoint",
    "what can you do",
    "what can i do",
    "who are you",
    "what are you",
    "which model",
    "api key",
    "hf_api_key",
    "diese api",
    "was kannst du",
    "wer bist du",
    "que peux-tu",
    "qui es-tu",
    "cette api",
    "esta api",
    "qué puedes",
    "quién eres",
    "このapi",
    "何ができ",
    "你能做什么",
    "你是谁",
    "ماذا يمكنك",
    "من أنت",
];

pub(super) fn request(conversation: &Conversation) -> Request {
    let turns: Vec<(&Message, String)> =
        conversation.messages.iter().filter_map(|message| Some((message, said(message)?))).collect();
    let last = turns.iter().rposition(|(message, _)| message.role == Role::User);
    let asked = last.map_or("", |last| turns[last].1.as_str());
    let mut given: Vec<String> = Vec::new();
    for (at, (message, text)) in turns.iter().enumerate() {
        // What this stand-in said before is nothing to answer from.
        if Some(at) != last && message.role != Role::Assistant {
            given.extend(sentences(text).into_iter().filter(|line| !is_question(line)).map(str::to_owned));
        }
    }

    let lines = sentences(asked);
    let wish_of = |line: &str| {
        let line = format!("{} ", line.to_lowercase());
        let names = |list: &[&str]| list.iter().any(|word| line.contains(word));
        match () {
            () if names(SUMMARY) => Some(Wish::Summary),
            () if names(KEYWORDS) => Some(Wish::Keywords),
            () if names(RANKING) => Some(Wish::Ranking),
            () if names_itself(&line) || help::names_endpoint(&line) => Some(Wish::Help),
            () => None,
        }
    };
    // An instruction stands at one end of a text, a question anywhere in it.
    let ends = [lines.first(), lines.last()];
    let wish = ends.into_iter().flatten().find_map(|line| wish_of(line));
    let asks = |at: usize, line: &str| {
        is_question(line)
            || ((at == 0 || at + 1 == lines.len()) && (wish_of(line).is_some() || line.ends_with([':', '：'])))
    };
    let mut question: Vec<&str> = Vec::new();
    let mut rest: Vec<String> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        // Whoever gives an instruction about a text may have questions within the text.
        let own =
            if matches!(wish, Some(Wish::Summary | Wish::Keywords)) { wish_of(line).is_some() } else { asks(at, line) };
        // An instruction and the beginning of its text may be one sentence: "Summarise: the tide is high today".
        let shared = line.split_once([':', '：']).filter(|(asked, text)| {
            matches!(wish, Some(Wish::Summary | Wish::Keywords)) && wish_of(asked).is_some() && !text.trim().is_empty()
        });
        match shared {
            Some((asked, text)) if own => {
                question.push(asked);
                rest.push(text.trim().to_owned());
            }
            _ if own => question.push(line),
            _ => rest.push((*line).to_owned()),
        }
    }
    if question.is_empty() && wish.is_none() && lines.len() <= 2 {
        question.append(&mut lines.clone());
        rest.clear();
    }
    given.append(&mut rest);
    let wish = match wish {
        Some(Wish::Help) if given.len() > 2 => Wish::Answer,
        Some(wish) => wish,
        // A text that asks nothing is put in short.
        None if question.is_empty() && given.len() > 2 => Wish::Summary,
        None => Wish::Answer,
    };
    Request { wish, question: question.join(" "), given }
}

/// Whether a question is put to the platform about itself.
pub(super) fn names_itself(question: &str) -> bool {
    let question = question.to_lowercase();
    ITSELF.iter().any(|word| question.contains(word))
}

fn is_question(line: &str) -> bool {
    line.trim_end_matches(['"', '”', '»', '」', ')', '\'']).ends_with(['?', '？', '؟']) && !words(line).is_empty()
}

/// What a turn says, be it in `text` or in a `content` of OpenAI's form, which wins.
pub(super) fn said(message: &Message) -> Option<String> {
    let content = message.more.as_deref().and_then(|more| {
        let mut more: Value = serde_json::from_str(more).ok()?;
        match more.get_mut("content")?.take() {
            Value::String(text) => Some(text),
            Value::Array(parts) => {
                Some(parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"))
            }
            _ => None,
        }
    });
    content.or_else(|| message.text.clone())
}
