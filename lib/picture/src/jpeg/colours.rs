/// What a JPEG's components stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Gray,
    Ycc,
    Rgb,
    /// Inks, the wrong way round, as the one program that writes them does.
    Cmyk,
    /// The same, by way of YCC.
    Ycck,
}

impl Colours {
    /// By the components' names, and by what the segment named Adobe says.
    pub(super) fn told(ids: &[u8], adobe: Option<u8>) -> Option<Colours> {
        Some(match (ids, adobe) {
            ([_], _) => Colours::Gray,
            ([_, _, _], Some(0)) | ([b'R', b'G', b'B'], None) => Colours::Rgb,
            ([_, _, _], _) => Colours::Ycc,
            ([_, _, _, _], Some(2)) => Colours::Ycck,
            ([_, _, _, _], _) => Colours::Cmyk,
            _ => return None,
        })
    }

    /// A row of samples from a line of each component; lines may be longer than the row.
    pub(super) fn row(self, lines: &[&[u8]], row: &mut [u8]) {
        match (self, lines) {
            (Colours::Ycc, [luma, blue, red, ..]) => {
                for (((rgb, luma), blue), red) in row.chunks_exact_mut(3).zip(*luma).zip(*blue).zip(*red) {
                    rgb.copy_from_slice(&rgb_of(*luma, *blue, *red));
                }
            }
            (Colours::Rgb, [red, green, blue, ..]) => {
                for (((rgb, red), green), blue) in row.chunks_exact_mut(3).zip(*red).zip(*green).zip(*blue) {
                    rgb.copy_from_slice(&[*red, *green, *blue]);
                }
            }
            (Colours::Cmyk | Colours::Ycck, [one, two, three, black]) => {
                let inks = one.iter().zip(*two).zip(*three).zip(*black);
                for (rgb, (((one, two), three), black)) in row.chunks_exact_mut(3).zip(inks) {
                    let inks = match self {
                        Colours::Ycck => rgb_of(*one, *two, *three).map(|light| 255 - light),
                        _ => [*one, *two, *three],
                    };
                    rgb.copy_from_slice(&inks.map(|ink| ((u32::from(ink) * u32::from(*black) + 127) / 255) as u8));
                }
            }
            (_, [gray, ..]) => row.copy_from_slice(&gray[..row.len()]),
            (_, []) => {}
        }
    }
}

/// By the matrix of JFIF (BT.601, all of the range), in 16 bits behind the point.
#[inline(always)]
fn rgb_of(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    let (luma, blue, red) = (i32::from(luma) << 16 | 0x8000, i32::from(blue) - 128, i32::from(red) - 128);
    let sample = |sum: i32| (sum >> 16).clamp(0, 255) as u8;
    [sample(luma + 91_881 * red), sample(luma - 22_554 * blue - 46_802 * red), sample(luma + 116_130 * blue)]
}
