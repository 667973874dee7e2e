//! The body of POST /image.

use hybrid_guest::types::PicturePrompt;

use super::{Fields, Parameters, Wrong, characters};
use crate::limits::{DEFAULT_PICTURE_SIDE, GUIDANCE, Limits, MIN_PICTURE_SIDE, PICTURE_SIDE_STEP, SEED, STEPS};

pub(crate) struct Input {
    pub prompt: PicturePrompt,
    pub model: Option<String>,
}

pub(crate) fn parse(body: &[u8], limits: &Limits) -> Result<Input, Wrong> {
    let mut fields = Fields::read(body)?;
    let input = Input {
        prompt: PicturePrompt {
            text: fields.required_text("prompt", limits.prompt_chars),
            negative: fields.limited_text("negative_prompt", limits.prompt_chars).filter(|it| !it.trim().is_empty()),
            width: side(&mut fields, "width", limits),
            height: side(&mut fields, "height", limits),
            seed: fields.integer("seed", SEED),
            steps: fields.integer("num_inference_steps", STEPS).map(|steps| steps as u32),
            guidance: fields.number("guidance_scale", GUIDANCE),
        },
        model: fields.model(false),
    };
    fields.finish(input)
}

fn side(fields: &mut Fields<'_>, name: &str, limits: &Limits) -> u32 {
    let side = fields.integer(name, MIN_PICTURE_SIDE..=limits.picture_side);
    if side.is_some_and(|side| !side.is_multiple_of(PICTURE_SIDE_STEP)) {
        fields.problem(name, format!("must be a multiple of {PICTURE_SIDE_STEP}"));
    }
    side.map_or(DEFAULT_PICTURE_SIDE, |side| side as u32)
}

impl Input {
    pub(crate) fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.add("prompt", characters(&self.prompt.text));
        parameters.maybe("negative_prompt", self.prompt.negative.as_deref().map(characters));
        parameters.add("width", self.prompt.width);
        parameters.add("height", self.prompt.height);
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
        let body =
            br#"{"prompt": "A serene landscape with mountains", "model": "stabilityai/stable-diffusion-3-medium",
            "negative_prompt": "blurry, low quality", "height": 768, "width": 1024, "seed": 7, "other": [1]}"#;
        let input = parse(body, &Limits::default()).expect("a prompt");
        assert_eq!(input.prompt.text, "A serene landscape with mountains");
        assert_eq!(input.prompt.negative.as_deref(), Some("blurry, low quality"));
        assert_eq!((input.prompt.width, input.prompt.height, input.prompt.seed), (1024, 768, Some(7)));
        assert_eq!(input.model.as_deref(), Some("stabilityai/stable-diffusion-3-medium"));
        assert_eq!(
            input.parameters().0,
            "prompt=33 negative_prompt=19 width=1024 height=768 model=stabilityai/stable-diffusion-3-medium"
        );
    }

    #[test]
    fn what_is_absent_has_the_plans_defaults() {
        let input = parse(br#"{"prompt": "x", "model": null, "width": null}"#, &Limits::default()).expect("it");
        assert_eq!((input.prompt.width, input.prompt.height), (512, 512));
        assert_eq!((input.model, input.prompt.negative, input.prompt.seed), (None, None, None));
    }

    #[test]
    fn everything_wrong_is_told() {
        let body = br#"{"prompt": " ", "width": 63, "height": 4096, "model": "../etc", "guidance_scale": "high"}"#;
        let Err(Wrong::Invalid(problems)) = parse(body, &Limits::default()) else { panic!("it is invalid") };
        let wanted = [
            problem("prompt", "must not be empty"),
            problem("width", "must be between 64 and 2048"),
            problem("height", "must be between 64 and 2048"),
            problem("guidance_scale", "must be a number"),
            problem("model", "must be a model's name, `org/name` or `local/name`"),
        ];
        assert_eq!(problems, wanted);
        let Err(Wrong::Invalid(problems)) = parse(br#"{"width": 100}"#, &Limits::default()) else { panic!("too") };
        assert_eq!(problems, [problem("prompt", "is required"), problem("width", "must be a multiple of 8")]);
    }

    #[test]
    fn a_prompt_may_be_2000_characters() {
        let body = |length| format!(r#"{{"prompt": "{}"}}"#, "é".repeat(length)).into_bytes();
        assert!(parse(&body(2000), &Limits::default()).is_ok());
        assert!(parse(&body(2001), &Limits::default()).is_err());
    }
}
