use hybrid_guest::bytes::TooLong;
use hybrid_guest::types::{Problem, Reason};
use hybrid_picture::{Limits, Polarity};

/// A picture and its mask as the models take them: PNGs of one size.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) image: Vec<u8>,
    pub(crate) mask: Option<Vec<u8>>,
}

impl Input {
    /// Reads what the caller sent; says what is wrong with it by the field's name.
    pub(crate) fn read(
        image: Result<Vec<u8>, TooLong>,
        mask: Option<Result<Vec<u8>, TooLong>>,
        polarity: Polarity,
        limits: &Limits,
        max_bytes: usize,
    ) -> Result<Input, Reason> {
        let too_large = |field: &str| Reason::TooLarge(format!("`{field}` must have at most {max_bytes} bytes"));
        let image = image.map_err(|_| too_large("image"))?;
        let mask = mask.transpose().map_err(|_| too_large("mask"))?;
        let empty: Vec<Problem> = [("image", image.is_empty()), ("mask", mask.as_ref().is_some_and(Vec::is_empty))]
            .into_iter()
            .filter(|(_, empty)| *empty)
            .map(|(field, _)| Problem { field: field.to_owned(), message: "must not be empty".to_owned() })
            .collect();
        if !empty.is_empty() {
            return Err(Reason::Invalid(empty));
        }
        let picture =
            hybrid_picture::prepare(image, limits).map_err(|refused| Reason::invalid("image", refused.to_string()))?;
        let mask = mask
            .map(|mask| hybrid_picture::mask(mask, &picture, limits, polarity))
            .transpose()
            .map_err(|refused| Reason::invalid("mask", refused.to_string()))?;
        Ok(Input { width: picture.width, height: picture.height, image: picture.png, mask })
    }
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

    fn refused(image: Result<Vec<u8>, TooLong>, mask: Option<Result<Vec<u8>, TooLong>>) -> Reason {
        Input::read(image, mask, Polarity::Light, &Limits::default(), 100).expect_err("it is refused")
    }

    #[test]
    fn a_picture_and_its_mask_become_pngs_of_one_size() {
        let input = Input::read(Ok(dot()), Some(Ok(dot())), Polarity::Light, &Limits::default(), 100)
            .expect("both are pictures");
        assert_eq!((input.width, input.height), (8, 8));
        assert!(input.image.starts_with(b"\x89PNG"));
        assert!(input.mask.expect("a mask").starts_with(b"\x89PNG"));
    }

    #[test]
    fn what_is_wrong_is_told_by_field() {
        let Reason::Invalid(problems) = refused(Ok(Vec::new()), Some(Ok(Vec::new()))) else { panic!("invalid") };
        let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["image", "mask"]);
        let Reason::Invalid(problems) = refused(Ok(dot()), Some(Ok(b"<svg>".to_vec()))) else { panic!("invalid") };
        assert_eq!(problems[0].field, "mask");
        assert!(problems[0].message.starts_with("is not a picture that can be read"));
        assert!(matches!(refused(Err(TooLong), None), Reason::TooLarge(text) if text.contains("100 bytes")));
    }
}
