//! Models at Hugging Face and the providers it routes to. `local/...` models are the next link's.

mod body;
mod chat;
mod clock;
mod config;
mod embedding;
mod error;
mod head;
mod http;
mod incoming;
mod json;
mod next;
mod reply;
mod request;
mod retry;
mod sse;
mod talk;

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    use spin_sdk::wit_bindgen;

    use super::HuggingFace;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/provider",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "hybrid:types/types@0.1.0": hybrid_guest::types },
        generate_all,
    });
    export!(HuggingFace);
}

use std::rc::Rc;
use std::time::Duration;

use bindings::exports::hybrid::inference::inference::{
    ChatAnswer, ChatTokens, EditInput, Guest, Picture, Recording, Sound, SpeechInput, Transcript, Vectors,
};
use hybrid_guest::types::{Budget, Conversation, Error, Media, PicturePrompt, Reason, Served};
use spin_sdk::wit_bindgen;

use crate::body::Chunks;
use crate::clock::Deadline;
use crate::config::{Base, Config};
use crate::error::Fault;
use crate::head::Head;
use crate::http::{Patience, call};
use crate::incoming::{Answer, Incoming, PICTURE_CAP, SOUND_CAP, gather, give};
use crate::reply::Found;
use crate::request::Request;

struct HuggingFace;

/// The name of the service behind the task routes.
const TASKS: &str = "hf-inference";
/// Who answers a chat when the router does not say to whom it went.
const ROUTER: &str = "huggingface";

fn is_local(model: &str) -> bool {
    model.starts_with("local/")
}

/// One call in hand: the settings it runs under and the time it has.
struct Caller {
    config: Rc<Config>,
    model: String,
    patience: Patience,
}

impl Caller {
    #[inline(never)]
    fn new(model: String, within: &Budget) -> Result<Caller, Error> {
        let config = config::config();
        if let Err(missing) = &config.base {
            return Err(Reason::NotConfigured((*missing).to_owned()).into());
        }
        let deadline = Deadline::after(Duration::from_millis(within.timeout_ms.into()));
        let policy = config.policy.with_retries(within.retries);
        Ok(Caller { config, model, patience: Patience { deadline, policy } })
    }

    fn upstream(&self) -> &Base {
        self.config.base.as_ref().expect("`new` refuses callers without one")
    }

    async fn send<T>(
        &self,
        request: &Request,
        read: impl AsyncFn(Head, Incoming) -> Result<T, Fault>,
    ) -> Result<(T, u32), Error> {
        call(&self.config, self.upstream(), &self.model, request, self.patience, read).await
    }

    /// All of a caller's stream, within the time of the call.
    async fn take(&self, media: Media) -> Result<Chunks, Error> {
        let bytes = clock::within(self.patience.deadline.left(), false, gather(media.body)).await;
        bytes.unwrap_or(Err(Reason::Timeout)).map_err(Error::from)
    }

    /// A picture or sound, fetched from where it lies when the upstream answers with an address.
    async fn media(&self, request: &Request, form: &Form) -> Result<(Media, u32), Error> {
        let (found, attempts) = self.send(request, async |head, incoming| form.read(&head, incoming).await).await?;
        let url = match found {
            Got::Media(media) => return Ok((media, attempts)),
            Got::Url(url) => url,
        };
        let Some(request) = Request::result(&url, self.upstream()) else {
            let reason = Fault::useless("the model's answer lies where the platform does not fetch from").reason;
            return Err(Error { reason, attempts });
        };
        let fetched = self.send(&request, async |head, incoming| form.read(&head, incoming).await).await;
        match fetched {
            Ok((Got::Media(media), more)) => Ok((media, attempts + more)),
            Ok((Got::Url(_), more)) => {
                let reason = Fault::useless("the model's answer is an address of an address").reason;
                Err(Error { reason, attempts: attempts + more })
            }
            Err(error) => Err(Error { attempts: attempts + error.attempts, ..error }),
        }
    }

    fn served(self, provider: &str, attempts: u32) -> Served {
        Served { model: self.model, provider: provider.to_owned(), attempts, fallback_index: 0, placeholder: false }
    }
}

