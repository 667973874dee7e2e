//! A client of the server under test, and what it got.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use standin::{Recorded, Standin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The server under test and its upstream.
pub struct House<'a> {
    authority: String,
    pub standin: &'a Standin,
}

/// A part of a form.
pub(crate) struct Part<'a> {
    pub(crate) name: &'a str,
    /// With one it is a file.
    pub(crate) file: Option<&'a str>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

impl<'a> Part<'a> {
    pub(crate) fn text(name: &'a str, text: &'a str) -> Part<'a> {
        Part { name, file: None, content_type: None, body: text.as_bytes() }
    }

    pub(crate) fn file(name: &'a str, file: &'a str, content_type: Option<&'a str>, body: &'a [u8]) -> Part<'a> {
        Part { name, file: Some(file), content_type, body }
    }
}

const BOUNDARY: &str = "----contract-8f2a";

impl House<'_> {
    pub fn new<'a>(base: &str, standin: &'a Standin) -> House<'a> {
        let authority = base.trim_end_matches('/').trim_start_matches("http://").to_owned();
        House { authority, standin }
    }

    /// Sends a request on a connection of its own.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply> {
        let stream = TcpStream::connect(&self.authority).await.context("connecting")?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", &self.authority);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into()))?;
        let response = sender.send_request(request).await.with_context(|| format!("{method} {path} got no answer"))?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.with_context(|| format!("the body of {method} {path} broke off"))?.to_bytes();
        connection.abort();
        Ok(Reply { what: format!("{method} {path}"), status: head.status, headers: head.headers, body })
    }

    /// Reads an answer of events as it comes, and the time at which each was there.
    pub(crate) async fn events(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<Events> {
        let mut request = Request::builder().method("POST").uri(path).header("host", &self.authority);
        request = request.header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let stream = TcpStream::connect(&self.authority).await.context("connecting")?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let started = Instant::now();
        let response = sender.send_request(request.body(Full::new(Bytes::from(body.to_string())))?).await;
        let (head, body) = response.with_context(|| format!("POST {path} got no answer"))?.into_parts();
        let reply =
            Reply { what: format!("POST {path}"), status: head.status, headers: head.headers, body: Bytes::new() };
        Ok(Events { reply, started, body, text: String::new(), connection })
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Reply> {
        self.send("GET", path, &[], Bytes::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.post_with(path, &[], body).await
    }

    pub(crate) async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<Reply> {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.send("POST", path, &all, body.to_string()).await
    }

    pub(crate) async fn form(&self, path: &str, headers: &[(&str, &str)], parts: &[Part<'_>]) -> Result<Reply> {
        let mut body = Vec::new();
        for part in parts {
            body.extend_from_slice(
                format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}\"", part.name).as_bytes(),
            );
            if let Some(file) = part.file {
                body.extend_from_slice(format!("; filename=\"{file}\"").as_bytes());
            }
            if let Some(content_type) = part.content_type {
                body.extend_from_slice(format!("\r\nContent-Type: {content_type}").as_bytes());
            }
            body.extend_from_slice(b"\r\n\r\n");
            body.extend_from_slice(part.body);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        let mut all = vec![("content-type", content_type.as_str())];
        all.extend_from_slice(headers);
        self.send("POST", path, &all, body).await
    }

    /// Sends a body of `length` bytes for as long as the server takes them, and reads the answer whenever it comes: who
    /// refuses a body need not read it to the end.
    pub(crate) async fn upload(&self, path: &str, content_type: &str, length: usize) -> Result<Reply> {
        let stream = TcpStream::connect(&self.authority).await.context("connecting")?;
        let (mut from, mut to) = stream.into_split();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n",
            self.authority
        );
        let writing = tokio::spawn(async move {
            to.write_all(head.as_bytes()).await?;
            let piece = vec![b' '; 1 << 16];
            let mut left = length;
            while left > 0 {
                let size = left.min(piece.len());
                to.write_all(&piece[..size]).await?;
                left -= size;
            }
            std::io::Result::Ok(to)
        });
        let mut all = Vec::new();
        // An error after the answer is a server that would not read on.
        let read = from.read_to_end(&mut all).await;
        writing.abort();
        let split = all.windows(4).position(|window| window == b"\r\n\r\n");
        let split = split.with_context(|| format!("POST {path} with {length} bytes got no answer: {read:?}"))?;
        let mut lines = std::str::from_utf8(&all[..split])?.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("a status")?.parse()?;
        let mut headers = HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            headers.append(name.parse::<HeaderName>()?, value.trim().parse()?);
        }
        let body = match headers.get("transfer-encoding") {
            Some(_) => unchunked(&all[split + 4..]),
            None => all.split_off(split + 4),
        };
        Ok(Reply { what: format!("POST {path}"), status, headers, body: body.into() })
    }

    /// What reached the upstream for a model, which is exactly one request.
    pub(crate) fn only_request(&self, model: &str) -> Result<Recorded> {
        let mut requests = self.standin.requests_for(model);
        ensure!(requests.len() == 1, "`{model}` was asked {} times upstream", requests.len());
        requests.pop().context("one was counted")
    }
}

/// The bytes of a chunked body.
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&rest[..line]).ok().and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let (Some(size), start) = (size, line + 2) else { break };
        if size == 0 || rest.len() < start + size + 2 {
            break;
        }
        whole.extend_from_slice(&rest[start..start + size]);
        rest = &rest[start + size + 2..];
    }
    whole
}

