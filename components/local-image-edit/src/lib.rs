//! Picture edits by classical means, inside this component: the prompt's words are understood by a small grammar (README.md),
//! and what is not understood is refused. Other models are handed on to the next link of the chain.

mod band;
mod edit;
mod inpaint;
mod operation;
mod place;
mod prompt;
mod shape;
#[cfg(test)]
mod tests;
mod texture;
mod tone;

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    use spin_sdk::wit_bindgen;

    use super::LocalImageEdit;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/provider",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "hybrid:types/types@0.1.0": hybrid_guest::types },
        generate_all,
    });
    export!(LocalImageEdit);
}

use std::time::{Duration, Instant};

use bindings::exports::hybrid::inference::inference as own;
use hybrid_guest::types::{Budget, Error, Media, Reason, Served};
use hybrid_guest::{bytes, settings};
use hybrid_picture::{File, Limits};

const MODEL: &str = "local/classical-edit";

/// What is read of a picture before its pixels are counted.
const MAX_BYTES: usize = 64 << 20;

struct LocalImageEdit;

hybrid_guest::onward!();

impl own::Guest for LocalImageEdit {
    async fn edit(model: String, input: own::EditInput, within: Budget) -> Result<own::Picture, Error> {
        if model != MODEL {
            return onward::edit(model, input, within).await;
        }
        let own::EditInput { prompt, image, mask, strength } = input;
        let until = Instant::now() + Duration::from_millis(within.timeout_ms.into());
        let too_large = |_| Reason::TooLarge(format!("pictures of at most {MAX_BYTES} bytes"));
        let image = File::from(bytes::pieces(image.body, MAX_BYTES).await.map_err(too_large)?);
        let mask = match mask {
            Some(mask) => Some(File::from(bytes::pieces(mask.body, MAX_BYTES).await.map_err(too_large)?)),
            None => None,
        };
        let usual = Limits::default();
        let limits = Limits {
            max_pixels: settings::parsed("max_picture_pixels", usual.max_pixels),
            max_held_bytes: settings::parsed("max_held_picture_bytes", usual.max_held_bytes),
            ..usual
        };
        let edit = edit::Edit { prompt: &prompt.text, image, mask, strength, seed: prompt.seed };
        let png = edit::png(edit, &limits, || Instant::now() < until)?;
        let (to, body) = bindings::wit_stream::new();
        bytes::send_pieces(to, png);
        let served = Served { model, provider: "local".to_owned(), attempts: 1, fallback_index: 0, placeholder: false };
        Ok(own::Picture { image: Media { content_type: "image/png".to_owned(), body }, served })
    }

    hybrid_guest::onward!(speak transcribe draw chat chat_stream embed);
}
