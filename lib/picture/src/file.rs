use std::borrow::Cow;
use std::io::{self, BufRead, Read, Seek, SeekFrom};

/// A file in the pieces in which it came. Put together it would be held twice for a moment, and an instance of a component
/// never gives memory back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    pieces: Vec<Vec<u8>>,
}

impl From<Vec<Vec<u8>>> for File {
    fn from(mut pieces: Vec<Vec<u8>>) -> File {
        pieces.retain(|piece| !piece.is_empty());
        File { pieces }
    }
}

impl From<Vec<u8>> for File {
    fn from(bytes: Vec<u8>) -> File {
        File::from(vec![bytes])
    }
}

impl File {
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The first piece, which is longer than any file's head.
    pub fn head(&self) -> &[u8] {
        self.pieces.first().map_or(&[], Vec::as_slice)
    }

    pub fn length(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }

    pub fn pieces(&self) -> &[Vec<u8>] {
        &self.pieces
    }

    pub fn into_pieces(self) -> Vec<Vec<u8>> {
        self.pieces
    }

    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader { pieces: Cow::Borrowed(&self.pieces), piece: 0, at: 0 }
    }

    /// A reader that the file goes with.
    pub(crate) fn into_reader(self) -> Reader<'static> {
        Reader { pieces: Cow::Owned(self.pieces), piece: 0, at: 0 }
    }

    /// From behind, byte by byte.
    pub(crate) fn backwards(&self) -> impl Iterator<Item = u8> {
        self.pieces.iter().rev().flat_map(|piece| piece.iter().rev().copied())
    }
}

/// Where one is in a file; `piece` is whole when `at` is 0, and there is none behind the last.
pub(crate) struct Reader<'a> {
    pieces: Cow<'a, [Vec<u8>]>,
    piece: usize,
    at: usize,
}

impl Reader<'_> {
    pub(crate) fn length(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }

    fn position(&self) -> u64 {
        self.pieces[..self.piece].iter().map(|piece| piece.len() as u64).sum::<u64>() + self.at as u64
    }
}

impl BufRead for Reader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.pieces.get(self.piece).map_or(&[], |piece| &piece[self.at..]))
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
        if self.pieces.get(self.piece).is_some_and(|piece| self.at >= piece.len()) {
            (self.piece, self.at) = (self.piece + 1, 0);
        }
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let count = piece.len().min(to.len());
        to[..count].copy_from_slice(&piece[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let from = match to {
            SeekFrom::Start(at) => return self.go(at),
            SeekFrom::Current(_) => self.position(),
            SeekFrom::End(_) => self.length(),
        };
        let (SeekFrom::Current(by) | SeekFrom::End(by)) = to else { unreachable!("the start was handled") };
        let at = from.checked_add_signed(by).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.go(at)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        Ok(self.position())
    }
}

impl Reader<'_> {
    /// A place behind the end is the end.
    fn go(&mut self, to: u64) -> io::Result<u64> {
        let mut left = to;
        for (index, piece) in self.pieces.iter().enumerate() {
            if left < piece.len() as u64 {
                (self.piece, self.at) = (index, left as usize);
                return Ok(to);
            }
            left -= piece.len() as u64;
        }
        (self.piece, self.at) = (self.pieces.len(), 0);
        Ok(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes() -> Vec<u8> {
        (0..200_u8).collect()
    }

    fn in_pieces(length: usize) -> File {
        File::from(bytes().chunks(length).map(<[u8]>::to_vec).collect::<Vec<_>>())
    }

    #[test]
    fn reading_and_seeking_is_as_in_one_piece() {
        for length in [1, 7, 64, 200, 500] {
            let file = in_pieces(length);
            let (mut whole, all) = (io::Cursor::new(bytes()), bytes());
            let mut reader = file.reader();
            let mut state = 1_u64;
            for _ in 0..500 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let number = (state >> 40) as usize % 230;
                let to = match state >> 33 & 3 {
                    0 => SeekFrom::Start(number as u64 % 200),
                    1 => SeekFrom::End(-(number as i64 % 200)),
                    _ => SeekFrom::Current(0),
                };
                assert_eq!(reader.seek(to).expect("it may"), whole.seek(to).expect("it may"));
                let (mut one, mut other) = (vec![0; number], vec![0; number]);
                assert_eq!(reader.read_exact(&mut one).is_ok(), whole.read_exact(&mut other).is_ok());
                let at = whole.position().min(200);
                if at < 200 {
                    assert_eq!(one, other);
                }
                reader.seek(SeekFrom::Start(at)).expect("it may");
                whole.seek(SeekFrom::Start(at)).expect("it may");
            }
            assert_eq!(file.backwards().collect::<Vec<u8>>(), all.iter().rev().copied().collect::<Vec<u8>>());
        }
    }

    #[test]
    fn a_file_of_nothing_is_empty() {
        let empty = File::from(Vec::<u8>::new());
        assert!(empty.is_empty() && empty.head().is_empty());
        assert_eq!(empty.into_reader().read(&mut [0; 4]).expect("it may"), 0);
    }
}
