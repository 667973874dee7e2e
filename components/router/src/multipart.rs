//! Forms with files, read as they come in: parts in any order, whatever type they claim to be.

use memchr::memmem::find;

/// A browser's are under 300 bytes.
const MAX_HEADER_BYTES: usize = 8 * 1024;
const MAX_PARTS: usize = 64;
/// A field that is not a file: a prompt in the widest encoding.
const MAX_TEXT_BYTES: usize = 64 * 1024;
/// What a file is kept in. Small enough that the last one wastes little.
const CHUNK_BYTES: usize = 256 * 1024;

/// A file in pieces, so that it never has to be copied into a larger buffer while it grows.
pub(crate) type Chunks = Vec<Vec<u8>>;

#[derive(Debug, Default)]
pub(crate) struct Form {
    /// Fields of text, the last one winning.
    pub texts: Vec<(String, String)>,
    pub files: Vec<(String, Chunks)>,
    /// Names of files that came more than once.
    pub again: Vec<String>,
}

impl Form {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.texts.iter().rev().find(|(known, _)| known == name)?;
        // An HTML form sends its empty fields too.
        Some(found.1.trim()).filter(|text| !text.is_empty())
    }

    /// Whether more than one file had this name.
    pub(crate) fn repeated(&self, name: &str) -> bool {
        self.again.iter().any(|known| known == name)
    }

    /// The fields as a JSON object, so that one set of rules holds for forms and JSON. Of these names, what reads as a
    /// number or a flag is one; everything else is text.
    pub(crate) fn json(&self, plain: &[&str]) -> String {
        let mut json = serde_json::Map::new();
        for (name, _) in &self.texts {
            let Some(text) = self.text(name) else { continue };
            let value = match text {
                "true" | "false" if plain.contains(&name.as_str()) => Some((text == "true").into()),
                _ if plain.contains(&name.as_str()) => text.parse().ok().map(serde_json::Value::Number),
                _ => None,
            };
            json.insert(name.clone(), value.unwrap_or_else(|| text.into()));
        }
        serde_json::Value::Object(json).to_string()
    }

    pub(crate) fn take_file(&mut self, name: &str) -> Option<Chunks> {
        let index = self.files.iter().rposition(|(known, _)| known == name)?;
        Some(self.files.swap_remove(index).1)
    }
}

/// Why a body is not a form that can be read. The text is for a person.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub &'static str);

enum State {
    /// Before the first boundary, and in parts that nobody asked for.
    Skip,
    /// Behind a boundary: `--` ends the form, a line's end begins a part.
    Boundary,
    Headers,
    Text(String, Vec<u8>),
    File(String, Chunks),
    End,
}

pub(crate) struct Parser {
    /// The boundary as it stands between parts: `\r\n--…`.
    delimiter: Vec<u8>,
    /// Parts of these names are files, whatever their headers say.
    files: &'static [&'static str],
    pending: Vec<u8>,
    state: State,
    parts: usize,
    form: Form,
}

impl Parser {
    /// `content_type` is the request's, with the boundary.
    pub(crate) fn new(content_type: &str, files: &'static [&'static str]) -> Result<Parser, Malformed> {
        let boundary = parameter(content_type, "boundary").filter(|it| (1..=200).contains(&it.len()));
        let boundary = boundary.ok_or(Malformed("the content type names no boundary"))?;
        Ok(Parser {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            files,
            // The first boundary may be the body's first line, without a line's end before it.
            pending: b"\r\n".to_vec(),
            state: State::Skip,
            parts: 0,
            form: Form::default(),
        })
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.pending.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            let rest = &self.pending[at..];
            let used = match &mut self.state {
                State::End => rest.len(),
                State::Boundary => match boundary_line(rest)? {
                    Some((used, true)) => {
                        self.state = State::End;
                        used
                    }
                    Some((used, false)) => {
                        self.parts += 1;
                        if self.parts > MAX_PARTS {
                            return Err(Malformed("the form has too many parts"));
                        }
                        self.state = State::Headers;
                        used
                    }
                    None => break,
                },
                State::Headers => match header_end(rest)? {
                    Some((lines, used)) => {
                        self.state = begin(&rest[..lines], self.files)?;
                        used
                    }
                    None => break,
                },
                content => {
                    let (data, used, over) = match find(rest, &self.delimiter) {
                        Some(index) => (index, index + self.delimiter.len(), true),
                        // The last bytes may be the beginning of a boundary.
                        None => {
                            let sure = rest.len().saturating_sub(self.delimiter.len() - 1);
                            (sure, sure, false)
                        }
                    };
                    keep(content, &rest[..data])?;
                    if over {
                        self.form.close(std::mem::replace(&mut self.state, State::Boundary));
                    } else if used == 0 {
                        break;
                    }
                    used
                }
            };
            at += used;
            if at == self.pending.len() {
                break;
            }
        }
        self.pending.drain(..at);
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Form, Malformed> {
        // The last boundary may stand without its line's end, or with half of it.
        match self.state {
            State::End => Ok(std::mem::take(&mut self.form)),
            State::Boundary if self.pending.starts_with(b"--") => Ok(std::mem::take(&mut self.form)),
            State::Skip if self.parts == 0 => Err(Malformed("the form holds no part with its boundary")),
            _ => Err(Malformed("the form ends in the middle of a part")),
        }
    }
}

