//! The body of POST /edit-image: JSON with base64, or a form with files.

use std::ops::Range;

use super::{Fields, Parameters, Wrong, characters};
use crate::base64;
use crate::limits::{GUIDANCE, Limits, SEED, STEPS, STRENGTH};
use crate::multipart::{Chunks, Form};

pub(crate) const FILES: &[&str] = &["image", "mask"];

/// A picture where it came to lie.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Picture {
    /// Base64 between these bytes of the body, checked.
    Within(Range<usize>),
    Chunks(Chunks),
}

#[derive(Debug)]
pub(crate) struct Input {
    pub image: Picture,
    pub mask: Option<Picture>,
    pub prompt: String,
    pub negative_prompt: Option<String>,
    pub model: Option<String>,
    pub strength: Option<f32>,
    pub seed: Option<u64>,
    pub steps: Option<u32>,
    pub guidance: Option<f32>,
    image_bytes: u64,
    mask_bytes: Option<u64>,
}

/// A picture decodes to more bytes than are taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

pub(crate) fn parse(body: &[u8], limits: &Limits) -> Result<Result<Input, TooLarge>, Wrong> {
    let mut fields = Fields::read(body)?;
    let image = encoded(&mut fields, "image", body);
    if image.is_none() && fields.raw("image").is_none() {
        fields.problem("image", "is required");
    }
    let mask = encoded(&mut fields, "mask", body);
    let input = rest(&mut fields, limits, image, mask);
    let input = fields.finish(input)?;
    let largest = input.image_bytes.max(input.mask_bytes.unwrap_or_default());
    Ok(if largest > limits.upload_bytes { Err(TooLarge) } else { Ok(input) })
}

pub(crate) fn parse_form(mut form: Form, limits: &Limits) -> Result<Input, Wrong> {
    let json = form.json(&["strength", "seed", "num_inference_steps", "guidance_scale"]);
    let mut fields = Fields::read(json.as_bytes())?;
    let mut file = |name: &str, fields: &mut Fields<'_>| {
        let chunks = form.take_file(name)?;
        // A browser's form sends a file that was not chosen as an empty one.
        if chunks.is_empty() {
            if name == "image" {
                fields.problem(name, "must not be empty");
            }
            return None;
        }
        let bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Some((Picture::Chunks(chunks), bytes))
    };
    let (image, mask) = (file("image", &mut fields), file("mask", &mut fields));
    if image.is_none() {
        fields.problem("image", "is required: a part of the form with the picture's bytes");
    }
    let input = rest(&mut fields, limits, image, mask);
    fields.finish(input)
}

fn rest(
    fields: &mut Fields<'_>,
    limits: &Limits,
    image: Option<(Picture, u64)>,
    mask: Option<(Picture, u64)>,
) -> Input {
    // Without a picture there is a problem, and the input is not used.
    let (image, image_bytes) = image.unwrap_or((Picture::Within(0..0), 0));
    let (mask, mask_bytes) = mask.unzip();
    Input {
        image,
        mask,
        prompt: fields.required_text("prompt", limits.prompt_chars),
        negative_prompt: fields.limited_text("negative_prompt", limits.prompt_chars).filter(|it| !it.trim().is_empty()),
        model: fields.model(false),
        strength: fields.number("strength", STRENGTH),
        seed: fields.integer("seed", SEED),
        steps: fields.integer("num_inference_steps", STEPS).map(|steps| steps as u32),
        guidance: fields.number("guidance_scale", GUIDANCE),
        image_bytes,
        mask_bytes,
    }
}

fn encoded(fields: &mut Fields<'_>, name: &str, body: &[u8]) -> Option<(Picture, u64)> {
    const WANTED: &str = "must be a string of base64, with or without `data:image/png;base64,` before it";
    let json = fields.raw(name)?;
    let Some(text) = json.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        fields.problem(name, WANTED);
        return None;
    };
    let Some(text) = base64::without_prefix(text.as_bytes()) else {
        fields.problem(name, WANTED);
        return None;
    };
    match base64::check(text) {
        Ok(0) => {
            fields.problem(name, "must not be empty");
            None
        }
        Ok(length) => {
            // `text` is a part of the body: only where it lies is kept.
            let start = text.as_ptr() as usize - body.as_ptr() as usize;
            Some((Picture::Within(start..start + text.len()), length))
        }
        Err(message) => {
            fields.problem(name, message);
            None
        }
    }
}

