//! Pictures from pictures: makes the caller's picture and mask fit the model, asks the models in turn, and makes a PNG of
//! what comes.
//!
//! The answer is as large as the model made it. Models elsewhere are given at most `max_model_side`; one that runs inside the
//! platform (`local/`) gets the caller's own picture, for it may well work on it in its whole size.

mod answer;
mod input;

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

use std::sync::OnceLock;

use bindings::exports::hybrid::image_edit::image_edit::{self as own, Change, Guest, Picture};
use bindings::hybrid::inference::inference::{self, EditInput};
use futures::future::{OptionFuture, join};
use hybrid_guest::chain::{Chain, walk};
use hybrid_guest::types::{Control, Error, Media, PicturePrompt};
use hybrid_guest::{bytes, settings};
use hybrid_picture::{Limits, Polarity};
use input::Input;

/// The media type of bytes that are no picture; whoever reads them says so.
const OTHER: &str = "application/octet-stream";

struct ImageEdit;

struct Settings {
    chain: Chain,
    limits: Limits,
    max_upload_bytes: usize,
}

impl Guest for ImageEdit {
    async fn edit(change: Change, control: Control) -> Result<Picture, Error> {
        let Settings { chain, limits, max_upload_bytes } = settings();
        // Both at once: who sends them may do so in any order.
        let mask = OptionFuture::from(change.mask.map(|mask| bytes::whole(mask, *max_upload_bytes)));
        let polarity = match change.polarity {
            own::Polarity::Light => Polarity::Light,
            own::Polarity::Transparent => Polarity::Transparent,
        };
        let (image, mask) = join(bytes::whole(change.image, *max_upload_bytes), mask).await;
        let given = Input::read(image, mask, polarity, limits, *max_upload_bytes)?;
        let mut prepared = None;
        let (image, served) = walk(chain, change.model.as_deref(), &control, async |model, within| {
            let input = match &prepared {
                _ if model.starts_with("local/") => given.whole(limits)?,
                Some(prepared) => Input::clone(prepared),
                None => prepared.insert(given.prepared(limits)?).clone(),
            };
            let prompt = PicturePrompt {
                text: change.text.clone(),
                negative: change.negative.clone(),
                width: input.width,
                height: input.height,
                seed: change.seed,
                steps: change.steps,
                guidance: change.guidance,
            };
            let mask = input.mask.map(|mask| sent("image/png", mask));
            let input = EditInput { prompt, image: sent(input.kind, input.image), mask, strength: change.strength };
            let picture = inference::edit(model.to_owned(), input, within).await?;
            // Our own models make what is asked for.
            if model.starts_with("local/") {
                return Ok((picture.image, picture.served));
            }
            let png = answer::png(picture.image, limits)
                .await
                .map_err(|reason| Error { reason, attempts: picture.served.attempts })?;
            Ok((sent("image/png", png), picture.served))
        })
        .await?;
        Ok(Picture { image, served })
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
            },
            // 25 MiB: more than a phone's camera makes, in any of its formats.
            max_upload_bytes: settings::parsed("max_upload_bytes", 25 << 20),
        }
    })
}
