//! The files of a build, by the path in an address.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::asked::Encodings;
use crate::payload::Payload;

/// The page for every address that is no file.
const INDEX: &str = "index.html";
/// A build is 3 MB; what is larger than this is no part of one.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Kept in memory, so that slow readers of one file share its bytes. Rebuilt files push out their predecessors.
const MAX_KEPT_BYTES: usize = 64 * 1024 * 1024;

pub struct Files {
    folders: Vec<PathBuf>,
    inside: Option<Arc<Payload>>,
    kept: Mutex<HashMap<PathBuf, Kept>>,
}

struct Kept {
    mark: u128,
    bytes: Bytes,
}

/// Where a build lies.
enum Build<'a> {
    Folder(&'a Path),
    Inside(&'a Payload),
}

impl Build<'_> {
    /// What tells one state of a file from another, and its size; none where there is no such file.
    fn look(&self, path: &str) -> Option<(u128, u64)> {
        match self {
            Build::Folder(folder) => {
                let about = folder.join(path).metadata().ok().filter(std::fs::Metadata::is_file)?;
                let since = about.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
                Some((since.as_nanos(), about.len()))
            }
            Build::Inside(payload) => payload.page(path).map(|page| (u128::from(page.tag), page.size_bytes())),
        }
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        match self {
            Build::Folder(folder) => std::fs::read(folder.join(path)).ok(),
            Build::Inside(payload) => payload.page_bytes(payload.page(path)?).ok(),
        }
    }
}

/// A file, in the encoding chosen for the client.
pub struct Found {
    pub bytes: Bytes,
    pub tag: String,
    pub content_type: &'static str,
    pub encoding: Option<&'static str>,
    /// Whether another client might get another encoding of it.
    pub is_varied: bool,
    is_fixed: bool,
}

impl Found {
    /// What carries its content's hash in its name never changes; all else is asked for again.
    pub fn cache_control(&self) -> &'static str {
        if self.is_fixed { "public, max-age=31536000, immutable" } else { "no-cache" }
    }
}

impl Files {
    pub fn new(folders: Vec<PathBuf>, inside: Option<Arc<Payload>>) -> Self {
        Self { folders, inside, kept: Mutex::default() }
    }

    fn build(&self) -> Option<Build<'_>> {
        let folders = self.folders.iter().map(|folder| Build::Folder(folder));
        let mut all = folders.chain(self.inside.as_deref().map(Build::Inside));
        all.find(|build| build.look(INDEX).is_some())
    }

    /// The file at this path below the base as it stands in the address, still percent-encoded. Blocks.
    pub fn find(&self, inside: &str, encodings: Encodings) -> Option<Found> {
        let build = self.build()?;
        let inside = if inside.is_empty() { INDEX.to_owned() } else { safe(inside)? };
        let (content_type, is_text) = content_type(&inside)?;
        build.look(&inside)?;
        // The build puts encoded twins beside its files.
        let twins = encodings.in_order().filter(|_| is_text);
        let twin = twins
            .map(|(name, ending)| (name, format!("{inside}.{ending}")))
            .find(|(_, path)| build.look(path).is_some());
        let is_fixed = has_hash(Path::new(&inside).file_name()?.to_str()?);
        let (encoding, path) = twin.map_or((None, inside), |(name, path)| (Some(name), path));
        let (bytes, mark) = self.read(&build, &path)?;
        let tag = format!("\"{mark:x}-{:x}{}\"", bytes.len(), encoding.map_or("", |name| &name[..1]));
        Some(Found { bytes, tag, content_type, encoding, is_varied: is_text, is_fixed })
    }

    fn read(&self, build: &Build<'_>, path: &str) -> Option<(Bytes, u128)> {
        let (mark, size) = build.look(path)?;
        if size > MAX_FILE_BYTES {
            return None;
        }
        let place = match build {
            Build::Folder(folder) => folder.join(path),
            Build::Inside(_) => PathBuf::from(path),
        };
        if let Some(kept) = self.kept.lock().expect("nobody panics holding it").get(&place)
            && kept.mark == mark
            && kept.bytes.len() as u64 == size
        {
            return Some((kept.bytes.clone(), mark));
        }
        let bytes = Bytes::from(build.read(path)?);
        let mut kept = self.kept.lock().expect("nobody panics holding it");
        if kept.values().map(|one| one.bytes.len()).sum::<usize>() + bytes.len() > MAX_KEPT_BYTES {
            kept.clear();
        }
        kept.insert(place, Kept { mark, bytes: bytes.clone() });
        Some((bytes, mark))
    }
}

