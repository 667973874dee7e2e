//! The body of POST /embedding.

use super::{Fields, Parameters, Wrong, characters};
use crate::limits::Limits;

#[derive(Debug)]
pub(crate) struct Input {
    pub text: String,
    pub model: Option<String>,
}

pub(crate) fn parse(body: &[u8], limits: &Limits) -> Result<Input, Wrong> {
    let mut fields = Fields::read(body)?;
    let input = Input { text: fields.required_text("text", limits.embedding_chars), model: fields.model(false) };
    fields.finish(input)
}

impl Input {
    pub(crate) fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.add("text", characters(&self.text));
        parameters.maybe("model", self.model.as_deref());
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::problem;

    #[test]
    fn the_plans_example_is_read() {
        let body = br#"{"text": "Sample text to embed", "model": "sentence-transformers/all-MiniLM-L6-v2"}"#;
        let input = parse(body, &Limits::default()).expect("a text");
        assert_eq!(input.parameters().0, "text=20 model=sentence-transformers/all-MiniLM-L6-v2");
    }

    #[test]
    fn a_list_of_texts_is_not_taken() {
        let outcome = parse(br#"{"text": ["a", "b"]}"#, &Limits::default());
        let Err(Wrong::Invalid(problems)) = outcome else { panic!("it is invalid") };
        assert_eq!(problems, [problem("text", "must be a string")]);
    }
}
