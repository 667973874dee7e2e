//! Pictures, sounds and transcripts out of what upstreams answer: bytes as they are, or one of many forms of JSON.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hybrid_guest::types::Segment;

use crate::embedding;
use crate::error::{Fault, in_stream};
use hybrid_guest::json::{self, Members};

/// A result inside JSON, or where it lies.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    Bytes(&'static str, Vec<u8>),
    Url(String),
}

/// The media type of a picture by its first bytes.
pub(crate) fn picture_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some("image/png"),
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// The media type of a sound by its first bytes.
pub(crate) fn sound_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some("audio/wav"),
        [b'f', b'L', b'a', b'C', ..] => Some("audio/flac"),
        [b'O', b'g', b'g', b'S', ..] => Some("audio/ogg"),
        [0x1A, 0x45, 0xDF, 0xA3, ..] => Some("audio/webm"),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some("audio/mp4"),
        [b'I', b'D', b'3', ..] => Some("audio/mpeg"),
        // A frame's sync; layer bits of 0 make it AAC, others MPEG audio.
        [0xFF, second, ..] if second & 0xF6 == 0xF0 => Some("audio/aac"),
        [0xFF, second, ..] if second & 0xE0 == 0xE0 && second & 0x06 != 0 => Some("audio/mpeg"),
        _ => None,
    }
}

pub(crate) fn picture(body: &str) -> Result<Found, Fault> {
    found(body, picture_type).ok_or_else(|| without(body, "the model's answer holds no picture"))
}

/// As `picture`; also samples as numbers, with their rate, which become a WAV.
pub(crate) fn sound(body: &str) -> Result<Found, Fault> {
    let first = json::elements(body).and_then(|list| list.first().map(|first| first.get()));
    let spoken = json::members(first.unwrap_or(body)).and_then(|members| wav(&members));
    spoken
        .map(|wav| Found::Bytes("audio/wav", wav))
        .or_else(|| found(body, sound_type))
        .ok_or_else(|| without(body, "the model's answer holds no sound"))
}

pub(crate) fn no_vectors(body: &str) -> Fault {
    without(body, "the model's answer holds no vectors for the texts")
}

/// An answer without what it should hold may say why.
fn without(body: &str, message: &str) -> Fault {
    if json::member(body, "error").is_some() { in_stream(body) } else { Fault::garbage(message) }
}

fn found(body: &str, kind: fn(&[u8]) -> Option<&'static str>) -> Option<Found> {
    let text = located(body)?;
    if text.starts_with("https://") || text.starts_with("http://") {
        return Some(Found::Url(text.into_owned()));
    }
    // Some encoders leave the padding off.
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let coded = if text.starts_with("data:") { text.split_once(";base64,")?.1 } else { &*text };
    let bytes = LENIENT.decode(coded.trim()).ok()?;
    Some(Found::Bytes(kind(&bytes)?, bytes))
}

/// The text that stands where results stand: itself, the first of a list, or one of these members.
fn located(value: &str) -> Option<Cow<'_, str>> {
    const PLACES: [&str; 9] =
        ["b64_json", "data", "images", "image", "audio", "output", "outputs", "generated_image", "url"];
    if let Some(text) = json::text(value.trim()) {
        return Some(text);
    }
    if let Some(list) = json::elements(value) {
        return located(list.first()?.get());
    }
    let members = json::members(value)?;
    let at = |place: &&str| json::get(&members, place);
    PLACES.iter().filter_map(at).find_map(located)
}

/// A longer sound is no answer to a text of ours.
const MAX_SAMPLES: usize = 16 * 1024 * 1024;

