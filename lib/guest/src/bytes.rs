//! Bodies as streams of bytes: reading one whole within a limit, and sending one.

use spin_sdk::wit_bindgen::{StreamReader, StreamResult, StreamWriter};

/// Large enough that a call into the host pays, small enough that the last one wastes little.
const PIECE: usize = 256 * 1024;

/// The body is longer than was allowed. The rest of it is not read, and its sender knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// Reads a body of unknown length as pieces. One growing buffer would leave its smaller selves behind in memory that an
/// instance never gives back.
pub async fn pieces(mut body: StreamReader<u8>, most: usize) -> Result<Vec<Vec<u8>>, TooLong> {
    let mut pieces = Vec::new();
    let mut piece = Vec::with_capacity(PIECE);
    let mut length = 0;
    loop {
        let (result, filled) = body.read(piece).await;
        piece = filled;
        if let StreamResult::Complete(count) = result {
            length += count;
        } else {
            break;
        }
        if length > most {
            return Err(TooLong);
        }
        if piece.len() == piece.capacity() {
            pieces.push(std::mem::replace(&mut piece, Vec::with_capacity(PIECE)));
        }
    }
    if !piece.is_empty() {
        piece.shrink_to_fit();
        pieces.push(piece);
    }
    Ok(pieces)
}

/// Reads a body into one buffer.
pub async fn whole(body: StreamReader<u8>, most: usize) -> Result<Vec<u8>, TooLong> {
    let mut pieces = pieces(body, most).await?;
    if pieces.len() < 2 {
        return Ok(pieces.pop().unwrap_or_default());
    }
    let mut bytes = Vec::with_capacity(pieces.iter().map(Vec::len).sum());
    for piece in pieces {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Sends `bytes` while the component goes on with something else, or after it has answered.
pub fn send(to: StreamWriter<u8>, bytes: Vec<u8>) {
    send_pieces(to, std::iter::once(bytes));
}

/// As `send`, piece by piece; each is made when the one before it is gone.
pub fn send_pieces(mut to: StreamWriter<u8>, pieces: impl Iterator<Item = Vec<u8>> + 'static) {
    spin_sdk::wit_bindgen::spawn(async move {
        for piece in pieces {
            // What comes back unsent, nobody wants.
            if !to.write_all(piece).await.is_empty() {
                break;
            }
        }
    });
}
