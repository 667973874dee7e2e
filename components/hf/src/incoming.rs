//! Bytes that come in: an upstream's answer within its cap, and what a caller hands over.

use std::pin::Pin;

use hybrid_guest::types::Reason;
use spin_sdk::wasip3::http::types::{ErrorCode, Response, Trailers};
use spin_sdk::wasip3::{wit_future, wit_stream};
use spin_sdk::wit_bindgen::{self, FutureReader, FutureWriter, StreamReader, StreamResult};

use crate::body::{CHUNK, Chunks};
use crate::error::Fault;
use crate::head::Head;

/// A picture of 8 megapixels as PNG is about 12 MB.
pub(crate) const PICTURE_CAP: usize = 32 * 1024 * 1024;
/// Six minutes of 44.1 kHz stereo WAV.
pub(crate) const SOUND_CAP: usize = 64 * 1024 * 1024;
/// A picture as base64, or some thousand vectors.
pub(crate) const JSON_CAP: usize = 16 * 1024 * 1024;

/// A read of a plain chat answer; larger ones grow it.
const FIRST_READ: usize = 8 * 1024;
/// The longest beginning by which a type is known.
const MAGIC: usize = 16;

/// The body of an answer. Dropping it ends the connection, if there is more to come.
pub(crate) struct Incoming {
    stream: StreamReader<u8>,
    /// Tells how the body ended; read once.
    trailers: Option<FutureReader<Result<Option<Trailers>, ErrorCode>>>,
    expected: Option<u64>,
    received: u64,
    /// Dropped last: tells the runtime that we took what we wanted.
    _taken: FutureWriter<Result<(), ErrorCode>>,
}

/// A picture or sound in its own bytes, or JSON that holds it.
pub(crate) enum Answer {
    Media(&'static str, Vec<Vec<u8>>),
    Json(String),
}

impl Incoming {
    pub(crate) fn open(response: Response) -> (Head, Incoming) {
        let head = Head { status: response.get_status_code(), headers: response.get_headers().copy_all() };
        let (taken, result) = wit_future::new(|| Ok(()));
        let (stream, trailers) = Response::consume_body(response, result);
        let expected = head.content_length();
        (head, Incoming { stream, trailers: Some(trailers), expected, received: 0, _taken: taken })
    }

    /// Reads once into what is free in `buffer`; the flag is false at the body's end. A body that ends before its time is
    /// a fault.
    pub(crate) async fn more(&mut self, buffer: Vec<u8>) -> Result<(Vec<u8>, bool), Fault> {
        let before = buffer.len();
        let (result, buffer) = self.stream.read(buffer).await;
        self.received += (buffer.len() - before) as u64;
        if matches!(result, StreamResult::Complete(_)) {
            // What is whole needs no second read to know it.
            return Ok((buffer, self.expected != Some(self.received)));
        }
        let broken = || Fault::garbage("the upstream's answer broke off");
        match (self.expected, self.trailers.take()) {
            (Some(expected), _) if self.received < expected => return Err(broken()),
            (None, Some(trailers)) => {
                trailers.await.map_err(|_| broken())?;
            }
            _ => {}
        }
        Ok((buffer, false))
    }

    /// The beginning of a body whose rest does not matter, nor whether there is one.
    pub(crate) async fn beginning(mut self, cap: usize) -> Vec<u8> {
        let mut body = Vec::with_capacity(FIRST_READ);
        while body.len() < cap {
            if body.len() == body.capacity() {
                body.reserve(body.len());
            }
            let (result, read) = self.stream.read(body).await;
            body = read;
            self.received = body.len() as u64;
            if !matches!(result, StreamResult::Complete(_)) || self.expected == Some(self.received) {
                break;
            }
        }
        body
    }

    /// A whole JSON body as text.
    pub(crate) fn json(mut self) -> Pin<Box<dyn Future<Output = Result<String, Fault>>>> {
        // Boxed: four tasks read JSON, and the component holds this once.
        Box::pin(async move {
            self.refuse_above(JSON_CAP)?;
            let size = self.expected.map_or(FIRST_READ, |size| size as usize);
            self.rest(Vec::with_capacity(size.max(1))).await
        })
    }

