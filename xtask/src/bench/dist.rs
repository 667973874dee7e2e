//! `bench dist`: how soon the one file answers, alone in an empty folder and with an empty environment, and what memory it
//! takes while nobody asks.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::server::status_kb;
use crate::dist;

/// So many starts; the middle one counts.
const STARTS: usize = 9;
/// Nobody asks for so long before memory is looked at.
const REST: Duration = Duration::from_secs(2);
/// What was promised.
const MAX_START: Duration = Duration::from_millis(150);
const MAX_IDLE_MB: f64 = 60.0;

pub(super) fn run() -> anyhow::Result<()> {
    dist::build()?;
    let file = dist::file();
    println!("\nthe one file, {:.0} MB, in an empty folder with an empty environment", size_mb(&file)?);
    let mut times = Vec::new();
    let mut idle = 0.0;
    for start in 0..STARTS {
        let alone = Alone::start(&file, &[], &[])?;
        times.push(alone.answered);
        if start + 1 == STARTS {
            std::thread::sleep(REST);
            idle = alone.resident_mb()?;
        }
    }
    times.sort_unstable();
    let middle = times[STARTS / 2];
    println!(
        "start to first answer   {:>6.0} ms (from {:.0} to {:.0}; at most {} promised)",
        millis(middle),
        millis(times[0]),
        millis(times[STARTS - 1]),
        MAX_START.as_millis()
    );
    println!("resident while idle     {idle:>6.1} MB (at most {MAX_IDLE_MB} promised)");
    ensure!(middle <= MAX_START && idle <= MAX_IDLE_MB, "that is more than was promised");
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn size_mb(file: &Path) -> anyhow::Result<f64> {
    Ok(fs::metadata(file)?.len() as f64 / 1e6)
}

/// An answer.
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
}

/// The file, started alone. The process and its folder end with this.
pub struct Alone {
    process: Child,
    folder: PathBuf,
    pub address: String,
    admin: mpsc::Receiver<String>,
    /// From the start of the process to its first answer.
    pub answered: Duration,
}

impl Alone {
    /// With more words for it than where to listen, and more environment than none.
    pub fn start(file: &Path, words: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("hybrid-ai-alone-{}-{count}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let program = folder.join("hybrid-ai");
        // The same bytes by another name, so that nothing lies beside them.
        if fs::hard_link(file, &program).is_err() {
            fs::copy(file, &program)?;
        }
        let began = Instant::now();
        let mut process = Command::new(&program)
            .args(["--listen", "127.0.0.1:0"])
            .args(words)
            .current_dir(&folder)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let mut lines = BufReader::new(process.stderr.take().context("stderr is piped")?).lines();
        let (told, admin) = mpsc::channel();
        let mut alone = Self { process, folder, address: String::new(), admin, answered: Duration::ZERO };
        let mut said = String::new();
        while alone.address.is_empty() {
            let line = lines.next().with_context(|| format!("it ended: {said}"))??;
            if let Some(address) = line.strip_prefix("listening on http://") {
                alone.address = address.trim_end_matches('/').to_owned();
            }
            said.push_str(&line);
        }
        // A full pipe would stop it.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line: Value = serde_json::from_str(&line).unwrap_or_default();
                if line["message"] == "the admin address" {
                    let _ = told.send(line["listen"].as_str().unwrap_or_default().to_owned());
                }
            }
        });
        let answer = alone.ask("GET /health HTTP/1.0\r\n", b"")?;
        ensure!(answer.status == 200, "it answers {}", answer.status);
        alone.answered = began.elapsed();
        Ok(alone)
    }

    /// The answer to a request that begins like this. In HTTP/1.0, which has no chunks to put together.
    pub fn ask(&self, head: &str, body: &[u8]) -> anyhow::Result<Reply> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        write!(stream, "{head}host: {}\r\ncontent-length: {}\r\n\r\n", self.address, body.len())?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("a head")?;
        let body = answer.split_off(end + 4);
        let head = String::from_utf8(answer)?;
        let status = head.split(' ').nth(1).context("a status")?.parse()?;
        Ok(Reply { status, body })
    }

    /// Where an operator is listened to.
    pub fn admin(&self) -> anyhow::Result<String> {
        self.admin.recv_timeout(Duration::from_secs(20)).context("it tells of no admin address")
    }

    /// What this very program says when it is asked about a running one.
    pub fn command(&self, admin: &str, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(self.folder.join("hybrid-ai"));
        let output = command.args(words).args(["--admin", admin]).env_clear().output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    pub fn resident_mb(&self) -> anyhow::Result<f64> {
        Ok(status_kb(self.process.id(), "VmRSS:")? / 1000.0)
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
