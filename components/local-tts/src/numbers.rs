//! Numbers in words.

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const GROUPS: [&str; 6] = ["", "thousand", "million", "billion", "trillion", "quadrillion"];
/// Longer ones are read digit by digit.
const MOST_DIGITS: usize = 15;

/// `words("1204")` is "one thousand two hundred four".
pub(crate) fn words(digits: &str) -> String {
    let trimmed = digits.trim_start_matches('0');
    if digits.len() > MOST_DIGITS || (digits.len() > 1 && digits.starts_with('0')) {
        return one_by_one(digits);
    }
    let Ok(number) = trimmed.parse::<u64>() else { return SMALL[0].to_owned() };
    let mut parts = Vec::new();
    for group in (0..GROUPS.len() as u32).rev() {
        let value = number / 1000_u64.pow(group) % 1000;
        if value > 0 {
            parts.extend(below_thousand(value as usize));
            parts.push(GROUPS[group as usize]);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

fn below_thousand(value: usize) -> Vec<&'static str> {
    let mut parts = Vec::new();
    if value >= 100 {
        parts.extend([SMALL[value / 100], "hundred"]);
    }
    match value % 100 {
        0 => {}
        small @ 1..20 => parts.push(SMALL[small]),
        large => {
            parts.push(TENS[large / 10]);
            if large % 10 > 0 {
                parts.push(SMALL[large % 10]);
            }
        }
    }
    parts
}

pub(crate) fn one_by_one(digits: &str) -> String {
    let names: Vec<&str> =
        digits.bytes().filter(u8::is_ascii_digit).map(|digit| SMALL[usize::from(digit - b'0')]).collect();
    names.join(" ")
}

/// "twenty first" of "21".
pub(crate) fn ordinal(digits: &str) -> String {
    let cardinal = words(digits);
    let (rest, last) = cardinal.rsplit_once(' ').map_or(("", cardinal.as_str()), |(rest, last)| (rest, last));
    let last = match last {
        "one" => "first".to_owned(),
        "two" => "second".to_owned(),
        "three" => "third".to_owned(),
        "five" => "fifth".to_owned(),
        "eight" => "eighth".to_owned(),
        "nine" => "ninth".to_owned(),
        "twelve" => "twelfth".to_owned(),
        other => match other.strip_suffix('y') {
            Some(stem) => format!("{stem}ieth"),
            None => format!("{other}th"),
        },
    };
    if rest.is_empty() { last } else { format!("{rest} {last}") }
}

/// "nineteen eighty four" of "1984". What is no year in this form is read as a number.
pub(crate) fn year(digits: &str) -> String {
    let (Ok(year), 4) = (digits.parse::<usize>(), digits.len()) else { return words(digits) };
    let (century, rest) = (year / 100, year % 100);
    if century % 10 == 0 && rest < 10 || century < 10 {
        return words(digits);
    }
    let rest = match rest {
        0 => "hundred".to_owned(),
        1..10 => format!("oh {}", SMALL[rest]),
        _ => words(&rest.to_string()),
    };
    format!("{} {rest}", words(&century.to_string()))
}

/// "nineteen nineties" of "1990".
pub(crate) fn decade(digits: &str) -> String {
    let said = if digits.len() == 4 { year(digits) } else { words(digits) };
    match said.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{said}s"),
    }
}

/// A number with thousands set apart by commas and a fraction after a point; none for anything else.
pub(crate) fn decimal(text: &str) -> Option<String> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let whole = without_commas(whole)?;
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match fraction {
        None if whole.is_empty() => None,
        None => Some(words(&whole)),
        Some(fraction) if fraction.is_empty() || !all_digits(fraction) => None,
        Some(fraction) => {
            let whole = if whole.is_empty() { SMALL[0].to_owned() } else { words(&whole) };
            Some(format!("{whole} point {}", one_by_one(fraction)))
        }
    }
}