/// An answer that comes in events. Its connection ends with it.
pub(crate) struct Events {
    /// The head; its body is empty.
    pub(crate) reply: Reply,
    started: Instant,
    body: hyper::body::Incoming,
    text: String,
    connection: tokio::task::JoinHandle<hyper::Result<()>>,
}

impl Drop for Events {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// A server-sent event, or a comment.
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: String,
    pub(crate) comment: bool,
    pub(crate) after: Duration,
}

impl Event {
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.data).with_context(|| format!("`{}` is not JSON", self.data))
    }
}

impl Events {
    /// The next event; none at the end. An answer that breaks off is an error.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let mut found =
                    Event { name: String::new(), data: String::new(), comment: true, after: self.started.elapsed() };
                for line in event.lines() {
                    if let Some(data) = line.strip_prefix("data: ") {
                        (found.data, found.comment) = (data.to_owned(), false);
                    } else if let Some(name) = line.strip_prefix("event: ") {
                        name.clone_into(&mut found.name);
                    } else {
                        ensure!(line.starts_with(':'), "{}: `{line}` is no line of an event", self.reply.what);
                    }
                }
                self.text = rest.to_owned();
                return Ok(Some(found));
            }
            match self.body.frame().await {
                Some(frame) => {
                    let frame = frame.with_context(|| format!("{} broke off", self.reply.what))?;
                    self.text.push_str(std::str::from_utf8(frame.data_ref().context("data")?)?);
                }
                None => {
                    ensure!(self.text.is_empty(), "{} ends in the middle of an event", self.reply.what);
                    return Ok(None);
                }
            }
        }
    }

    /// All that are left, without comments.
    pub(crate) async fn rest(mut self) -> Result<Vec<Event>> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await? {
            all.push(event);
        }
        all.retain(|event| !event.comment);
        Ok(all)
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    what: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// A header's value; empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn is(&self, status: u16) -> Result<&Reply> {
        if self.status.as_u16() == status {
            return Ok(self);
        }
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(400)]).into_owned();
        bail!("{} got {}, not {status}: {body}", self.what, self.status)
    }

    /// The media type, without parameters.
    pub(crate) fn is_of(&self, content_type: &str) -> Result<&Reply> {
        let given = self.header("content-type").split(';').next().unwrap_or_default().trim();
        ensure!(given == content_type, "{} is of type `{given}`, not `{content_type}`", self.what);
        Ok(self)
    }

    pub(crate) fn says(&self, header: &str, value: &str) -> Result<&Reply> {
        let given = self.header(header);
        ensure!(given == value, "{}: `{header}` is `{given}`, not `{value}`", self.what);
        Ok(self)
    }

    pub(crate) fn json(&self) -> Result<Value> {
        self.is_of("application/json")?;
        serde_json::from_slice(&self.body).with_context(|| format!("{} is not JSON", self.what))
    }

    /// The uniform error body: this status and code, and the four keys. Gives `details`.
    pub(crate) fn refuses(&self, status: u16, code: &str) -> Result<Value> {
        self.is(status)?;
        let body = self.json()?;
        let keys: Vec<&str> = body.as_object().context("an object")?.keys().map(String::as_str).collect();
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        ensure!(sorted == ["details", "error", "message", "timestamp"], "{}: the error's keys are {keys:?}", self.what);
        ensure!(body["error"] == code, "{}: the error is {}, not `{code}`", self.what, body["error"]);
        ensure!(body["message"].as_str().is_some_and(|text| !text.is_empty()), "{}: no message", self.what);
        ensure!(body["details"].is_object(), "{}: `details` is {}", self.what, body["details"]);
        let time = body["timestamp"].as_str().unwrap_or_default();
        ensure!(is_timestamp(time), "{}: the timestamp is `{time}`", self.what);
        ensure!(!self.header("x-request-id").is_empty(), "{}: no request id", self.what);
        Ok(body["details"].clone())
    }

    /// OpenAI's error body: this status, type and code, and the four keys. Gives the whole.
    pub(crate) fn fails(&self, status: u16, kind: &str, code: &Value) -> Result<Value> {
        self.is(status)?;
        let body = self.json()?;
        let error = body["error"].as_object().with_context(|| format!("{}: no error in {body}", self.what))?;
        let keys: Vec<&str> = error.keys().map(String::as_str).collect();
        ensure!(keys == ["code", "message", "param", "type"], "{}: the error's keys are {keys:?}", self.what);
        ensure!(error["type"] == kind && error["code"] == *code, "{}: {body}", self.what);
        ensure!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{}: no message", self.what);
        ensure!(!self.header("x-request-id").is_empty(), "{}: no request id", self.what);
        Ok(body["error"].clone())
    }

    /// A 422 that names exactly these fields, all at once.
    pub(crate) fn names(&self, fields: &[&str]) -> Result<()> {
        let details = self.refuses(422, "validation_error")?;
        let details = details.as_object().context("an object")?;
        for field in fields {
            let told = details.get(*field).and_then(Value::as_str).unwrap_or_default();
            ensure!(!told.is_empty(), "{}: nothing is said about `{field}`: {details:?}", self.what);
        }
        ensure!(details.len() == fields.len(), "{}: not only {fields:?}: {details:?}", self.what);
        Ok(())
    }

    /// A number in a header.
    pub(crate) fn count(&self, header: &str) -> Result<u32> {
        self.header(header).parse().with_context(|| format!("{}: `{header}` is `{}`", self.what, self.header(header)))
    }
}

/// `2026-11-23T19:30:00Z`, with or without fractions of a second.
pub(crate) fn is_timestamp(text: &str) -> bool {
    let shape: String = text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    shape.starts_with("0000-00-00T00:00:00") && shape.ends_with('Z')
}
