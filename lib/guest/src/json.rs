//! JSON looked at without building trees: members and elements as the slices of text they are.
//!
//! Written by hand for size: a general reader with its errors and its tables for numbers is a tenth of what the component
//! that needs it (`hf`) may weigh. It takes what the grammar takes, and nothing else. It stands here, since that component is
//! compiled to be small, and this to be fast.

use std::borrow::Cow;

/// A value as it stands in the text; whole, by the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    pub fn get(self) -> &'a str {
        self.0
    }
}

/// An object's members in order.
pub type Members<'a> = Vec<(Cow<'a, str>, Raw<'a>)>;

/// Most objects have no more members.
const FEW: usize = 8;

/// The members of an object that are not null; none when it is something else.
#[inline(never)]
pub fn members(json: &str) -> Option<Members<'_>> {
    read(json, false)
}

/// The members of an object; none when it is something else.
#[inline(never)]
pub fn all_members(json: &str) -> Option<Members<'_>> {
    read(json, true)
}

fn read(json: &str, nulls: bool) -> Option<Members<'_>> {
    let mut scan = Scan::new(json);
    let mut members = Members::with_capacity(FEW);
    scan.open(b'{')?;
    while scan.more(b'}', members.is_empty() && !scan.begun)? {
        scan.begun = true;
        let key = scan.key()?;
        scan.token(b':')?;
        let value = scan.value()?;
        if nulls || value != "null" {
            members.push((key, Raw(value)));
        }
    }
    scan.end().then_some(members)
}

/// The member of that name among those found.
#[inline(never)]
pub fn get<'a>(members: &Members<'a>, name: &str) -> Option<&'a str> {
    members.iter().find(|(key, _)| key == name).map(|(_, value)| value.get())
}

#[inline(never)]
pub fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    get(&members(json)?, name)
}

#[inline(never)]
pub fn elements(json: &str) -> Option<Vec<Raw<'_>>> {
    let mut scan = Scan::new(json);
    let mut elements = Vec::new();
    scan.open(b'[')?;
    while scan.more(b']', elements.is_empty())? {
        elements.push(Raw(scan.value()?));
    }
    scan.end().then_some(elements)
}

/// The text of a JSON string, borrowed where nothing is escaped; none when it is something else.
#[inline(never)]
pub fn text(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if plain(inner.as_bytes(), 0) == inner.len() {
        return Some(Cow::Borrowed(inner));
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = *rest.as_bytes().get(at + 1)?;
        rest = rest.get(at + 2..)?;
        out.push(match escape {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let (letter, used) = unicode(rest)?;
                rest = &rest[used..];
                letter
            }
            b'"' | b'\\' | b'/' => char::from(escape),
            _ => return None,
        });
    }
    out.push_str(rest);
    Some(Cow::Owned(out))
}

/// The letter of `XXXX`, or of `XXXX\uXXXX` where two make one, and the bytes that took. Halves without the other are no
/// letters.
fn unicode(rest: &str) -> Option<(char, usize)> {
    let hex = |text: &str| {
        let digits = text.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u32::from_str_radix(digits, 16).ok()
    };
    let first = hex(rest)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first)?, 4));
    }
    let second = hex(rest.get(4..)?.strip_prefix("\\u")?).filter(|second| (0xdc00..0xe000).contains(second))?;
    Some((char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))?, 10))
}

/// The number, to the last digit or two of its precision.
#[inline(never)]
pub fn number(json: &str) -> Option<f64> {
    let mut scan = Scan::new(json);
    scan.space();
    let number = scan.number()?;
    scan.end().then_some(number)
}

/// Appends `value` as a JSON string.
#[inline(never)]
pub fn push_text(out: &mut Vec<u8>, value: &str) {
    let bytes = value.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut from = 0;
    loop {
        let at = plain(bytes, from);
        out.extend_from_slice(&bytes[from..at]);
        let Some(byte) = bytes.get(at) else { break };
        let short = match byte {
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..0x20 => b'u',
            _ => *byte,
        };
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
            out.extend_from_slice(&[b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
        }
        from = at + 1;
    }
    out.push(b'"');
}

/// Where the first byte from `at` on stands that a JSON string does not hold as it is, or the end.
#[inline(always)]
fn plain(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    // Eight bytes at once: a byte's highest bit is set where it is zero. A byte above one that was found may be marked for
    // nothing, so only the lowest counts.
    let zero = |word: u64| word.wrapping_sub(ONES);
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*eight);
        let marked = word.wrapping_sub(ONES * 0x20) | zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5c));
        let found = marked & !word & (ONES * 0x80);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    plain_to_the_end(bytes, at)
}

