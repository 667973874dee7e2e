//! A stand-in Hugging Face: the router, the inference service and the Hub's model card, for tests and for work without a key.
//!
//! It answers
//!
//! | route | what |
//! | --- | --- |
//! | `POST /hf-inference/models/{org}/{name}` | speech, transcripts, pictures, edited pictures |
//! | `POST /hf-inference/models/{org}/{name}/pipeline/feature-extraction` | vectors of 384 numbers |
//! | `POST /v1/chat/completions`, `POST /hf-inference/models/{org}/{name}/v1/chat/completions` | chat, whole or as events |
//! | `GET /v1/models` | the chat models |
//! | `GET /api/models/{org}/{name}` | the Hub's card with `inferenceProviderMapping` |
//! | `GET /files/{width}x{height}.png` | what the URL variant of a picture answer points at |
//! | `POST /fal-ai/{org}/{name}`, `/replicate/v1/…`, `/together/v1/…`, `/nscale/v1/…`, `/deepinfra/v1/openai/…` | the providers |
//! | `POST /v1/…`, `/box/v1/…`, `/embed` | a service of one's own that speaks OpenAI's API or TEI's |
//!
//! and holds its callers to the wire: a body that the real service would refuse gets 400 and
//! ``{"error": ["… received `x` in `parameters`"]}``.
//!
//! # Tasks
//!
//! A bare model route serves four tasks. Which one is meant is told by the body's media type, else by the model
//! (`components/models.toml`, or a word in its name: `tts` `speech` `voice`, `asr` `stt` `whisper`, `edit` `inpaint`,
//! `image` `draw`), else by what the body looks like.
//!
//! # Variants
//!
//! Words in a model's name choose among the forms the real service was seen to answer in:
//!
//! - speech is flac unless `accept` asks for `audio/wav`; `wav`, `flac`, `json` (a transformers pipeline's numbers) and
//!   `b64` choose;
//! - pictures are PNG or what `accept` asks for; `jpeg`, `webp`, `b64` (JSON) and `url` (JSON) choose;
//! - vectors are `[d]` for one text and `[n][d]` for a list; `nested` gives `[[d]]`, `tokens` `[1][t][d]` or `[n][1][t][d]`;
//! - chat events are OpenAI's; `tgi`, `nodone` and `crlf` choose other dialects; `calls` answers with a call of the first
//!   of the `tools`; `n` and `logprobs` are honoured.
//!
//! # Providers
//!
//! The words `fal`, `replicate`, `together`, `nscale` and `deepinfra` in a model's name say who serves it (as the Hub's card
//! tells); without one Hugging Face itself does. `down` after a provider's word has it fail there, `staging` not offered.
//! Jobs run when they are first looked at and are done at the second look; `stuck` never is, `broken` fails, `later` has
//! replicate not wait. Results lie at `/files`; `moved` leads there by a redirection, `astray` by one to another host's
//! name, `metadata` names an address that nobody may fetch from. `nohub` has the Hub fail.
//!
//! # Faults
//!
//! Chosen by the model's name, whatever its organisation (`fault/…` by custom). Calls are counted for each model id, and
//! anything may follow after a further `-`, so that tests need not share a count: `fault/fail-2-503-image-retries`.
//!
//! | name | what happens |
//! | --- | --- |
//! | `fail-N-STATUS` | the first N calls get STATUS, then all is fine |
//! | `always-STATUS` | every call gets STATUS, with the body the real service sends |
//! | `unserved` | 400, not supported by the provider |
//! | `gone` | 410, no longer supported |
//! | `gated` | 403, the model's owner must give access |
//! | `slow-MS` | answers after MS milliseconds |
//! | `late-N-MS` | the first N calls are answered after MS milliseconds, the others at once |
//! | `drip-MS` | sixteen bytes of the answer every MS milliseconds |
//! | `hang` | never answers |
//! | `close` | closes the connection instead of answering |
//! | `truncated` | half of the answer that `content-length` promised, then the end |
//! | `garbage` | the right type, the wrong bytes |
//! | `html` | 200 with a web page |
//! | `wrong-type` | what is said to be a picture or a sound, and is text |
//! | `mislabelled` | what was asked for, under another media type |
//! | `endless` | a body without end |
//! | `huge-MB` | a body of MB megabytes |
//! | `loading`, `loading-SECONDS` | once 503 with `estimated_time` (0.1), then fine |
//! | `ratelimit-N`, `ratelimit-N-TIMES` | 429 with `Retry-After: N`; TIMES times, or always |
//! | `stream-cut` | events end after 3 tokens, in the middle of the connection |
//! | `stream-early` | events end after the one that only names the role |
//! | `stream-hang` | nothing comes after the second token |
//! | `stream-error` | an error event after the first token |
//! | `stream-slow-MS` | MS milliseconds before each event |

pub mod cli;

mod answer;
mod errors;
mod faults;
mod log;
mod media;
mod noise;
mod photo;
mod route;
mod server;
mod tasks;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;

pub use log::Recorded;
pub use noise::Noise;
pub use photo::Photo;

/// How the stand-in is to behave.
#[derive(Debug, Clone)]
pub struct Options {
    /// Port 0 picks a free one.
    pub listen: SocketAddr,
    /// The only token that is let in; everybody is when absent.
    pub key: Option<String>,
    /// Chat is answered at once from one static buffer, and nothing is recorded: an upstream that costs a benchmark nothing.
    pub zero_latency: bool,
    /// Models that are refused as not supported, beside those named for it.
    pub unserved: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            key: None,
            zero_latency: false,
            unserved: Vec::new(),
        }
    }
}

/// A running stand-in, on threads of its own. It ends when this is dropped.
pub struct Standin {
    pub addr: SocketAddr,
    state: Arc<server::State>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Standin {
    /// Starts to listen; when this returns, it answers.
    pub fn start(options: Options) -> anyhow::Result<Standin> {
        let listener =
            std::net::TcpListener::bind(options.listen).with_context(|| format!("listening on {}", options.listen))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let state = Arc::new(server::State::new(options));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new().name("standin".to_owned()).spawn(move || {
            runtime.block_on(server::serve(listener, shared, stopped));
            runtime.shutdown_background();
        })?;
        Ok(Standin { addr, state, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Every request so far, oldest first, but for those that ask who serves a model.
    pub fn requests(&self) -> Vec<Recorded> {
        let mut requests = self.state.log.all();
        requests.retain(|request| !request.path.starts_with("/api/models/"));
        requests
    }

    /// Every question so far of who serves a model, oldest first.
    pub fn lookups(&self) -> Vec<Recorded> {
        let mut requests = self.state.log.all();
        requests.retain(|request| request.path.starts_with("/api/models/"));
        requests
    }

    /// The requests for one model, oldest first.
    pub fn requests_for(&self, model: &str) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(|request| request.model.as_deref() == Some(model));
        requests
    }

    /// Forgets the requests so far, and starts the faults' counts anew.
    pub fn forget(&self) {
        self.state.log.clear();
        self.state.faults.clear();
    }

    /// Requests that have come in and whose answer's head has not gone out; one that the caller gave up is not among them.
    pub fn in_flight(&self) -> usize {
        self.state.in_flight.load(Ordering::Relaxed)
    }
}

impl Standin {
    /// Answers of events that are being written; one whose reader has left is not among them.
    pub fn streams(&self) -> usize {
        self.state.streams.load(Ordering::Relaxed)
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
