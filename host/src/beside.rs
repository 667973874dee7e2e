//! What the host does beside leading requests through the chain: it keeps them for later (`jobs`), takes many at once
//! (`batch`), answers the same one once (`again`), and keeps answers (`cache`). No component has a part in it, and no
//! path but `/jobs` and `/batch` is known here.
//!
//! Whether a request needs any of it is seen at its head ([`Beside::concerns`]); all others pass untouched.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;

use crate::access::Access;
use crate::again::{self, Again};
use crate::answer::Answer;
use crate::batch;
use crate::cache::{self, Cache, Use};
use crate::config::Config;
use crate::error::Refusal;
use crate::held::{Budget, Held};
use crate::inside::{self, Admitted, Brought};
use crate::jobs::{self, Jobs};
use crate::lane::Lanes;
use crate::leftover::Drained;
use crate::registry::{Generation, Registry};
use crate::request::{self, Desk, Whose};
use crate::server::Stop;
use crate::shelf::fingerprint;

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Lives as long as the server.
pub struct Beside {
    jobs: Arc<Jobs>,
    again: Again,
    cache: Arc<Cache>,
    lanes: Lanes,
    budget: Budget,
}

/// A request on its way, its body unread.
pub struct Visit {
    pub desk: Arc<Desk>,
    pub client: Arc<str>,
    pub generation: Arc<Generation>,
    pub id: HeaderValue,
    pub method: Method,
    pub path: Uri,
    pub headers: HeaderMap,
}

/// An answer.
pub enum Done {
    /// The host's own.
    Told(Response<Answer>),
    /// The chain's, which was logged there.
    Worked(Response<Answer>),
}

/// The host's own refusal.
pub struct Refused {
    refusal: Refusal,
    /// Those who were let in are told how their limits stand, and pages of theirs may read why they are refused.
    admitted: Option<Admitted>,
}

impl Refused {
    pub fn of(refusal: Refusal, admitted: Admitted) -> Self {
        Self { refusal, admitted: Some(admitted) }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, admitted: None }
    }
}

impl Visit {
    /// The request as the host keeps it.
    pub fn brought(&self, body: Bytes) -> Brought {
        let mut headers = inside::of_the_work(&self.headers);
        headers.insert(request::REQUEST_ID, self.id.clone());
        Brought { method: self.method.clone(), path: self.path.clone(), headers, body }
    }

    pub fn target(&self) -> &str {
        self.path.path_and_query().map_or("/", |path| path.as_str())
    }

    pub async fn ask(&self, path: &Uri) -> Result<Admitted, Response<Answer>> {
        self.ask_many(path, 1).await
    }

    /// So many requests at once: all of them may come in, or none.
    async fn ask_many(&self, path: &Uri, count: usize) -> Result<Admitted, Response<Answer>> {
        let (desk, client, generation) = (&self.desk, &self.client, &self.generation);
        inside::ask(desk, client, generation, &self.method, path, count, &self.headers, &self.id).await
    }

    /// The whole body.
    async fn held(&self, body: Drained, budget: &Budget) -> Result<Held, Refusal> {
        let limits = &self.generation.config.limits;
        inside::refused_early(&self.headers, limits.request_body_bytes)?;
        budget.read(body, limits).await.inspect_err(|refusal| {
            if matches!(refusal, Refusal::SlowBody) {
                self.desk.registry.metrics.limits.add(&["", "body_ms"], 1);
            }
        })
    }
}

/// What a head asks for beside an answer.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    later: bool,
    key: Option<HeaderValue>,
    /// How old an answer may be that was kept.
    kept: Option<Duration>,
    many: bool,
}

impl Wanted {
    fn of(config: &Config, visit: &Visit) -> Result<Self, Refusal> {
        let later = visit.headers.get_all(PREFER).iter().any(|value| {
            let preferences = value.to_str().unwrap_or_default().split(',');
            preferences.map(|it| it.split(';').next().unwrap_or_default().trim()).any(|it| it == "respond-async")
        });
        Ok(Self {
            later,
            key: visit.headers.get(again::KEY).cloned(),
            kept: config.cache.wanted(&visit.headers)?,
            many: visit.path.path() == batch::PATH,
        })
    }
}

impl Beside {
    pub fn start(registry: &Arc<Registry>, lanes: &Lanes, stop: &Stop) -> Result<Arc<Self>> {
        let budget = Budget::new(registry.config().limits.held_bytes);
        let jobs = Jobs::start(registry, lanes, stop, &budget)?;
        let cache = Arc::new(Cache::default());
        registry.metrics.add(Arc::clone(&cache) as _);
        Ok(Arc::new(Self { jobs, again: Again::new(&registry.config())?, cache, lanes: lanes.clone(), budget }))
    }

    /// Looks at few headers, by name alone.
    pub fn concerns(&self, config: &Config, request: &Request<Drained>) -> bool {
        let path = request.uri().path();
        if jobs::covers(path) || path == batch::PATH {
            return *request.method() != Method::OPTIONS;
        }
        let headers = request.headers();
        *request.method() == Method::POST
            && (headers.contains_key(PREFER)
                || headers.contains_key(again::KEY)
                || cache::concerns(headers)
                || config.cache.used == Use::Always)
    }

