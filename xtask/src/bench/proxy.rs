//! The least that POST /llm could cost: a native reverse proxy that reads nothing.

use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

struct Proxy {
    client: Client<HttpConnector, Full<Bytes>>,
    upstream: Uri,
}

/// `xtask bench-proxy UPSTREAM`
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let [upstream] = arguments else { bail!("usage: bench-proxy UPSTREAM") };
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let proxy = Arc::new(Proxy {
        client: Client::builder(TokioExecutor::new()).build(connector),
        upstream: format!("{upstream}/v1/chat/completions").parse().context("the upstream's address")?,
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(proxy))
}

async fn serve(proxy: Arc<Proxy>) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("listening on http://{}/", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move {
            let service = service_fn(move |request| handle(Arc::clone(&proxy), request));
            // An error here is a connection that its other side closed.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Reads the whole of either body, as whoever validates or retries must; events are handed on as they come.
async fn handle(
    proxy: Arc<Proxy>,
    request: Request<Incoming>,
) -> anyhow::Result<Response<Either<Full<Bytes>, Incoming>>> {
    let body = request.into_body().collect().await?.to_bytes();
    let request = Request::post(proxy.upstream.clone())
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(AUTHORIZATION, HeaderValue::from_static("Bearer hf_bench"))
        .body(Full::new(body))?;
    let (head, body) = proxy.client.request(request).await?.into_parts();
    let events = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let body = if events { Either::Right(body) } else { Either::Left(Full::new(body.collect().await?.to_bytes())) };
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    if let Some(content_type) = head.headers.get(CONTENT_TYPE) {
        response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
    }
    Ok(response)
}
