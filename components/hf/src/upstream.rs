//! Where a call may go: HuggingFace's own service, the providers it routes to, and the endpoints of the model table.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use hybrid_guest::shared;
use hybrid_guest::types::Reason;

use crate::clock::{self, Deadline};
use crate::config::{Base, Config};
use crate::http;
use crate::mapping::{self, Entry};
use crate::table::Api;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    Speak,
    Transcribe,
    Draw,
    Edit,
    Chat,
    Embed,
}

impl Task {
    /// Its name in the model table.
    pub(crate) fn capability(self) -> &'static str {
        match self {
            Task::Speak => "tts",
            Task::Transcribe => "stt",
            Task::Draw => "image",
            Task::Edit => "image_edit",
            Task::Chat => "llm",
            Task::Embed => "embedding",
        }
    }

    /// Whether the Hub means this task by that name.
    fn is_called(self, name: &str) -> bool {
        match self {
            Task::Speak => name == "text-to-speech",
            Task::Transcribe => name == "automatic-speech-recognition",
            Task::Draw => name == "text-to-image",
            Task::Edit => name == "image-to-image" || name == "inpainting",
            Task::Chat => name == "conversational",
            Task::Embed => name == "feature-extraction" || name == "sentence-similarity",
        }
    }
}

/// What an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// HuggingFace's chat router.
    Router,
    /// HuggingFace's own task routes.
    Tasks,
    /// One task, at exactly the endpoint's address.
    Bare,
    OpenAi,
    Together,
    Nscale,
    Tei,
    Fal,
    Replicate,
}

impl Wire {
    /// A job is queued, and asked after until it is done.
    pub(crate) fn queues(self) -> bool {
        matches!(self, Wire::Fal | Wire::Replicate)
    }

