//! The form of POST /stt, and what may stand beside a bare recording.

use super::{Parameters, Problem, Wrong, check_model, problem};

/// The second is what some clients call every file.
pub(crate) const FILES: &[&str] = &["audio", "file"];

#[derive(Debug)]
pub(crate) struct Input {
    pub audio_bytes: u64,
    pub model: Option<String>,
    pub language: Option<String>,
}

/// `audio_bytes` is the recording's length; none where there is no recording.
pub(crate) fn parse(audio_bytes: Option<u64>, model: Option<&str>, language: Option<&str>) -> Result<Input, Wrong> {
    let mut problems: Vec<Problem> = Vec::new();
    match audio_bytes {
        None => problems.push(problem("audio", "is required: a part of the form with the recording's bytes")),
        Some(0) => problems.push(problem("audio", "must not be empty")),
        Some(_) => {}
    }
    if let Some(Err(message)) = model.map(|model| check_model(model, false)) {
        problems.push(problem("model", message));
    }
    let code = language.map(code);
    if let Some(None) = code {
        problems.push(problem("language", "must be a language's ISO 639-1 code, like `en`"));
    }
    if !problems.is_empty() {
        return Err(Wrong::Invalid(problems));
    }
    let audio_bytes = audio_bytes.unwrap_or_default();
    Ok(Input { audio_bytes, model: model.map(str::to_owned), language: code.flatten() })
}

/// A field of a query. Of what may be escaped, a model's name has but these two.
pub(crate) fn query(query: &str, name: &str) -> Option<String> {
    let (_, value) = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(known, _)| *known == name)?;
    Some(value.replace("%2F", "/").replace("%2f", "/").replace("%3A", ":")).filter(|value| !value.is_empty())
}

/// `en` of `en`, `EN` and `en-US`. Three letters too: Whisper knows `haw` and `yue`, which have no shorter code.
pub(crate) fn code(language: &str) -> Option<String> {
    let mut subtags = language.split(['-', '_']);
    let code = subtags.next()?;
    let good = (2..=3).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_alphabetic())
        && subtags.all(|tag| (1..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    good.then(|| code.to_ascii_lowercase())
}

impl Input {
    pub(crate) fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.add("audio_bytes", self.audio_bytes);
        parameters.maybe("language", self.language.as_deref());
        parameters.maybe("model", self.model.as_deref());
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_read() {
        let input = parse(Some(4), Some("openai/whisper-base"), Some("en-US")).expect("a recording");
        assert_eq!(input.language.as_deref(), Some("en"));
        assert_eq!(input.parameters().0, "audio_bytes=4 language=en model=openai/whisper-base");
    }

    #[test]
    fn everything_wrong_is_told() {
        let Err(Wrong::Invalid(problems)) = parse(None, Some("x"), Some("english")) else { panic!("it is invalid") };
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["audio", "model", "language"]);
        let Err(Wrong::Invalid(problems)) = parse(Some(0), None, None) else { panic!("it is empty") };
        assert_eq!(problems, [problem("audio", "must not be empty")]);
    }

    #[test]
    fn a_query_has_fields() {
        let field = |name| query("language=de&model=a%2Fb&empty=", name);
        assert_eq!((field("model").as_deref(), field("language").as_deref()), (Some("a/b"), Some("de")));
        assert_eq!((field("empty"), field("other")), (None, None));
    }

    #[test]
    fn languages_are_codes() {
        for (language, expected) in
            [("en", Some("en")), ("PT_br", Some("pt")), ("yue", Some("yue")), ("zh-Hans-CN", Some("zh"))]
        {
            assert_eq!(code(language).as_deref(), expected);
        }
        for language in ["", "e", "english", "e1", "en-", "../x", "en us"] {
            assert_eq!(code(language), None, "{language}");
        }
    }
}
