use std::io::{Read, Seek, SeekFrom};

use ropus::{Channels, DecodeMode};
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::packet::Packet;
use symphonia::default::formats;

use crate::pieces::{Pieces, Reader};
use crate::sniff::id3_length;
use crate::wav::{Samples, Wav};
use crate::{Kind, Unreadable, mp4};

/// Opus knows no other, whatever was recorded.
const OPUS_RATE: u32 = 48_000;
/// A WAV is read in pieces of so many samples.
const WAV_PIECE: usize = 16 * 1024;

/// A sound that is decoded piece by piece: samples from -1.0 to 1.0, the channels of each moment side by side.
pub struct Sound {
    pub rate: u32,
    pub channels: u16,
    source: Source,
    samples: Vec<f32>,
    /// `samples` came while opening, and nobody has seen them.
    fresh: bool,
    /// Frames still to be left out at the beginning: what the encoder needed to get going.
    skip: u64,
    given: u64,
    /// Frames there should be in all, where the file says so.
    promised: Option<u64>,
}

enum Source {
    Wav { reader: std::io::Take<Reader>, samples: Samples },
    Coded { format: Box<dyn FormatReader>, track: u32, decoder: Decoder },
}

enum Decoder {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(Box<ropus::Decoder>),
}

impl Sound {
    /// Opens and decodes the first piece: only then are rate and channels known for sure.
    pub fn open(bytes: &Pieces, kind: Kind) -> Result<Sound, Unreadable> {
        let mut sound = if kind == Kind::Wav { Self::wav(bytes)? } else { Self::coded(bytes, kind)? };
        sound.fresh = sound.fill()?;
        if !sound.fresh {
            return Err(Unreadable::silent());
        }
        usual(sound.rate, sound.channels)?;
        Ok(sound)
    }

    /// The next samples; none at the end.
    pub fn decode(&mut self) -> Result<Option<&[f32]>, Unreadable> {
        if !std::mem::take(&mut self.fresh) && !self.fill()? {
            let missing = self.promised.unwrap_or(0).saturating_sub(self.given);
            // Some encoders count their padding in.
            if missing > u64::from(self.rate) / 4 {
                return Err(Unreadable::Broken("it ends too early".to_owned()));
            }
            return Ok(None);
        }
        Ok(Some(&self.samples))
    }

    fn wav(bytes: &Pieces) -> Result<Sound, Unreadable> {
        let Wav { rate, channels, samples, data } = Wav::read(bytes)?;
        let mut reader = bytes.reader(0);
        reader.seek(SeekFrom::Start(data.start))?;
        let source = Source::Wav { reader: reader.take(data.end - data.start), samples };
        Ok(Self::new(rate, channels, source))
    }

    fn coded(bytes: &Pieces, kind: Kind) -> Result<Sound, Unreadable> {
        let tag = id3_length(&bytes.head());
        let stream = MediaSourceStream::new(Box::new(bytes.reader(tag as u64)), Default::default());
        let options = FormatOptions::default();
        let format: Box<dyn FormatReader> = match kind {
            Kind::Flac => Box::new(formats::FlacReader::try_new(stream, options)?),
            Kind::Mp3 => Box::new(formats::MpaReader::try_new(stream, options)?),
            Kind::Ogg => Box::new(formats::OggReader::try_new(stream, options)?),
            Kind::Webm => Box::new(formats::MkvReader::try_new(stream, options)?),
            Kind::Mp4 | Kind::Wav => Box::new(formats::IsoMp4Reader::try_new(stream, options)?),
        };
        let track = format.default_track(TrackType::Audio).ok_or_else(Unreadable::silent)?;
        let params = track.codec_params.as_ref().and_then(|params| params.audio()).ok_or_else(Unreadable::silent)?;
        let mut skip = if kind == Kind::Mp4 { mp4::priming(bytes) } else { 0 };
        let decoder = if params.codec == CODEC_ID_OPUS {
            let head = OpusHead::of(params);
            skip = head.pre_skip;
            Decoder::Opus(Box::new(head.decoder()?))
        } else {
            Decoder::Symphonia(decoder(params)?)
        };
        // Only these count what is left after trimming.
        let promised = track.num_frames.filter(|_| matches!(kind, Kind::Flac | Kind::Mp3));
        let track = track.id;
        Ok(Sound { skip, promised, ..Self::new(0, 0, Source::Coded { format, track, decoder }) })
    }

    fn new(rate: u32, channels: u16, source: Source) -> Sound {
        Sound { rate, channels, source, samples: Vec::new(), fresh: false, skip: 0, given: 0, promised: None }
    }