    fn does(self, task: Task, mask: bool) -> bool {
        match self {
            Wire::Router => task == Task::Chat,
            Wire::Tei => task == Task::Embed,
            Wire::Nscale => task == Task::Draw,
            Wire::Tasks | Wire::Bare => task != Task::Chat,
            Wire::Fal | Wire::Replicate => !matches!(task, Task::Chat | Task::Embed),
            Wire::Together | Wire::OpenAi => !mask,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upstream {
    /// As answers name it: `hf-inference`, `fal-ai`, an endpoint's name.
    pub(crate) provider: String,
    pub(crate) wire: Wire,
    /// Its path is what comes before that of a task.
    pub(crate) base: Base,
    /// What it calls the model.
    pub(crate) id: String,
    /// The weights that a shared runner is to load, as the Hub has them.
    pub(crate) lora: Option<String>,
    /// `Bearer …`; none when the host adds it, or when none is needed.
    pub(crate) authorization: Option<String>,
}

/// The wire of a provider that HuggingFace routes to, and what stands before the paths of its tasks.
fn routed(provider: &str, task: Task) -> Option<(Wire, &'static str)> {
    let known = match provider {
        "hf-inference" => (Wire::Tasks, ""),
        "fal-ai" => (Wire::Fal, "/fal-ai"),
        "replicate" => (Wire::Replicate, "/replicate"),
        "together" => (Wire::Together, "/together/v1"),
        "nscale" => (Wire::Nscale, "/nscale/v1"),
        // Pictures from pictures it does another way.
        "deepinfra" if task != Task::Edit => (Wire::OpenAi, "/deepinfra/v1/openai"),
        "scaleway" if task == Task::Embed => (Wire::OpenAi, "/scaleway/v1"),
        _ => return None,
    };
    Some(known)
}

impl Config {
    /// The upstreams that serve a model, in the order in which they are asked; empty when nobody does.
    pub(crate) async fn upstreams(
        &self,
        task: Task,
        model: &str,
        mask: bool,
        deadline: Deadline,
    ) -> Result<Rc<[Upstream]>, Reason> {
        if let Some(endpoint) = self.endpoint(task, model, mask)? {
            return Ok(Rc::new([endpoint]));
        }
        let base = match &self.base {
            Ok(base) => base,
            Err(missing) => return Err(Reason::NotConfigured((*missing).to_owned())),
        };
        if task == Task::Chat {
            return Ok(Rc::new([self.own("huggingface", Wire::Router, base.clone(), model)]));
        }
        if let Some(upstreams) = remembered(task, model, mask) {
            return Ok(upstreams);
        }
        let (entries, until) = match (&self.hub, known(model)) {
            (None, _) => (None, i64::MAX),
            (Some(_), Some(known)) => known,
            (Some(_), None) if AWAY.get() > clock::now() => learn(model, Heard::Nothing { away: false }),
            (Some(hub), None) => learn(model, self.look_up(hub, model, deadline.left()).await),
        };
        let upstreams = self.routes(task, model, mask, entries.as_deref(), base);
        remember(Routes { task, model: model.to_owned(), mask, upstreams: Rc::clone(&upstreams), until });
        Ok(upstreams)
    }

    /// Whom to ask, as the Hub says who serves the model.
    fn routes(&self, task: Task, model: &str, mask: bool, entries: Option<&[Entry]>, base: &Base) -> Rc<[Upstream]> {
        let root = base.root();
        let Some(entries) = entries else {
            // Nobody can say: HuggingFace's own service knows best.
            return Rc::new([self.own("hf-inference", Wire::Tasks, root, model)]);
        };
        let mut upstreams = Vec::new();
        for provider in self.table.providers(task.capability(), model) {
            let Some((wire, prefix)) = routed(&provider, task) else { continue };
            // HuggingFace's own service says itself what a model of its is not for.
            let fits = |entry: &&Entry| wire == Wire::Tasks || task.is_called(&entry.task);
            let entry = entries.iter().filter(|entry| entry.provider == provider).find(fits);
            if let Some(entry) = entry
                && wire.does(task, mask)
                && (!mask || self.table.mask(model))
            {
                let base = Base { path: format!("{}{prefix}", root.path), ..root.clone() };
                upstreams.push(Upstream { lora: entry.lora.clone(), ..self.own(&provider, wire, base, &entry.id) });
            }
        }
        upstreams.into()
    }

    fn own(&self, provider: &str, wire: Wire, base: Base, id: &str) -> Upstream {
        let authorization = self.authorization.clone();
        Upstream { provider: provider.to_owned(), wire, base, id: id.to_owned(), lora: None, authorization }
    }

    /// The endpoint of the model table that serves a model, where one does.
    fn endpoint(&self, task: Task, model: &str, mask: bool) -> Result<Option<Upstream>, Reason> {
        let Some((name, id)) = self.table.endpoint_of(model) else { return Ok(None) };
        let endpoint = self.table.endpoint(name);
        let endpoint =
            endpoint.ok_or_else(|| Reason::NotConfigured(format!("the model table has no endpoint `{name}`")))?;
        let wire = match endpoint.api {
            Api::OpenAi => Wire::OpenAi,
            Api::Tei => Wire::Tei,
            Api::Tasks => Wire::Bare,
        };
        if !wire.does(task, mask) {
            return Err(Reason::UnknownModel(model.to_owned()));
        }
        let mut base = endpoint.base.clone();
        if wire == Wire::OpenAi && task != Task::Chat && !base.path.contains("/v1") {
            base.path.push_str("/v1");
        }
        Ok(Some(Upstream {
            provider: name.to_owned(),
            wire,
            base,
            id: id.into_owned(),
            lora: None,
            authorization: endpoint.authorization.clone(),
        }))
    }

    /// Asks the Hub who serves a model.
    async fn look_up(&self, hub: &Base, model: &str, time: Duration) -> Heard {
        /// A request must not wait longer for what it can do without.
        const PATIENCE: Duration = Duration::from_secs(3);
        let time = (time / 4).min(PATIENCE);
        let path = format!("{}/api/models/{model}?expand=inferenceProviderMapping", hub.path);
        let key = http::Key::Ours(self.authorization.as_deref());
        let asking = async {
            let Ok((head, incoming)) = http::get(self, key, hub, &path, time).await else {
                return Heard::Nothing { away: true };
            };
            let entries = match head.status {
                200 => incoming.json().await.ok().and_then(|card| mapping::entries(&card)),
                _ if head.get("x-error-code") == Some("RepoNotFound") => Some(Vec::new()),
                _ => None,
            };
            entries.map_or(Heard::Nothing { away: false }, Heard::Entries)
        };
        clock::within(clock::moment(), time, self.watched, asking).await.unwrap_or(Heard::Nothing { away: true })
    }
}

/// What the Hub answered.
enum Heard {
    Entries(Vec<Entry>),
    /// Nothing that tells who serves the model; `away`: nothing at all.
    Nothing {
        away: bool,
    },
}

/// What the Hub said about a model; none when it could not be asked.
type Said = Option<Rc<[Entry]>>;

struct Known {
    model: String,
    said: Said,
    until: i64,
}

/// Whom to ask for a model, until the Hub is asked again.
struct Routes {
    task: Task,
    model: String,
    mask: bool,
    upstreams: Rc<[Upstream]>,
    until: i64,
}

thread_local! {
    static KNOWN: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
    /// Until when a hub that did not answer is left alone.
    static AWAY: Cell<i64> = const { Cell::new(0) };
    static ROUTES: RefCell<Vec<Routes>> = const { RefCell::new(Vec::new()) };
}

fn remembered(task: Task, model: &str, mask: bool) -> Option<Rc<[Upstream]>> {
    let now = clock::now();
    ROUTES.with_borrow(|all| {
        let of = |routes: &&Routes| routes.task == task && routes.mask == mask && routes.model == model;
        all.iter().find(of).filter(|routes| routes.until > now).map(|routes| Rc::clone(&routes.upstreams))
    })
}

fn remember(routes: Routes) {
    ROUTES.with_borrow_mut(|all| {
        let Routes { task, mask, .. } = routes;
        all.retain(|known| known.task != task || known.mask != mask || known.model != routes.model);
        if all.len() >= MOST {
            all.remove(0);
        }
        all.push(routes);
    });
}

/// Models come and go by the minute at some providers.
const SERVED_SECONDS: i64 = 600;
const NOT_SERVED_SECONDS: i64 = 3600;
/// A hub that is down is asked again soon.
const UNSAID_SECONDS: i64 = 60;
/// Callers choose names; nobody needs more of them at once.
const MOST: usize = 64;

/// What instances of a node tell each other about a model.
fn shared_key(model: &str) -> String {
    ["hub ", model].concat()
}

fn known(model: &str) -> Option<(Said, i64)> {
    let now = clock::now();
    let own = KNOWN.with_borrow(|known| {
        known
            .iter()
            .find(|known| known.model == model && known.until > now)
            .map(|known| (known.said.clone(), known.until))
    });
    own.or_else(|| {
        let told = shared::get(&shared_key(model)).ok()??;
        let (entries, until) = mapping::heard(&told).filter(|(_, until)| *until > now)?;
        let said: Said = Some(entries.into());
        keep(Known { model: model.to_owned(), said: said.clone(), until });
        Some((said, until))
    })
}

fn keep(new: Known) {
    KNOWN.with_borrow_mut(|known| {
        known.retain(|known| known.model != new.model);
        if known.len() >= MOST {
            known.remove(0);
        }
        known.push(new);
    });
}

/// Remembers what the Hub said. When it could not be asked, what it said before goes on to count.
fn learn(model: &str, heard: Heard) -> (Said, i64) {
    let now = clock::now();
    let (said, seconds): (Said, i64) = match heard {
        Heard::Entries(entries) => {
            let seconds = if entries.is_empty() { NOT_SERVED_SECONDS } else { SERVED_SECONDS };
            shared::set(&shared_key(model), &mapping::told(&entries, now + seconds));
            (Some(entries.into()), seconds)
        }
        Heard::Nothing { away } => {
            if away {
                AWAY.set(now + UNSAID_SECONDS);
            }
            let before = KNOWN.with_borrow(|known| known.iter().find(|known| known.model == model)?.said.clone());
            (before, UNSAID_SECONDS)
        }
    };
    keep(Known { model: model.to_owned(), said: said.clone(), until: now + seconds });
    (said, now + seconds)
}

/// `org/name` and what providers make of it, as far as it may stand in a path.
pub(crate) fn is_path(id: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
    !id.is_empty() && !id.contains("..") && !id.starts_with('/') && id.bytes().all(legal)
}

impl Base {
    /// Without what belongs to chat alone.
    fn root(&self) -> Base {
        let path = self.path.strip_suffix("/v1").unwrap_or(&self.path).to_owned();
        Base { path, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_reached_below_the_router() {
        assert_eq!(routed("deepinfra", Task::Speak), Some((Wire::OpenAi, "/deepinfra/v1/openai")));
        assert_eq!(routed("scaleway", Task::Embed), Some((Wire::OpenAi, "/scaleway/v1")));
        assert_eq!(routed("scaleway", Task::Speak), None);
        assert_eq!(routed("groq", Task::Draw), None);
        let base = Base::parse("http://127.0.0.1:9/x/v1").expect("a base");
        assert_eq!(base.root().path, "/x");
    }

    #[test]
    fn a_mask_goes_to_those_who_take_one() {
        for (wire, takes) in [
            (Wire::Fal, true),
            (Wire::Replicate, true),
            (Wire::Tasks, true),
            (Wire::Together, false),
            (Wire::OpenAi, false),
        ] {
            assert_eq!(wire.does(Task::Edit, true), takes, "{wire:?}");
        }
        assert!(!Wire::Fal.does(Task::Embed, false) && Wire::Together.does(Task::Embed, false));
        assert!(!Wire::Router.does(Task::Draw, false) && Wire::Router.does(Task::Chat, false));
    }

    #[test]
    fn what_may_stand_in_a_path() {
        assert!(is_path("fal-ai/flux/dev") && is_path("a_b/c.d-e"));
        for id in ["", "/a", "a/../b", "a?b", "a b", "a#b", "a%2e"] {
            assert!(!is_path(id), "{id}");
        }
    }
}
