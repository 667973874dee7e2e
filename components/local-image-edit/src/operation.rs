//! What can be done to a picture, as plain data: the prompt's words become these, and these become pixels.

use hybrid_picture::colour::Colour;

/// One thing to do, and where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Step {
    pub(crate) operation: Operation,
    pub(crate) place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Operation {
    Shape(Shape),
    Tone(Tone),
    Texture(Texture),
    /// One colour all over.
    Fill(Colour),
    /// What the mask shows goes, and what is around it grows over it.
    Remove,
}

/// What changes the picture's size or turns it. It is done to the whole picture alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    /// The largest middle part with this width to one height.
    CropRatio(f32),
    /// The middle part of this size, in pixels; cut off where the picture is smaller.
    CropSize(u32, u32),
    /// The middle part, this share of each side long.
    CropShare(f32),
    /// Takes these away: from the left, the top, the right and the bottom.
    Cut([Length; 4]),
    /// Takes away the border of one colour.
    Trim,
    /// To where the mask is.
    CropMask,
    /// To exactly this size.
    Resize(u32, u32),
    Width(u32),
    Height(u32),
    Longer(u32),
    /// As large as goes into this, in the picture's own shape.
    Fit(u32, u32),
    Scale(f32),
    /// The middle, so many times as large, in the picture's own size.
    Zoom(f32),
    /// Clockwise. The corners that come up are white, or transparent where the picture has transparency.
    Rotate(f32),
    /// As `Rotate`, then cropped to where no corner is seen.
    Straighten(f32),
    /// Left becomes right.
    Mirror,
    /// Above becomes below.
    Flip,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Length {
    Pixels(u32),
    Share(f32),
}

/// What is done to each pixel by itself. Shares are 1.0 for all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Tone {
    Brightness(f32),
    Contrast(f32),
    Saturation(f32),
    /// Doublings of the light.
    Exposure(f32),
    /// Over 1.0 brightens the middle.
    Gamma(f32),
    /// Warm is above nought.
    Warmth(f32),
    Shadows(f32),
    Highlights(f32),
    /// A shift towards a colour, or away from it below nought; black and white stay.
    Cast(Colour, f32),
    /// The picture in shades of one colour, so much of it.
    Tint(Colour, f32),
    /// Degrees.
    Hue(f32),
    /// So much of it.
    Sepia(f32),
    Invert,
    /// Levels of each channel.
    Posterise(u32),
    /// Black below this lightness, white from there on.
    Threshold(f32),
}

/// What looks at a pixel's surroundings or its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Texture {
    Blur(Reach),
    Sharpen(f32),
    Pixelate(Reach),
    Oil(Reach),
    Sketch,
    Edges,
    Noise(f32),
    Denoise(f32),
    /// Dark corners; light ones below nought.
    Vignette(f32),
}

/// How far an operation looks: in pixels, or as so many times what is usual for the picture's size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reach {
    Pixels(f32),
    Usual(f32),
}

/// The part of the picture that is meant; with a mask, of what the mask shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    All,
    Left,
    Right,
    Top,
    Bottom,
    Middle,
    Edges,
    Sky,
}

impl Operation {
    /// Whether it is done to the whole picture or not at all.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self, Operation::Shape(_))
    }
}
