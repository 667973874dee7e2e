//! One function for each endpoint: reads what is asked, asks the capability, writes what it says.

use std::rc::Rc;

use hybrid_guest::bytes;
use hybrid_guest::types::Control;
use spin_sdk::wasip3::http::types::Request;
use spin_sdk::wasip3::wit_bindgen::{StreamReader, spawn};
use spin_sdk::wasip3::wit_stream;

use crate::answer::{Answer, JSON};
use crate::base64::Decoder;
use crate::bindings::hybrid::embedding::embedding as embeddings;
use crate::bindings::hybrid::image::image as images;
use crate::bindings::hybrid::image_edit::image_edit;
use crate::bindings::hybrid::llm::llm as chats;
use crate::bindings::hybrid::stt::stt as speech_to_text;
use crate::bindings::hybrid::tts::tts as text_to_speech;
use crate::body::{Body, checked, sent};
use crate::head::{Head, Kind};
use crate::input::edit::Picture;
use crate::input::{self, Parameters, Problem};
use crate::limits::Limits;
use crate::refusal::Refusal;
use crate::routes::Endpoint;
use crate::{control, output, stream, v1};

/// Pictures leave base64 in pieces of this size: a multiple of three, a little under what a stream takes at once.
const PICTURE_PIECE: usize = 63 * 1024;
/// Four times the longest vectors of today's models.
const MAX_DIMENSION: u32 = 16_384;

/// A request on its way through.
pub(crate) struct Visit<'a> {
    pub head: &'a Head,
    pub request: Request,
    /// For the access log, as far as it is known when something goes wrong.
    pub parameters: &'a mut Parameters,
    pub limits: &'static Limits,
    pub control: Control,
    /// What is wrong with the headers.
    pub wrong: Vec<Problem>,
}

pub(crate) async fn endpoint(
    endpoint: Endpoint,
    head: &Head,
    request: Request,
    parameters: &mut Parameters,
) -> Result<Answer, Refusal> {
    let (control, wrong) = control::parse(head);
    let visit = Visit { head, request, parameters, limits: Limits::get(), control, wrong };
    match endpoint {
        Endpoint::Image => image(visit).await,
        Endpoint::EditImage => edit(visit).await,
        Endpoint::Tts => tts(visit).await,
        Endpoint::Stt => stt(visit).await,
        Endpoint::Llm => llm(visit).await,
        Endpoint::Embedding => embedding(visit).await,
        Endpoint::OpenAi(endpoint) => v1::endpoint(endpoint, visit).await,
    }
}

pub(crate) async fn json(head: &Head, request: Request, most: u64) -> Result<Vec<u8>, Refusal> {
    // Without a content type the body itself says whether it is JSON.
    if !matches!(head.kind(), Kind::Json | Kind::Unsaid) {
        return Err(Refusal::unsupported("`application/json`"));
    }
    Body::of(request, head, most)?.whole().await
}

async fn image(visit: Visit<'_>) -> Result<Answer, Refusal> {
    let Visit { head, request, parameters, limits, control, wrong } = visit;
    let body = json(head, request, Limits::json_bytes(2 * limits.prompt_chars)).await?;
    let input = checked(input::image::parse(&body, limits), wrong)?;
    *parameters = input.parameters();
    let seeded = input.prompt.seed.is_some();
    let picture = images::generate(input.prompt, input.model, control).await?;
    let answer = Answer::stream("image/png", picture.image.body).by(&picture.served).pictures(1);
    Ok(answer.repeatable(&picture.served, seeded))
}

async fn edit(visit: Visit<'_>) -> Result<Answer, Refusal> {
    let Visit { head, request, parameters, limits, control, wrong } = visit;
    let (body, input) = if head.kind() == Kind::Form {
        let content_type = head.get("content-type").unwrap_or_default();
        let body = Body::of(request, head, limits.form_bytes())?;
        let form = body.form(content_type, input::edit::FILES).await?;
        (Vec::new(), checked(input::edit::parse_form(form, limits), wrong)?)
    } else if matches!(head.kind(), Kind::Json | Kind::Unsaid) {
        let body = Body::of(request, head, limits.json_upload_bytes())?.whole().await?;
        let input = checked(input::edit::parse(&body, limits), wrong)?;
        (body, input.map_err(|_| Refusal::too_large(limits.upload_bytes))?)
    } else {
        return Err(Refusal::unsupported("`application/json` or `multipart/form-data`"));
    };
    *parameters = input.parameters();
    // Both pictures are read out of the one body, which goes when the last of them has.
    let body = Rc::new(body);
    let change = image_edit::Change {
        image: picture(input.image, &body),
        mask: input.mask.map(|mask| picture(mask, &body)),
        polarity: image_edit::Polarity::Light,
        text: input.prompt,
        negative: input.negative_prompt,
        model: input.model,
        strength: input.strength,
        seed: input.seed,
        steps: input.steps,
        guidance: input.guidance,
    };
    drop(body);
    let seeded = change.seed.is_some();
    let picture = image_edit::edit(change, control).await?;
    let answer = Answer::stream("image/png", picture.image.body).by(&picture.served).pictures(1);
    Ok(answer.repeatable(&picture.served, seeded))
}

