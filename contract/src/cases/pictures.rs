//! From the caller's picture to the model's, and back.

use anyhow::{Context, Result, ensure};
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};

use crate::House;
use crate::media;

async fn edited(house: &House<'_>, body: &Value) -> Result<RgbImage> {
    let reply = house.post("/edit-image", body).await?;
    media::clean(&reply.is(200)?.is_of("image/png")?.body)
}

/// The picture and the mask that reached the upstream for a model.
fn sent(house: &House<'_>, model: &str) -> Result<(RgbImage, Option<RgbImage>, Value)> {
    let request = house.only_request(model)?;
    let body = request.json();
    let picture = |value: &Value| -> Result<Option<RgbImage>> {
        let Some(text) = value.as_str() else { return Ok(None) };
        let bytes = media::unbase64(text)?;
        ensure!(!bytes.windows(4).any(|window| window == b"Exif"), "the picture's metadata went upstream");
        Ok(Some(image::load_from_memory(&bytes)?.to_rgb8()))
    };
    let image = picture(&body["inputs"])?.context("no picture in `inputs`")?;
    let mask = picture(&body["parameters"]["mask_image"])?;
    Ok((image, mask, body))
}

const RED: Rgb<u8> = Rgb([255, 0, 0]);

pub(super) async fn masks_say_what_is_painted(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    for (form, prefix) in [("plain", ""), ("data", "data:image/png;base64,")] {
        let model = format!("acme/edit-mask-{form}");
        let body = json!({
            "image": format!("{prefix}{}", media::base64(&media::png(96, 64))),
            "mask": format!("{prefix}{}", media::base64(&media::mask(96, 64))),
            "prompt": "grass", "negative_prompt": "blurry", "model": model,
        });
        let picture = edited(house, &body).await?;
        ensure!(picture.dimensions() == (96, 64), "{:?}", picture.dimensions());
        ensure!(*picture.get_pixel(80, 32) == RED, "what the mask shows was not painted");
        ensure!(*picture.get_pixel(10, 32) == Rgb([0, 0, 200]), "what the mask hides was painted");
        let (_, mask, body) = sent(house, &model)?;
        ensure!(mask.is_some_and(|mask| mask.dimensions() == (96, 64)), "the mask is lost");
        ensure!(body["parameters"]["prompt"] == "grass", "the prompt is lost");
        ensure!(body["parameters"]["negative_prompt"] == "blurry", "the negative prompt is lost");
    }
    Ok(())
}

pub(super) async fn strength_goes_without_a_mask(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    let body = json!({
        "image": media::base64(&media::png(64, 64)), "prompt": "oil", "strength": 0.75, "model": "acme/edit-strength"
    });
    let picture = edited(house, &body).await?;
    ensure!(*picture.get_pixel(5, 5) == Rgb([255, 255, 55]), "the answer is not the model's");
    let (_, mask, body) = sent(house, "acme/edit-strength")?;
    ensure!(mask.is_none() && body["parameters"]["strength"] == 0.75, "{}", body["parameters"]);
    Ok(())
}

pub(super) async fn turned_pictures_are_set_upright(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    // Shown upright it is 64 wide and 96 high, blue above and green below.
    let body = json!({
        "image": media::base64(&media::turned_jpeg(96, 64)), "prompt": "x", "model": "acme/edit-turned"
    });
    let picture = edited(house, &body).await?;
    ensure!(picture.dimensions() == (64, 96), "{:?}", picture.dimensions());
    let (image, _, _) = sent(house, "acme/edit-turned")?;
    ensure!(image.dimensions() == (64, 96), "{:?}", image.dimensions());
    let (above, below) = (image.get_pixel(32, 10), image.get_pixel(32, 86));
    ensure!(above[2] > 150 && above[1] < 60 && below[1] > 150 && below[2] < 60, "{above:?} above {below:?}");
    Ok(())
}

pub(super) async fn large_pictures_are_made_smaller(house: &House<'_>) -> Result<()> {
    house.standin.forget();
    let body = json!({
        "image": media::base64(&media::png(2048, 1024)), "mask": media::base64(&media::mask(2048, 1024)),
        "prompt": "x", "model": "acme/edit-large",
    });
    let picture = edited(house, &body).await?;
    let (image, mask, _) = sent(house, "acme/edit-large")?;
    ensure!(image.dimensions() == (1024, 512) && picture.dimensions() == (1024, 512), "{:?}", image.dimensions());
    let mask = mask.context("a mask")?;
    ensure!(mask.dimensions() == (1024, 512), "the mask is {:?}", mask.dimensions());
    ensure!(mask.pixels().all(|pixel| matches!(pixel[0], 0 | 255)), "the mask was smoothed");
    Ok(())
}

pub(super) async fn many_formats_are_taken(house: &House<'_>) -> Result<()> {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp] {
        let bytes = media::encoded(media::halves(96, 64), format);
        let body = json!({ "image": media::base64(&bytes), "prompt": "x", "model": "acme/edit-format" });
        let picture = edited(house, &body).await.with_context(|| format!("{format:?}"))?;
        ensure!(picture.dimensions() == (96, 64), "{format:?} is {:?}", picture.dimensions());
    }
    Ok(())
}
