use hybrid_guest::bytes::TooLong;
use hybrid_guest::types::{Problem, Reason};
use hybrid_picture::{Kind, Limits, Polarity};

/// A picture and its mask as they are handed to a model.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) kind: &'static str,
    pub(crate) image: Vec<u8>,
    pub(crate) mask: Option<Vec<u8>>,
    /// How `mask` says what is meant.
    polarity: Polarity,
}

impl Input {
    /// Reads what the caller sent; says what is wrong with it by the field's name. Nothing is decoded yet.
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
        let (width, height) =
            hybrid_picture::size(&image, limits).map_err(|refused| Reason::invalid("image", refused.to_string()))?;
        let kind = Kind::of(&image).map_or(crate::OTHER, Kind::media_type);
        Ok(Input { width, height, kind, image, mask, polarity })
    }

    /// As models inside take it: the picture as it came, with a mask of its own size.
    pub(crate) fn whole(&self, limits: &Limits) -> Result<Input, Reason> {
        let size = (self.width, self.height);
        let mask = self
            .mask
            .clone()
            .map(|mask| hybrid_picture::whole_mask(mask, size, limits, self.polarity)?.png())
            .transpose()
            .map_err(|refused| Reason::invalid("mask", refused.to_string()))?;
        Ok(Input { mask, polarity: Polarity::Light, ..self.clone() })
    }

    /// As models elsewhere take it: PNGs of one size, upright, not larger than they take, without metadata.
    pub(crate) fn prepared(&self, limits: &Limits) -> Result<Input, Reason> {
        let picture = hybrid_picture::prepare(self.image.clone(), limits)
            .map_err(|refused| Reason::invalid("image", refused.to_string()))?;
        let mask = self
            .mask
            .clone()
            .map(|mask| hybrid_picture::mask(mask, &picture, limits, self.polarity))
            .transpose()
            .map_err(|refused| Reason::invalid("mask", refused.to_string()))?;
        let (width, height) = (picture.width, picture.height);
        let (kind, polarity) = (Kind::Png.media_type(), Polarity::Light);
        Ok(Input { width, height, kind, image: picture.png, mask, polarity })
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
        let input = Input::read(image, mask, Polarity::Light, &Limits::default(), 100);
        input.and_then(|input| input.prepared(&Limits::default())).expect_err("it is refused")
    }

    #[test]
    fn a_picture_and_its_mask_become_pngs_of_one_size() {
        let input = Input::read(Ok(dot()), Some(Ok(dot())), Polarity::Light, &Limits::default(), 100)
            .expect("both are pictures");
        assert_eq!((input.width, input.height, input.kind), (1, 1, "image/bmp"));
        assert_eq!(input.image, dot());
        let input = input.prepared(&Limits::default()).expect("both can be prepared");
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
