//! Handing calls on along the chain of providers: the records of what a component exports and of what it imports are the
//! same, and two types each to Rust.

/// For a component whose bindings are in `bindings`. `onward!()` makes a module `onward` with a function for each of
/// `inference`; `onward!(speak draw)`, inside of `impl Guest`, answers these with nothing but that.
#[macro_export]
macro_rules! onward {
    () => {
        mod onward {
            use $crate::types::{Budget, Conversation, Error, PicturePrompt};

            use super::bindings::exports::hybrid::inference::inference as own;
            use super::bindings::hybrid::inference::inference as next;

            pub(super) async fn speak(
                model: String,
                input: own::SpeechInput,
                within: Budget,
            ) -> Result<own::Sound, Error> {
                let own::SpeechInput { text, speaker_id, speed } = input;
                let next::Sound { audio, served } =
                    next::speak(model, next::SpeechInput { text, speaker_id, speed }, within).await?;
                Ok(own::Sound { audio, served })
            }

            pub(super) async fn transcribe(
                model: String,
                input: own::Recording,
                within: Budget,
            ) -> Result<own::Transcript, Error> {
                let own::Recording { audio, language, timestamps } = input;
                let next::Transcript { text, language, confidence, duration, segments, loudness, served } =
                    next::transcribe(model, next::Recording { audio, language, timestamps }, within).await?;
                Ok(own::Transcript { text, language, confidence, duration, segments, loudness, served })
            }

            pub(super) async fn draw(
                model: String,
                prompt: PicturePrompt,
                within: Budget,
            ) -> Result<own::Picture, Error> {
                let next::Picture { image, served } = next::draw(model, prompt, within).await?;
                Ok(own::Picture { image, served })
            }

            pub(super) async fn edit(
                model: String,
                input: own::EditInput,
                within: Budget,
            ) -> Result<own::Picture, Error> {
                let own::EditInput { prompt, image, mask, strength } = input;
                let next::Picture { image, served } =
                    next::edit(model, next::EditInput { prompt, image, mask, strength }, within).await?;
                Ok(own::Picture { image, served })
            }

            pub(super) async fn chat(
                model: String,
                input: Conversation,
                within: Budget,
            ) -> Result<own::ChatAnswer, Error> {
                let next::ChatAnswer { completion, served } = next::chat(model, input, within).await?;
                Ok(own::ChatAnswer { completion, served })
            }

            pub(super) async fn chat_stream(
                model: String,
                input: Conversation,
                within: Budget,
            ) -> Result<own::ChatTokens, Error> {
                let next::ChatTokens { tokens, served } = next::chat_stream(model, input, within).await?;
                Ok(own::ChatTokens { tokens, served })
            }

            pub(super) async fn embed(
                model: String,
                texts: Vec<String>,
                within: Budget,
            ) -> Result<own::Vectors, Error> {
                let next::Vectors { dimension, values, tokens, served } = next::embed(model, texts, within).await?;
                Ok(own::Vectors { dimension, values, tokens, served })
            }
        }
    };
    ($($method:ident)+) => {
        $($crate::onward!(@ $method);)+
    };
    (@ speak) => { $crate::onward!(@ speak(own::SpeechInput) -> own::Sound); };
    (@ transcribe) => { $crate::onward!(@ transcribe(own::Recording) -> own::Transcript); };
    (@ draw) => { $crate::onward!(@ draw($crate::types::PicturePrompt) -> own::Picture); };
    (@ edit) => { $crate::onward!(@ edit(own::EditInput) -> own::Picture); };
    (@ chat) => { $crate::onward!(@ chat($crate::types::Conversation) -> own::ChatAnswer); };
    (@ chat_stream) => { $crate::onward!(@ chat_stream($crate::types::Conversation) -> own::ChatTokens); };
    (@ embed) => { $crate::onward!(@ embed(Vec<String>) -> own::Vectors); };
    (@ $method:ident($input:ty) -> $output:ty) => {
        async fn $method(
            model: String,
            input: $input,
            within: $crate::types::Budget,
        ) -> Result<$output, $crate::types::Error> {
            onward::$method(model, input, within).await
        }
    };
}
