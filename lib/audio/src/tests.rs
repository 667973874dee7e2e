use crate::{Kind, Pieces, Sound, Speech, Unreadable, header, to_wav};

/// A tone of 440 Hz in every kind there is, with the frames each is worth at its own rate; `ffmpeg` made them.
const SOUNDS: [(&str, Kind, u32, u64); 13] = [
    ("tone.flac", Kind::Flac, 16_000, 3_200),
    ("tone.mp3", Kind::Mp3, 44_100, 44_100),
    ("bare.mp3", Kind::Mp3, 44_100, 24_192),
    ("tagged.mp3", Kind::Mp3, 16_000, 1_600),
    ("tone-vorbis.ogg", Kind::Ogg, 22_050, 22_050),
    ("tone-opus.ogg", Kind::Ogg, 48_000, 48_000),
    ("tone.webm", Kind::Webm, 48_000, 48_000),
    // As browsers record: without lengths, in fragments.
    ("live.webm", Kind::Webm, 48_000, 48_000),
    ("fragmented.m4a", Kind::Mp4, 44_100, 44_100),
    ("stereo.webm", Kind::Webm, 48_000, 48_000),
    ("vorbis.webm", Kind::Webm, 22_050, 22_050),
    ("tone.m4a", Kind::Mp4, 44_100, 44_100),
    ("pipe.wav", Kind::Wav, 16_000, 1_600),
];

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/sounds/{name}", env!("CARGO_MANIFEST_DIR"))).expect(name)
}

/// In pieces of an odd size, as they may come.
fn pieces(bytes: &[u8]) -> Pieces {
    Pieces::from(bytes.chunks(777).map(<[u8]>::to_vec).collect::<Vec<_>>())
}

fn wav(bytes: &[u8]) -> Vec<u8> {
    to_wav(pieces(bytes)).map(|pieces| pieces.concat()).expect("it is read")
}

fn pcm(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks::<2>().0.iter().map(|word| i16::from_le_bytes(*word)).collect()
}

fn speech(bytes: &[u8], kind: Kind) -> Vec<i16> {
    let mut speech = Speech::open(&pieces(bytes), kind).expect("it is read");
    let mut all = Vec::new();
    while let Some(piece) = speech.decode().expect("it is read") {
        all.extend(pcm(&piece));
    }
    all
}

/// How often the sound rises through zero in a second.
fn pitch(samples: &[i16], rate: u32) -> f64 {
    let middle = &samples[samples.len() / 8..samples.len() * 7 / 8];
    let rises = middle.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
    rises as f64 * f64::from(rate) / middle.len() as f64
}

#[test]
fn every_kind_is_told_by_its_bytes() {
    for (name, kind, ..) in SOUNDS {
        assert_eq!(Kind::of(&pieces(&file(name)).head()), Some(kind), "{name}");
    }
    for other in [&b"<!doctype html>"[..], b"\xff\xd8\xff\xe0", b"\0\0\0\x18ftypheic", b"\xff\xf1\x50\x80", b"", b"ID3"]
    {
        assert_eq!(Kind::of(other), (other == b"ID3").then_some(Kind::Mp3), "{other:?}");
    }
}

#[test]
fn every_kind_is_decoded_to_its_whole_length() {
    for (name, kind, rate, frames) in SOUNDS {
        let mut sound = Sound::open(&pieces(&file(name)), kind).expect(name);
        assert_eq!(sound.rate, rate, "{name}");
        let channels = u64::from(sound.channels);
        let mut found = 0;
        while let Some(samples) = sound.decode().expect(name) {
            found += samples.len() as u64 / channels;
        }
        // WebM and MP4 do not tell where the last frame's padding begins (20 and 23 ms), MP4 in fragments not even where the
        // first one's ends.
        let padding = match kind {
            Kind::Webm => 1_000,
            Kind::Mp4 => 2_000,
            _ => 0,
        };
        assert!((frames..=frames + padding).contains(&found), "{name}: {found} frames");
    }
}

#[test]
fn what_the_encoder_put_before_is_left_out() {
    // Priming is silence: the tone must be there within its first 3 ms.
    for name in ["tone-opus.ogg", "tone.webm", "tone.m4a", "tone.mp3"] {
        let (_, kind, ..) = SOUNDS.into_iter().find(|(other, ..)| *other == name).expect(name);
        let samples = speech(&file(name), kind);
        assert!(samples[..48].iter().any(|sample| sample.abs() > 1000), "{name}: {:?}", &samples[..48]);
    }
}

#[test]
fn every_kind_is_heard_as_mono_of_16_khz() {
    for (name, kind, ..) in SOUNDS {
        let bytes = file(name);
        let samples = speech(&bytes, kind);
        assert!((pitch(&samples, 16_000) - 440.0).abs() < 12.0, "{name}: {} Hz", pitch(&samples, 16_000));
        assert_eq!(Speech::samples(&pieces(&bytes), kind), Ok(samples.len() as u64), "{name}");
    }
}