#[inline(never)]
fn plain_to_the_end(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')).unwrap_or(rest.len())
}

/// `value` as a JSON string.
pub fn quoted(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len() + 2);
    push_text(&mut out, value);
    String::from_utf8(out).unwrap_or_default()
}

/// What stands for itself in JSON.
pub trait Scalar {
    fn push(self, out: &mut Vec<u8>);
}

impl Scalar for u64 {
    #[inline(never)]
    fn push(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.to_string().as_bytes());
    }
}

impl Scalar for u32 {
    fn push(self, out: &mut Vec<u8>) {
        u64::from(self).push(out);
    }
}

/// With six digits after the point: nobody turns a knob more finely.
impl Scalar for f32 {
    #[inline(never)]
    fn push(self, out: &mut Vec<u8>) {
        const SCALE: u64 = 1_000_000;
        if self < 0.0 {
            out.push(b'-');
        }
        let scaled = (f64::from(self.abs()) * SCALE as f64).round() as u64;
        (scaled / SCALE).push(out);
        let fraction = (SCALE + scaled % SCALE).to_string();
        out.push(b'.');
        out.extend_from_slice(&fraction.as_bytes()[1..]);
        while out.ends_with(b"0") && !out.ends_with(b".0") {
            out.pop();
        }
    }
}

/// A place in a text.
pub struct Scan<'a> {
    text: &'a str,
    at: usize,
    begun: bool,
}

/// Nobody nests deeper on purpose.
const DEPTH: u32 = 100;

impl<'a> Scan<'a> {
    pub fn new(text: &'a str) -> Scan<'a> {
        Scan { text, at: 0, begun: false }
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline(always)]
    fn space(&mut self) {
        if self.peek().is_some_and(|byte| byte > b' ') {
            return;
        }
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// The next byte after space, which is left there.
    pub fn ahead(&mut self) -> Option<u8> {
        self.space();
        self.peek()
    }

    fn token(&mut self, byte: u8) -> Option<()> {
        if self.ahead()? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    pub fn open(&mut self, byte: u8) -> Option<()> {
        self.token(byte)
    }

    /// Whether another member or element follows; the closing byte is taken when none does.
    pub fn more(&mut self, close: u8, first: bool) -> Option<bool> {
        if self.ahead()? == close {
            self.at += 1;
            return Some(false);
        }
        if !first {
            self.token(b',')?;
        }
        Some(true)
    }

    /// Whether nothing but space is left.
    pub fn end(&mut self) -> bool {
        self.ahead().is_none()
    }

    /// The next value, whatever it is.
    fn value(&mut self) -> Option<&'a str> {
        self.space();
        let start = self.at;
        // A bit for each level: whether it is an object. No call goes deeper for it, whatever comes.
        let (mut objects, mut depth) = (0_u128, 0);
        let mut names = false;
        loop {
            match self.ahead()? {
                b'"' => {
                    self.string()?;
                    if names {
                        self.token(b':')?;
                        names = false;
                        continue;
                    }
                }
                _ if names => return None,
                open @ (b'{' | b'[') => {
                    if depth == DEPTH {
                        return None;
                    }
                    let object = open == b'{';
                    self.at += 1;
                    depth += 1;
                    objects = objects << 1 | u128::from(object);
                    if self.ahead()? != if object { b'}' } else { b']' } {
                        names = object;
                        continue;
                    }
                }
                b't' | b'f' | b'n' => {
                    let rest = self.text.get(self.at..)?;
                    let word = ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word))?;
                    self.at += word.len();
                }
                _ => {
                    self.number()?;
                }
            }
            loop {
                if depth == 0 {
                    return self.text.get(start..self.at);
                }
                let object = objects & 1 == 1;
                match self.ahead()? {
                    b',' => {
                        self.at += 1;
                        names = object;
                        break;
                    }
                    b'}' if object => {}
                    b']' if !object => {}
                    _ => return None,
                }
                self.at += 1;
                depth -= 1;
                objects >>= 1;
            }
        }
    }

