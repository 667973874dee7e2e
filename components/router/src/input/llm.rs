//! The body of POST /llm, and of OpenAI's forms of it. Fields that we only carry are handed on as the text they came as.

use hybrid_guest::json;
use hybrid_guest::types::{Conversation, Message, Role};
use serde_json::value::RawValue;

use super::{Fields, Object, Parameters, Problem, Wrong, carried, characters};
use crate::limits::{CHOICES, Limits, MAX_TOKENS, OPENAI_MAX_TOKENS, TEMPERATURE};

/// OpenAI's fields that go to the model unread. `n` is not among them: one answer is what comes back.
pub(crate) const CARRIED: &[&str] = &[
    "top_p",
    "stop",
    "seed",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "reasoning_effort",
];
/// The same for one turn.
const CARRIED_IN_TURN: &[&str] = &["tool_calls", "tool_call_id", "name"];

pub(crate) struct Input {
    pub conversation: Conversation,
    pub model: Option<String>,
    pub stream: bool,
    /// Whether the last of the pieces is to tell how many tokens there were.
    pub include_usage: bool,
    characters: u64,
}

pub(crate) fn parse(body: &[u8], limits: &Limits) -> Result<Input, Wrong> {
    let mut fields = Fields::read(body)?;
    let (messages, characters) = messages(&mut fields, limits, Rules::Plan);
    // OpenAI's newer name for the same.
    let limit = if fields.raw("max_tokens").is_some() { "max_tokens" } else { "max_completion_tokens" };
    let input = Input {
        conversation: Conversation {
            messages,
            max_tokens: fields.integer(limit, MAX_TOKENS).map(|tokens| tokens as u32),
            temperature: fields.number("temperature", TEMPERATURE),
            more: carried(CARRIED.iter().filter_map(|name| Some((*name, fields.raw(name)?)))),
        },
        model: fields.model(true),
        stream: fields.flag("stream"),
        include_usage: true,
        characters,
    };
    fields.finish(input)
}

/// The body of POST /v1/chat/completions. What we do not know goes to the model, which may.
pub(crate) fn parse_openai(body: &[u8], limits: &Limits) -> Result<Input, Wrong> {
    let mut fields = Fields::read(body)?;
    let (messages, characters) = messages(&mut fields, limits, Rules::OpenAi);
    openai(fields, messages, characters, &["messages"])
}

/// The body of POST /v1/completions.
pub(crate) fn parse_prompt(body: &[u8], limits: &Limits) -> Result<Input, Wrong> {
    let mut fields = Fields::read(body)?;
    let prompt = match fields.raw("prompt") {
        Some(json) if json.starts_with('[') => match serde_json::from_str::<Vec<String>>(json) {
            Ok(mut one) if one.len() == 1 => one.pop().unwrap_or_default(),
            Ok(_) => {
                fields.problem("prompt", "must be one text; send others as requests of their own");
                String::new()
            }
            Err(_) => {
                fields.problem("prompt", "must be text: tokens of other models mean nothing to the one that answers");
                String::new()
            }
        },
        _ => fields.required_text("prompt", limits.llm_chars),
    };
    if characters(&prompt) > limits.llm_chars {
        fields.problem("prompt", format!("must be at most {} characters", limits.llm_chars));
    }
    for name in ["suffix", "logprobs"] {
        if fields.raw(name).is_some() {
            fields.problem(name, "is not supported here");
        }
    }
    if fields.flag("echo") {
        fields.problem("echo", "is not supported here");
    }
    let characters = characters(&prompt);
    let message = Message { role: Role::User, text: Some(prompt), more: None };
    openai(fields, vec![message], characters, &["prompt", "suffix", "logprobs", "echo", "best_of"])
}

