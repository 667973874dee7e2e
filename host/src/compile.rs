//! Compiling, away from the threads that serve.
//!
//! A component is somebody's file. What it can make the compiler do is bounded by doing it in a process of its own: this
//! program started again, with less priority, so much memory and so much time. What comes out is a file by the hash of
//! what went in, so that known bytes are never compiled twice.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{Hash as _, Hasher as _};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail};
use wasmtime::component::Component;
use wasmtime::{CacheStore, Engine};

use crate::config::Limits;
use crate::{folders, store, turns};

/// Compiled files that are kept: some versions of some tens of components. Those used longest ago go first.
const KEPT_FILES: usize = 256;
/// What was compiled function by function is not kept past this.
const MAX_FUNCTIONS_BYTES: usize = 64 * 1024 * 1024;
/// The compiler's own words; a hostile component's names may be in them.
const MAX_WORDS: u64 = 4 * 1024;

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error("compiling took longer than {limit_ms} ms, `limits.compile_ms`")]
    TooSlow { limit_ms: u64 },
    #[error("compiling needed more than {limit_bytes} bytes, `limits.compile_memory_bytes`, or crashed ({status})")]
    TooLarge { limit_bytes: u64, status: String },
    #[error("{0}")]
    Invalid(String),
    /// Ours: no process, no disk.
    #[error(transparent)]
    Broken(anyhow::Error),
}

/// Makes code of bytes. Lives as long as the process.
pub struct Compiler {
    program: PathBuf,
    cache: PathBuf,
    compatibility: String,
}

/// What the process that compiles is told, as its arguments.
#[derive(Debug, Default)]
pub struct Task {
    pub output: PathBuf,
    pub functions: PathBuf,
    pub compatibility: String,
    pub memory_bytes: u64,
    pub seconds: u64,
}

impl Compiler {
    pub fn new(engine: &Engine, program: &Path, data_dir: &Path) -> Self {
        Self { program: program.to_owned(), cache: data_dir.join("compiled"), compatibility: compatibility(engine) }
    }

    /// The code of these bytes: from the cache, or compiled now.
    pub fn code(
        &self,
        engine: &Engine,
        limits: &Limits,
        name: &str,
        bytes: &[u8],
        sha256: &str,
    ) -> Result<Component, Failed> {
        let file = self.cache.join(format!("{sha256}-{}.cwasm", self.compatibility));
        if folders::own(&self.cache).is_none() {
            let place = self.cache.display();
            let reason = "compiled code is kept there, and it must be a folder of this user's own: set HYBRID_DATA_DIR";
            return Err(Failed::Broken(anyhow!("{place} cannot be used: {reason}")));
        }
        if let Ok(code) = trusted(engine, &file) {
            // So that it is among the last to go.
            let _ = std::fs::File::open(&file).and_then(|file| file.set_modified(SystemTime::now()));
            return Ok(code);
        }
        self.compile(limits, name, bytes, &file)?;
        let code = trusted(engine, &file).map_err(Failed::Broken)?;
        self.tidy();
        Ok(code)
    }

    fn compile(&self, limits: &Limits, name: &str, bytes: &[u8], file: &Path) -> Result<(), Failed> {
        let part = self
            .cache
            .join(format!(".{}-{:?}", std::process::id(), std::thread::current().id()).replace(['(', ')'], ""));
        let task = Task {
            output: part.clone(),
            functions: self.cache.join(format!("{name}-{}.functions", self.compatibility)),
            compatibility: self.compatibility.clone(),
            memory_bytes: limits.compile_memory_bytes,
            seconds: limits.compile_ms.div_ceil(1000),
        };
        std::fs::create_dir_all(&self.cache)
            .with_context(|| format!("making {}", self.cache.display()))
            .map_err(Failed::Broken)?;
        let made = self
            .run(limits, &task, bytes)
            .and_then(|()| std::fs::rename(&part, file).context("keeping compiled code").map_err(Failed::Broken));
        if made.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        made
    }

    fn run(&self, limits: &Limits, task: &Task, bytes: &[u8]) -> Result<(), Failed> {
        let mut child = Command::new(&self.program)
            .args(task.arguments())
            .env_clear()
            // What is only reserved must not count as used.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {} to compile", self.program.display()))
            .map_err(Failed::Broken)?;
        let deadline = Instant::now() + Duration::from_millis(limits.compile_ms);
        let (mut input, words) = (child.stdin.take(), child.stderr.take());
        let (told, heard) = mpsc::channel();
        let ended = std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut text = String::new();
                if let Some(words) = words {
                    let _ = words.take(MAX_WORDS).read_to_string(&mut text);
                }
                let _ = told.send(text);
            });
            scope.spawn(move || {
                // It reads all of it before anything else; where it has ended meanwhile, its words say why.
                let _ = input.as_mut().map(|input| input.write_all(bytes));
            });
            let text = heard.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            if text.is_err() {
                let _ = child.kill();
            }
            let status = child.wait();
            text.ok().zip(status.ok())
        });
        match ended {
            None => Err(Failed::TooSlow { limit_ms: limits.compile_ms }),
            Some((_, status)) if status.success() => Ok(()),
            Some((text, status)) if status.code() == Some(1) && !text.trim().is_empty() => {
                let told = text.trim().trim_start_matches("hybrid-ai: ");
                Err(Failed::Invalid(told.to_owned()))
            }
            Some((_, status)) if xcpu(status) => Err(Failed::TooSlow { limit_ms: limits.compile_ms }),
            Some((_, status)) => {
                Err(Failed::TooLarge { limit_bytes: limits.compile_memory_bytes, status: status.to_string() })
            }
        }
    }

    /// Removes the files used longest ago.
    fn tidy(&self) {
        let Ok(entries) = self.cache.read_dir() else { return };
        let mut files: Vec<(SystemTime, PathBuf)> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let path = entry.path();
                let compiled = path.extension().is_some_and(|extension| extension == "cwasm");
                compiled.then(|| Some((entry.metadata().ok()?.modified().ok()?, path)))?
            })
            .collect();
        if files.len() > KEPT_FILES {
            files.sort();
            for (_, file) in &files[..files.len() - KEPT_FILES] {
                let _ = std::fs::remove_file(file);
            }
        }
    }
}

