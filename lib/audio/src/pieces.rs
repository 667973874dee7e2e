use std::io::{Error, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use symphonia::core::io::MediaSource;

/// Bytes in pieces, as they came; shared, so that each reader and each try at a model costs no copy.
#[derive(Clone, Default)]
pub struct Pieces {
    pieces: Arc<Vec<Vec<u8>>>,
    /// Where each piece begins, and the end of all.
    starts: Arc<[u64]>,
}

/// Its length alone: what people said is not for any log.
impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pieces({} bytes)", self.len())
    }
}

impl From<Vec<Vec<u8>>> for Pieces {
    fn from(mut pieces: Vec<Vec<u8>>) -> Self {
        pieces.retain(|piece| !piece.is_empty());
        let mut end = 0;
        let ends = pieces.iter().map(|piece| {
            end += piece.len() as u64;
            end
        });
        let starts = std::iter::once(0).chain(ends).collect();
        Pieces { pieces: Arc::new(pieces), starts }
    }
}

impl Pieces {
    pub fn len(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies of the pieces, one after the other.
    pub fn copies(self) -> impl Iterator<Item = Vec<u8>> {
        (0..self.pieces.len()).map(move |index| self.pieces[index].clone())
    }

    /// The first bytes, at most 4 KiB: enough to tell what they are.
    pub fn head(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(4096);
        for piece in self.pieces.iter() {
            head.extend_from_slice(&piece[..piece.len().min(4096 - head.len())]);
        }
        head
    }

    /// What lies in the range, without copying but for its first piece.
    pub(crate) fn cut(self, range: Range<u64>) -> Vec<Vec<u8>> {
        let pieces = Arc::try_unwrap(self.pieces).unwrap_or_else(|shared| shared.as_ref().clone());
        let mut start = 0;
        let mut inside = Vec::with_capacity(pieces.len());
        for mut piece in pieces {
            let own = start..start + piece.len() as u64;
            start = own.end;
            if own.end <= range.start || own.start >= range.end {
                continue;
            }
            piece.truncate(range.end.min(own.end).saturating_sub(own.start) as usize);
            if own.start < range.start {
                piece.drain(..(range.start - own.start) as usize);
            }
            inside.push(piece);
        }
        inside
    }

    /// Reads from `from` on, as if nothing were before.
    pub(crate) fn reader(&self, from: u64) -> Reader {
        Reader { bytes: self.clone(), from: from.min(self.len()), at: from.min(self.len()) }
    }
}

pub(crate) struct Reader {
    bytes: Pieces,
    from: u64,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at >= self.bytes.len() {
            return Ok(0);
        }
        let index = self.bytes.starts.partition_point(|start| *start <= self.at) - 1;
        let rest = &self.bytes.pieces[index][(self.at - self.bytes.starts[index]) as usize..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => self.from.checked_add(at),
            SeekFrom::End(by) => self.bytes.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.filter(|at| *at >= self.from).ok_or_else(|| Error::from(ErrorKind::InvalidInput))?;
        Ok(self.at - self.from)
    }
}

impl MediaSource for Reader {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.bytes.len() - self.from)
    }
}