/// What both of OpenAI's forms have; `own` are the fields that are dealt with.
fn openai(mut fields: Fields<'_>, messages: Vec<Message>, characters: u64, own: &[&str]) -> Result<Input, Wrong> {
    const COMMON: [&str; 6] =
        ["model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature"];
    let limit = if fields.raw("max_completion_tokens").is_some() { "max_completion_tokens" } else { "max_tokens" };
    fields.integer("n", CHOICES);
    let options = fields.raw("stream_options").map(serde_json::from_str::<Object<'_>>);
    let include_usage = match options {
        Some(Ok(options)) => options.get("include_usage") == Some("true"),
        Some(Err(_)) => {
            fields.problem("stream_options", "must be an object");
            false
        }
        None => false,
    };
    let input = Input {
        conversation: Conversation {
            messages,
            max_tokens: fields.integer(limit, OPENAI_MAX_TOKENS).map(|tokens| tokens as u32),
            temperature: fields.number("temperature", TEMPERATURE),
            more: fields.others(&[&COMMON[..], own].concat()),
        },
        model: fields.any_model(true),
        stream: fields.flag("stream"),
        include_usage,
        characters,
    };
    fields.finish(input)
}

/// Whose rules a turn keeps to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rules {
    Plan,
    /// An empty turn is the model's business, and so is every field we do not know.
    OpenAi,
}

fn messages(fields: &mut Fields<'_>, limits: &Limits, rules: Rules) -> (Vec<Message>, u64) {
    let Some(json) = fields.raw("messages") else {
        fields.problem("messages", "is required");
        return (Vec::new(), 0);
    };
    let turns = json::elements(json).map(|turns| turns.into_iter().map(json::Raw::get).collect::<Vec<_>>());
    let oddly = || Some(serde_json::from_str::<Vec<&RawValue>>(json).ok()?.into_iter().map(RawValue::get).collect());
    let Some(turns) = turns.or_else(oddly) else {
        fields.problem("messages", "must be a list of objects with `role` and `content`");
        return (Vec::new(), 0);
    };
    if turns.is_empty() || turns.len() as u64 > limits.llm_messages {
        fields.problem("messages", format!("must hold between 1 and {} messages", limits.llm_messages));
        return (Vec::new(), 0);
    }
    let (mut messages, mut total) = (Vec::with_capacity(turns.len()), 0);
    for (index, turn) in turns.into_iter().enumerate() {
        match message(turn, index, rules) {
            Ok((message, characters)) => {
                total += characters;
                messages.push(message);
            }
            Err(problems) => fields.adopt(problems),
        }
    }
    if total > limits.llm_chars {
        fields.problem("messages", format!("must be at most {} characters in all", limits.llm_chars));
    }
    (messages, total)
}

fn message(json: &str, index: usize, rules: Rules) -> Result<(Message, u64), Vec<Problem>> {
    let Some(object) = Object::within(json) else {
        let place = format!("messages[{index}]");
        return Err(vec![super::problem(&place, "must be an object with `role` and `content`")]);
    };
    let mut turn = Fields::of_turn(object, index);
    let role = role(&mut turn);

    let content = turn.raw("content");
    let (mut text, mut parts, mut length) = (None, None, 0);
    match content {
        Some(json) if json.starts_with('[') => {
            length = part_characters(&mut turn, json);
            parts = Some(json);
        }
        Some(json) if json.starts_with('"') => {
            text = turn.text("content");
            length = text.as_deref().map_or(0, characters);
            if rules == Rules::Plan && role == Role::User && text.as_deref().is_some_and(|text| text.trim().is_empty())
            {
                turn.problem("content", "must not be empty");
            }
        }
        Some(_) => turn.problem("content", "must be a string, or a list of parts"),
        None if role == Role::Assistant && (rules == Rules::OpenAi || turn.raw("tool_calls").is_some()) => {}
        None => turn.problem("content", "is required"),
    }
    let more = match rules {
        Rules::OpenAi if parts.is_some() => turn.others(&["role"]),
        Rules::OpenAi => turn.others(&["role", "content"]),
        Rules::Plan => {
            let known = CARRIED_IN_TURN.iter().filter_map(|name| Some((*name, turn.raw(name)?)));
            carried(parts.map(|json| ("content", json)).into_iter().chain(known))
        }
    };
    let problems = turn.into_problems();
    if problems.is_empty() { Ok((Message { role, text, more }, length)) } else { Err(problems) }
}