    async fn rest(&mut self, mut body: Vec<u8>) -> Result<String, Fault> {
        let mut open = self.expected != Some(self.received);
        while open {
            if body.len() == body.capacity() {
                body.reserve(body.len().max(FIRST_READ));
            }
            (body, open) = self.more(body).await?;
            if body.len() > JSON_CAP {
                return Err(too_large());
            }
        }
        if body.is_empty() {
            return Err(Fault::garbage("the upstream's answer is empty"));
        }
        String::from_utf8(body).map_err(|_| Fault::garbage("the upstream's answer could not be read"))
    }

    /// A picture or sound, told by its first bytes whatever its label says; what is neither that nor JSON is left unread.
    pub(crate) async fn media(
        mut self,
        head: &Head,
        cap: usize,
        kind: fn(&[u8]) -> Option<&'static str>,
    ) -> Result<Answer, Fault> {
        self.refuse_above(if head.is_json() { JSON_CAP } else { cap })?;
        let mut chunk = Vec::with_capacity(self.expected.map_or(CHUNK, |size| CHUNK.min(size as usize)).max(MAGIC));
        let mut open = true;
        while open && chunk.len() < MAGIC {
            (chunk, open) = self.more(chunk).await?;
        }
        let Some(kind) = kind(&chunk) else {
            let first = chunk.trim_ascii_start().first();
            return match first {
                None => Err(Fault::garbage("the upstream's answer is empty")),
                Some(b'{' | b'[' | b'"') => Ok(Answer::Json(self.rest(chunk).await?)),
                Some(_) => Err(Fault::garbage("the upstream's answer is of a wrong type")),
            };
        };
        let mut chunks = Vec::new();
        let mut size = 0;
        while open {
            if chunk.len() == chunk.capacity() {
                size += chunk.len();
                chunks.push(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK)));
            }
            (chunk, open) = self.more(chunk).await?;
            if size + chunk.len() > cap {
                return Err(too_large());
            }
        }
        chunks.push(chunk);
        Ok(Answer::Media(kind, chunks))
    }

    fn refuse_above(&self, cap: usize) -> Result<(), Fault> {
        if self.expected.is_some_and(|size| size > cap as u64) { Err(too_large()) } else { Ok(()) }
    }
}

fn too_large() -> Fault {
    Fault::useless("the upstream's answer is larger than is taken here")
}

/// 25 MiB: what a caller may upload.
pub(crate) const UPLOAD_CAP: usize = 25 * 1024 * 1024;

/// All bytes of a caller's stream, kept for every attempt.
pub(crate) async fn gather(mut stream: StreamReader<u8>) -> Result<Chunks, Reason> {
    let mut chunks = Vec::new();
    let mut size = 0;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut result = StreamResult::Complete(0);
        while chunk.len() < CHUNK && matches!(result, StreamResult::Complete(_)) {
            (result, chunk) = stream.read(chunk).await;
        }
        size += chunk.len();
        if size > UPLOAD_CAP {
            return Err(Reason::TooLarge(format!("at most {UPLOAD_CAP} bytes are taken")));
        }
        let ended = chunk.len() < CHUNK;
        if ended {
            chunk.shrink_to_fit();
        }
        if size == 0 && ended {
            // Whoever had it to send has found it wrong: nobody is asked to look at nothing.
            return Err(Reason::Internal("nothing was sent".to_owned()));
        }
        chunks.push(chunk);
        if ended {
            return Ok(Chunks::of(chunks));
        }
    }
}

/// Hands bytes to the caller, each piece freed when it has gone; the task ends when the caller has them all or leaves.
pub(crate) fn give(chunks: Vec<Vec<u8>>) -> StreamReader<u8> {
    let (mut writer, reader) = wit_stream::new();
    wit_bindgen::spawn(async move {
        for chunk in chunks {
            if !writer.write_all(chunk).await.is_empty() {
                return;
            }
        }
    });
    reader
}
