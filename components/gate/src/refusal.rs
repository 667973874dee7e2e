//! What somebody is told whom the gate does not let in: the plan's body, and OpenAI's where its clients ask.

use serde_json::json;

use crate::keys::Denied;
use crate::limits::Reached;

/// An answer of the gate's own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub status: u16,
    code: &'static str,
    message: String,
    /// OpenAI's words for the same.
    kind: &'static str,
    openai_code: &'static str,
    pub wait_ms: Option<u64>,
}

impl Refusal {
    pub(crate) fn denied(why: Denied) -> Refusal {
        let unauthorized = |message: &str, openai_code| Refusal {
            status: 401,
            code: "unauthorized",
            message: message.to_owned(),
            kind: "invalid_request_error",
            openai_code,
            wait_ms: None,
        };
        const BAD: &str = "invalid_api_key";
        match why {
            Denied::Missing => unauthorized("a key is needed: send `Authorization: Bearer KEY` or `x-api-key`", BAD),
            // Whether there was such a key is nobody's business who has none.
            Denied::Unknown | Denied::Revoked => unauthorized("the key is not valid here", BAD),
            Denied::Expired => unauthorized("the key has expired", "api_key_expired"),
            Denied::Scope(capability) => Refusal {
                status: 403,
                code: "forbidden",
                message: format!("the key may not use `{capability}`"),
                kind: "permission_error",
                openai_code: "insufficient_permissions",
                wait_ms: None,
            },
        }
    }

    pub(crate) fn reached(reached: &Reached) -> Refusal {
        let (unit, limit) = (reached.standing.unit.name(), reached.standing.limit);
        Refusal {
            status: 429,
            code: "rate_limited",
            message: format!("the limit of {limit} {unit} per minute is reached; wait, and send it again"),
            kind: unit,
            openai_code: "rate_limit_exceeded",
            wait_ms: Some(reached.wait_ms),
        }
    }

    /// It stands for more requests than are let in at all.
    pub(crate) fn larger(count: u32, limit: u32) -> Refusal {
        Refusal {
            status: 422,
            code: "validation_error",
            message: format!(
                "these {count} requests are more than the {limit} that are let in per minute: send fewer at once"
            ),
            kind: "invalid_request_error",
            openai_code: "batch_too_large",
            wait_ms: None,
        }
    }

    /// Who may come in cannot be looked up.
    pub(crate) fn away() -> Refusal {
        Refusal {
            status: 503,
            code: "service_unavailable",
            message: "keys cannot be checked at the moment; send it again".to_owned(),
            kind: "server_error",
            openai_code: "service_unavailable",
            wait_ms: Some(1000),
        }
    }

    pub(crate) fn body(&self, openai: bool, timestamp: &str) -> String {
        let Refusal { code, message, kind, openai_code, .. } = self;
        let body = if openai {
            json!({ "error": { "message": message, "type": kind, "param": null, "code": openai_code } })
        } else {
            json!({ "error": code, "message": message, "details": {}, "timestamp": timestamp })
        };
        body.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Standing, Unit};

    #[test]
    fn openai_clients_get_their_own_words() {
        let standing = Standing { unit: Unit::Tokens, limit: 10, remaining: 0, reset_ms: 1 };
        let refusal = Refusal::reached(&Reached { standing, wait_ms: 1200 });
        let body: serde_json::Value = serde_json::from_str(&refusal.body(true, "")).expect("JSON");
        assert_eq!((&body["error"]["type"], &body["error"]["code"]), (&json!("tokens"), &json!("rate_limit_exceeded")));
        let body: serde_json::Value = serde_json::from_str(&refusal.body(false, "now")).expect("JSON");
        assert_eq!(body["error"], "rate_limited");
        assert_eq!(body["timestamp"], "now");
    }

    #[test]
    fn who_has_no_key_learns_nothing_of_keys() {
        assert_eq!(Refusal::denied(Denied::Unknown), Refusal::denied(Denied::Revoked));
        assert_eq!(Refusal::denied(Denied::Scope("llm")).status, 403);
    }
}