    /// A member's name, borrowed where nothing is escaped.
    fn key(&mut self) -> Option<Cow<'a, str>> {
        if self.ahead()? != b'"' {
            return None;
        }
        let start = self.at;
        let escapes = self.string()?;
        let key = self.text.get(start..self.at)?;
        if escapes { text(key) } else { key.get(1..key.len() - 1).map(Cow::Borrowed) }
    }

    /// Passes a string; whether something is escaped in it.
    #[inline(always)]
    fn string(&mut self) -> Option<bool> {
        let at = plain(self.text.as_bytes(), self.at + 1);
        if self.text.as_bytes().get(at) != Some(&b'"') {
            return self.escapes(at).map(|()| true);
        }
        self.at = at + 1;
        Some(false)
    }

    /// The rest of a string, from its first escape on.
    #[cold]
    #[inline(never)]
    fn escapes(&mut self, mut at: usize) -> Option<()> {
        let bytes = self.text.as_bytes();
        while *bytes.get(at)? == b'\\' {
            let escape = *bytes.get(at + 1)?;
            if escape == b'u' {
                let digits = bytes.get(at + 2..at + 6)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
            } else if !b"\"\\/bfnrt".contains(&escape) {
                return None;
            }
            at = plain(bytes, at + 2);
        }
        self.at = at + 1;
        (bytes[at] == b'"').then_some(())
    }

    fn digits(&mut self, mut each: impl FnMut(u8)) -> Option<usize> {
        let start = self.at;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            each(digit - b'0');
            self.at += 1;
        }
        (self.at > start).then_some(self.at - start)
    }

    /// The number that begins here.
    pub fn number(&mut self) -> Option<f64> {
        let negative = self.peek()? == b'-';
        self.at += usize::from(negative);
        let leads_with_zero = self.peek()? == b'0';
        let (mut digits, mut exponent) = (0_u64, 0_i32);
        // What does not fit in 19 digits is beyond what a number can tell apart.
        let mut take = |digit: u8, after_point: bool| {
            if digits < 100_000_000_000_000_000 {
                digits = digits * 10 + u64::from(digit);
                exponent -= i32::from(after_point);
            } else {
                exponent += i32::from(!after_point);
            }
        };
        let whole = self.digits(|digit| take(digit, false))?;
        if leads_with_zero && whole > 1 {
            return None;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits(|digit| take(digit, true))?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            let below = self.peek() == Some(b'-');
            self.at += usize::from(matches!(self.peek(), Some(b'-' | b'+')));
            let mut power = 0_i32;
            self.digits(|digit| power = (power * 10 + i32::from(digit)).min(10_000))?;
            exponent += if below { -power } else { power };
        }
        let number = scaled(digits as f64, exponent);
        // As others have it, what is too large is no number.
        number.is_finite().then_some(if negative { -number } else { number })
    }
}