impl Input {
    pub(crate) fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.add("prompt", characters(&self.prompt));
        parameters.maybe("negative_prompt", self.negative_prompt.as_deref().map(characters));
        parameters.add("image_bytes", self.image_bytes);
        parameters.maybe("mask_bytes", self.mask_bytes);
        parameters.maybe("strength", self.strength);
        parameters.maybe("model", self.model.as_deref());
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::problem;

    fn read(body: &str) -> Result<Input, Wrong> {
        parse(body.as_bytes(), &Limits::default()).map(|input| input.expect("not too large"))
    }

    #[test]
    fn pictures_stay_where_they_are() {
        let body =
            r#"{"image": "data:image\/png;base64,iVBORw0K\/w==", "mask": "TWFu", "prompt": "p", "strength": 0.75}"#;
        let input = read(body).expect("a change");
        let Picture::Within(range) = &input.image else { panic!("it is base64") };
        assert_eq!(&body[range.clone()], r"iVBORw0K\/w==");
        assert_eq!(input.mask, Some(Picture::Within(body.find("TWFu").map(|at| at..at + 4).expect("it is there"))));
        assert_eq!(input.parameters().0, "prompt=1 image_bytes=7 mask_bytes=3 strength=0.75");
    }

    #[test]
    fn everything_wrong_is_told() {
        let body = r#"{"image": "***", "mask": 5, "prompt": "", "strength": 1.5, "seed": -1}"#;
        let Err(Wrong::Invalid(problems)) = read(body) else { panic!("it is invalid") };
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["image", "mask", "prompt", "strength", "seed"]);
        assert_eq!(problems[0].message, "must be base64");
        let Err(Wrong::Invalid(problems)) = read(r#"{"prompt": "p"}"#) else { panic!("it is invalid") };
        assert_eq!(problems, [problem("image", "is required")]);
        let Err(Wrong::Invalid(problems)) = read(r#"{"prompt": "p", "image": ""}"#) else { panic!("it is invalid") };
        assert_eq!(problems, [problem("image", "must not be empty")]);
    }

    #[test]
    fn a_picture_may_be_as_large_as_an_upload() {
        let limits = Limits { upload_bytes: 6, ..Limits::default() };
        let outcome = |image: &str| parse(format!(r#"{{"prompt":"p","image":"{image}"}}"#).as_bytes(), &limits);
        assert!(outcome("TWFuTWFu").is_ok_and(|input| input.is_ok()));
        assert!(outcome("TWFuTWFuTQ").is_ok_and(|input| input.is_err()));
    }

    #[test]
    fn a_form_is_read_by_the_same_rules() {
        let form = |strength: &str| Form {
            texts: [("prompt", "42"), ("strength", strength), ("seed", "")]
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
                .to_vec(),
            files: vec![("image".into(), vec![b"PNG".to_vec()]), ("mask".into(), Chunks::new())],
            ..Form::default()
        };
        let input = parse_form(form("0.5"), &Limits::default()).expect("a change");
        assert_eq!((input.prompt.as_str(), input.strength, input.mask), ("42", Some(0.5), None));
        assert_eq!(input.image, Picture::Chunks(vec![b"PNG".to_vec()]));
        let Err(Wrong::Invalid(problems)) = parse_form(form("much"), &Limits::default()) else { panic!("invalid") };
        assert_eq!(problems, [problem("strength", "must be a number")]);
        let Err(Wrong::Invalid(problems)) = parse_form(Form::default(), &Limits::default()) else { panic!("invalid") };
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["image", "prompt"]);
    }
}
