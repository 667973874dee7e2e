//! Pictures from pictures: makes the caller's picture and mask fit the model, asks the models in turn, and makes a PNG of
//! what comes.
//!
//! The answer is as large as the model made it. Models elsewhere are given at most `max_model_side`; one that runs inside the
//! platform (`local/`) gets the caller's own picture, for it may well work on it in its whole size.

mod given;

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    use spin_sdk::wit_bindgen;

    use super::ImageEdit;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/image-edit",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "hybrid:types/types@0.1.0": hybrid_guest::types },
        generate_all,
    });
    export!(ImageEdit);
}

use std::pin::Pin;
use std::rc::Rc;
use std::sync::OnceLock;

use bindings::exports::hybrid::image_edit::image_edit::{self as own, Change, Guest, Picture};
use bindings::hybrid::inference::inference::{self, EditInput};
use bindings::wit_stream;
use futures::future::{Either, select, try_join};
use given::Given;
use hybrid_guest::chain::{Chain, walk};
use hybrid_guest::types::{Control, Error, Media, PicturePrompt, Reason};
use hybrid_guest::{bytes, settings};
use hybrid_picture::{Limits, Polarity};
use spin_sdk::wit_bindgen::spawn;

struct ImageEdit;

struct Settings {
    chain: Chain,
    limits: Limits,
    max_upload_bytes: usize,
}

impl Guest for ImageEdit {
    async fn edit(change: Change, control: Control) -> Result<Picture, Error> {
        let Settings { chain, limits, max_upload_bytes } = settings();
        let polarity = match change.polarity {
            own::Polarity::Light => Polarity::Light,
            own::Polarity::Transparent => Polarity::Transparent,
        };
        let given = Rc::new(Given::begun(change.image, change.mask, polarity, *limits, *max_upload_bytes).await?);
        let (image, served) = walk(chain, change.model.as_deref(), &control, async |model, within| {
            let inside = model.starts_with("local/");
            let (size, kind) = if inside { (given.size, given.kind) } else { (given.prepared_size(), "image/png") };
            let prompt = PicturePrompt {
                text: change.text.clone(),
                negative: change.negative.clone(),
                width: size.0,
                height: size.1,
                seed: change.seed,
                steps: change.steps,
                guidance: change.guidance,
            };
            let (image_to, image) = wit_stream::new();
            let (mask_to, mask) = given.has_mask().then(wit_stream::new).unzip();
            let mask = mask.map(|body| Media { content_type: "image/png".to_owned(), body });
            let image = Media { content_type: kind.to_owned(), body: image };
            let input = EditInput { prompt, image, mask, strength: change.strength };
            let own = Rc::clone(&given);
            let feed = Box::pin(async move {
                let image =
                    async { if inside { own.hand_on(image_to).await } else { own.send_prepared(image_to).await } };
                let mask = async {
                    match mask_to {
                        Some(to) if inside => own.hand_on_mask(to).await,
                        Some(to) => own.send_mask(to, size).await,
                        None => Ok(()),
                    }
                };
                try_join(image, mask).await.map(drop)
            });
            let picture = fed(inference::edit(model.to_owned(), input, within), feed).await?;
            // Our own models make what is asked for.
            if inside {
                return Ok((picture.image, picture.served));
            }
            let png = hybrid_picture::made(picture.image, limits)
                .await
                .map_err(|reason| Error { reason, attempts: picture.served.attempts })?;
            Ok((sent("image/png", png), picture.served))
        })
        .await?;
        Ok(Picture { image, served })
    }
}

/// The answer to a call whose pictures are sent while it runs. What is wrong with them is told before what the call says of
/// what it got.
async fn fed<T>(
    call: impl Future<Output = Result<T, Error>>,
    feed: Pin<Box<dyn Future<Output = Result<(), Reason>>>>,
) -> Result<T, Error> {
    let call = std::pin::pin!(call);
    match select(call, feed).await {
        Either::Left((answer, feed)) => {
            // Who has answered may still be reading.
            if answer.is_ok() {
                spawn(async move { drop(feed.await) });
            }
            answer
        }
        Either::Right((Ok(()), call)) => call.await,
        Either::Right((Err(reason), call)) => {
            // Its streams have ended, so it soon will too.
            drop(call.await);
            Err(reason.into())
        }
    }
}

fn sent(content_type: &str, contents: Vec<u8>) -> Media {
    let (to, body) = bindings::wit_stream::new();
    bytes::send(to, contents);
    Media { content_type: content_type.to_owned(), body }
}

fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let usual = Limits::default();
        Settings {
            chain: Chain::of("image_edit"),
            limits: Limits {
                max_pixels: settings::parsed("max_picture_pixels", usual.max_pixels),
                max_model_side: settings::parsed("max_model_side", usual.max_model_side),
                max_held_bytes: settings::parsed("max_held_picture_bytes", usual.max_held_bytes),
                ..usual
            },
            // 25 MiB: more than a phone's camera makes, in any of its formats.
            max_upload_bytes: settings::parsed("max_upload_bytes", 25 << 20),
        }
    })
}