fn wav(members: &Members<'_>) -> Option<Vec<u8>> {
    let rate = number(members, "sampling_rate").or_else(|| number(members, "sample_rate"))?;
    let rate = (1_000.0..=384_000.0).contains(&rate).then_some(rate as u32)?;
    let channels = embedding::channels(json::get(members, "audio")?)?;
    let (count, length) = (channels.len(), channels.first()?.len());
    let sound = (1..=8).contains(&count) && (1..=MAX_SAMPLES / count).contains(&length);
    if !sound || channels.iter().any(|channel| channel.len() != length) {
        return None;
    }
    let data = (count * length * 2) as u32;
    let frame = count as u16 * 2;
    let mut out = Vec::with_capacity(44 + data as usize);
    out.extend_from_slice(b"RIFF");
    out.extend_from_slice(&(36 + data).to_le_bytes());
    out.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0");
    out.extend_from_slice(&(count as u16).to_le_bytes());
    out.extend_from_slice(&rate.to_le_bytes());
    out.extend_from_slice(&(rate * u32::from(frame)).to_le_bytes());
    out.extend_from_slice(&frame.to_le_bytes());
    out.extend_from_slice(b"\x10\0data");
    out.extend_from_slice(&data.to_le_bytes());
    for at in 0..length {
        for channel in &channels {
            out.extend_from_slice(&((channel[at].clamp(-1.0, 1.0) * 32_767.0).round() as i16).to_le_bytes());
        }
    }
    Some(out)
}

/// What was said, as far as the model tells.
#[derive(Debug)]
pub(crate) struct Spoken {
    pub(crate) text: String,
    pub(crate) language: Option<String>,
    pub(crate) confidence: Option<f32>,
    pub(crate) duration: Option<f64>,
    pub(crate) segments: Vec<Segment>,
}

pub(crate) fn spoken(body: &str) -> Result<Spoken, Fault> {
    let first = json::elements(body).and_then(|list| list.first().map(|first| first.get()));
    let members = json::members(first.unwrap_or(body));
    let members = members.ok_or_else(|| Fault::garbage("the model's answer could not be read"))?;
    let names = ["text", "output", "transcription", "translation"];
    let text = names.into_iter().find_map(|name| words(&members, name));
    if text.is_none()
        && let Some(output) = json::get(&members, "output")
    {
        // A provider's frame around it: an object, or a list of one text.
        let first = json::elements(output).and_then(|list| list.first().map(|first| first.get()));
        let inner = first.unwrap_or(output);
        return if json::text(inner).is_some() { spoken(&format!("{{\"text\":{inner}}}")) } else { spoken(inner) };
    }
    let text = text.ok_or_else(|| without(body, "the model's answer holds no text"))?;
    let inferred = json::get(&members, "inferred_languages").and_then(json::elements);
    let inferred = inferred.and_then(|list| json::text(list.first()?.get()).map(Cow::into_owned));
    Ok(Spoken {
        // Whisper begins with a space.
        text: text.trim().to_owned(),
        language: words(&members, "language").or(inferred),
        confidence: number(&members, "confidence")
            .filter(|number| (0.0..=1.0).contains(number))
            .map(|number| number as f32),
        duration: number(&members, "duration").filter(|seconds| *seconds >= 0.0),
        segments: segments(&members),
    })
}

/// Whisper's `chunks`, or the `segments` of those who speak as OpenAI does.
fn segments(members: &Members<'_>) -> Vec<Segment> {
    let list =
        |name: &str| members.iter().find(|(key, _)| key == name).and_then(|(_, list)| json::elements(list.get()));
    let mut segments: Vec<Segment> = Vec::new();
    for piece in list("chunks").or_else(|| list("segments")).unwrap_or_default() {
        let Some(piece) = json::members(piece.get()) else { continue };
        let times = json::get(&piece, "timestamp").and_then(json::elements).unwrap_or_default();
        let time =
            |at: usize, name: &str| times.get(at).map_or_else(|| number(&piece, name), |time| json::number(time.get()));
        let (start, end) = (time(0, "start"), time(1, "end"));
        let before = segments.last().and_then(|segment| segment.end).unwrap_or_default();
        let text = words(&piece, "text").unwrap_or_default();
        segments.push(Segment { start: start.unwrap_or(before), end, text: text.trim().to_owned() });
    }
    segments
}

#[inline(never)]
fn number(members: &Members<'_>, name: &str) -> Option<f64> {
    json::number(json::get(members, name)?)
}

#[inline(never)]
fn words(members: &Members<'_>, name: &str) -> Option<String> {
    json::text(json::get(members, name)?).map(Cow::into_owned)
}

#[cfg(test)]
mod tests;