    pub async fn answer(
        self: Arc<Self>,
        desk: Arc<Desk>,
        client: Arc<str>,
        generation: Arc<Generation>,
        request: Request<Drained>,
    ) -> Response<Answer> {
        let id = request::request_id(request.headers());
        let mut access = Access::new(&desk, &generation, Instant::now(), &request, &client, &id);
        let (parts, body) = request.into_parts();
        let visit =
            Visit { desk, client, generation, id, method: parts.method, path: parts.uri, headers: parts.headers };
        let done = match jobs::covers(visit.path.path()) {
            true => Arc::clone(&self.jobs).answer(&visit).await,
            false => self.work(&visit, body).await,
        };
        match done {
            Ok(Done::Told(mut answer)) => {
                answer.headers_mut().insert(request::REQUEST_ID, visit.id);
                request::logged(answer, access)
            }
            Ok(Done::Worked(mut answer)) => {
                answer.headers_mut().insert(request::REQUEST_ID, visit.id);
                access.is_silent();
                answer
            }
            Err(Refused { refusal, admitted }) => {
                let mut answer = request::refused(&refusal, &visit.id, access);
                if let Some(admitted) = admitted {
                    admitted.dress(&mut answer);
                    answer.headers_mut().insert(request::REQUEST_ID, visit.id);
                }
                answer
            }
        }
    }

    async fn work(&self, visit: &Visit, body: Drained) -> Result<Done, Refused> {
        if visit.path.path() == batch::PATH && visit.method != Method::POST {
            return Err(Refusal::Method { allow: "POST, OPTIONS" }.into());
        }
        let wanted = Wanted::of(&visit.generation.config, visit)?;
        if wanted == Wanted::default() {
            let mut request = Request::new(body);
            *request.method_mut() = visit.method.clone();
            *request.uri_mut() = visit.path.clone();
            *request.headers_mut() = visit.headers.clone();
            request.headers_mut().insert(request::REQUEST_ID, visit.id.clone());
            let (desk, client) = (Arc::clone(&visit.desk), Arc::clone(&visit.client));
            let generation = Arc::clone(&visit.generation);
            return Ok(Done::Worked(request::through(desk, client, generation, request, Whose::Clients).await));
        }
        if wanted.later {
            self.jobs.takes(visit)?;
        }
        let admitted = match visit.ask(&visit.path).await {
            Ok(admitted) => admitted,
            Err(answer) => return Ok(Done::Told(answer)),
        };
        let held = match visit.held(body, &self.budget).await {
            Ok(held) => held,
            Err(refusal) => return Err(Refused::of(refusal, admitted)),
        };
        let mut admitted = admitted;
        let mut items = None;
        if wanted.many {
            let batch = match batch::parse(&held.bytes, &visit.generation.config.batch) {
                Ok(batch) => batch,
                Err(refusal) => return Err(Refused::of(refusal, admitted)),
            };
            // What is asked many times must be allowed, and counts as often.
            admitted = match visit.ask_many(&batch.path, batch.items.len()).await {
                Ok(admitted) => admitted,
                Err(answer) => return Ok(Done::Told(answer)),
            };
            items = Some(batch.items.len());
        }
        let key = match &wanted.key {
            Some(key) => {
                let print = fingerprint(visit.target(), &visit.headers, &held.bytes);
                match again::Key::new(&admitted.caller, key, print) {
                    Ok(key) => Some(key),
                    Err(refusal) => return Err(Refused::of(refusal, admitted)),
                }
            }
            None => None,
        };
        if wanted.later {
            return self.jobs.accept(visit, admitted, key, held, items).await;
        }
        match wanted.kept {
            Some(most) if !wanted.many && key.is_none() => {
                self.cache.answer(visit, admitted, held, most, &self.budget).await
            }
            _ => self.once(visit, admitted, key, held, wanted.many).await,
        }
    }

    /// Work whose answer may be kept under a key.
    async fn once(
        &self,
        visit: &Visit,
        admitted: Admitted,
        key: Option<again::Key>,
        held: Held,
        many: bool,
    ) -> Result<Done, Refused> {
        let brought = visit.brought(held.bytes);
        let (desk, client, generation) =
            (Arc::clone(&visit.desk), Arc::clone(&visit.client), Arc::clone(&visit.generation));
        let (caller, lanes, share) = (Arc::clone(&admitted.caller), self.lanes.clone(), held.share);
        let work = async move {
            let _share = share;
            match many {
                true => batch::answer(&lanes, &client, &caller, &brought, &generation.config.batch, |_| ()).await,
                false => inside::bring(&desk, &client, &generation, &caller, brought, Whose::Clients).await,
            }
        };
        match key {
            Some(key) => self.again.answer(visit, admitted, &key, &self.budget, work).await,
            None => {
                let mut answer = work.await;
                admitted.dress(&mut answer);
                Ok(Done::Told(answer))
            }
        }
    }
}

/// An answer of JSON.
pub fn json(status: http::StatusCode, body: String) -> Response<Answer> {
    let mut answer = Response::new(Answer::Told(Full::new(body.into())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
