use std::io::{Read, Seek, SeekFrom};

use crate::pieces::{Pieces, Reader};

/// How many samples the encoder put before the sound proper (AAC's priming), by the edit list of the first track that
/// sounds; 0 where the file does not say. The demuxer does not look there.
pub(crate) fn priming(bytes: &Pieces) -> u64 {
    let mut reader = bytes.reader(0);
    let mut traks = Vec::new();
    let end = bytes.len();
    if let Some((from, to)) = boxes(&mut reader, 0, end).into_iter().find_map(named(b"moov")) {
        traks.extend(boxes(&mut reader, from, to).into_iter().filter_map(named(b"trak")));
    }
    traks.into_iter().find_map(|(from, to)| sounding(&mut reader, from, to)).unwrap_or(0)
}

/// A box: its name, and where its content begins and ends.
type Found = ([u8; 4], u64, u64);

fn named(name: &'static [u8; 4]) -> impl FnMut(Found) -> Option<(u64, u64)> {
    move |(own, from, to)| (own == *name).then_some((from, to))
}

/// The boxes that lie side by side; of a broken file, those before the break.
fn boxes(reader: &mut Reader, mut at: u64, end: u64) -> Vec<Found> {
    let mut found = Vec::new();
    // A file has tens of them; a made-up one may have millions.
    while at + 8 <= end && found.len() < 1000 {
        let Some(head) = bytes_at::<16>(reader, at) else { break };
        let short = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let long = head[8..].iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        let (skipped, length) = match short {
            0 => (8, end - at),
            1 => (16, long),
            _ => (8, short),
        };
        let Some(next) = at.checked_add(length).filter(|next| *next <= end && length >= skipped) else { break };
        found.push(([head[4], head[5], head[6], head[7]], at + skipped, next));
        at = next;
    }
    found
}

/// The first edit's beginning in the media, where the track is one of sound.
fn sounding(reader: &mut Reader, from: u64, to: u64) -> Option<u64> {
    let inside = boxes(reader, from, to);
    let (from, to) = inside.iter().copied().find_map(named(b"mdia"))?;
    let (handler, _) = boxes(reader, from, to).into_iter().find_map(named(b"hdlr"))?;
    if &bytes_at::<12>(reader, handler)?[8..] != b"soun" {
        return None;
    }
    let Some((from, to)) = inside.iter().copied().find_map(named(b"edts")) else { return Some(0) };
    let (list, _) = boxes(reader, from, to).into_iter().find_map(named(b"elst"))?;
    let fields = bytes_at::<24>(reader, list)?;
    let start = match fields[0] {
        0 => i64::from(i32::from_be_bytes([fields[12], fields[13], fields[14], fields[15]])),
        _ => i64::from_be_bytes([
            fields[16], fields[17], fields[18], fields[19], fields[20], fields[21], fields[22], fields[23],
        ]),
    };
    // -1 is an empty edit; more than a second is an edit by a person, and still to be left out.
    u64::try_from(start).ok().or(Some(0))
}

/// The bytes from `at` on; zeros where the file has ended.
fn bytes_at<const N: usize>(reader: &mut Reader, at: u64) -> Option<[u8; N]> {
    reader.seek(SeekFrom::Start(at)).ok()?;
    let mut bytes = Vec::with_capacity(N);
    reader.by_ref().take(N as u64).read_to_end(&mut bytes).ok()?;
    bytes.resize(N, 0);
    bytes.try_into().ok()
}