/// Whether an address without a file may be that of a screen. Files have an ending.
pub fn may_be_a_screen(inside: &str) -> bool {
    inside.is_empty() || safe(inside).is_some_and(|path| !path.rsplit('/').next().unwrap_or_default().contains('.'))
}

/// The path decoded, where it names something below the folder: nothing hidden, nothing above, one spelling.
fn safe(inside: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(inside.len());
    let mut rest = inside.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok().filter(|two| !two.starts_with('+'))?, 16).ok()?
            }
            byte => byte,
        });
    }
    let path = String::from_utf8(bytes).ok()?;
    // An encoded slash would be another path than the one that was asked for.
    let same_depth = path.matches('/').count() == inside.matches('/').count();
    let trimmed = path.strip_suffix('/').unwrap_or(&path);
    let sane = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && !segment.contains(|c: char| c == '\\' || c == ':' || c.is_control())
    };
    (same_depth && trimmed.split('/').all(sane)).then(|| trimmed.to_owned())
}

/// By the file's ending, with whether it is text that compresses. What is not here is no part of a page, the encoded
/// twins of files among it.
fn content_type(path: &str) -> Option<(&'static str, bool)> {
    Some(match path.rsplit_once('.')?.1 {
        "html" => ("text/html; charset=utf-8", true),
        "js" | "mjs" => ("text/javascript; charset=utf-8", true),
        "css" => ("text/css; charset=utf-8", true),
        "json" | "map" => ("application/json", true),
        "webmanifest" => ("application/manifest+json", true),
        "svg" => ("image/svg+xml", true),
        "txt" => ("text/plain; charset=utf-8", true),
        "ico" => ("image/x-icon", true),
        "wasm" => ("application/wasm", true),
        "ttf" => ("font/ttf", true),
        "otf" => ("font/otf", true),
        "woff" => ("font/woff", false),
        "woff2" => ("font/woff2", false),
        "png" => ("image/png", false),
        "jpg" | "jpeg" => ("image/jpeg", false),
        "gif" => ("image/gif", false),
        "webp" => ("image/webp", false),
        "avif" => ("image/avif", false),
        "mp3" => ("audio/mpeg", false),
        "wav" => ("audio/wav", false),
        _ => return None,
    })
}

/// Bundlers put 128 bits of hash into the names of files that never change.
fn has_hash(name: &str) -> bool {
    name.split(|c: char| !c.is_ascii_hexdigit()).any(|run| run.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_folder_or_is_hidden_is_no_path() {
        for inside in [
            "..",
            "../x",
            "a/../../x",
            "%2e%2e/x",
            "a/%2e%2e/x",
            "..%2fx",
            "a%2fb",
            "a%5cb",
            "a\\b",
            "a//b",
            "/etc/passwd",
            ".git/config",
            "a/.env",
            "a%00b",
            "c:x",
            "%",
            "%4",
            "%+1",
            "%zz",
            "%ff",
        ] {
            assert_eq!(safe(inside), None, "{inside}");
        }
        assert_eq!(safe("assets/%40scope/a%20b.png").as_deref(), Some("assets/@scope/a b.png"));
        assert_eq!(safe("chat/").as_deref(), Some("chat"));
    }

    #[test]
    fn screens_have_no_ending() {
        assert!(may_be_a_screen("") && may_be_a_screen("item/3f-1"));
        assert!(!may_be_a_screen("_expo/static/gone.js"));
        assert!(!may_be_a_screen("../x"));
    }

    #[test]
    fn a_hash_in_the_name_means_for_ever() {
        assert!(has_hash("index-a67777874740095beebf9ab60adab304.js"));
        assert!(has_hash("clear-icon.c94f6478e7ae0cdd9f15de1fcb9e5e55@2x.png"));
        assert!(!has_hash("index.html") && !has_hash("sw.js") && !has_hash("abcdef.js"));
    }
}
