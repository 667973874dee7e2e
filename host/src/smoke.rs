//! A version is tried before anybody gets it: an instance comes about, and the calls that the configuration names are
//! answered as it says.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;

use crate::leftover::Drained;
use crate::registry::{Generation, Registry};
use crate::request::{self, Desk};
use crate::tasks::Tasks;

/// What is looked at of an answer.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// A request that a new version of a component must answer before it serves.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub body: String,
    /// What it must be answered with.
    pub status: StatusCode,
    pub limit: Duration,
}

/// Makes one instance of a member.
pub async fn start(registry: &Arc<Registry>, generation: Arc<Generation>, member: usize) -> Result<()> {
    let mut worker = registry.worker(generation, registry.trial_lane());
    worker.store.set_epoch_deadline(1);
    worker.store.data_mut().begin();
    worker.instantiate(member).await?;
    Ok(())
}

/// Sends the call to a generation that does not serve yet.
pub async fn call(registry: &Arc<Registry>, generation: Arc<Generation>, call: &Call) -> Result<()> {
    let desk = Arc::new(Desk {
        registry: Arc::clone(registry),
        places: Arc::new(Semaphore::new(1)),
        tasks: Tasks::default(),
        ours: true,
        lane: registry.trial_lane(),
        rounds: Arc::default(),
        compute: tokio::runtime::Handle::current(),
        tls: None,
        pages: None,
        beside: None,
        pinned: Some(generation),
    });
    let (near, far) = tokio::io::duplex(64 * 1024);
    let service = service_fn(|request| {
        let desk = Arc::clone(&desk);
        async move {
            let request = Drained::of(request, &desk.tasks, None);
            Ok::<_, Infallible>(request::serve(desk, "127.0.0.1:0".into(), request).await)
        }
    });
    let server = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await?;
    let request = Request::builder()
        .method(&call.method)
        .uri(&call.path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "hybrid-ai smoke call")
        .body(Full::new(Bytes::from(call.body.clone())))?;
    let talk = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        body.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?;
        anyhow::Ok(status)
    };
    let answered = tokio::select! {
        answered = tokio::time::timeout(call.limit, talk) => answered,
        _ = async { tokio::join!(server, connection) } => bail!("the connection ended"),
    };
    let what = format!("{} {}", call.method, call.path);
    let status = answered.with_context(|| format!("{what} was not answered within {:?}", call.limit))??;
    if status != call.status {
        bail!("{what} was answered {status} in place of {}", call.status);
    }
    Ok(())
}
