//! Models at Hugging Face and the providers it routes to. `local/...` models are the next link's.

mod body;
mod chat;
mod clock;
mod config;
mod embedding;
mod error;
mod head;
mod health;
mod http;
mod incoming;
mod mapping;
mod queue;
mod reply;
mod request;
mod retry;
mod sse;
mod table;
mod talk;
mod upstream;
mod wire;

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

hybrid_guest::onward!();

use std::rc::Rc;
use std::time::Duration;

use bindings::exports::hybrid::inference::inference::{
    ChatAnswer, ChatTokens, EditInput, Guest, Picture, Recording, Sound, SpeechInput, Transcript, Vectors,
};
use hybrid_guest::types::{Budget, Conversation, Error, Media, PicturePrompt, Reason, Served};
use spin_sdk::wit_bindgen;

use crate::body::Chunks;
use crate::clock::Deadline;
use crate::config::Config;
use crate::error::Fault;
use crate::head::Head;
use crate::http::{Call, Patience, call};
use crate::incoming::{Answer, Incoming, PICTURE_CAP, SOUND_CAP, gather, give};
use crate::reply::Found;
use crate::request::Request;
use crate::upstream::{Task, Upstream, Wire};

struct HuggingFace;

fn is_local(model: &str) -> bool {
    model.starts_with("local/")
}

/// One call in hand: the settings it runs under, whom it may ask, and the time it has.
struct Caller {
    config: Rc<Config>,
    task: Task,
    model: String,
    patience: Patience,
    upstreams: Rc<[Upstream]>,
}

impl Caller {
    #[inline(never)]
    fn new(task: Task, model: String, within: &Budget) -> Caller {
        let config = config::config();
        let deadline = Deadline::after(clock::moment(), Duration::from_millis(within.timeout_ms.into()));
        let policy = config.policy.with_retries(within.retries);
        let hedge = config.table.hedge(task);
        Caller { config, task, model, patience: Patience { deadline, policy, hedge }, upstreams: Rc::new([]) }
    }

    /// Finds out who serves the model. `mask`: it is to be repainted by one.
    async fn find(mut self, mask: bool) -> Result<Caller, Error> {
        self.upstreams =
            self.config.upstreams(self.task, &self.model, mask, self.patience.deadline).await.map_err(Error::from)?;
        Ok(self)
    }

    async fn send<T>(
        &self,
        request: &dyn Fn(&Upstream) -> Result<Request, Reason>,
        read: impl AsyncFn(&Upstream, Head, Incoming) -> Result<T, Fault>,
    ) -> Result<(T, u32, usize), Error> {
        let Caller { config, task, model, patience, upstreams } = self;
        call(Call { config, task: *task, model, upstreams, patience: *patience, request }, read).await
    }

    /// All of a caller's stream, within the time of the call.
    async fn take(&self, media: Media) -> Result<Chunks, Error> {
        let bytes = clock::within(clock::moment(), self.patience.deadline.left(), false, gather(media.body)).await;
        bytes.unwrap_or(Err(Reason::Timeout)).map_err(Error::from)
    }

    /// A picture or sound, fetched from where it lies when the upstream answers with an address.
    async fn media(
        self,
        request: &dyn Fn(&Upstream) -> Result<Request, Reason>,
        form: &Form,
    ) -> Result<(Media, Served), Error> {
        let read =
            async |upstream: &Upstream, head: Head, incoming| form.read(&self.config, upstream, &head, incoming).await;
        let (media, attempts, index) = self.send(request, read).await?;
        Ok((media, self.served(index, attempts)))
    }

