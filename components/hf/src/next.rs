//! The next link of the chain. What it is asked and what it answers is unchanged: only the names that the generated code
//! gives to the imported and the exported side of one interface differ.

use hybrid_guest::types::{Budget, Conversation, Error, PicturePrompt};

use crate::bindings::exports::hybrid::inference::inference as ours;
use crate::bindings::hybrid::inference::inference as theirs;

pub(crate) async fn speak(model: String, input: ours::SpeechInput, within: Budget) -> Result<ours::Sound, Error> {
    let ours::SpeechInput { text, speaker_id, speed } = input;
    let theirs::Sound { audio, served } =
        theirs::speak(model, theirs::SpeechInput { text, speaker_id, speed }, within).await?;
    Ok(ours::Sound { audio, served })
}

pub(crate) async fn transcribe(
    model: String,
    input: ours::Recording,
    within: Budget,
) -> Result<ours::Transcript, Error> {
    let ours::Recording { audio, language, timestamps } = input;
    let theirs::Transcript { text, language, confidence, duration, segments, loudness, served } =
        theirs::transcribe(model, theirs::Recording { audio, language, timestamps }, within).await?;
    Ok(ours::Transcript { text, language, confidence, duration, segments, loudness, served })
}

pub(crate) async fn draw(model: String, prompt: PicturePrompt, within: Budget) -> Result<ours::Picture, Error> {
    let theirs::Picture { image, served } = theirs::draw(model, prompt, within).await?;
    Ok(ours::Picture { image, served })
}

pub(crate) async fn edit(model: String, input: ours::EditInput, within: Budget) -> Result<ours::Picture, Error> {
    let ours::EditInput { prompt, image, mask, strength } = input;
    let theirs::Picture { image, served } =
        theirs::edit(model, theirs::EditInput { prompt, image, mask, strength }, within).await?;
    Ok(ours::Picture { image, served })
}

pub(crate) async fn chat(model: String, input: Conversation, within: Budget) -> Result<ours::ChatAnswer, Error> {
    let theirs::ChatAnswer { completion, served } = theirs::chat(model, input, within).await?;
    Ok(ours::ChatAnswer { completion, served })
}

pub(crate) async fn chat_stream(model: String, input: Conversation, within: Budget) -> Result<ours::ChatTokens, Error> {
    let theirs::ChatTokens { tokens, served } = theirs::chat_stream(model, input, within).await?;
    Ok(ours::ChatTokens { tokens, served })
}

pub(crate) async fn embed(model: String, texts: Vec<String>, within: Budget) -> Result<ours::Vectors, Error> {
    let theirs::Vectors { dimension, values, tokens, served } = theirs::embed(model, texts, within).await?;
    Ok(ours::Vectors { dimension, values, tokens, served })
}
