//! The app's built pages at `/app/`, and what a browser finds at `/`. Files and headers; no component has a part in it.
//!
//! Whether a request is for here is decided by the first bytes of its path ([`Pages::concerns`]); all others pass
//! untouched. The build is looked for at each request, so one that is made while the host runs is served at once.

mod asked;
mod files;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;

use crate::error::Refusal;
use crate::payload::Payload;
use asked::{Encodings, Part};
use files::{Files, Found};

/// Where the app lives. The build has it in its links.
const BASE: &str = "/app";
const MISSING: &str = include_str!("pages/missing.html");

/// The pages may run what comes from here only, and talk to whichever server the person names.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data: blob:; media-src 'self' data: blob:; connect-src * data: blob:; \
                      object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A build of the app in one of these folders, the first that has one. Lives as long as the server.
pub struct Pages {
    files: Arc<Files>,
}

impl Pages {
    /// What was configured, else beside the components, else what the source tree has built. Configured as nothing,
    /// there are no pages.
    pub fn find(configured: Option<&Path>, components: &Path, source_tree: Option<&Path>) -> Option<Self> {
        let folders: Vec<PathBuf> = match configured {
            Some(none) if none.as_os_str().is_empty() => return None,
            Some(folder) => vec![folder.to_owned()],
            None => {
                let beside = components.canonicalize().ok().and_then(|dir| Some(dir.parent()?.join("app")));
                beside.into_iter().chain(source_tree.map(|root| root.join("target/app"))).collect()
            }
        };
        Some(Self { files: Arc::new(Files::new(folders, None)) })
    }

    /// What was configured, else the build inside this program.
    pub fn inside(configured: Option<&Path>, payload: &Arc<Payload>) -> Option<Self> {
        let files = match configured {
            Some(none) if none.as_os_str().is_empty() => return None,
            Some(folder) => Files::new(vec![folder.to_owned()], None),
            None => Files::new(Vec::new(), payload.has_app().then(|| Arc::clone(payload))),
        };
        Some(Self { files: Arc::new(files) })
    }

    /// Whether the path is one of ours. `/` may be: that depends on who asks.
    pub fn concerns(path: &str) -> bool {
        path == "/" || path.strip_prefix(BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// `None` for who asks for `/` and is no browser.
    pub async fn answer<B>(&self, request: &Request<B>, id: &HeaderValue) -> Option<Response<Full<Bytes>>> {
        let path = request.uri().path();
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if path == "/" {
            if !(reads && asked::wants_page(request.headers())) {
                return None;
            }
            let mut answer = match self.look_up(String::new(), Encodings::default()).await {
                Some(_) => to_base(request, StatusCode::SEE_OTHER),
                None => missing(StatusCode::OK),
            };
            answer.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
            return Some(answer);
        }
        if !reads {
            return Some(Refusal::PageMethod.answer(id));
        }
        let Some(inside) = path.strip_prefix(BASE).and_then(|rest| rest.strip_prefix('/')) else {
            return Some(to_base(request, StatusCode::PERMANENT_REDIRECT));
        };
        let encodings = match request.headers().contains_key(header::RANGE) {
            // A part is one of the file itself.
            true => Encodings::default(),
            false => Encodings::of(request.headers()),
        };
        let found = match self.look_up(inside.to_owned(), encodings).await {
            Some(found) => Some(found),
            // The addresses of screens are the app's own business; a missing file is one.
            None if files::may_be_a_screen(inside) => self.look_up(String::new(), encodings).await,
            None => return Some(Refusal::NoPage.answer(id)),
        };
        Some(found.map_or_else(|| missing(StatusCode::NOT_FOUND), |found| file(request, found)))
    }

    async fn look_up(&self, inside: String, encodings: Encodings) -> Option<Found> {
        let files = Arc::clone(&self.files);
        // Disks may be slow, and this thread serves others.
        tokio::task::spawn_blocking(move || files.find(&inside, encodings)).await.ok().flatten()
    }
}

fn to_base<B>(request: &Request<B>, status: StatusCode) -> Response<Full<Bytes>> {
    let place = match request.uri().query() {
        Some(query) => format!("{BASE}/?{query}"),
        None => format!("{BASE}/"),
    };
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    if let Ok(place) = HeaderValue::try_from(place) {
        answer.headers_mut().insert(header::LOCATION, place);
    }
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

/// Says how the app is made.
fn missing(status: StatusCode) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(MISSING.as_bytes())));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    page_headers(headers);
    answer
}

fn file<B>(request: &Request<B>, found: Found) -> Response<Full<Bytes>> {
    let headers_asked = request.headers();
    let mut answer = Response::new(Full::default());
    let size = found.bytes.len();
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(found.cache_control()));
    if found.is_varied {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if let Ok(tag) = HeaderValue::try_from(&found.tag) {
        headers.insert(header::ETAG, tag);
    }
    if asked::is_known(headers_asked, &found.tag) {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        return answer;
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(found.content_type));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(encoding) = found.encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    page_headers(headers);
    let part = match *request.method() {
        Method::GET => asked::part(headers_asked, &found.tag, size),
        _ => Part::Whole,
    };
    match part {
        Part::Whole => *answer.body_mut() = Full::new(found.bytes),
        Part::Bytes(range) => {
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            let told = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            answer.headers_mut().insert(header::CONTENT_RANGE, HeaderValue::try_from(told).expect("digits"));
            *answer.body_mut() = Full::new(found.bytes.slice(range));
        }
        Part::Nothing => {
            *answer.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            let told = HeaderValue::try_from(format!("bytes */{size}")).expect("digits");
            answer.headers_mut().insert(header::CONTENT_RANGE, told);
        }
    }
    answer
}

fn page_headers(headers: &mut http::HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}