/// Whether the system ended it for its CPU time.
fn xcpu(status: std::process::ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    const SIGKILL: i32 = 9;
    const SIGXCPU: i32 = 24;
    matches!(status.signal(), Some(SIGXCPU | SIGKILL))
}

/// Everything about the compiler that matters, so that a stale file is never even looked at.
pub fn compatibility(engine: &Engine) -> String {
    let mut compiler = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compiler);
    format!("{:016x}", compiler.finish())
}

#[expect(unsafe_code, reason = "compiled code is code: it is loaded from the operator's own directory only")]
fn trusted(engine: &Engine, file: &Path) -> Result<Component> {
    // SAFETY: the file was written by our own compiler, in a directory only the operator writes to; wasmtime checks that
    // version and settings of the compiler match. Mapped from the file rather than from memory, its pages are shared and
    // loaded as they are touched.
    Ok(unsafe { Component::deserialize_file(engine, file) }?)
}

impl Task {
    /// The command line that [`Task::parse`] reads.
    fn arguments(&self) -> [std::ffi::OsString; 6] {
        [
            "compile".into(),
            self.output.clone().into(),
            self.functions.clone().into(),
            self.compatibility.clone().into(),
            self.memory_bytes.to_string().into(),
            self.seconds.to_string().into(),
        ]
    }

    pub fn parse(mut words: impl Iterator<Item = std::ffi::OsString>) -> Result<Self> {
        let mut next = || words.next().context("`compile` is what the host starts for itself");
        let output = next()?.into();
        let functions = next()?.into();
        let mut text = || next()?.into_string().ok().context("no text");
        let compatibility = text()?;
        Ok(Self { output, functions, compatibility, memory_bytes: text()?.parse()?, seconds: text()?.parse()? })
    }

    /// The process that compiles: bytes come on standard input, code goes into the file named.
    pub fn run(&self) -> Result<()> {
        confine(self.memory_bytes, self.seconds);
        // And not idle: a swap must come through on a busy machine too.
        turns::give_way();
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes)?;
        let functions = Arc::new(Functions::read(&self.functions));
        let engine = store::compiler(Arc::clone(&functions) as _)?;
        if compatibility(&engine) != self.compatibility {
            bail!("the program on disk is another one than the one that runs: start it again");
        }
        let code = engine.precompile_component(&bytes)?;
        std::fs::write(&self.output, code)?;
        // Without it the next compilation takes longer, and that is all.
        let _ = functions.write(&self.functions);
        Ok(())
    }
}

/// Takes from this process what it must not use.
#[cfg(target_os = "linux")]
fn confine(memory_bytes: u64, seconds: u64) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let most = |limit| Rlimit { current: Some(limit), maximum: Some(limit) };
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let _ = setrlimit(Resource::Data, most(memory_bytes));
    let _ = setrlimit(Resource::Cpu, most(seconds.saturating_mul(cores).max(1)));
    let _ = setrlimit(Resource::Core, most(0));
}

#[cfg(not(target_os = "linux"))]
fn confine(_: u64, _: u64) {}

/// What is compiled already, function by function: a new version of a component shares most of them with the last.
#[derive(Debug, Default)]
struct Functions {
    known: HashMap<Vec<u8>, Vec<u8>>,
    used: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
}

impl Functions {
    fn read(file: &Path) -> Self {
        let bytes = std::fs::read(file).unwrap_or_default();
        let mut rest = bytes.as_slice();
        let mut known = HashMap::new();
        while let Some((key, value)) = chunk(&mut rest).zip(chunk(&mut rest)) {
            known.insert(key.to_vec(), value.to_vec());
        }
        Self { known, used: Mutex::default() }
    }

    /// Keeps what this compilation used, in place of what the last one did.
    fn write(&self, file: &Path) -> Result<()> {
        let used = self.used.lock().expect("nobody panics holding it");
        if used.len() == self.known.len() && used.keys().all(|key| self.known.contains_key(key)) {
            return Ok(());
        }
        let mut out = Vec::new();
        for (key, value) in used.iter() {
            for part in [key, value] {
                out.extend_from_slice(&u32::try_from(part.len())?.to_le_bytes());
                out.extend_from_slice(part);
            }
        }
        if out.len() > MAX_FUNCTIONS_BYTES {
            bail!("too much to keep");
        }
        let part = file.with_extension(format!("part{}", std::process::id()));
        std::fs::write(&part, out)?;
        std::fs::rename(&part, file)?;
        Ok(())
    }
}

fn chunk<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    let (chunk, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(chunk)
}

impl CacheStore for Functions {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let value = self.known.get(key)?;
        self.used.lock().expect("nobody panics holding it").insert(key.to_vec(), value.clone());
        Some(Cow::Borrowed(value))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        self.used.lock().expect("nobody panics holding it").insert(key.to_vec(), value);
        true
    }
}