    fn served(self, index: usize, attempts: u32) -> Served {
        let provider = self.upstreams[index].provider.clone();
        Served { model: self.model, provider, attempts, fallback_index: 0, placeholder: false }
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

impl Form {
    async fn read(
        &self,
        config: &Config,
        upstream: &Upstream,
        head: &Head,
        incoming: Incoming,
    ) -> Result<Media, Fault> {
        let found = match incoming.media(head, self.cap, self.kind).await? {
            Answer::Media(kind, chunks) => return Ok(media(kind, chunks)),
            Answer::Json(body) => (self.json)(&queue::settled(config, upstream, body).await?)?,
        };
        let url = match found {
            Found::Bytes(kind, bytes) => return Ok(media(kind, vec![bytes])),
            Found::Url(url) => url,
        };
        let (head, incoming) = http::fetch(config, upstream, url).await?;
        match incoming.media(&head, self.cap, self.kind).await? {
            Answer::Media(kind, chunks) => Ok(media(kind, chunks)),
            Answer::Json(_) => Err(Fault::useless("the model's answer is an address of an address")),
        }
    }
}

fn media(kind: &str, chunks: Vec<Vec<u8>>) -> Media {
    Media { content_type: kind.to_owned(), body: give(chunks) }
}

/// Parts a form's fields; unforeseeable, so that no content can pretend to be a field.
fn boundary() -> String {
    format!("hybrid-ai-{:016x}", clock::unforeseen())
}

/// Who ran a chat: as the router says, else the provider that the model's suffix pins, else the router; or the endpoint.
#[inline(never)]
fn chat_provider(upstream: &Upstream, head: &Head) -> String {
    if upstream.wire != Wire::Router {
        return upstream.provider.clone();
    }
    let name = |name: &&str| {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        !name.is_empty() && name.len() <= 64 && name.bytes().all(legal)
    };
    let pinned = upstream.id.split_once(':').map(|(_, suffix)| suffix);
    let pinned = pinned.filter(|suffix| !matches!(*suffix, "fastest" | "cheapest" | "preferred"));
    head.get("x-inference-provider").filter(name).or(pinned).unwrap_or(&upstream.provider).to_owned()
}

fn chat_request(upstream: &Upstream, input: &Conversation, stream: bool) -> Result<Request, Reason> {
    match upstream.wire {
        Wire::Router => request::chat(&upstream.id, input, stream),
        _ => request::chat_at(&upstream.id, input, stream),
    }
}

impl Guest for HuggingFace {
    async fn speak(model: String, input: SpeechInput, within: Budget) -> Result<Sound, Error> {
        if is_local(&model) {
            return onward::speak(model, input, within).await;
        }
        let caller = Caller::new(Task::Speak, model, &within).find(false).await?;
        let voice = caller.config.table.voice(&caller.model, input.speaker_id);
        let SpeechInput { text, speaker_id, speed } = input;
        let request = |upstream: &Upstream| match upstream.wire {
            Wire::Tasks | Wire::Bare => request::speak(&upstream.id, &text, speaker_id, speed),
            _ => wire::speak(upstream, &text, voice.as_deref(), speed),
        };
        let (audio, served) = caller.media(&request, &SOUND).await?;
        Ok(Sound { audio, served })
    }

    async fn transcribe(model: String, input: Recording, within: Budget) -> Result<Transcript, Error> {
        if is_local(&model) {
            return onward::transcribe(model, input, within).await;
        }
        let caller = Caller::new(Task::Transcribe, model, &within).find(false).await?;
        let kind = input.audio.content_type.clone();
        let audio = caller.take(input.audio).await?;
        let language = input.language.as_deref();
        let request = |upstream: &Upstream| match upstream.wire {
            Wire::Tasks | Wire::Bare => {
                request::transcribe(&upstream.id, &kind, audio.clone(), language, input.timestamps)
            }
            _ => wire::transcribe(upstream, &kind, &audio, language, &boundary()),
        };
        let read = async |upstream: &Upstream, _: Head, incoming: Incoming| {
            reply::spoken(&queue::settled(&caller.config, upstream, incoming.json().await?).await?)
        };
        let (spoken, attempts, index) = caller.send(&request, read).await?;
        Ok(Transcript {
            text: spoken.text,
            language: spoken.language.or(input.language),
            confidence: spoken.confidence,
            duration: spoken.duration,
            segments: spoken.segments,
            loudness: None,
            served: caller.served(index, attempts),
        })
    }

    async fn draw(model: String, prompt: PicturePrompt, within: Budget) -> Result<Picture, Error> {
        if is_local(&model) {
            return onward::draw(model, prompt, within).await;
        }
        let caller = Caller::new(Task::Draw, model, &within).find(false).await?;
        let request = |upstream: &Upstream| match upstream.wire {
            Wire::Tasks | Wire::Bare => request::draw(&upstream.id, &prompt),
            _ => wire::draw(upstream, &prompt),
        };
        let (image, served) = caller.media(&request, &PICTURE).await?;
        Ok(Picture { image, served })
    }

    async fn edit(model: String, input: EditInput, within: Budget) -> Result<Picture, Error> {
        if is_local(&model) {
            return onward::edit(model, input, within).await;
        }
        let caller = Caller::new(Task::Edit, model, &within).find(input.mask.is_some()).await?;
        let kind = input.image.content_type.clone();
        let image = caller.take(input.image).await?;
        let mask = match input.mask {
            Some(mask) => Some(caller.take(mask).await?),
            None => None,
        };
        let (prompt, strength) = (&input.prompt, input.strength);
        let request = |upstream: &Upstream| match upstream.wire {
            Wire::Tasks | Wire::Bare => request::edit(&upstream.id, prompt, image.clone(), mask.clone(), strength),
            _ => wire::edit(upstream, prompt, (&image, &kind), mask.as_ref(), strength, &boundary()),
        };
        let (image, served) = caller.media(&request, &PICTURE).await?;
        Ok(Picture { image, served })
    }

    async fn chat(model: String, input: Conversation, within: Budget) -> Result<ChatAnswer, Error> {
        if is_local(&model) {
            return onward::chat(model, input, within).await;
        }
        let caller = Caller::new(Task::Chat, model, &within).find(false).await?;
        let request = |upstream: &Upstream| chat_request(upstream, &input, false);
        let read = async |upstream: &Upstream, head: Head, incoming: Incoming| {
            let provider = chat_provider(upstream, &head);
            Ok((chat::completion(&incoming.json().await?)?, provider))
        };
        let ((completion, provider), attempts, index) = caller.send(&request, read).await?;
        Ok(ChatAnswer { completion, served: Served { provider, ..caller.served(index, attempts) } })
    }

    async fn chat_stream(model: String, input: Conversation, within: Budget) -> Result<ChatTokens, Error> {
        if is_local(&model) {
            return onward::chat_stream(model, input, within).await;
        }
        let mut caller = Caller::new(Task::Chat, model, &within);
        let deadline = caller.patience.deadline;
        if let Some(millis) = within.first_token_timeout_ms {
            let (moment, first) = (clock::moment(), Duration::from_millis(millis.into()));
            caller.patience.deadline = Deadline::after(moment, first.min(deadline.left_at(moment)));
        }
        let caller = caller.find(false).await?;
        let request = |upstream: &Upstream| chat_request(upstream, &input, true);
        let read = async |upstream: &Upstream, head: Head, incoming: Incoming| {
            talk::open(chat_provider(upstream, &head), &head, incoming).await
        };
        let (opened, attempts, index) = caller.send(&request, read).await?;
        let served = Served { provider: opened.provider.clone(), ..caller.served(index, attempts) };
        let (writer, tokens) = bindings::wit_stream::new();
        wit_bindgen::spawn(talk::pump(opened, writer, deadline, attempts));
        Ok(ChatTokens { tokens, served })
    }

    async fn embed(model: String, texts: Vec<String>, within: Budget) -> Result<Vectors, Error> {
        if is_local(&model) {
            return onward::embed(model, texts, within).await;
        }
        let caller = Caller::new(Task::Embed, model, &within).find(false).await?;
        let batch = caller.config.table.number(&caller.model, "batch");
        let batch = batch.map_or(request::EMBED_BATCH, |batch| (batch as usize).max(1));
        let (mut dimension, mut values, mut tokens, mut attempts, mut by) = (0, Vec::new(), None, 0, 0);
        for batch in texts.chunks(batch) {
            let request = |upstream: &Upstream| match upstream.wire {
                Wire::Tasks | Wire::Bare => request::embed(&upstream.id, batch),
                _ => Ok(wire::embed(upstream, batch)),
            };
            let read = async |_: &Upstream, head: Head, incoming: Incoming| {
                let body = incoming.json().await?;
                let rows = embedding::rows(&body, batch.len()).ok_or_else(|| reply::no_vectors(&body))?;
                let counted = head.number("x-prompt-tokens").or_else(|| head.number("x-compute-tokens"));
                let counted =
                    counted.or_else(|| Some(chat::usage(hybrid_guest::json::member(&body, "usage")?)?.prompt_tokens));
                Ok((rows, counted))
            };
            let ((rows, counted), made, index) = caller
                .send(&request, read)
                .await
                .map_err(|error: Error| Error { attempts: attempts + error.attempts, ..error })?;
            attempts += made;
            by = index;
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
        Ok(Vectors { dimension: dimension as u32, values: reader, tokens, served: caller.served(by, attempts) })
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

    pub(crate) fn upstream(wire: Wire, id: &str, url: &str) -> Upstream {
        let base = config::Base::parse(url).expect("a URL");
        Upstream { provider: "box".into(), wire, base, id: id.into(), lora: None, authorization: None }
    }

    #[test]
    fn a_chat_names_who_ran_it() {
        let router = |id| Upstream { provider: "huggingface".into(), ..upstream(Wire::Router, id, "http://router") };
        let told = head::head(200, &[("x-inference-provider", "novita")]);
        assert_eq!(chat_provider(&router("a/b:groq"), &told), "novita");
        let odd = head::head(200, &[("x-inference-provider", "a b\"")]);
        assert_eq!(chat_provider(&router("a/b:groq"), &odd), "groq");
        assert_eq!(chat_provider(&router("a/b:fastest"), &head::head(200, &[])), "huggingface");
        assert_eq!(chat_provider(&router("a/b"), &head::head(200, &[])), "huggingface");
        assert_eq!(chat_provider(&upstream(Wire::OpenAi, "qwen", "http://h"), &told), "box");
    }
}
