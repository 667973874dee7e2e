//! What has figures in it: numbers, money, times, dates, telephones.

use super::{Item, NUMBER_WORDS, Reader, closes};
use crate::lexicon::{MAGNITUDES, MONEY, MONTHS, ONLY_JOINED, SIGNS, UNITS, find, find_sign};
use crate::numbers;
use crate::prosody::End;

impl Reader {
    /// What has a digit in it.
    pub(super) fn figures(&mut self, core: &str, rest: &[&str]) -> usize {
        let mut core = core;
        let bare = |text: &&str| text.trim_end_matches(closes).to_owned();
        // An address of numbers, a telephone's number.
        if self.grouped(core) {
            return 0;
        }
        while let Some(sign) = core.chars().next().filter(|sign| !sign.is_ascii_alphanumeric() && *sign != '.') {
            let after = &core[sign.len_utf8()..];
            if let Some(names) = find_sign(MONEY, sign)
                && let Some(taken) = self.money(after, names, rest)
            {
                return taken;
            }
            match sign {
                '-' => self.say("minus"),
                sign => self.say(find_sign(SIGNS, sign).unwrap_or_default()),
            }
            core = after;
        }
        if let Some(taken) = self.clock(core, rest) {
            return taken;
        }
        if let Some(taken) = self.date(core, rest) {
            return taken;
        }
        for (between, said) in
            [('-', "to"), ('/', ""), ('x', "by"), ('×', "by"), ('=', "equals"), ('+', "plus"), ('*', "times")]
        {
            let Some((one, other)) = core.split_once(between) else { continue };
            let figures = |text: &str| text.starts_with(|it: char| it.is_ascii_digit());
            let plain = one.bytes().all(|it| it.is_ascii_digit() || it == b'.' || it == b',');
            if !figures(one) || !figures(other) || !plain {
                continue;
            }
            if core == "24/7" {
                self.say("twenty four seven");
                return 0;
            }
            if between == '/' {
                match numbers::fraction(one, other) {
                    Some(said) => {
                        if self.last_word().is_some_and(|word| NUMBER_WORDS.contains(&word)) {
                            self.say("and");
                        }
                        // One half is rather a half after a number.
                        self.say(said.strip_prefix("one ").map(|part| format!("a {part}")).as_ref().unwrap_or(&said));
                    }
                    None => {
                        self.say(&numbers::words(one));
                        self.say("slash");
                        self.figures(other, &[]);
                    }
                }
                return 0;
            }
            self.amount(one, &[]);
            self.say(said);
            return self.figures(other, rest);
        }
        let digits = core.bytes().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, ending) = core.split_at(digits);
        let suffix = ending.to_lowercase();
        if digits > 0 && matches!(suffix.as_str(), "st" | "nd" | "rd" | "th") {
            self.say(&numbers::ordinal(number));
            return 0;
        }
        if matches!(digits, 2 | 4) && matches!(ending, "s" | "'s") && number.ends_with('0') {
            self.say(&numbers::decade(number));
            return 0;
        }
        let month_after = rest.first().map(bare).is_some_and(|next| MONTHS.contains(&next.to_lowercase().as_str()));
        let day = number.parse().is_ok_and(|day: u32| (1..=31).contains(&day)) && ending.is_empty();
        if day && self.last_word().is_some_and(|word| MONTHS.contains(&word)) {
            self.say(&numbers::ordinal(number));
            return 0;
        }
        if day && month_after && digits < 3 {
            if self.last_word() != Some("the") {
                self.say("the");
            }
            self.say(&numbers::ordinal(number));
            self.say("of");
            return 0;
        }
        self.amount(core, rest)
    }

    /// A number with or without a unit; anything else piece by piece.
    pub(super) fn amount(&mut self, core: &str, rest: &[&str]) -> usize {
        let length = core.bytes().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',')).count();
        let (number, unit) = core.split_at(length);
        let Some(said) = numbers::decimal(number) else {
            self.pieces(core);
            return 0;
        };
        let one = number == "1";
        let year = number.len() == 4 && number.parse().is_ok_and(|year: u32| (1100..2100).contains(&year));
        if unit.is_empty() {
            let next = rest.first().map(|next| next.trim_end_matches(closes));
            let named = next.filter(|next| !ONLY_JOINED.contains(next)).and_then(|next| find(UNITS, next));
            self.say(&if year && named.is_none() { numbers::year(number) } else { said });
            if let Some((singular, plural)) = named {
                self.say(if one { singular } else { plural });
                return 1;
            }
            return 0;
        }
        let unit = unit.trim_start_matches('-');
        let squared = unit.ends_with(['²', '³']);
        let plain = unit.trim_end_matches(['²', '³']);
        match find(UNITS, plain) {
            Some((singular, plural)) => {
                self.say(&said);
                if squared {
                    self.say(if unit.ends_with('²') { "square" } else { "cubic" });
                }
                self.say(if one { singular } else { plural });
            }
            None if unit.starts_with(|it: char| it.is_ascii_alphabetic()) || unit.starts_with('/') => {
                self.say(&said);
                self.pieces(unit.trim_start_matches('/'));
            }
            None => {
                self.say(&said);
                self.pieces(unit);
            }
        }
        0
    }

    pub(super) fn money(&mut self, amount: &str, names: [&str; 4], rest: &[&str]) -> Option<usize> {
        let length = amount.bytes().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',')).count();
        let (number, ending) = amount.split_at(length);
        let said = numbers::decimal(number)?;
        let [one, many, cent, cents] = names;
        let next = rest.first().map(|next| next.trim_end_matches(closes)).unwrap_or_default();
        let spaced = ending.is_empty() && next.len() > 1;
        if let Some(magnitude) = find(MAGNITUDES, if spaced { next } else { ending }) {
            self.say(&format!("{said} {magnitude} {many}"));
            return Some(usize::from(spaced));
        }
        match number.split_once('.').filter(|(_, part)| part.len() == 2) {
            Some((whole, part)) => {
                let whole = numbers::without_commas(whole)?;
                let zero = whole.trim_start_matches('0').is_empty();
                if !zero {
                    self.say(&format!("{} {}", numbers::words(&whole), if whole == "1" { one } else { many }));
                }
                if part != "00" || zero {
                    if !zero {
                        self.say("and");
                    }
                    let part = part.trim_start_matches('0');
                    let part = if part.is_empty() { "0" } else { part };
                    self.say(&format!("{} {}", numbers::words(part), if part == "1" { cent } else { cents }));
                }
            }
            None => self.say(&format!("{said} {}", if number == "1" { one } else { many })),
        }
        if !ending.is_empty() {
            self.pieces(ending);
        }
        Some(0)
    }

    pub(super) fn clock(&mut self, core: &str, rest: &[&str]) -> Option<usize> {
        let lower = core.to_ascii_lowercase();
        let (time, mut half) = match lower.find(['a', 'p']) {
            Some(at) => (&lower[..at], Some(lower[at..].replace('.', ""))),
            None => (lower.as_str(), None),
        };
        if half.as_deref().is_some_and(|half| half != "am" && half != "pm") {
            return None;
        }
        let parts: Vec<&str> = time.split(':').collect();
        let digits = |part: &&str| (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if !(parts.len() == 2 || parts.len() == 3 || parts.len() == 1 && half.is_some()) || !parts.iter().all(digits) {
            return None;
        }
        let number = |part: &str| part.parse::<u32>().ok();
        if number(parts[0])? > 24
            || parts[1..].iter().any(|part| number(part).is_none_or(|value| value > 59) || part.len() < 2)
        {
            return None;
        }
        self.say(&numbers::words(&number(parts[0])?.to_string()));
        let mut taken = 0;
        if half.is_none() {
            let next = rest.first().map(|next| next.trim_end_matches(closes).replace('.', "").to_ascii_lowercase());
            half = next.filter(|next| next == "am" || next == "pm");
            taken = usize::from(half.is_some());
        }
        match parts.get(1).copied() {
            None => {}
            Some("00") if half.is_some() => {}
            Some("00") if parts.len() == 2 => self.say(if number(parts[0])? > 12 { "hundred" } else { "o'clock" }),
            Some(minutes) if minutes.starts_with('0') && minutes != "00" => {
                self.say("oh");
                self.say(&numbers::words(&minutes[1..]));
            }
            Some(minutes) => self.say(&numbers::words(&number(minutes)?.to_string())),
        }
        if let Some(seconds) = parts.get(2) {
            self.say("and");
            self.say(&numbers::words(&number(seconds)?.to_string()));
            self.say("seconds");
        }
        if let Some(half) = half {
            self.items.push(Item::Letters(half, false));
        }
        Some(taken)
    }

    pub(super) fn date(&mut self, core: &str, _rest: &[&str]) -> Option<usize> {
        let number =
            |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<usize>().ok()).flatten();
        let (date, time) =
            core.split_once('T').map_or((core, None), |(date, time)| (date, Some(time.trim_end_matches('Z'))));
        let parts: Vec<&str> = date.split(['-', '/']).collect();
        let [one, two, three] = parts[..] else { return None };
        let (year, month, day) = if one.len() == 4 { (one, two, three) } else { (three, one, two) };
        if year.len() != 4 || one.len() != 4 && date.contains('-') {
            return None;
        }
        number(year)?;
        let (mut month, mut day) = (number(month)?, number(day)?);
        if month > 12 && day <= 12 {
            std::mem::swap(&mut month, &mut day);
        }
        let name = MONTHS.get(month.checked_sub(1)?)?;
        if !(1..=31).contains(&day) {
            return None;
        }
        self.say(&format!("{name} {}", numbers::ordinal(&day.to_string())));
        self.pause(End::Comma);
        self.say(&numbers::year(year));
        if let Some(time) = time {
            self.say("at");
            let time = time.split(['.', '+']).next().unwrap_or_default();
            self.clock(time, &[]);
        }
        Some(0)
    }

    /// Numbers in three groups or more, as telephones and networks have them, or what begins with a plus and is long.
    pub(super) fn grouped(&mut self, core: &str) -> bool {
        let digits = core.trim_start_matches('+');
        let all = |by: char, least: usize| {
            let parts: Vec<&str> = digits.split(by).collect();
            let good = parts.len() >= least
                && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit()));
            good.then(|| parts.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        if let Some(parts) = all('.', 3) {
            let said: Vec<String> = parts.iter().map(|part| numbers::words(part)).collect();
            self.say(&said.join(" point "));
            return true;
        }
        let date = digits.split('-').next().is_some_and(|first| first.len() == 4) && digits.split('-').count() == 3;
        let parts = match all('-', 3).filter(|_| !date) {
            Some(parts) => parts,
            None => match all('-', 2) {
                Some(parts) if parts[0].len() == 3 && parts[1].len() == 4 => parts,
                None if core.starts_with('+') && digits.len() > 6 && digits.bytes().all(|it| it.is_ascii_digit()) => {
                    vec![digits.to_owned()]
                }
                _ => return false,
            },
        };
        if core.starts_with('+') {
            self.say("plus");
        }
        for part in parts {
            self.say(&numbers::one_by_one(&part));
            self.pause(End::Comma);
        }
        if let Some(Item::Break(_)) = self.items.last() {
            self.items.pop();
        }
        true
    }
}
