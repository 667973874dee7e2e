//! The caller's picture and mask, read no sooner than a model wants them: on its way to one that runs inside the platform a
//! large picture is held by nobody in between.

use std::cell::RefCell;
use std::rc::Rc;

use hybrid_guest::bytes::{self, TooLong};
use hybrid_guest::types::{Failure, Reason};
use hybrid_picture::{File, Kind, Limits, Polarity};
use spin_sdk::wit_bindgen::{StreamReader, StreamWriter};

/// The media type of bytes that are no picture; whoever reads them says so.
const OTHER: &str = "application/octet-stream";

pub(crate) struct Given {
    /// As a person sees it.
    pub(crate) size: (u32, u32),
    pub(crate) kind: &'static str,
    image: RefCell<Coming>,
    mask: Option<RefCell<Coming>>,
    polarity: Polarity,
    limits: Limits,
    most: usize,
    /// The picture as models elsewhere take it.
    prepared: RefCell<Option<Rc<Vec<u8>>>>,
}

enum Coming {
    /// Of which this much is here, and more may come.
    Begun(Vec<u8>, StreamReader<u8>),
    Held(Rc<File>),
    /// To somebody who wanted it, and did not answer.
    Gone,
}

impl Given {
    /// Reads as much of the picture as tells its size, and says what is wrong with it by the field's name.
    pub(crate) async fn begun(
        mut image: StreamReader<u8>,
        mask: Option<StreamReader<u8>>,
        polarity: Polarity,
        limits: Limits,
        most: usize,
    ) -> Result<Given, Reason> {
        let (head, more) = bytes::piece(&mut image).await;
        let head = File::from(head);
        let kind = Kind::of(head.head()).map_or(OTHER, Kind::media_type);
        let (told, image) = if more {
            let told = told(&head, &limits)?;
            (told, Coming::Begun(head.into_pieces().pop().unwrap_or_default(), image))
        } else {
            (None, Coming::Held(Rc::new(head)))
        };
        let image = RefCell::new(image);
        let size = match told {
            Some(size) => size,
            // All of it is here, or somebody has put a long story before the picture.
            None => whole(&*held(&image, "image", most).await?, &limits)?,
        };
        let mask = mask.map(|mask| RefCell::new(Coming::Begun(Vec::new(), mask)));
        Ok(Given { size, kind, image, mask, polarity, limits, most, prepared: RefCell::default() })
    }

    pub(crate) fn has_mask(&self) -> bool {
        self.mask.is_some()
    }

    /// The size that models elsewhere get it in.
    pub(crate) fn prepared_size(&self) -> (u32, u32) {
        hybrid_picture::prepared_size(self.size, &self.limits)
    }

    /// Sends the picture as it came.
    pub(crate) async fn hand_on(&self, to: StreamWriter<u8>) -> Result<(), Reason> {
        handed_on(&self.image, "image", self.most, to).await
    }

    /// Sends the mask as it came, unless it says in a way of its own what is meant.
    pub(crate) async fn hand_on_mask(&self, to: StreamWriter<u8>) -> Result<(), Reason> {
        match &self.mask {
            Some(mask) if self.polarity == Polarity::Light => handed_on(mask, "mask", self.most, to).await,
            _ => self.send_mask(to, self.size).await,
        }
    }

    /// Sends the picture as models elsewhere take it: a PNG, upright, not larger than they take, without metadata.
    pub(crate) async fn send_prepared(&self, mut to: StreamWriter<u8>) -> Result<(), Reason> {
        if !bytes::wanted(&mut to).await {
            return Ok(());
        }
        let ready = self.prepared.borrow().clone();
        let png = match ready {
            Some(png) => png,
            None => {
                let file = held(&self.image, "image", self.most).await?;
                let prepared = hybrid_picture::prepare(&file, &self.limits)
                    .map_err(|refused| Reason::invalid("image", refused.to_string()))?;
                let png = Rc::new(prepared.png);
                self.prepared.replace(Some(Rc::clone(&png)));
                png
            }
        };
        drop(to.write_all(png.to_vec()).await);
        Ok(())
    }

    /// Sends the mask for a picture of this size: 8-bit gray PNG, where white is to be painted anew.
    pub(crate) async fn send_mask(&self, mut to: StreamWriter<u8>, size: (u32, u32)) -> Result<(), Reason> {
        let Some(mask) = &self.mask else { return Ok(()) };
        if !bytes::wanted(&mut to).await {
            return Ok(());
        }
        let file = held(mask, "mask", self.most).await?;
        if file.is_empty() {
            return Err(Reason::invalid("mask", "must not be empty"));
        }
        let png = hybrid_picture::mask(File::clone(&file), self.size, size, &self.limits, self.polarity)
            .map_err(|refused| Reason::invalid("mask", refused.to_string()))?;
        drop(to.write_all(png).await);
        Ok(())
    }
}