/// `number` × 10 to the power of `exponent`.
fn scaled(mut number: f64, exponent: i32) -> f64 {
    const STEP: i32 = 22;
    const LARGEST: f64 = 1e22;
    if number == 0.0 {
        return number;
    }
    let mut left = exponent.unsigned_abs().min(400) as i32;
    while left > 0 {
        let step = left.min(STEP);
        let power = if step == STEP { LARGEST } else { 10_f64.powi(step) };
        number = if exponent < 0 { number / power } else { number * power };
        left -= step;
    }
    number
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// A recorded message of an upstream's.
    fn reply(name: &str) -> Vec<u8> {
        let path = format!("{}/../../components/hf/tests/replies/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    #[test]
    fn nulls_are_not_there_and_text_is_unescaped() {
        let json = r#"{"a": null, "b\n": "x\"y", "c": [1, {"d": "e"}]}"#;
        let found = members(json).expect("an object");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].0, "b\n");
        assert_eq!(text(found[0].1.get()).expect("text"), "x\"y");
        let list = elements(member(json, "c").expect("there")).expect("a list");
        assert_eq!(text(member(list[1].get(), "d").expect("there")), Some(Cow::Borrowed("e")));
        assert!(members("[]").is_none() && text("1").is_none() && elements("{}").is_none());
        assert!(members(r#"{"a": null, "b": null}"#).expect("an object").is_empty());
        assert_eq!(all_members(r#"{"a": null, "b": 1}"#).expect("an object").len(), 2);
        assert!(members(r#"{"a": null "b": 1}"#).is_none() && members(r#"{,"a": 1}"#).is_none());
    }

    /// What a reader of renown says of the same text.
    fn agrees(text: &str) {
        let known: Option<Value> = serde_json::from_str(text).ok();
        let found = members(text);
        let object = known.as_ref().and_then(Value::as_object);
        assert_eq!(found.is_some(), object.is_some(), "{text}");
        for (key, value) in found.into_iter().flatten() {
            let value: Value = serde_json::from_str(value.get()).unwrap_or_else(|error| panic!("{text}: {error}"));
            // Of two of one name the last counts for that reader.
            if text.matches(&*key).count() == 1 {
                assert_eq!(object.expect("an object").get(&*key), Some(&value), "{text}");
            }
        }
        let list = known.as_ref().and_then(Value::as_array);
        assert_eq!(elements(text).map(|found| found.len()), list.map(Vec::len), "{text}");
        if let Some(Value::String(known)) = &known {
            assert_eq!(super::text(text.trim()).as_deref(), Some(known.as_str()), "{text}");
        }
    }

    #[test]
    fn it_takes_what_the_grammar_takes_and_nothing_else() {
        for text in [
            "",
            " ",
            "{",
            "{}",
            " { } ",
            "{}x",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\":}",
            "{\"a\"}",
            "{a:1}",
            "{\"a\":1,}",
            "[01]",
            "[1.]",
            "[.5]",
            "[-]",
            "[1e]",
            "[1e+]",
            "[+1]",
            "[1e999]",
            "[-0.0e-3]",
            "[tru]",
            "[nul]",
            "[true]",
            "\"\\u12\"",
            "\"\\x\"",
            "\"a\\u00e9\\ud83d\\ude00\\n\"",
            "\"\u{1}\"",
            "\"\t\"",
            "[\"\\\"]",
            "{\"a\":{\"b\":[{}]}}",
            "[[[[[[]]]]]]",
            "\u{feff}{}",
            "{\"é\": \"ü\"}",
            "[1,2]\n",
            "null",
            "3",
        ] {
            agrees(text);
        }
        for name in [
            "chat.response.json",
            "chat.response.tool_calls.json",
            "hub/mapping.object.json",
            "asr.response.chunks.json",
        ] {
            let whole = String::from_utf8(reply(name)).expect("text");
            agrees(&whole);
            // Cut anywhere, and with any byte changed for one that means something.
            for at in (0..whole.len()).filter(|at| whole.is_char_boundary(*at)) {
                agrees(&whole[..at]);
                for other in ['"', '{', '}', ',', ':', '\\', '1', ' '] {
                    if let Some(rest) = whole.get(at + 1..) {
                        agrees(&format!("{}{other}{rest}", &whole[..at]));
                    }
                }
            }
        }
        let nested = |depth: usize| "[".repeat(depth) + "{\"a\":1}" + &"]".repeat(depth);
        assert!(elements(&nested(100)).is_some() && elements(&nested(101)).is_none());
        for text in [
            "[[1],[{}],{\"a\":[]}]",
            "[[1},2]",
            "[{]]",
            "[{\"a\":1,}]",
            "[[1,],2]",
            "[{\"a\" 1}]",
            "[{1:1}]",
            "[{\"a\":1 \"b\":2}]",
        ] {
            agrees(text);
        }
        let deep = "[".repeat(5000) + &"]".repeat(5000);
        assert!(elements(&deep).is_none(), "no depth brings it down");
    }

    #[test]
    fn numbers_are_read_and_written() {
        for text in
            ["0", "-1", "3.25", "1e3", "-2.5E-3", "0.1", "12345678901234567890123", "1.7976931348623157e308", "5e-324"]
        {
            let known: f64 = text.parse().expect("a number");
            let found = number(text).unwrap_or_else(|| panic!("{text}"));
            assert!((found - known).abs() <= known.abs() * 1e-14 + 5e-324, "{text}: {found}");
        }
        assert_eq!((number("1e999"), number("x"), number("1 2"), number(" 7 ")), (None, None, None, Some(7.0)));
        let written = |number: f32| {
            let mut out = Vec::new();
            number.push(&mut out);
            String::from_utf8(out).expect("text")
        };
        for (number, wanted) in
            [(0.7, "0.7"), (30.0, "30.0"), (-1.5, "-1.5"), (0.25, "0.25"), (7.125, "7.125"), (0.0, "0.0")]
        {
            assert_eq!(written(number), wanted);
        }
    }

    #[test]
    fn texts_are_written_as_they_are_read() {
        let plain = "sixteen letters.é".to_owned();
        // What is not plain, at every place of the eight bytes that are looked at together.
        let marked = (0..16).flat_map(|at| {
            ["\"", "\\", "\u{1f}", "\u{0}", "!", "\u{80}"].map(|mark| plain[..at].to_owned() + mark + &plain[at..])
        });
        let some = ["", "plain", "a\"b\\c\n\r\t\u{1}\u{1f}/é😀", "\u{7f}", &plain].map(str::to_owned);
        for value in some.into_iter().chain(marked) {
            let value = value.as_str();
            let written = quoted(value);
            assert_eq!(serde_json::from_str::<String>(&written).expect("a string"), value);
            assert_eq!(text(&written).expect("a string"), value);
        }
    }
}
