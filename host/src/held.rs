//! Bodies that the host holds in memory, all together within a budget.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::arrival::BYTES_PER_SECOND;
use crate::error::Refusal;
use crate::request::RequestBody;

/// The budget is kept in pieces of this size, and taken as a body comes.
const PIECE: usize = 64 * 1024;
/// A moment's crowd waits; a lasting one is told.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lives as long as the server.
#[derive(Clone)]
pub struct Budget {
    pieces: Arc<Semaphore>,
    /// Nobody can have more: limits may have grown since.
    most: usize,
}

/// A body, and its share of the budget for as long as it is needed.
pub struct Held {
    pub bytes: Bytes,
    pub share: Share,
}

/// Given back when it is dropped.
#[derive(Default)]
pub struct Share(Option<OwnedSemaphorePermit>);

impl Budget {
    pub fn new(bytes: u64) -> Self {
        let most = (usize::try_from(bytes).unwrap_or(usize::MAX) / PIECE).clamp(1, Semaphore::MAX_PERMITS);
        Self { pieces: Arc::new(Semaphore::new(most)), most }
    }

    /// Enlarges a share to so many bytes.
    pub async fn extend(&self, share: &mut Share, bytes: usize) -> Result<(), Refusal> {
        let have = share.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = bytes.div_ceil(PIECE).min(self.most).saturating_sub(have);
        if missing == 0 {
            return Ok(());
        }
        let more = Arc::clone(&self.pieces).acquire_many_owned(u32::try_from(missing).unwrap_or(u32::MAX));
        match tokio::time::timeout(PATIENCE, more).await {
            Ok(Ok(more)) => match &mut share.0 {
                Some(permit) => permit.merge(more),
                none => *none = Some(more),
            },
            _ => return Err(Refusal::Busy),
        }
        Ok(())
    }

    /// Reads a body to its end, from a client that is not too slow.
    pub async fn read(
        &self,
        mut body: impl RequestBody + Unpin,
        most: u64,
        within: Duration,
        wait: Duration,
    ) -> Result<Held, Refusal> {
        let began = Instant::now();
        let read = async {
            let (mut bytes, mut share) = (Vec::new(), Share::default());
            loop {
                let earned = Duration::from_millis(bytes.len() as u64 * 1000 / BYTES_PER_SECOND);
                let frame = tokio::time::timeout_at(began + wait + earned, body.frame()).await;
                let Some(frame) = frame.map_err(|_| Refusal::SlowBody)? else { break };
                let frame = frame.map_err(|_| Refusal::CutOff)?;
                let Some(piece) = frame.data_ref() else { continue };
                if (bytes.len() + piece.len()) as u64 > most {
                    return Err(Refusal::TooLarge { limit: most });
                }
                self.extend(&mut share, bytes.len() + piece.len()).await?;
                bytes.extend_from_slice(piece);
            }
            Ok(Held { bytes: bytes.into(), share })
        };
        tokio::time::timeout(within, read).await.unwrap_or(Err(Refusal::Timeout))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    #[tokio::test]
    async fn a_budget_is_kept_and_given_back() {
        let budget = Budget::new(4 * PIECE as u64);
        let (mut one, mut other) = (Share::default(), Share::default());
        assert!(budget.extend(&mut one, 3 * PIECE).await.is_ok());
        assert!(budget.extend(&mut one, 2 * PIECE).await.is_ok());
        assert!(matches!(budget.extend(&mut other, PIECE + 1).await, Err(Refusal::Busy)));
        drop(one);
        assert!(budget.extend(&mut other, PIECE + 1).await.is_ok());
    }

    #[tokio::test]
    async fn bodies_that_are_too_large_or_do_not_come_are_refused() {
        let (budget, day) = (Budget::new(1), Duration::from_secs(86_400));
        let silent = StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let read = budget.read(silent, 10, day, Duration::from_millis(10)).await;
        assert!(matches!(read, Err(Refusal::SlowBody)));
        let read = budget.read(Full::new(Bytes::from_static(b"too long")), 7, day, day).await;
        assert!(matches!(read, Err(Refusal::TooLarge { limit: 7 })));
        let read = budget.read(Full::new(Bytes::from_static(b"not")), 7, day, day).await;
        assert!(read.is_ok_and(|held| held.bytes == "not"));
    }
}