#[test]
fn whatever_a_model_made_becomes_a_true_wav() {
    for (name, _, rate, _) in SOUNDS {
        let wav = wav(&file(name));
        let number = |at: usize| u32::from_le_bytes([wav[at], wav[at + 1], wav[at + 2], wav[at + 3]]);
        assert_eq!((&wav[..4], &wav[8..16], &wav[36..40]), (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..]), "{name}");
        assert_eq!((number(4) as usize, number(40) as usize), (wav.len() - 8, wav.len() - 44), "{name}");
        assert_eq!((number(20) & 0xffff, number(24), number(32) >> 16), (1, rate, 16), "{name}");
        let channels = usize::from(wav[22]);
        let left: Vec<i16> = pcm(&wav[44..]).into_iter().step_by(channels).collect();
        assert!((pitch(&left, rate) - 440.0).abs() < 12.0, "{name}");
    }
}

/// A WAV of two samples, half and minus half of full scale.
fn two(format: u16, bits: u16, data: &[u8], data_bytes: u32) -> Vec<u8> {
    let mut wav = header(8_000, 1, data_bytes).to_vec();
    wav[20..22].copy_from_slice(&format.to_le_bytes());
    wav[34..36].copy_from_slice(&bits.to_le_bytes());
    wav.extend_from_slice(data);
    wav
}

#[test]
fn samples_of_every_width_become_16_bits() {
    let half = 0.5f32.to_le_bytes();
    let minus = (-0.5f32).to_le_bytes();
    let wide = [0.5f64.to_le_bytes(), (-0.5f64).to_le_bytes()].concat();
    for (format, bits, data) in [
        (1, 8, vec![192, 64]),
        (1, 16, vec![0, 0x40, 0, 0xc0]),
        (1, 24, vec![0, 0, 0x40, 0, 0, 0xc0]),
        (1, 32, vec![0, 0, 0, 0x40, 0, 0, 0, 0xc0]),
        (3, 32, [half, minus].concat()),
        (3, 64, wide),
    ] {
        let out = wav(&two(format, bits, &data, data.len() as u32));
        assert_eq!(out, two(1, 16, &[0, 0x40, 0, 0xc0], 4), "format {format} of {bits} bits");
    }
    // The loudest of G.711, and its silence.
    assert_eq!(pcm(&wav(&two(6, 8, &[0xaa, 0x2a, 0xd5], 3))[44..]), [32_256, -32_256, 8]);
    assert_eq!(pcm(&wav(&two(7, 8, &[0x80, 0x00, 0xff], 3))[44..]), [32_124, -32_124, 0]);
    let loud = [f32::NAN, 7.0].map(f32::to_le_bytes).concat();
    assert_eq!(pcm(&wav(&two(3, 32, &loud, 8))[44..]), [0, i16::MAX]);
}

#[test]
fn a_length_that_was_never_filled_in_is_mended() {
    let good = two(1, 16, &[1, 2, 3, 4], 4);
    for length in [0, u32::MAX, 0x7fff_ffff] {
        assert_eq!(wav(&two(1, 16, &[1, 2, 3, 4, 5], length)), good, "{length:#x}");
    }
    let with_list = [&good[..36], b"LIST\x03\0\0\0abc\0", &good[36..], b"id3 \x02\0\0\0xy"].concat();
    assert_eq!(wav(&with_list), good);
}

#[test]
fn what_is_no_whole_sound_is_told() {
    let broken = |bytes: &[u8]| to_wav(pieces(bytes)).expect_err("it is not read");
    assert_eq!(broken(b"<html>502</html>"), Unreadable::Unknown);
    assert_eq!(broken(b""), Unreadable::Unknown);
    assert!(matches!(broken(&two(1, 16, &[1, 2], 4)), Unreadable::Broken(why) if why.contains("too early")));
    assert!(matches!(broken(&two(1, 16, &[], 0)), Unreadable::Broken(why) if why.contains("no sound")));
    assert!(matches!(broken(&two(2, 4, &[1, 2], 2)), Unreadable::Broken(_)));
    let flac = file("tone.flac");
    assert!(matches!(broken(&flac[..flac.len() / 2]), Unreadable::Broken(_)));
    let mp4 = file("tone.m4a");
    assert!(matches!(broken(&mp4[..mp4.len() / 2]), Unreadable::Broken(_)));
    for (name, kind, ..) in SOUNDS {
        let bytes = file(name);
        for end in [5, 40, 200, bytes.len() / 3] {
            // Whatever comes of it, it comes without a panic.
            let _ =
                Sound::open(&pieces(&bytes[..end]), kind).map(|mut sound| while let Ok(Some(_)) = sound.decode() {});
        }
    }
}