fn role(turn: &mut Fields<'_>) -> Role {
    const WANTED: &str = "must be `system`, `user`, `assistant` or `tool`";
    match turn.raw("role") {
        // OpenAI's newer name for the same.
        Some("\"system\"" | "\"developer\"") => return Role::System,
        Some("\"user\"") => return Role::User,
        Some("\"assistant\"") => return Role::Assistant,
        Some("\"tool\"") => return Role::Tool,
        Some(_) => turn.problem("role", WANTED),
        None => turn.problem("role", "is required"),
    }
    Role::Assistant
}

/// The characters of the parts that are text. Pictures in other parts are bounded by the body's size.
fn part_characters(turn: &mut Fields<'_>, json: &str) -> u64 {
    let parts = serde_json::from_str::<Vec<Object<'_>>>(json).unwrap_or_default();
    if parts.is_empty() || parts.iter().any(|part| part.get("type").is_none_or(|kind| !kind.starts_with('"'))) {
        turn.problem("content", "must be a string, or a list of objects with a `type`");
        return 0;
    }
    let text = |part: &Object<'_>| serde_json::from_str::<String>(part.get("text")?).ok();
    parts.iter().filter_map(text).map(|text| characters(&text)).sum()
}

impl Input {
    pub(crate) fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.add("messages", self.conversation.messages.len());
        parameters.add("characters", self.characters);
        parameters.maybe("max_tokens", self.conversation.max_tokens);
        parameters.maybe("temperature", self.conversation.temperature);
        if self.stream {
            parameters.add("stream", true);
        }
        parameters.maybe("model", self.model.as_deref());
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Input, Vec<(String, String)>> {
        parse(body.as_bytes(), &Limits::default()).map_err(|wrong| match wrong {
            Wrong::Invalid(problems) => problems.into_iter().map(|it| (it.field, it.message)).collect(),
            Wrong::Unreadable(message) => panic!("{message}"),
        })
    }

