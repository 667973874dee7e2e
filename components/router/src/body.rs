//! Reading a request's body, and no more of it than is taken.

use spin_sdk::wasip3::http::types::{ErrorCode, Request, Trailers};
use spin_sdk::wasip3::wit_bindgen::{FutureReader, StreamReader, StreamResult, spawn};
use spin_sdk::wasip3::{wit_future, wit_stream};

use crate::head::Head;
use crate::input::{Problem, Wrong};
use crate::multipart::{self, Chunks, Form, Malformed, Parser};
use crate::refusal::Refusal;

/// Where no length was told: most bodies are smaller.
const FIRST_BYTES: usize = 16 * 1024;
const ASIDE_BYTES: usize = 256 * 1024;
/// What a form is read in.
const PIECE_BYTES: usize = 64 * 1024;

pub(crate) struct Body {
    bytes: StreamReader<u8>,
    end: FutureReader<Result<Option<Trailers>, ErrorCode>>,
    /// As the client told it.
    length: Option<u64>,
    most: u64,
}

impl Body {
    /// Refuses at once what says that it is too long.
    pub(crate) fn of(request: Request, head: &Head, most: u64) -> Result<Body, Refusal> {
        let length = head.length();
        if length.is_some_and(|length| length > most) {
            return Err(Refusal::too_large(most));
        }
        let (done, result) = wit_future::new(|| Ok(()));
        let (bytes, end) = Request::consume_body(request, result);
        // After the runtime waits for it: a write that nobody waits for yet costs an event later.
        drop(done);
        Ok(Body { bytes, end, length, most })
    }

    pub(crate) async fn whole(mut self) -> Result<Vec<u8>, Refusal> {
        let mut whole = Vec::with_capacity(self.length.map_or(FIRST_BYTES, |length| length as usize));
        // Where no length was told, full pieces are put aside: a vector that grows leaves its smaller selves behind, in
        // memory that an instance never gives back.
        let (mut aside, mut length): (Vec<Vec<u8>>, u64) = (Vec::new(), 0);
        // The end of a body whose length is known need not be waited for.
        while self.length != Some(length) {
            if whole.len() == whole.capacity() {
                aside.push(std::mem::replace(&mut whole, Vec::with_capacity(ASIDE_BYTES)));
            }
            let (result, filled) = self.bytes.read(whole).await;
            whole = filled;
            let StreamResult::Complete(count) = result else { break };
            length += count as u64;
            if length > self.most {
                return Err(Refusal::too_large(self.most));
            }
        }
        self.ended(length).await?;
        if aside.is_empty() {
            return Ok(whole);
        }
        aside.push(whole);
        let mut joined = Vec::with_capacity(length as usize);
        aside.into_iter().for_each(|piece| joined.extend_from_slice(&piece));
        Ok(joined)
    }

    pub(crate) async fn form(mut self, content_type: &str, files: &'static [&'static str]) -> Result<Form, Refusal> {
        let malformed = |Malformed(message)| Refusal::unreadable(message);
        let mut parser = Parser::new(content_type, files).map_err(malformed)?;
        let (most, mut wrong) = (self.most, None);
        let length = self
            .pieces(|piece| match parser.push(piece) {
                Ok(()) => true,
                Err(error) => {
                    wrong = Some(error);
                    false
                }
            })
            .await;
        if length > most {
            return Err(Refusal::too_large(most));
        }
        if let Some(error) = wrong {
            return Err(malformed(error));
        }
        self.ended(length).await?;
        parser.finish().map_err(malformed)
    }

    /// A body that is one file: handed on unread where its length is known, with that length.
    pub(crate) async fn file(mut self) -> Result<(StreamReader<u8>, u64), Refusal> {
        if let Some(length) = self.length {
            return Ok((self.bytes, length));
        }
        let (most, mut chunks) = (self.most, Chunks::new());
        let length = self
            .pieces(|piece| {
                multipart::append(&mut chunks, piece);
                true
            })
            .await;
        if length > most {
            return Err(Refusal::too_large(most));
        }
        self.ended(length).await?;
        Ok((sent(chunks), length))
    }

    /// Reads until the end, the limit, or until `take` has enough; gives how many bytes came.
    async fn pieces(&mut self, mut take: impl FnMut(&[u8]) -> bool) -> u64 {
        let (mut length, mut piece) = (0, Vec::with_capacity(PIECE_BYTES));
        loop {
            let (result, filled) = self.bytes.read(piece).await;
            piece = filled;
            length += piece.len() as u64;
            if !matches!(result, StreamResult::Complete(_)) || length > self.most || !take(&piece) {
                return length;
            }
            piece.clear();
        }
    }

    /// A body that is shorter than told, or whose length nobody told, may have broken off.
    async fn ended(self, length: u64) -> Result<(), Refusal> {
        if self.length == Some(length) {
            return Ok(());
        }
        match self.end.await {
            Ok(_) => Ok(()),
            Err(ErrorCode::HttpRequestBodySize(limit)) => Err(Refusal::too_large(limit.unwrap_or(self.most))),
            Err(_) => Err(Refusal::unreadable("the body broke off")),
        }
    }
}

/// A file on its way, each piece of it gone when it was taken.
pub(crate) fn sent(chunks: Chunks) -> StreamReader<u8> {
    let (mut to, from) = wit_stream::new();
    spawn(async move {
        for chunk in chunks {
            if !to.write_all(chunk).await.is_empty() {
                return;
            }
        }
    });
    from
}

/// What is wrong with a body, together with what is wrong with the headers.
pub(crate) fn checked<T>(outcome: Result<T, Wrong>, mut headers: Vec<Problem>) -> Result<T, Refusal> {
    match outcome {
        Ok(input) if headers.is_empty() => Ok(input),
        Ok(_) => Err(Refusal::invalid(headers)),
        Err(Wrong::Unreadable(message)) => Err(Refusal::unreadable(message)),
        Err(Wrong::Invalid(mut problems)) => {
            problems.append(&mut headers);
            Err(Refusal::invalid(problems))
        }
    }
}
