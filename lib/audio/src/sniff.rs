/// The kinds of sound that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Wav,
    Flac,
    Mp3,
    Ogg,
    Webm,
    Mp4,
}

impl Kind {
    /// Tells the kind by the first bytes; 4 KiB are plenty.
    pub fn of(bytes: &[u8]) -> Option<Kind> {
        match bytes {
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some(Kind::Wav),
            [b'f', b'L', b'a', b'C', ..] => Some(Kind::Flac),
            [b'O', b'g', b'g', b'S', ..] => Some(Kind::Ogg),
            // EBML: WebM, and Matroska, of which it is a part.
            [0x1a, 0x45, 0xdf, 0xa3, ..] => Some(Kind::Webm),
            [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => sounding_brand(brand).then_some(Kind::Mp4),
            [b'I', b'D', b'3', ..] => match bytes.get(id3_length(bytes)..) {
                Some(rest) if rest.starts_with(b"fLaC") => Some(Kind::Flac),
                Some(rest) if rest.len() >= 4 => is_mp3_frame(rest).then_some(Kind::Mp3),
                // The tag, with its cover picture, is longer than what there is to see.
                _ => Some(Kind::Mp3),
            },
            _ => is_mp3_frame(bytes).then_some(Kind::Mp3),
        }
    }

    /// The media type models know it by.
    pub fn media_type(self) -> &'static str {
        match self {
            Kind::Wav => "audio/wav",
            Kind::Flac => "audio/flac",
            Kind::Mp3 => "audio/mpeg",
            Kind::Ogg => "audio/ogg",
            Kind::Webm => "audio/webm",
            Kind::Mp4 => "audio/mp4",
        }
    }
}

/// The bytes an ID3v2 tag takes at the beginning; 0 when there is none.
pub(crate) fn id3_length(bytes: &[u8]) -> usize {
    match bytes {
        [b'I', b'D', b'3', _, _, flags, length @ ..] if length.len() >= 4 => {
            let length = length[..4].iter().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
            let footer = if flags & 0x10 == 0 { 0 } else { 10 };
            10 + length + footer
        }
        _ => 0,
    }
}

/// Pictures (HEIC, AVIF) come in the same container.
fn sounding_brand(brand: &[u8]) -> bool {
    !["heic", "heix", "heif", "mif1", "msf1", "avif", "avis"]
        .iter()
        .any(|picture| brand.starts_with(picture.as_bytes()))
}

/// A header of MPEG layer III whose every field has a meaning: two bytes alone begin many files.
fn is_mp3_frame(bytes: &[u8]) -> bool {
    let [0xff, second, third, fourth, ..] = *bytes else { return false };
    let (sync, version, layer) = (second & 0xe0 == 0xe0, second >> 3 & 3, second >> 1 & 3);
    let (bitrate, rate, emphasis) = (third >> 4, third >> 2 & 3, fourth & 3);
    sync && version != 1 && layer == 1 && !matches!(bitrate, 0 | 15) && rate != 3 && emphasis != 2
}