/// How an answer that is a picture or a sound is read.
struct Form {
    cap: usize,
    kind: fn(&[u8]) -> Option<&'static str>,
    json: fn(&str) -> Result<Found, Fault>,
}

const PICTURE: Form = Form { cap: PICTURE_CAP, kind: reply::picture_type, json: reply::picture };
const SOUND: Form = Form { cap: SOUND_CAP, kind: reply::sound_type, json: reply::sound };

enum Got {
    Media(Media),
    Url(String),
}

impl Form {
    async fn read(&self, head: &Head, incoming: Incoming) -> Result<Got, Fault> {
        let (kind, chunks) = match incoming.media(head, self.cap, self.kind).await? {
            Answer::Media(kind, chunks) => (kind, chunks),
            Answer::Json(body) => match (self.json)(&body)? {
                Found::Bytes(kind, bytes) => (kind, Chunks(vec![bytes])),
                Found::Url(url) => return Ok(Got::Url(url)),
            },
        };
        Ok(Got::Media(Media { content_type: kind.to_owned(), body: give(chunks) }))
    }
}

/// Who ran a chat: as the router says, else the provider that the model's suffix pins, else the router.
#[inline(never)]
fn chat_provider(head: &Head, model: &str) -> String {
    let name = |name: &&str| {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        !name.is_empty() && name.len() <= 64 && name.bytes().all(legal)
    };
    let pinned = model.split_once(':').map(|(_, suffix)| suffix);
    let pinned = pinned.filter(|suffix| !matches!(*suffix, "fastest" | "cheapest" | "preferred"));
    head.get("x-inference-provider").filter(name).or(pinned).unwrap_or(ROUTER).to_owned()
}

impl Guest for HuggingFace {
    async fn speak(model: String, input: SpeechInput, within: Budget) -> Result<Sound, Error> {
        if is_local(&model) {
            return next::speak(model, input, within).await;
        }
        let caller = Caller::new(model, &within)?;
        let request = request::speak(&caller.model, &input.text, input.speaker_id, input.speed)?;
        let (audio, attempts) = caller.media(&request, &SOUND).await?;
        Ok(Sound { audio, served: caller.served(TASKS, attempts) })
    }

    async fn transcribe(model: String, input: Recording, within: Budget) -> Result<Transcript, Error> {
        if is_local(&model) {
            return next::transcribe(model, input, within).await;
        }
        let caller = Caller::new(model, &within)?;
        let kind = input.audio.content_type.clone();
        let audio = caller.take(input.audio).await?;
        let request = request::transcribe(&caller.model, &kind, audio, input.language.as_deref())?;
        let read = async |_: Head, incoming: Incoming| reply::spoken(&incoming.json().await?);
        let (spoken, attempts) = caller.send(&request, read).await?;
        Ok(Transcript {
            text: spoken.text,
            language: spoken.language.or(input.language),
            confidence: spoken.confidence,
            duration: spoken.duration,
            segments: spoken.segments,
            served: caller.served(TASKS, attempts),
        })
    }

    async fn draw(model: String, prompt: PicturePrompt, within: Budget) -> Result<Picture, Error> {
        if is_local(&model) {
            return next::draw(model, prompt, within).await;
        }
        let caller = Caller::new(model, &within)?;
        let request = request::draw(&caller.model, &prompt)?;
        let (image, attempts) = caller.media(&request, &PICTURE).await?;
        Ok(Picture { image, served: caller.served(TASKS, attempts) })
    }

    async fn edit(model: String, input: EditInput, within: Budget) -> Result<Picture, Error> {
        if is_local(&model) {
            return next::edit(model, input, within).await;
        }
        let caller = Caller::new(model, &within)?;
        let image = caller.take(input.image).await?;
        let mask = match input.mask {
            Some(mask) => Some(caller.take(mask).await?),
            None => None,
        };
        let request = request::edit(&caller.model, &input.prompt, image, mask, input.strength)?;
        let (image, attempts) = caller.media(&request, &PICTURE).await?;
        Ok(Picture { image, served: caller.served(TASKS, attempts) })
    }

