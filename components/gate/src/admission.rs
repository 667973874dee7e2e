//! What a front asks and brings. Some requests it does not hand on as they come: it asks first whether they may come in,
//! keeps them, and brings them later, or in parts.
//!
//! Asking is the request without its body, with the front's secret in `x-admission`: it is checked and counted like any
//! other, and answered 204 with its caller in `x-log-caller`, or refused. What stands for many requests says for how many,
//! in `x-admission-count`. Bringing is a request with that caller in
//! `x-admitted-as` beside the secret: it shows no key and is not counted again, but its key must still be good.

use spin_sdk::wasip3::http::types::Fields;

pub(crate) const ADMISSION: &str = "x-admission";
pub(crate) const ADMITTED_AS: &str = "x-admitted-as";
pub(crate) const COUNT: &str = "x-admission-count";
pub(crate) const CALLER: &str = "x-log-caller";

/// What the front wants, as far as it is the front.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ticket {
    /// May this come in, so many times?
    Asks(u32),
    /// It was let in before, for this caller.
    Brings(String),
}

/// Looks at one header by name where there is a secret, and at nothing where there is none.
pub(crate) fn ticket(headers: &Fields, secret: Option<&str>) -> Option<Ticket> {
    let secret = secret?;
    if !headers.has(ADMISSION) {
        return None;
    }
    read(&headers.get(ADMISSION), headers.get(ADMITTED_AS), &headers.get(COUNT), secret)
}

fn read(shown: &[Vec<u8>], callers: Vec<Vec<u8>>, counts: &[Vec<u8>], secret: &str) -> Option<Ticket> {
    // A client may send what it likes, and does not know the secret: 128 random bits, which nobody guesses by time.
    if shown.len() != 1 || shown[0] != secret.as_bytes() {
        return None;
    }
    match callers.into_iter().next() {
        None => {
            let count = counts.first().and_then(|count| std::str::from_utf8(count).ok()?.parse().ok());
            Some(Ticket::Asks(count.unwrap_or(1).max(1)))
        }
        Some(caller) => String::from_utf8(caller).ok().map(Ticket::Brings),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket_of(shown: &[&str], callers: &[&str]) -> Option<Ticket> {
        let values = |texts: &[&str]| -> Vec<_> { texts.iter().map(|text| text.as_bytes().to_vec()).collect() };
        read(&values(shown), values(callers), &values(&["3"]), "secret")
    }

    #[test]
    fn only_who_knows_the_secret_is_the_front() {
        assert_eq!(ticket_of(&["secret"], &[]), Some(Ticket::Asks(3)));
        assert_eq!(read(&[b"secret".to_vec()], Vec::new(), &[], "secret"), Some(Ticket::Asks(1)));
        assert_eq!(ticket_of(&["secret"], &["key/1"]), Some(Ticket::Brings("key/1".into())));
        for shown in [&["other"][..], &[], &[""], &["secret", "secret"], &["other", "secret"]] {
            assert_eq!(ticket_of(shown, &["key/1"]), None, "{shown:?}");
        }
    }
}
