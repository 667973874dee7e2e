//! POST /v1/images/generations and POST /v1/images/edits.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt as _, TryStreamExt as _};
use hybrid_guest::types::{PicturePrompt, Served};
use spin_sdk::wasip3::wit_bindgen::{StreamReader, StreamResult, StreamWriter, spawn};
use spin_sdk::wasip3::wit_stream;

use super::chat::placeholder;
use super::{checked, json, now};
use crate::answer::{Answer, JSON};
use crate::bindings::hybrid::image::image as images;
use crate::bindings::hybrid::image_edit::image_edit;
use crate::body::{Body, sent};
use crate::head::Kind;
use crate::input::{Fields, Parameters, Wrong, characters};
use crate::limits::{
    DEFAULT_PICTURE_SIDE, GUIDANCE, Limits, MIN_PICTURE_SIDE, PICTURE_SIDE_STEP, PICTURES, SEED, STEPS, STRENGTH,
};
use crate::multipart::{Chunks, Form};
use crate::refusal::Refusal;
use crate::serve::Visit;

/// A picture's bytes as they become base64: a multiple of three.
const PIECE: usize = 48 * 1024;
/// Each may be some megabytes before it goes out.
const AT_ONCE: usize = 2;

/// What both requests say of the pictures they want.
#[derive(Debug)]
pub(crate) struct Wanted {
    prompt: PicturePrompt,
    model: Option<String>,
    strength: Option<f32>,
    count: u32,
    /// As `data:` URLs.
    urls: bool,
}

pub(crate) fn parse(body: &[u8], limits: &Limits) -> Result<Wanted, Wrong> {
    let mut fields = Fields::read(body)?;
    let wanted = wanted(&mut fields, limits);
    fields.finish(wanted)
}

fn wanted(fields: &mut Fields<'_>, limits: &Limits) -> Wanted {
    let (width, height) = size(fields, limits);
    if let Some(format) = fields.text("output_format")
        && format != "png"
    {
        fields.problem("output_format", "must be `png`, which is what pictures come as");
    }
    if fields.flag("stream") {
        fields.problem("stream", "is not supported here: a picture comes whole");
    }
    Wanted {
        prompt: PicturePrompt {
            text: fields.required_text("prompt", limits.prompt_chars),
            negative: fields.limited_text("negative_prompt", limits.prompt_chars).filter(|it| !it.trim().is_empty()),
            width,
            height,
            seed: fields.integer("seed", SEED),
            steps: fields.integer("num_inference_steps", STEPS).map(|steps| steps as u32),
            guidance: fields.number("guidance_scale", GUIDANCE),
        },
        model: fields.any_model(false),
        strength: fields.number("strength", STRENGTH),
        count: fields.integer("n", PICTURES).map_or(1, |count| count as u32),
        urls: match fields.text("response_format").as_deref() {
            None | Some("b64_json") => false,
            Some("url") => true,
            Some(_) => {
                fields.problem("response_format", "must be `b64_json` or `url`");
                false
            }
        },
    }
}

/// `1024x768`; `auto` is the platform's own.
fn size(fields: &mut Fields<'_>, limits: &Limits) -> (u32, u32) {
    let usual = (DEFAULT_PICTURE_SIDE, DEFAULT_PICTURE_SIDE);
    let Some(size) = fields.text("size").filter(|size| size != "auto") else { return usual };
    let sides = size.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    let fits =
        |side: u64| (MIN_PICTURE_SIDE..=limits.picture_side).contains(&side) && side.is_multiple_of(PICTURE_SIDE_STEP);
    match sides {
        Some((width, height)) if fits(width) && fits(height) => (width as u32, height as u32),
        _ => {
            let (least, most) = (MIN_PICTURE_SIDE, limits.picture_side);
            let message = format!(
                "must be `auto`, or width and height like `1024x1024`, each a multiple of {PICTURE_SIDE_STEP} between {least} and {most}"
            );
            fields.problem("size", message);
            usual
        }
    }
}