fn picture(picture: Picture, body: &Rc<Vec<u8>>) -> StreamReader<u8> {
    match picture {
        Picture::Chunks(chunks) => sent(chunks),
        Picture::Within(range) => {
            let (mut to, from) = wit_stream::new();
            let body = Rc::clone(body);
            spawn(async move {
                let mut decoder = Decoder::default();
                let mut piece = Vec::with_capacity(PICTURE_PIECE);
                loop {
                    decoder.fill(&body[range.clone()], &mut piece);
                    if piece.is_empty() {
                        return;
                    }
                    piece = to.write_all(piece).await;
                    if !piece.is_empty() {
                        return; // Nobody wants the rest.
                    }
                    piece.reserve(PICTURE_PIECE);
                }
            });
            from
        }
    }
}

async fn tts(visit: Visit<'_>) -> Result<Answer, Refusal> {
    let Visit { head, request, parameters, limits, control, wrong } = visit;
    let body = json(head, request, Limits::json_bytes(limits.tts_chars)).await?;
    let input = checked(input::tts::parse(&body, limits), wrong)?;
    *parameters = input.parameters();
    let input::tts::Input { text, model, speaker_id, speed } = input;
    let utterance = text_to_speech::Utterance { text, model, speaker_id, speed, form: text_to_speech::Form::Wav };
    let speech = text_to_speech::speak(utterance, control).await?;
    Ok(Answer::stream("audio/wav", speech.audio.body).by(&speech.served).repeatable(&speech.served, true))
}

async fn stt(visit: Visit<'_>) -> Result<Answer, Refusal> {
    let Visit { head, request, parameters, limits, control, wrong } = visit;
    let (audio, input) = match head.kind() {
        Kind::Form => {
            let content_type = head.get("content-type").unwrap_or_default();
            let body = Body::of(request, head, limits.form_bytes())?;
            let mut form = body.form(content_type, input::stt::FILES).await?;
            let audio = input::stt::FILES.iter().find_map(|name| form.take_file(name));
            let length = audio.as_ref().map(|chunks| chunks.iter().map(Vec::len).sum::<usize>() as u64);
            (sent(audio.unwrap_or_default()), input::stt::parse(length, form.text("model"), form.text("language")))
        }
        Kind::Audio => {
            let (audio, length) = Body::of(request, head, limits.upload_bytes)?.file().await?;
            let field = |name| input::stt::query(head.query(), name);
            let (model, language) = (field("model"), field("language"));
            (audio, input::stt::parse(Some(length), model.as_deref(), language.as_deref()))
        }
        _ => return Err(Refusal::unsupported("`multipart/form-data` with a file `audio`")),
    };
    let input = checked(input, wrong)?;
    *parameters = input.parameters();
    let recording =
        speech_to_text::Recording { audio, model: input.model, language: input.language, timestamps: false };
    let found = speech_to_text::transcribe(recording, control).await?;
    let transcript = output::Transcript {
        text: &found.text,
        language: found.language.as_deref(),
        confidence: found.confidence,
        duration: found.duration,
        segments: found.segments.iter().map(|it| (it.start, it.end, it.text.as_str())).collect(),
        loudness: found.loudness,
    };
    Ok(Answer::bytes(JSON, output::transcript(&transcript, &found.served)).by(&found.served).heard(found.duration))
}

async fn embedding(visit: Visit<'_>) -> Result<Answer, Refusal> {
    let Visit { head, request, parameters, limits, control, wrong } = visit;
    let body = json(head, request, Limits::json_bytes(limits.embedding_chars)).await?;
    let input = checked(input::embedding::parse(&body, limits), wrong)?;
    *parameters = input.parameters();
    let vectors = embeddings::embed(vec![input.text], input.model, control).await?;
    let wanted = vectors.dimension.min(MAX_DIMENSION) as usize;
    let values = bytes::numbers(vectors.values, wanted).await;
    let usable = wanted == vectors.dimension as usize && values.len() == wanted && wanted > 0;
    if !usable || values.iter().any(|value| !value.is_finite()) {
        let refusal = Refusal::useless("the model's vector is of no use");
        return Err(Refusal { attempts: vectors.served.attempts, ..refusal });
    }
    let answer = Answer::bytes(JSON, output::embedding(&values, &vectors.served)).by(&vectors.served);
    Ok(answer.repeatable(&vectors.served, true))
}

async fn llm(visit: Visit<'_>) -> Result<Answer, Refusal> {
    let Visit { head, request, parameters, limits, control, wrong } = visit;
    let body = json(head, request, Limits::json_bytes(limits.llm_chars)).await?;
    let mut input = checked(input::llm::parse(&body, limits), wrong)?;
    drop(body);
    input.stream |= head.wants_events();
    *parameters = input.parameters();
    if !input.stream {
        let by_chance = input.conversation.temperature != Some(0.0);
        let answer = chats::complete(input.conversation, input.model, control).await?;
        let body = output::completion(&answer.completion, &answer.served);
        let told = Answer::bytes(JSON, body).by(&answer.served).tokens(answer.completion.usage.as_ref());
        return Ok(told.repeatable(&answer.served, !by_chance));
    }
    let tokens = chats::complete_stream(input.conversation, input.model, control);
    stream::answer(tokens, output::Events::default()).await
}

/// What is answered without asking anybody.
pub(crate) fn page(content_type: &str, content: &'static [u8]) -> Answer {
    Answer::bytes(content_type, content.to_vec())
}