impl Form {
    fn close(&mut self, part: State) {
        match part {
            State::Text(name, text) => self.texts.push((name, String::from_utf8_lossy(&text).into_owned())),
            State::File(name, chunks) => {
                // Of two files of one name the last counts, and only it is held.
                if self.take_file(&name).is_some() {
                    self.again.push(name.clone());
                }
                self.files.push((name, chunks));
            }
            _ => {}
        }
    }
}

fn keep(state: &mut State, data: &[u8]) -> Result<(), Malformed> {
    match state {
        State::Text(_, text) if text.len() + data.len() > MAX_TEXT_BYTES => {
            return Err(Malformed("a field of the form is too long"));
        }
        State::Text(_, text) => text.extend_from_slice(data),
        State::File(_, chunks) => append(chunks, data),
        _ => {}
    }
    Ok(())
}

/// Adds to the last piece until it is full.
pub(crate) fn append(chunks: &mut Chunks, mut data: &[u8]) {
    while !data.is_empty() {
        let room = chunks.last().map_or(0, |chunk| CHUNK_BYTES - chunk.len());
        if room == 0 {
            chunks.push(Vec::with_capacity(if chunks.is_empty() { data.len().min(CHUNK_BYTES) } else { CHUNK_BYTES }));
            continue;
        }
        let (now, later) = data.split_at(room.min(data.len()));
        if let Some(chunk) = chunks.last_mut() {
            chunk.extend_from_slice(now);
        }
        data = later;
    }
}

/// How much of the line behind a boundary was read, and whether the form ends here. None while it is not all there.
fn boundary_line(rest: &[u8]) -> Result<Option<(usize, bool)>, Malformed> {
    if rest.starts_with(b"--") {
        return Ok(Some((2, true)));
    }
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match &rest[blanks..] {
        [b'\r', b'\n', ..] => Ok(Some((blanks + 2, false))),
        [] | [b'-' | b'\r'] if blanks < MAX_HEADER_BYTES => Ok(None),
        _ => Err(Malformed("a boundary is followed by something else than a line's end")),
    }
}

/// Where the header lines end, and where what follows them begins. None while they are not all there.
fn header_end(rest: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    if rest.starts_with(b"\r\n") {
        return Ok(Some((0, 2)));
    }
    match find(&rest[..rest.len().min(MAX_HEADER_BYTES)], b"\r\n\r\n") {
        Some(index) => Ok(Some((index, index + 4))),
        None if rest.len() >= MAX_HEADER_BYTES => Err(Malformed("the headers of a part are too long")),
        None => Ok(None),
    }
}

fn begin(lines: &[u8], files: &[&str]) -> Result<State, Malformed> {
    let lines = std::str::from_utf8(lines).map_err(|_| Malformed("the headers of a part are not UTF-8"))?;
    let disposition = lines.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    });
    let Some(name) = disposition.and_then(|value| parameter(value, "name")) else { return Ok(State::Skip) };
    if files.contains(&name.as_str()) {
        return Ok(State::File(name, Chunks::new()));
    }
    let is_file = disposition.is_some_and(|value| parameter(value, "filename").is_some());
    Ok(if is_file { State::Skip } else { State::Text(name, Vec::new()) })
}

/// A parameter of a header's value: `boundary` of `multipart/form-data; boundary="a b"`.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (text, next) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if name.trim_start_matches([';', ' ', '\t']).trim_end().eq_ignore_ascii_case(wanted) {
            return Some(text);
        }
        rest = next;
    }
}

/// The text up to the closing quote, and what follows it. A backslash escapes a quote and itself alone: old browsers
/// send Windows paths.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((text, &quoted[index + 1..])),
            '\\' => match characters.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                Some((_, escaped)) => text.push(escaped),
                None => text.push('\\'),
            },
            other => text.push(other),
        }
    }
    None
}

#[cfg(test)]
#[path = "multipart/tests.rs"]
mod tests;