impl Wanted {
    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.add("prompt", characters(&self.prompt.text));
        parameters.add("width", self.prompt.width);
        parameters.add("height", self.prompt.height);
        parameters.add("n", self.count);
        parameters.maybe("model", self.model.as_deref());
        parameters
    }

    /// The seed of the picture with this number: pictures of one request are to differ.
    fn seed(&self, number: u32) -> Option<u64> {
        self.prompt.seed.map(|seed| (seed + u64::from(number)).min(*SEED.end()))
    }
}

type Drawn = (StreamReader<u8>, Served);

pub(crate) async fn generate(visit: Visit<'_>) -> Result<Answer, Refusal> {
    let Visit { head, request, parameters, limits, control, wrong } = visit;
    let body = json(head, request, Limits::json_bytes(2 * limits.prompt_chars)).await?;
    let wanted = checked(parse(&body, limits), wrong)?;
    *parameters = wanted.parameters();
    let draws = (0..wanted.count).map(|number| {
        let prompt = PicturePrompt { seed: wanted.seed(number), ..wanted.prompt.clone() };
        images::generate(prompt, wanted.model.clone(), control.clone())
    });
    let drawn: Vec<Drawn> = futures::stream::iter(draws)
        .buffered(AT_ONCE)
        .map_ok(|picture| (picture.image.body, picture.served))
        .try_collect()
        .await?;
    Ok(pictures(drawn, &wanted))
}

const FILES: &[&str] = &["image", "image[]", "mask"];

/// The form's fields as JSON, so that one set of rules holds for both requests.
pub(crate) fn parse_form(form: &mut Form, limits: &Limits) -> Result<(Wanted, Chunks, Option<Chunks>), Wrong> {
    let body = form.json(&["n", "seed", "num_inference_steps", "guidance_scale", "strength", "stream"]);
    let mut fields = Fields::read(body.as_bytes())?;
    let all: Vec<Chunks> = ["image", "image[]"].into_iter().filter_map(|name| form.take_file(name)).collect();
    if all.len() > 1 || form.repeated("image") || form.repeated("image[]") {
        fields.problem("image", "must be one picture: the models here change one at a time");
    }
    let image = all.into_iter().next().unwrap_or_default();
    if image.is_empty() {
        fields.problem("image", "is required: a part of the form with the picture's bytes");
    }
    let mask = form.take_file("mask").filter(|mask| !mask.is_empty());
    let wanted = wanted(&mut fields, limits);
    fields.finish((wanted, image, mask))
}

pub(crate) async fn edit(visit: Visit<'_>) -> Result<Answer, Refusal> {
    let Visit { head, request, parameters, limits, control, wrong } = visit;
    if head.kind() != Kind::Form {
        return Err(Refusal::unsupported("`multipart/form-data`"));
    }
    let content_type = head.get("content-type").unwrap_or_default();
    let mut form = Body::of(request, head, limits.form_bytes())?.form(content_type, FILES).await?;
    let (wanted, image, mask) = checked(parse_form(&mut form, limits), wrong)?;
    *parameters = wanted.parameters();
    let edits = (0..wanted.count).map(|number| {
        let change = image_edit::Change {
            image: sent(image.clone()),
            mask: mask.clone().map(sent),
            polarity: image_edit::Polarity::Transparent,
            text: wanted.prompt.text.clone(),
            negative: wanted.prompt.negative.clone(),
            model: wanted.model.clone(),
            strength: wanted.strength,
            seed: wanted.seed(number),
            steps: wanted.prompt.steps,
            guidance: wanted.prompt.guidance,
        };
        image_edit::edit(change, control.clone())
    });
    // One after the other: each holds a photo several times over while it works.
    let edited: Vec<Drawn> = futures::stream::iter(edits)
        .buffered(1)
        .map_ok(|picture| (picture.image.body, picture.served))
        .try_collect()
        .await?;
    Ok(pictures(edited, &wanted))
}

fn pictures(drawn: Vec<Drawn>, wanted: &Wanted) -> Answer {
    let (to, from) = wit_stream::new();
    let mut answer = Answer::stream(JSON, from).pictures(drawn.len());
    if let Some((_, served)) = drawn.last() {
        let attempts = drawn.iter().map(|(_, served)| served.attempts).sum();
        let fallback_index = drawn.iter().map(|(_, served)| served.fallback_index).max().unwrap_or(0);
        answer = answer.by(&Served { attempts, ..served.clone() });
        answer = answer.repeatable(&Served { fallback_index, ..served.clone() }, wanted.prompt.seed.is_some());
    }
    spawn(write(drawn, wanted.urls, to));
    answer
}