async fn handed_on(coming: &RefCell<Coming>, field: &str, most: usize, mut to: StreamWriter<u8>) -> Result<(), Reason> {
    if !bytes::wanted(&mut to).await {
        return Ok(());
    }
    match coming.replace(Coming::Gone) {
        Coming::Begun(head, rest) => {
            let room = most.saturating_sub(head.len());
            if !to.write_all(head).await.is_empty() {
                return Ok(());
            }
            bytes::relay(rest, &mut to, room).await.map_err(|TooLong| too_large(field, most))
        }
        Coming::Held(file) => {
            coming.replace(Coming::Held(Rc::clone(&file)));
            for piece in file.pieces() {
                if !to.write_all(piece.clone()).await.is_empty() {
                    break;
                }
            }
            Ok(())
        }
        Coming::Gone => Err(gone()),
    }
}

/// All of a file, to be had again.
async fn held(coming: &RefCell<Coming>, field: &str, most: usize) -> Result<Rc<File>, Reason> {
    let file = match coming.replace(Coming::Gone) {
        Coming::Held(file) => file,
        Coming::Begun(head, rest) => {
            let room = most.saturating_sub(head.len());
            let mut pieces = vec![head];
            pieces.extend(bytes::pieces(rest, room).await.map_err(|TooLong| too_large(field, most))?);
            Rc::new(File::from(pieces))
        }
        Coming::Gone => return Err(gone()),
    };
    coming.replace(Coming::Held(Rc::clone(&file)));
    Ok(file)
}

/// The size by the first piece alone; none where that does not tell.
fn told(head: &File, limits: &Limits) -> Result<Option<(u32, u32)>, Reason> {
    hybrid_picture::size_by_head(head, limits).map_err(|refused| Reason::invalid("image", refused.to_string()))
}

fn whole(file: &File, limits: &Limits) -> Result<(u32, u32), Reason> {
    if file.is_empty() {
        return Err(Reason::invalid("image", "must not be empty"));
    }
    hybrid_picture::size(file, limits).map_err(|refused| Reason::invalid("image", refused.to_string()))
}

fn too_large(field: &str, most: usize) -> Reason {
    Reason::TooLarge(format!("`{field}` must have at most {most} bytes"))
}

fn gone() -> Reason {
    Reason::Failed(Failure { message: "the picture went to a model that did not answer".to_owned(), status: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 1 by 1 BMP.
    fn dot() -> Vec<u8> {
        let mut bytes = b"BM".to_vec();
        for word in [58u32, 0, 54, 40, 1, 1, 1 | 24 << 16, 0, 4, 2835, 2835, 0, 0, 0x00ff_ffff] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn the_head_of_a_picture_tells_its_size() {
        let limits = Limits::default();
        let told = |length: usize| told(&File::from(dot()[..length].to_vec()), &limits).expect("it is not refused");
        assert_eq!(told(58), Some((1, 1)));
        // The pixels are not asked for.
        assert_eq!(told(54), Some((1, 1)));
        assert_eq!(told(20), None);
        assert!(matches!(whole(&File::from(dot()[..20].to_vec()), &limits), Err(Reason::Invalid(_))));
    }

    #[test]
    fn what_is_no_picture_or_too_large_is_refused_by_its_head() {
        let message = |reason: Reason| match reason {
            Reason::Invalid(problems) => problems[0].message.clone(),
            other => panic!("{other:?}"),
        };
        let refused = |bytes: &[u8], limits: &Limits| {
            let file = File::from(bytes.to_vec());
            let by_head = message(told(&file, limits).expect_err("it is refused"));
            assert_eq!(message(whole(&file, limits).expect_err("it is refused")), by_head);
            by_head
        };
        let nothing = whole(&File::default(), &Limits::default()).expect_err("it is refused");
        assert_eq!(message(nothing), "must not be empty");
        assert!(refused(b"<svg>", &Limits::default()).starts_with("is not a picture that can be read"));
        let limits = Limits { max_pixels: 0, ..Limits::default() };
        assert!(refused(&dot(), &limits).starts_with("must have at most 0 pixels"));
    }
}