/// The digits of "1,234,567"; none where commas stand elsewhere.
pub(crate) fn without_commas(text: &str) -> Option<String> {
    let mut groups = text.split(',');
    let first = groups.next()?;
    let mut digits = first.to_owned();
    for group in groups {
        if group.len() != 3 || first.is_empty() || first.len() > 3 {
            return None;
        }
        digits.push_str(group);
    }
    digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)
}

/// "three quarters" of 3 and 4.
pub(crate) fn fraction(over: &str, under: &str) -> Option<String> {
    let (number, parts) = (over.parse::<u32>().ok()?, under.parse::<u32>().ok()?);
    let one = number == 1;
    let name = match parts {
        0 | 1 => return None,
        2 => if one { "half" } else { "halves" }.to_owned(),
        4 => if one { "quarter" } else { "quarters" }.to_owned(),
        3 | 5..=20 | 100 | 1000 => ordinal(under) + if one { "" } else { "s" },
        _ => return None,
    };
    Some(format!("{} {name}", words(over)))
}

/// The number that a numeral like XIV is, up to 89; none for letters in another order.
pub(crate) fn roman(text: &str) -> Option<u32> {
    const TENS: [&str; 9] = ["", "X", "XX", "XXX", "XL", "L", "LX", "LXX", "LXXX"];
    const ONES: [&str; 10] = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"];
    (1..90)
        .find(|&value| text.strip_prefix(TENS[value / 10]).is_some_and(|ones| ones == ONES[value % 10]))
        .map(|value| value as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_read_them() {
        for (digits, wanted) in [
            ("0", "zero"),
            ("7", "seven"),
            ("13", "thirteen"),
            ("40", "forty"),
            ("99", "ninety nine"),
            ("100", "one hundred"),
            ("1204", "one thousand two hundred four"),
            ("1000000", "one million"),
            ("2500017", "two million five hundred thousand seventeen"),
            ("007", "zero zero seven"),
            ("1234567890123456", "one two three four five six seven eight nine zero one two three four five six"),
        ] {
            assert_eq!(words(digits), wanted);
        }
    }

    #[test]
    fn ordinals_years_decades() {
        for (digits, wanted) in [
            ("1", "first"),
            ("22", "twenty second"),
            ("30", "thirtieth"),
            ("112", "one hundred twelfth"),
            ("8", "eighth"),
        ] {
            assert_eq!(ordinal(digits), wanted);
        }
        for (digits, wanted) in [
            ("1984", "nineteen eighty four"),
            ("1900", "nineteen hundred"),
            ("1905", "nineteen oh five"),
            ("2000", "two thousand"),
            ("2009", "two thousand nine"),
            ("2026", "twenty twenty six"),
        ] {
            assert_eq!(year(digits), wanted);
        }
        assert_eq!(decade("1990"), "nineteen nineties");
        assert_eq!(decade("80"), "eighties");
    }

    #[test]
    fn points_and_commas() {
        assert_eq!(decimal("3.14").as_deref(), Some("three point one four"));
        assert_eq!(decimal(".5").as_deref(), Some("zero point five"));
        assert_eq!(decimal("1,234.5").as_deref(), Some("one thousand two hundred thirty four point five"));
        for wrong in ["1,23", "1.2.3", "abc", "", "1.", ",123"] {
            assert_eq!(decimal(wrong), None, "{wrong}");
        }
        assert_eq!(fraction("3", "4").as_deref(), Some("three quarters"));
        assert_eq!(fraction("1", "3").as_deref(), Some("one third"));
        assert_eq!(fraction("24", "7").as_deref(), Some("twenty four sevenths"));
        assert_eq!(fraction("7", "24"), None);
    }

    #[test]
    fn numerals_of_the_romans() {
        for (text, value) in [("II", 2), ("IV", 4), ("VIII", 8), ("XIV", 14), ("XXIX", 29), ("XLII", 42)] {
            assert_eq!(roman(text), Some(value), "{text}");
        }
        for wrong in ["IIII", "VX", "MIX", "", "IC"] {
            assert_eq!(roman(wrong), None, "{wrong}");
        }
    }
}
