//! Pictures from words: asks the models in turn, and makes a PNG of what comes.

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    use spin_sdk::wit_bindgen;

    use super::Image;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/image",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "hybrid:types/types@0.1.0": hybrid_guest::types },
        generate_all,
    });
    export!(Image);
}

use std::sync::OnceLock;

use bindings::exports::hybrid::image::image::{Guest, Picture};
use bindings::hybrid::inference::inference;
use hybrid_guest::chain::{Chain, walk};
use hybrid_guest::types::{Control, Error, Media, PicturePrompt};
use hybrid_guest::{bytes, settings};
use hybrid_picture::Limits;

struct Image;

struct Settings {
    chain: Chain,
    limits: Limits,
}

impl Guest for Image {
    async fn generate(prompt: PicturePrompt, model: Option<String>, control: Control) -> Result<Picture, Error> {
        let Settings { chain, limits } = settings();
        let (image, served) = walk(chain, model.as_deref(), &control, async |model, within| {
            let picture = inference::draw(model.to_owned(), prompt.clone(), within).await?;
            // Our own models make what is asked for.
            if model.starts_with("local/") {
                return Ok((picture.image, picture.served));
            }
            let png = hybrid_picture::made(picture.image, limits)
                .await
                .map_err(|reason| Error { reason, attempts: picture.served.attempts })?;
            let (to, body) = bindings::wit_stream::new();
            bytes::send(to, png);
            Ok((Media { content_type: "image/png".to_owned(), body }, picture.served))
        })
        .await?;
        Ok(Picture { image, served })
    }
}

fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let usual = Limits::default();
        let max_pixels = settings::parsed("max_picture_pixels", usual.max_pixels);
        let max_held_bytes = settings::parsed("max_held_picture_bytes", usual.max_held_bytes);
        Settings { chain: Chain::of("image"), limits: Limits { max_pixels, max_held_bytes, ..usual } }
    })
}
