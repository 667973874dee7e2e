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
    let (mut pieces, mut length, mut more) = (Vec::new(), 0, true);
    while more {
        let next;
        (next, more) = piece(&mut body).await;
        length += next.len();
        if length > most {
            return Err(TooLong);
        }
        pieces.push(next);
    }
    pieces.retain(|piece: &Vec<u8>| !piece.is_empty());
    Ok(pieces)
}

/// The next piece of a body, and whether one may come after it: after the end a body is not to be read again.
pub async fn piece(body: &mut StreamReader<u8>) -> (Vec<u8>, bool) {
    let mut piece = Vec::with_capacity(PIECE);
    loop {
        let (result, filled) = body.read(piece).await;
        piece = filled;
        if !matches!(result, StreamResult::Complete(_)) {
            piece.shrink_to_fit();
            return (piece, false);
        }
        if piece.len() == piece.capacity() {
            return (piece, true);
        }
    }
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

/// So many numbers of a stream, or as many as there are.
pub async fn numbers(mut stream: StreamReader<f32>, wanted: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(wanted);
    while values.len() < wanted {
        let (result, filled) = stream.read(values).await;
        values = filled;
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    values
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

/// Waits until somebody reads; false when nobody will. What is costly to make is made after this.
pub async fn wanted(to: &mut StreamWriter<u8>) -> bool {
    // A write of nothing is done when a reader is there.
    let (result, _) = to.write(Vec::new()).await;
    matches!(result, StreamResult::Complete(_))
}

/// Hands a body on as it comes, in as much memory as one piece takes.
pub async fn relay(mut from: StreamReader<u8>, to: &mut StreamWriter<u8>, most: usize) -> Result<(), TooLong> {
    let (mut piece, mut length) = (Vec::with_capacity(PIECE), 0);
    loop {
        let (result, filled) = from.read(piece).await;
        let StreamResult::Complete(count) = result else { return Ok(()) };
        length += count;
        if length > most {
            return Err(TooLong);
        }
        piece = to.write_all(filled).await;
        if !piece.is_empty() {
            return Ok(());
        }
    }
}
