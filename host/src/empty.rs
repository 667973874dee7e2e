//! Pieces of a body in which there is nothing. A component may write some; for ever it would keep its connection busy with
//! nothing to show for it, and clients of HTTP/2 take so few that they break off everything on the connection.

use bytes::Bytes;
use http_body::Frame;

/// In a row. Who says again and again that there is nothing yet does so once a second, and a request lasts ten minutes.
const MOST: u32 = 1000;

/// Those since the last piece with something in it.
#[derive(Debug, Default)]
pub struct Empty(u32);

/// What is to be done with a piece.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    Passes,
    /// It is left out.
    Nothing,
    TooMuchOfNothing,
}

impl Empty {
    pub fn look(&mut self, frame: &Frame<Bytes>) -> Piece {
        if !frame.data_ref().is_some_and(Bytes::is_empty) {
            self.0 = 0;
            return Piece::Passes;
        }
        self.0 += 1;
        if self.0 > MOST { Piece::TooMuchOfNothing } else { Piece::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_of_nothing_is_left_out_and_more_is_too_much() {
        let mut empty = Empty::default();
        let nothing = || Frame::data(Bytes::new());
        for _ in 0..2 {
            assert!((0..MOST).all(|_| empty.look(&nothing()) == Piece::Nothing));
            assert_eq!(empty.look(&Frame::data(Bytes::from_static(b"x"))), Piece::Passes);
        }
        assert_eq!(empty.look(&Frame::trailers(http::HeaderMap::new())), Piece::Passes);
        assert!((0..MOST).all(|_| empty.look(&nothing()) == Piece::Nothing));
        assert_eq!(empty.look(&nothing()), Piece::TooMuchOfNothing);
    }
}