/// Pictures as base64 inside JSON, of which no more is held than a piece. The size is told last, when it is known.
async fn write(drawn: Vec<Drawn>, urls: bool, mut to: StreamWriter<u8>) {
    let (begin, end) = if urls { ("{\"url\":\"data:image/png;base64,", "\"}") } else { ("{\"b64_json\":\"", "\"}") };
    let mut out = format!("{{\"created\":{},\"output_format\":\"png\",\"data\":[", now()).into_bytes();
    let mut told = None;
    for (index, (mut picture, served)) in drawn.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(begin.as_bytes());
        let mut piece = Vec::with_capacity(PIECE);
        let mut open = true;
        while open {
            while open && piece.len() < PIECE {
                let result;
                (result, piece) = picture.read(piece).await;
                open = matches!(result, StreamResult::Complete(_));
            }
            told.get_or_insert_with(|| {
                let size = png_size(&piece).map(|(width, height)| format!(",\"size\":\"{width}x{height}\""));
                size.unwrap_or_default() + placeholder(&served)
            });
            let whole = if open { piece.len() / 3 * 3 } else { piece.len() };
            out.extend_from_slice(STANDARD.encode(&piece[..whole]).as_bytes());
            piece.drain(..whole);
            if !to.write_all(std::mem::take(&mut out)).await.is_empty() {
                return;
            }
        }
        out.extend_from_slice(end.as_bytes());
    }
    out.extend_from_slice(format!("]{}}}", told.unwrap_or_default()).as_bytes());
    to.write_all(out).await;
}

/// Width and height, from the first bytes.
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let side = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    Some((side(16)?, side(20)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(wrong: Wrong) -> Vec<String> {
        match wrong {
            Wrong::Invalid(problems) => problems.into_iter().map(|it| it.field).collect(),
            Wrong::Unreadable(message) => panic!("{message}"),
        }
    }

    #[test]
    fn a_request_is_read() {
        let body = br#"{"prompt": "a kite", "model": "dall-e-3", "n": 2, "size": "1024x768", "response_format": "url",
            "quality": "hd", "style": "vivid", "seed": 7}"#;
        let wanted = parse(body, &Limits::default()).expect("a request");
        assert_eq!((wanted.prompt.width, wanted.prompt.height, wanted.count, wanted.urls), (1024, 768, 2, true));
        assert_eq!((wanted.seed(0), wanted.seed(1)), (Some(7), Some(8)));
        let wanted =
            parse(br#"{"prompt": "a kite", "size": "auto", "n": null}"#, &Limits::default()).expect("a request");
        assert_eq!((wanted.prompt.width, wanted.count, wanted.urls), (512, 1, false));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let body =
            br#"{"n": 11, "size": "100x100", "response_format": "file", "output_format": "webp", "stream": true}"#;
        let told = fields(parse(body, &Limits::default()).expect_err("it is refused"));
        assert_eq!(told, ["size", "output_format", "stream", "prompt", "n", "response_format"]);
    }

    #[test]
    fn a_form_is_read_by_the_same_rules() {
        let form = |files: &[&str]| Form {
            texts: [("prompt", "42"), ("n", "2"), ("size", "512x512")]
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
                .to_vec(),
            files: files.iter().map(|name| ((*name).to_owned(), vec![b"PNG".to_vec()])).collect(),
            ..Form::default()
        };
        for name in ["image", "image[]"] {
            let (wanted, image, mask) = parse_form(&mut form(&[name, "mask"]), &Limits::default()).expect("a change");
            assert_eq!((wanted.prompt.text.as_str(), wanted.count, image.len()), ("42", 2, 1));
            assert!(mask.is_some());
        }
        for files in [&["mask"][..], &["image", "image[]"]] {
            let told = fields(parse_form(&mut form(files), &Limits::default()).expect_err("it is refused"));
            assert_eq!(told, ["image"]);
        }
    }
}
