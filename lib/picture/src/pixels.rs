use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{DynamicImage, GrayAlphaImage, GrayImage, RgbImage, RgbaImage};

use crate::Refused;
use crate::write::PngPieces;

/// 8-bit samples, row by row: gray (1 channel), gray and alpha (2), RGB (3) or RGBA (4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    pub width: u32,
    pub height: u32,
    pub channels: u8,
    pub data: Vec<u8>,
}

impl Pixels {
    pub fn new(width: u32, height: u32, channels: u8, data: Vec<u8>) -> Self {
        Pixels { width, height, channels, data }
    }

    /// Lays the picture on `ground` where it is transparent. In place: a second copy of 40 megapixels is not to be had.
    pub(crate) fn flatten(mut self, ground: u8) -> Self {
        let over = |sample: u8, alpha: u8| -> u8 {
            let (sample, alpha) = (u32::from(sample), u32::from(alpha));
            ((sample * alpha + u32::from(ground) * (255 - alpha) + 127) / 255) as u8
        };
        let colours = match self.channels {
            2 => 1,
            4 => 3,
            _ => return self,
        };
        let mut to = 0;
        for from in (0..self.data.len()).step_by(colours + 1) {
            let alpha = self.data[from + colours];
            for colour in 0..colours {
                self.data[to + colour] = over(self.data[from + colour], alpha);
            }
            to += colours;
        }
        self.data.truncate(to);
        self.channels = colours as u8;
        self
    }

    /// Three colours where there was one gray; alpha stays.
    pub(crate) fn into_rgb(self) -> Self {
        match self.channels {
            1 => {
                let data = self.data.iter().flat_map(|&gray| [gray; 3]).collect();
                Pixels { channels: 3, data, ..self }
            }
            2 => {
                let data = self.data.chunks_exact(2).flat_map(|pair| [pair[0], pair[0], pair[0], pair[1]]).collect();
                Pixels { channels: 4, data, ..self }
            }
            _ => self,
        }
    }

    /// One channel out of three, as bright as the eye sees it (BT.601); without alpha.
    pub(crate) fn into_gray(mut self) -> Self {
        if self.channels == 3 {
            for pixel in 0..self.data.len() / 3 {
                let [red, green, blue] = [0, 1, 2].map(|colour| u32::from(self.data[pixel * 3 + colour]));
                self.data[pixel] = ((red * 299 + green * 587 + blue * 114 + 500) / 1000) as u8;
            }
            self.data.truncate(self.data.len() / 3);
            self.channels = 1;
        }
        self
    }

    /// One channel, the whiter the more transparent the pixel was; with alpha.
    pub(crate) fn into_transparency(mut self) -> Self {
        let channels = usize::from(self.channels);
        for pixel in 0..self.data.len() / channels {
            self.data[pixel] = 255 - self.data[(pixel + 1) * channels - 1];
        }
        self.data.truncate(self.data.len() / channels);
        self.channels = 1;
        self
    }

    /// Takes the alpha away where every pixel is opaque.
    pub(crate) fn without_idle_alpha(self) -> Self {
        let channels = usize::from(self.channels);
        match channels {
            2 | 4 if self.data.iter().skip(channels - 1).step_by(channels).all(|&alpha| alpha == 255) => {
                self.flatten(255)
            }
            _ => self,
        }
    }

    /// Scales what is not gray and alpha: smoothly, or for masks by the nearest pixel.
    pub fn scale(self, (width, height): (u32, u32), smooth: bool) -> Result<Self, Refused> {
        if (self.width, self.height) == (width, height) {
            return Ok(self);
        }
        let kind = match self.channels {
            1 => PixelType::U8,
            3 => PixelType::U8x3,
            _ => PixelType::U8x4,
        };
        let failed = |error: &dyn std::fmt::Display| Refused::Broken(format!("it cannot be scaled ({error})"));
        let from = ImageRef::new(self.width, self.height, &self.data, kind).map_err(|error| failed(&error))?;
        let mut to = Image::new(width, height, kind);
        let how = if smooth { ResizeAlg::Convolution(FilterType::Lanczos3) } else { ResizeAlg::Nearest };
        let options = ResizeOptions::new().resize_alg(how);
        Resizer::new().resize(&from, &mut to, &options).map_err(|error| failed(&error))?;
        Ok(Pixels::new(width, height, self.channels, to.into_vec()))
    }

    /// Turns and flips. It takes a second copy.
    pub fn turn(self, orientation: Orientation) -> Self {
        if orientation == Orientation::NoTransforms {
            return self;
        }
        let Pixels { width, height, channels, data } = self;
        const WHOLE: &str = "the samples are as many as the sides say";
        let mut image = match channels {
            1 => DynamicImage::ImageLuma8(GrayImage::from_raw(width, height, data).expect(WHOLE)),
            2 => DynamicImage::ImageLumaA8(GrayAlphaImage::from_raw(width, height, data).expect(WHOLE)),
            3 => DynamicImage::ImageRgb8(RgbImage::from_raw(width, height, data).expect(WHOLE)),
            _ => DynamicImage::ImageRgba8(RgbaImage::from_raw(width, height, data).expect(WHOLE)),
        };
        image.apply_orientation(orientation);
        Pixels::new(image.width(), image.height(), channels, image.into_bytes())
    }

    /// A PNG without metadata. Fast: `Balanced` takes 20 times as long for nothing on a photo.
    pub fn png(self) -> Result<Vec<u8>, Refused> {
        Ok(self.png_pieces()?.collect::<Vec<_>>().concat())
    }

    /// As `png`, in pieces that are made as they are taken: no more than one of them is there.
    pub fn png_pieces(self) -> Result<PngPieces, Refused> {
        PngPieces::new(self).map_err(|error| Refused::Broken(format!("it cannot be written as PNG ({error})")))
    }

    pub(crate) fn row_bytes(&self) -> usize {
        self.width as usize * usize::from(self.channels)
    }
}
