//! What the host says while running: one line per request, and a line for what an operator should know.
//!
//! JSON where nobody watches, words on a terminal. Lines are written by one thread of their own, many at a time, so a
//! slow terminal or pipe never holds up a request.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Condvar, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What may wait for the writer; past it lines are dropped rather than requests delayed, and the loss is told.
const WAITING_BYTES: usize = 8 * 1024 * 1024;
/// Lines are gathered this long before they are written: waking the writer for each cost 3 % of a busy host.
const GATHER: Duration = Duration::from_millis(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl Level {
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "error" | "critical" | "off" => Some(Level::Error),
            "warn" | "warning" => Some(Level::Warn),
            "info" => Some(Level::Info),
            "debug" | "trace" => Some(Level::Debug),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }
}

/// The value of one field of a line.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    Text(&'a str),
    Number(u64),
    Decimal(f64),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Value::Text(text)
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Value::Number(number)
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Value::Decimal(number)
    }
}

struct Log {
    level: AtomicU8,
    json: bool,
    waiting: Mutex<Waiting>,
    /// Told when the first line waits, and when all are written.
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    text: String,
    lost: u64,
    writing: bool,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Opens the log. Lines before this are dropped; a second call changes nothing.
pub fn open(level: Level) {
    let log = Log {
        level: AtomicU8::new(level as u8),
        json: !std::io::stderr().is_terminal(),
        waiting: Mutex::default(),
        changed: Condvar::new(),
    };
    if LOG.set(log).is_ok() {
        // Without a writer lines are gathered, and dropped past the limit; requests are served all the same.
        let _ = std::thread::Builder::new().name("log".into()).spawn(write_lines);
    }
}

/// Changes how much is said.
pub fn set_level(level: Level) {
    if let Some(log) = LOG.get() {
        log.level.store(level as u8, Ordering::Relaxed);
    }
}

/// Waits until everything said so far is written.
pub fn flush() {
    let Some(log) = LOG.get() else { return };
    let waiting = log.waiting.lock().expect("nobody panics holding it");
    let unwritten = |waiting: &mut Waiting| !waiting.text.is_empty() || waiting.writing;
    let _ = log.changed.wait_timeout_while(waiting, Duration::from_secs(2), unwritten);
}

fn write_lines() {
    let log = LOG.get().expect("it is set before its writer starts");
    let mut text = String::new();
    loop {
        let waiting = log.waiting.lock().expect("nobody panics holding it");
        let waiting = log.changed.wait_while(waiting, |waiting| waiting.text.is_empty());
        drop(waiting.expect("nobody panics holding it"));
        std::thread::sleep(GATHER);
        let mut waiting = log.waiting.lock().expect("nobody panics holding it");
        std::mem::swap(&mut text, &mut waiting.text);
        let lost = std::mem::take(&mut waiting.lost);
        waiting.writing = true;
        drop(waiting);
        if lost > 0 {
            let message = "log lines were dropped: stderr is read too slowly";
            text.push_str(&written(log, Level::Warn, message, &[("lines", lost.into())]));
        }
        // Where nobody reads stderr any more there is nobody to tell.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
        text.clear();
        log.waiting.lock().expect("nobody panics holding it").writing = false;
        log.changed.notify_all();
    }
}

pub fn enabled(level: Level) -> bool {
    LOG.get().is_some_and(|log| level as u8 <= log.level.load(Ordering::Relaxed))
}

/// One line. Fields keep one name everywhere; never a prompt, a payload or a token among them.
pub fn line(level: Level, message: &str, fields: &[(&str, Value<'_>)]) {
    let Some(log) = LOG.get() else { return };
    if level as u8 > log.level.load(Ordering::Relaxed) {
        return;
    }
    let text = written(log, level, message, fields);
    let mut waiting = log.waiting.lock().expect("nobody panics holding it");
    if waiting.text.len() + text.len() > WAITING_BYTES {
        waiting.lost += 1;
        return;
    }
    let first = waiting.text.is_empty();
    waiting.text.push_str(&text);
    drop(waiting);
    if first {
        log.changed.notify_all();
    }
}

fn written(log: &Log, level: Level, message: &str, fields: &[(&str, Value<'_>)]) -> String {
    if log.json { json_line(level, message, fields) } else { plain_line(level, message, fields) }
}

fn json_line(level: Level, message: &str, fields: &[(&str, Value<'_>)]) -> String {
    let mut out = String::with_capacity(384);
    out.push_str("{\"timestamp\":\"");
    out.push_str(&timestamp_millis());
    out.push_str("\",\"level\":\"");
    out.push_str(level.name());
    out.push_str("\",\"message\":");
    json_text(&mut out, message);
    for (name, value) in fields {
        out.push(',');
        json_text(&mut out, name);
        out.push(':');
        match value {
            Value::Text(text) => json_text(&mut out, text),
            Value::Number(number) => {
                let _ = write!(out, "{number}");
            }
            Value::Decimal(number) => {
                let _ = write!(out, "{number:.3}");
            }
        }
    }
    out.push_str("}\n");
    out
}

fn json_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn plain_line(level: Level, message: &str, fields: &[(&str, Value<'_>)]) -> String {
    let mut out = String::with_capacity(256);
    let _ = write!(out, "{} {:5} {}", &timestamp()[11..19], level.name(), clean(message));
    for (name, value) in fields {
        let _ = match value {
            Value::Text(text) => write!(out, " {name}={}", clean(text)),
            Value::Number(number) => write!(out, " {name}={number}"),
            Value::Decimal(number) => write!(out, " {name}={number:.3}"),
        };
    }
    out.push('\n');
    out
}

/// Control characters would let a header move the terminal's cursor.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// Now, RFC 3339, UTC, whole seconds.
pub fn timestamp() -> String {
    at(SystemTime::now())
}

/// The same of another time.
pub fn at(time: SystemTime) -> String {
    let (text, _) = civil(time);
    format!("{text}Z")
}

fn timestamp_millis() -> String {
    let (text, millis) = civil(SystemTime::now());
    format!("{text}.{millis:03}Z")
}

fn civil(now: SystemTime) -> (String, u32) {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Days since 1970 to a date of the Gregorian calendar, counted in eras of 400 years that begin in March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let text = format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    (text, since.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_come_out_right() {
        let at = |seconds| civil(UNIX_EPOCH + Duration::from_secs(seconds)).0;
        assert_eq!(at(0), "1970-01-01T00:00:00");
        assert_eq!(at(951_827_696), "2000-02-29T12:34:56");
        assert_eq!(at(1_798_761_599), "2026-12-31T23:59:59");
    }

    #[test]
    fn a_line_is_json_whatever_is_in_it() {
        let text =
            json_line(Level::Info, "a \"quoted\"\nline", &[("size", 3u64.into()), ("agent", "\u{1b}[0m".into())]);
        let value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(value["message"], "a \"quoted\"\nline");
        assert_eq!((value["size"].as_u64(), value["agent"].as_str()), (Some(3), Some("\u{1b}[0m")));
    }
}
