//! The form of POST /stt, and what may stand beside a bare recording.

use super::{Parameters, Problem, Wrong, check_model, problem};
use crate::multipart::{Chunks, Form};

pub(crate) const FILES: &[&str] = &["audio", "file"];

#[derive(Debug)]
pub(crate) struct Input {
    pub audio: Chunks,
    pub model: Option<String>,
    pub language: Option<String>,
}

pub(crate) fn parse(mut form: Form) -> Result<Input, Wrong> {
    let audio = FILES.iter().find_map(|name| form.take_file(name));
    check(audio, form.text("model"), form.text("language"))
}

/// A body that is the recording itself, with the other fields in the query.
pub(crate) fn parse_bare(audio: Chunks, query: &str) -> Result<Input, Wrong> {
    let field = |name: &str| {
        let (_, value) = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(known, _)| *known == name)?;
        Some(value.replace("%2F", "/").replace("%2f", "/").replace("%3A", ":")).filter(|value| !value.is_empty())
    };
    check(Some(audio), field("model").as_deref(), field("language").as_deref())
}

fn check(audio: Option<Chunks>, model: Option<&str>, language: Option<&str>) -> Result<Input, Wrong> {
    let mut problems: Vec<Problem> = Vec::new();
    match &audio {
        None => problems.push(problem("audio", "is required: a part of the form with the recording's bytes")),
        Some(chunks) if chunks.is_empty() => problems.push(problem("audio", "must not be empty")),
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
    Ok(Input { audio: audio.unwrap_or_default(), model: model.map(str::to_owned), language: code.flatten() })
}

/// `en` of `en`, `EN` and `en-US`. Three letters too: Whisper knows `haw` and `yue`, which have no shorter code.
fn code(language: &str) -> Option<String> {
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
        parameters.add("audio_bytes", self.audio.iter().map(Vec::len).sum::<usize>());
        parameters.maybe("language", self.language.as_deref());
        parameters.maybe("model", self.model.as_deref());
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(texts: &[(&str, &str)], file: Option<&str>) -> Form {
        let texts = texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Form { texts, files: file.map(|name| (name.to_owned(), vec![b"RIFF".to_vec()])).into_iter().collect() }
    }

    #[test]
    fn a_form_is_read_under_both_names_of_the_file() {
        for name in FILES {
            let fields = [("model", "openai/whisper-base"), ("language", "en-US")];
            let input = parse(form(&fields, Some(name))).expect("a recording");
            assert_eq!(input.language.as_deref(), Some("en"));
            assert_eq!(input.parameters().0, "audio_bytes=4 language=en model=openai/whisper-base");
        }
    }

    #[test]
    fn empty_fields_are_absent_ones() {
        let input = parse(form(&[("model", ""), ("language", " ")], Some("audio"))).expect("a recording");
        assert_eq!((input.model, input.language), (None, None));
    }

    #[test]
    fn everything_wrong_is_told() {
        let Err(Wrong::Invalid(problems)) = parse(form(&[("model", "x"), ("language", "english")], None)) else {
            panic!("it is invalid")
        };
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["audio", "model", "language"]);
        let empty = Form { files: vec![("audio".into(), Chunks::new())], ..Form::default() };
        let Err(Wrong::Invalid(problems)) = parse(empty) else { panic!("it is empty") };
        assert_eq!(problems, [problem("audio", "must not be empty")]);
    }

    #[test]
    fn a_bare_recording_has_its_fields_in_the_query() {
        let input = parse_bare(vec![b"fLaC".to_vec()], "language=de&model=a%2Fb").expect("a recording");
        assert_eq!((input.model.as_deref(), input.language.as_deref()), (Some("a/b"), Some("de")));
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
