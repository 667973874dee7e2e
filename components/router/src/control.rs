//! How a caller wants one request treated: the headers `x-fallback`, `x-timeout-ms`, `x-first-token-timeout-ms` and
//! `x-retries`.

use hybrid_guest::types::{Control, Fallback};

use crate::head::Head;
use crate::input::{Problem, check_model, problem};
use crate::limits::{FALLBACK_MODELS, RETRIES, TIMEOUT_MS};

pub(crate) const FALLBACK: &str = "x-fallback";
pub(crate) const TIMEOUT: &str = "x-timeout-ms";
pub(crate) const FIRST_TOKEN_TIMEOUT: &str = "x-first-token-timeout-ms";
pub(crate) const RETRY: &str = "x-retries";

/// What the headers say, and what is wrong with them.
pub(crate) fn parse(head: &Head) -> (Control, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut number = |name: &str, range: std::ops::RangeInclusive<u64>| {
        let text = head.get(name)?;
        let number = text.trim().parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let message = format!("must be an integer between {} and {}", range.start(), range.end());
            problems.push(problem(name, message));
        }
        number.map(|number| number as u32)
    };
    let mut control = Control {
        timeout_ms: number(TIMEOUT, TIMEOUT_MS),
        first_token_timeout_ms: number(FIRST_TOKEN_TIMEOUT, TIMEOUT_MS),
        retries: number(RETRY, RETRIES),
        fallback: Fallback::Chain,
    };
    match head.get(FALLBACK).map(fallback) {
        Some(Ok(fallback)) => control.fallback = fallback,
        Some(Err(message)) => problems.push(problem(FALLBACK, message)),
        None => {}
    }
    (control, problems)
}

fn fallback(value: &str) -> Result<Fallback, String> {
    match value.trim() {
        "" | "on" | "chain" => return Ok(Fallback::Chain),
        "off" => return Ok(Fallback::Off),
        _ => {}
    }
    let models: Vec<String> = value.split(',').map(|model| model.trim().to_owned()).collect();
    if models.len() > FALLBACK_MODELS || models.iter().any(|model| check_model(model, true).is_err()) {
        return Err(format!("must be `off`, or at most {FALLBACK_MODELS} models with commas between"));
    }
    Ok(Fallback::Models(models))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)]) -> (Control, Vec<Problem>) {
        parse(&Head::of(headers))
    }

    #[test]
    fn without_headers_the_platform_decides() {
        let (control, problems) = read(&[]);
        assert_eq!((control.timeout_ms, control.first_token_timeout_ms, control.retries), (None, None, None));
        assert!(matches!(control.fallback, Fallback::Chain) && problems.is_empty());
    }

    #[test]
    fn headers_are_read() {
        let (control, problems) = read(&[
            ("X-Timeout-Ms", "5000"),
            ("x-first-token-timeout-ms", "1000"),
            ("x-retries", "0"),
            ("x-fallback", "a/b, local/c"),
        ]);
        assert_eq!(
            (control.timeout_ms, control.first_token_timeout_ms, control.retries),
            (Some(5000), Some(1000), Some(0))
        );
        assert!(matches!(control.fallback, Fallback::Models(models) if models == ["a/b", "local/c"]));
        assert!(problems.is_empty());
        assert!(matches!(read(&[("x-fallback", "off")]).0.fallback, Fallback::Off));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let (_, problems) = read(&[("x-timeout-ms", "soon"), ("x-retries", "11"), ("x-fallback", "gpt2")]);
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["x-timeout-ms", "x-retries", "x-fallback"]);
    }
}