    /// Decodes up to the next samples that count; false at the end.
    fn fill(&mut self) -> Result<bool, Unreadable> {
        self.samples.clear();
        while self.samples.is_empty() {
            match &mut self.source {
                Source::Wav { reader, samples } => {
                    let most = WAV_PIECE / usize::from(self.channels) * usize::from(self.channels) * samples.bytes();
                    let mut bytes = Vec::with_capacity(most);
                    reader.by_ref().take(most as u64).read_to_end(&mut bytes)?;
                    if bytes.is_empty() {
                        return Ok(false);
                    }
                    samples.decode(&bytes, &mut self.samples);
                }
                Source::Coded { format, track, decoder } => {
                    let packet = match format.next_packet() {
                        Ok(Some(packet)) => packet,
                        // A second stream behind the first (chained Ogg) is another sound.
                        Ok(None) | Err(Error::ResetRequired) => return self.ended(),
                        Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                            return self.ended();
                        }
                        Err(error) => return Err(error.into()),
                    };
                    if packet.track_id != *track {
                        continue;
                    }
                    let Some((rate, channels)) = decoder.decode(&packet, &mut self.samples)? else { continue };
                    if self.rate != 0 && (rate, channels) != (self.rate, self.channels) {
                        return Err(Unreadable::Broken("its rate changes".to_owned()));
                    }
                    (self.rate, self.channels) = (rate, channels);
                    self.leave_out_beginning();
                }
            }
        }
        self.given += self.samples.len() as u64 / u64::from(self.channels.max(1));
        Ok(true)
    }

    /// The end is one only where something came before.
    fn ended(&self) -> Result<bool, Unreadable> {
        if self.rate == 0 { Err(Unreadable::silent()) } else { Ok(false) }
    }

    fn leave_out_beginning(&mut self) {
        if self.skip > 0 {
            let channels = usize::from(self.channels.max(1));
            let frames = (self.samples.len() / channels).min(self.skip as usize);
            self.samples.drain(..frames * channels);
            self.skip -= frames as u64;
        }
    }
}

impl Decoder {
    /// Decodes a packet into `samples`, and gives rate and channels; nothing where the packet is damaged.
    fn decode(&mut self, packet: &Packet, samples: &mut Vec<f32>) -> Result<Option<(u32, u16)>, Unreadable> {
        match self {
            Decoder::Symphonia(decoder) => match decoder.decode(packet) {
                Ok(decoded) => {
                    decoded.copy_to_vec_interleaved(samples);
                    Ok(Some((decoded.spec().rate(), decoded.spec().channels().count() as u16)))
                }
                Err(Error::DecodeError(_) | Error::IoError(_)) => Ok(None),
                Err(error) => Err(error.into()),
            },
            Decoder::Opus(decoder) => {
                let channels = decoder.channels().count();
                samples.resize(decoder.max_frame_samples_per_channel() * channels, 0.0);
                let frames = decoder.decode_float(&packet.data, samples, DecodeMode::Normal).unwrap_or(0);
                let kept = frames.saturating_sub(packet.trim_end.get() as usize);
                samples.truncate(kept * channels);
                Ok((frames > 0).then_some((OPUS_RATE, channels as u16)))
            }
        }
    }
}

/// Refuses what only a broken header says, before anything is reckoned with it.
pub(crate) fn usual(rate: u32, channels: u16) -> Result<(), Unreadable> {
    if (1_000..=384_000).contains(&rate) && (1..=8).contains(&channels) {
        return Ok(());
    }
    Err(Unreadable::Broken(format!("it has {channels} channels of {rate} Hz")))
}

fn decoder(params: &AudioCodecParameters) -> Result<Box<dyn AudioDecoder>, Unreadable> {
    let options = AudioDecoderOptions::default();
    symphonia::default::get_codecs()
        .make_audio_decoder(params, &options)
        .map_err(|_| Unreadable::Broken("its codec is not one that is read here".to_owned()))
}

/// What a file says of its Opus (RFC 7845, section 5.1).
struct OpusHead {
    channels: usize,
    pre_skip: u64,
}

impl OpusHead {
    fn of(params: &AudioCodecParameters) -> OpusHead {
        match params.extra_data.as_deref() {
            Some([b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', _, channels, low, high, ..]) => {
                OpusHead { channels: usize::from(*channels), pre_skip: u64::from(u16::from_le_bytes([*low, *high])) }
            }
            _ => OpusHead { channels: params.channels.as_ref().map_or(1, |channels| channels.count()), pre_skip: 0 },
        }
    }

    fn decoder(&self) -> Result<ropus::Decoder, Unreadable> {
        let channels = match self.channels {
            1 => Channels::Mono,
            2 => Channels::Stereo,
            more => return Err(Unreadable::Broken(format!("Opus of {more} channels is not read"))),
        };
        ropus::Decoder::new(OPUS_RATE, channels).map_err(|_| Unreadable::Broken("its Opus is not read".to_owned()))
    }
}