    #[test]
    fn the_plans_example_is_read() {
        let input = read(
            r#"{"messages": [{"role": "system", "content": "You are a helpful assistant"},
                {"role": "user", "content": "What is the capital of France?"}],
                "model": "meta-llama/Llama-2-7b-chat-hf", "max_tokens": 256, "temperature": 0.7}"#,
        )
        .expect("a conversation");
        let roles: Vec<_> = input.conversation.messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::System, Role::User]);
        assert_eq!(input.conversation.messages[1].text.as_deref(), Some("What is the capital of France?"));
        assert_eq!((input.conversation.max_tokens, input.conversation.temperature), (Some(256), Some(0.7)));
        assert!(input.conversation.more.is_none() && !input.stream);
        assert_eq!(
            input.parameters().0,
            "messages=2 characters=57 max_tokens=256 temperature=0.7 model=meta-llama/Llama-2-7b-chat-hf"
        );
    }

    #[test]
    fn openai_fields_are_carried_unread() {
        let input = read(
            r#"{"messages": [{"role": "developer", "content": ""},
                {"role": "user", "name": "eve", "content": [{"type": "text", "text": "äh"}, {"type": "image_url", "image_url": {"url": "data:"}}]},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "1"}]},
                {"role": "tool", "content": "4", "tool_call_id": "1"}],
                "top_p": 0.9, "stop": ["\n"], "seed": null, "foo": 1, "n": 2, "max_completion_tokens": 5, "stream": true}"#,
        )
        .expect("a conversation");
        let [system, user, assistant, tool] = &input.conversation.messages[..] else { panic!("four turns") };
        assert_eq!(system.role, Role::System);
        assert_eq!(user.text, None);
        let more: serde_json::Value = serde_json::from_str(user.more.as_deref().expect("parts")).expect("JSON");
        assert_eq!((&more["content"][0]["text"], &more["name"]), (&"äh".into(), &"eve".into()));
        assert_eq!(assistant.more.as_deref(), Some(r#"{"tool_calls":[{"id": "1"}]}"#));
        assert_eq!(tool.more.as_deref(), Some(r#"{"tool_call_id":"1"}"#));
        assert_eq!(input.conversation.more.as_deref(), Some(r#"{"top_p":0.9,"stop":["\n"]}"#));
        assert_eq!(input.conversation.max_tokens, Some(5));
        assert!(input.stream);
        assert_eq!(input.characters, 3);
    }

    #[test]
    fn openais_clients_are_taken_at_their_word() {
        let body = r#"{"model": "gpt-4o", "messages": [{"role": "user", "content": "", "x": 1},
            {"role": "assistant", "content": null, "refusal": "no"}, {"role": "tool", "content": [{"type": "text", "text": "a"}], "tool_call_id": "1"}],
            "n": 2, "max_completion_tokens": 99999, "stream": true, "stream_options": {"include_usage": true},
            "top_p": 0.50, "made_up": {"a": [1]}, "user": null, "temperature": 0.7}"#;
        let input = parse_openai(body.as_bytes(), &Limits::default()).expect("a conversation");
        assert_eq!(input.conversation.more.as_deref(), Some(r#"{"n":2,"top_p":0.50,"made_up":{"a": [1]}}"#));
        assert_eq!((input.model.as_deref(), input.conversation.max_tokens), (Some("gpt-4o"), Some(99_999)));
        assert!(input.stream && input.include_usage);
        let more: Vec<_> = input.conversation.messages.iter().map(|turn| turn.more.as_deref()).collect();
        assert_eq!(more[..2], [Some(r#"{"x":1}"#), Some(r#"{"refusal":"no"}"#)]);
        assert!(more[2].is_some_and(|more| more.contains("tool_call_id") && more.contains("content")));
        for wrong in [r#""n": 0"#, r#""stream_options": 1"#, r#""temperature": 3"#, r#""model": "a b""#] {
            let body = format!(r#"{{"messages": [{{"role": "user", "content": "x"}}], {wrong}}}"#);
            assert!(parse_openai(body.as_bytes(), &Limits::default()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_prompt_is_one_turn() {
        let read = |body: &str| parse_prompt(body.as_bytes(), &Limits::default());
        let input = read(r#"{"prompt": ["once"], "max_tokens": 5, "best_of": 1, "stop": "."}"#).expect("a prompt");
        assert_eq!(input.conversation.messages[0].text.as_deref(), Some("once"));
        assert_eq!(input.conversation.more.as_deref(), Some(r#"{"stop":"."}"#));
        for body in [r#"{"prompt": ["a", "b"]}"#, r#"{"prompt": [1, 2]}"#, "{}", r#"{"prompt": "a", "suffix": "b"}"#] {
            assert!(read(body).is_err(), "{body}");
        }
    }

    #[test]
    fn everything_wrong_is_told() {
        let told = read(
            r#"{"messages": [{"role": "king", "content": "x"}, {"role": "user"}, {"role": "user", "content": 5}, "x",
                {"role": "user", "content": "  "}, {"content": [{"text": "x"}]}],
                "max_tokens": 0, "temperature": 3, "stream": "yes", "model": "x"}"#,
        )
        .err()
        .expect("it is invalid");
        let fields: Vec<_> = told.iter().map(|(field, _)| field.as_str()).collect();
        let wanted = [
            "messages[0].role",
            "messages[1].content",
            "messages[2].content",
            "messages[3]",
            "messages[4].content",
            "messages[5].role",
            "messages[5].content",
            "max_tokens",
            "temperature",
            "model",
            "stream",
        ];
        assert_eq!(fields, wanted);
        for body in ["{}", r#"{"messages": []}"#, r#"{"messages": "hi"}"#] {
            assert_eq!(read(body).err().expect("it is invalid")[0].0, "messages", "{body}");
        }
    }

    #[test]
    fn conversations_have_limits() {
        let turns = |count: usize, length: usize| {
            let turn = format!(r#"{{"role": "user", "content": "{}"}}"#, "x".repeat(length));
            format!(r#"{{"messages": [{}]}}"#, vec![turn; count].join(","))
        };
        assert!(read(&turns(200, 1000)).is_ok());
        assert!(read(&turns(201, 1)).is_err());
        assert!(read(&turns(200, 1001)).is_err());
    }
}
