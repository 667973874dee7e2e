//! Components and the app's build inside this program's own file, behind its code: `hybrid-ai` alone is a platform.
//!
//! The file is `[program][files, each from a page of its own on][index, as JSON][where the index is, and a mark]`. The
//! code of the components is compiled for a common CPU; on another one, or with settings of the compiler that do not fit,
//! their Wasm is there to be compiled at the first start.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use wasmtime::Engine;
use wasmtime::component::Component;

/// The last bytes of a file that holds something.
const MARK: &[u8; 8] = b"hybridAI";
/// Two numbers and the mark.
const TAIL_BYTES: u64 = 24;
/// What maps a file maps pages.
const PAGE: u64 = 4096;
/// Some tens of components and some hundred files.
const MAX_INDEX_BYTES: u64 = 1024 * 1024;

/// Lives as long as the process.
pub struct Payload {
    file: File,
    index: Index,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Index {
    components: Vec<Inside>,
    app: Vec<Page>,
}

/// A component that is inside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Inside {
    pub name: String,
    /// Of its Wasm.
    pub sha256: String,
    wasm: Span,
    code: Span,
}

impl Inside {
    pub fn size_bytes(&self) -> u64 {
        self.wasm.length
    }
}

/// A file of the app's build.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page {
    /// Below the build's folder, with `/`.
    pub path: String,
    /// Another one for other bytes.
    pub tag: u64,
    bytes: Span,
}

impl Page {
    pub fn size_bytes(&self) -> u64 {
        self.bytes.length
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Span {
    at: u64,
    length: u64,
}

impl Payload {
    /// What is inside this program.
    pub fn of_this_program() -> Result<Option<Arc<Self>>> {
        // The file that runs, also where another one has taken its name.
        let running = Path::new("/proc/self/exe");
        let file = match File::open(running) {
            Ok(file) => file,
            Err(_) => File::open(std::env::current_exe()?).context("reading this program")?,
        };
        Ok(Self::read(file)?.map(Arc::new))
    }

    /// `None` where a file ends like any other.
    pub fn read(mut file: File) -> Result<Option<Self>> {
        let end = file.seek(SeekFrom::End(0))?;
        let Some(place) = end.checked_sub(TAIL_BYTES) else { return Ok(None) };
        let mut tail = [0; TAIL_BYTES as usize];
        file.read_exact_at(&mut tail, place)?;
        let (numbers, mark) = tail.split_at(16);
        if mark != MARK {
            return Ok(None);
        }
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        let (at, length) = (number(&numbers[..8]), number(&numbers[8..]));
        ensure!(
            length <= MAX_INDEX_BYTES && at.checked_add(length) == Some(place),
            "this program's file is not whole: get it again"
        );
        let mut text = vec![0; usize::try_from(length)?];
        file.read_exact_at(&mut text, at)?;
        let index = serde_json::from_slice(&text).context("this program's file is not whole: get it again")?;
        Ok(Some(Self { file, index }))
    }

    pub fn components(&self) -> &[Inside] {
        &self.index.components
    }

    /// The Wasm of one of them.
    pub fn wasm(&self, inside: &Inside) -> io::Result<Vec<u8>> {
        self.bytes(inside.wasm)
    }

    /// Its code, where that is for this machine and this engine.
    pub fn code(&self, engine: &Engine, inside: &Inside) -> Result<Component> {
        ready(engine, &self.file, inside.code)
    }

    pub fn has_app(&self) -> bool {
        !self.index.app.is_empty()
    }

    /// A file of the app's build.
    pub fn page(&self, path: &str) -> Option<&Page> {
        let place = self.index.app.binary_search_by(|page| page.path.as_str().cmp(path)).ok()?;
        Some(&self.index.app[place])
    }

    pub fn page_bytes(&self, page: &Page) -> io::Result<Vec<u8>> {
        self.bytes(page.bytes)
    }

    fn bytes(&self, span: Span) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(span.length).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, span.at)?;
        Ok(bytes)
    }
}

/// Wasmtime maps whole files only, so the code becomes one, in memory: pages that nobody touches are in no process, and
/// the memory that a component begins with, weights above all, is mapped from it as it is from a file on disk.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the code is part of this program, and as trusted as the rest of it")]
fn ready(engine: &Engine, file: &File, span: Span) -> Result<Component> {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{MemfdFlags, ftruncate, memfd_create, sendfile};

    let made = memfd_create(c"hybrid-ai-code", MemfdFlags::CLOEXEC).context("making a file in memory")?;
    ftruncate(&made, span.length)?;
    let (mut from, end) = (span.at, span.at + span.length);
    while from < end {
        let left = usize::try_from(end - from)?;
        let sent = sendfile(&made, file, Some(&mut from), left)?;
        ensure!(sent > 0, "this program's file is not whole: get it again");
    }
    let path = format!("/proc/self/fd/{}", made.as_raw_fd());
    // SAFETY: it was written by this very version's compiler (`write`), nobody else has this file in memory, and wasmtime
    // checks that it is for this CPU and these settings.
    Ok(unsafe { Component::deserialize_file(engine, path) }?)
}