    async fn chat(model: String, input: Conversation, within: Budget) -> Result<ChatAnswer, Error> {
        if is_local(&model) {
            return next::chat(model, input, within).await;
        }
        let caller = Caller::new(model, &within)?;
        let request = request::chat(&caller.model, &input, false)?;
        let read = async |head: Head, incoming: Incoming| {
            let provider = chat_provider(&head, &caller.model);
            Ok((chat::completion(&incoming.json().await?)?, provider))
        };
        let ((completion, provider), attempts) = caller.send(&request, read).await?;
        Ok(ChatAnswer { completion, served: caller.served(&provider, attempts) })
    }

    async fn chat_stream(model: String, input: Conversation, within: Budget) -> Result<ChatTokens, Error> {
        if is_local(&model) {
            return next::chat_stream(model, input, within).await;
        }
        let mut caller = Caller::new(model, &within)?;
        let deadline = caller.patience.deadline;
        if let Some(millis) = within.first_token_timeout_ms {
            let first = Duration::from_millis(millis.into());
            caller.patience.deadline = Deadline::after(first.min(deadline.left()));
        }
        let request = request::chat(&caller.model, &input, true)?;
        let read = async |head: Head, incoming: Incoming| {
            talk::open(chat_provider(&head, &caller.model), &head, incoming).await
        };
        let (opened, attempts) = caller.send(&request, read).await?;
        let served = caller.served(&opened.provider, attempts);
        let (writer, tokens) = bindings::wit_stream::new();
        wit_bindgen::spawn(talk::pump(opened, writer, deadline, attempts));
        Ok(ChatTokens { tokens, served })
    }

    async fn embed(model: String, texts: Vec<String>, within: Budget) -> Result<Vectors, Error> {
        if is_local(&model) {
            return next::embed(model, texts, within).await;
        }
        let caller = Caller::new(model, &within)?;
        let (mut dimension, mut values, mut tokens, mut attempts) = (0, Vec::new(), None, 0);
        for batch in texts.chunks(request::EMBED_BATCH) {
            let request = request::embed(&caller.model, batch)?;
            let read = async |head: Head, incoming: Incoming| {
                let body = incoming.json().await?;
                let rows = embedding::rows(&body, batch.len()).ok_or_else(|| reply::no_vectors(&body))?;
                let counted = head.number("x-prompt-tokens").or_else(|| head.number("x-compute-tokens"));
                Ok((rows, counted))
            };
            let ((rows, counted), made) = caller
                .send(&request, read)
                .await
                .map_err(|error: Error| Error { attempts: attempts + error.attempts, ..error })?;
            attempts += made;
            if dimension != 0 && dimension != rows.dimension {
                let reason = Fault::useless("the model's vectors differ in their dimension").reason;
                return Err(Error { reason, attempts });
            }
            dimension = rows.dimension;
            values.extend(rows.values);
            tokens = counted.map(|counted: u32| tokens.unwrap_or(0) + counted);
        }
        let (mut writer, reader) = bindings::wit_stream::new();
        wit_bindgen::spawn(async move {
            writer.write_all(values).await;
        });
        Ok(Vectors { dimension: dimension as u32, values: reader, tokens, served: caller.served(TASKS, attempts) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A recorded message of `tests/replies`.
    pub(crate) fn reply(name: &str) -> Vec<u8> {
        let path = format!("{}/tests/replies/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    #[test]
    fn a_chat_names_who_ran_it() {
        let told = head::head(200, &[("x-inference-provider", "novita")]);
        assert_eq!(chat_provider(&told, "a/b:groq"), "novita");
        let odd = head::head(200, &[("x-inference-provider", "a b\"")]);
        assert_eq!(chat_provider(&odd, "a/b:groq"), "groq");
        assert_eq!(chat_provider(&Head::default(), "a/b:fastest"), "huggingface");
        assert_eq!(chat_provider(&Head::default(), "a/b"), "huggingface");
    }
}
