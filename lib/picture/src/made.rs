use hybrid_guest::bytes;
use hybrid_guest::types::{Failure, Media, Reason};

use crate::{File, Limits};

/// More than a 2048x2048 picture has uncompressed, alpha and all.
const MOST: usize = 32 << 20;

/// What a model made, as PNG. It is read here, before the answer is said to be one, so that another model can still be
/// asked where this one sent garbage.
pub async fn made(image: Media, limits: &Limits) -> Result<Vec<u8>, Reason> {
    let too_much = |_| failed("the model sent more than 32 MiB".to_owned());
    let file = File::from(bytes::pieces(image.body, MOST).await.map_err(too_much)?);
    crate::answer(file, limits).map_err(|refused| failed(format!("what the model sent {refused}")))
}

fn failed(message: String) -> Reason {
    Reason::Failed(Failure { message, status: None })
}