#[cfg(not(target_os = "linux"))]
#[expect(unsafe_code, reason = "the code is part of this program, and as trusted as the rest of it")]
fn ready(engine: &Engine, file: &File, span: Span) -> Result<Component> {
    let mut bytes = vec![0; usize::try_from(span.length)?];
    file.read_exact_at(&mut bytes, span.at)?;
    // SAFETY: it was written by this very version's compiler (`write`), and wasmtime checks that it is for this CPU and
    // these settings.
    Ok(unsafe { Component::deserialize(engine, bytes) }?)
}

/// A component to be put inside.
pub struct Part {
    pub name: String,
    pub sha256: String,
    pub wasm: Vec<u8>,
    pub code: Vec<u8>,
}

/// Writes a program with these components and these files of the app (by path) inside.
pub fn write(program: &Path, parts: &[Part], app: &[(String, Vec<u8>)], output: &Path) -> Result<()> {
    let mut out = Out { file: io::BufWriter::new(File::create(output)?), at: 0 };
    let mut program = File::open(program).with_context(|| format!("reading {}", program.display()))?;
    ensure!(Payload::read(program.try_clone()?)?.is_none(), "this program has components inside already");
    program.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    program.read_to_end(&mut bytes)?;
    out.put(&bytes)?;
    let mut index = Index::default();
    for part in parts {
        index.components.push(Inside {
            name: part.name.clone(),
            sha256: part.sha256.clone(),
            // What the start maps lies together.
            code: out.span(&part.code)?,
            wasm: Span { at: 0, length: 0 },
        });
    }
    for (part, inside) in parts.iter().zip(&mut index.components) {
        inside.wasm = out.span(&part.wasm)?;
    }
    for (path, bytes) in app {
        let tag = u64::from_str_radix(&crate::component::sha256(bytes)[..16], 16)?;
        index.app.push(Page { path: path.clone(), tag, bytes: out.span(bytes)? });
    }
    index.app.sort_by(|one, other| one.path.cmp(&other.path));
    let text = serde_json::to_vec(&index)?;
    ensure!(text.len() as u64 <= MAX_INDEX_BYTES, "there are too many files to put inside");
    let place = out.at;
    out.put(&text)?;
    out.put(&place.to_le_bytes())?;
    out.put(&(text.len() as u64).to_le_bytes())?;
    out.put(MARK)?;
    out.file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(())
}

struct Out {
    file: io::BufWriter<File>,
    at: u64,
}

impl Out {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// From the next page on.
    fn span(&mut self, bytes: &[u8]) -> Result<Span> {
        let gap = self.at.next_multiple_of(PAGE) - self.at;
        self.put(&vec![0; usize::try_from(gap)?])?;
        let at = self.at;
        self.put(bytes)?;
        Ok(Span { at, length: bytes.len() as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("hybrid-ai-payload-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[test]
    fn what_was_put_inside_is_found_again() {
        let folder = folder();
        let (program, output) = (folder.join("program"), folder.join("output"));
        std::fs::write(&program, b"\x7fELF and so on").expect("a file");
        let part =
            Part { name: "one".into(), sha256: "00".into(), wasm: b"\0asm".to_vec(), code: b"machine code".to_vec() };
        let app = [("z.js".to_owned(), b"z".to_vec()), ("a/index.html".to_owned(), b"<p>".to_vec())];
        write(&program, &[part], &app, &output).expect("written");
        assert!(std::fs::read(&output).expect("a file").starts_with(b"\x7fELF and so on"));
        let payload = Payload::read(File::open(&output).expect("a file")).expect("whole").expect("something inside");
        let [inside] = payload.components() else { panic!("one component") };
        assert_eq!((inside.name.as_str(), inside.code.at % PAGE), ("one", 0));
        assert_eq!(payload.wasm(inside).expect("bytes"), b"\0asm");
        let page = payload.page("a/index.html").expect("a page");
        assert_eq!(payload.page_bytes(page).expect("bytes"), b"<p>");
        assert!(payload.page("a").is_none() && payload.has_app());
        // A program like any other, and one that was cut off or grew.
        assert!(Payload::read(File::open(&program).expect("a file")).expect("readable").is_none());
        let mut bytes = std::fs::read(&output).expect("a file");
        bytes.drain(100..200);
        std::fs::write(&program, &bytes).expect("a file");
        assert!(Payload::read(File::open(&program).expect("a file")).is_err());
        std::fs::remove_dir_all(folder).expect("it was there");
    }
}
