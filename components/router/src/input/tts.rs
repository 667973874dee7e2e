//! The body of POST /tts.

use super::{Fields, Parameters, Wrong, characters};
use crate::limits::{Limits, SPEAKER, SPEED};

#[derive(Debug)]
pub(crate) struct Input {
    pub text: String,
    pub model: Option<String>,
    pub speaker_id: Option<u32>,
    pub speed: Option<f32>,
}

pub(crate) fn parse(body: &[u8], limits: &Limits) -> Result<Input, Wrong> {
    let mut fields = Fields::read(body)?;
    let input = Input {
        text: fields.required_text("text", limits.tts_chars),
        model: fields.model(false),
        speaker_id: fields.integer("speaker_id", SPEAKER).map(|speaker| speaker as u32),
        speed: fields.number("speed", SPEED),
    };
    fields.finish(input)
}

impl Input {
    pub(crate) fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.add("text", characters(&self.text));
        parameters.maybe("speaker_id", self.speaker_id);
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
        let body = br#"{"text": "Hello", "model": "espnet/kan-bayashi_ljspeech_vits", "speaker_id": 0}"#;
        let input = parse(body, &Limits::default()).expect("a text");
        assert_eq!((input.text.as_str(), input.speaker_id, input.speed), ("Hello", Some(0), None));
        assert_eq!(input.parameters().0, "text=5 speaker_id=0 model=espnet/kan-bayashi_ljspeech_vits");
    }

    #[test]
    fn everything_wrong_is_told() {
        let Err(Wrong::Invalid(problems)) = parse(br#"{"speaker_id": -1, "speed": 9}"#, &Limits::default()) else {
            panic!("it is invalid")
        };
        let wanted = [
            problem("text", "is required"),
            problem("speaker_id", "must be between 0 and 65535"),
            problem("speed", "must be between 0.25 and 4"),
        ];
        assert_eq!(problems, wanted);
    }
}
