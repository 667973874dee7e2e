//! Which web pages may call the platform, and what their browsers are told.

/// What the plan names, and nothing that it does not.
const METHODS: &str = "GET, POST, PUT, DELETE, OPTIONS";
const REQUEST_HEADERS: &str = "Content-Type, Authorization, Accept, X-Api-Key, X-Request-Id, X-Fallback, X-Timeout-Ms, \
                               X-First-Token-Timeout-Ms, X-Retries, X-Cache, X-Cache-Ttl, X-Webhook-Url, \
                               Idempotency-Key, Prefer, Last-Event-Id, Cache-Control, Traceparent, Tracestate";
/// What OpenAI's own client adds in browsers, each beginning like this.
const CLIENT_HEADERS: &str = "x-stainless-";
const EXPOSED: &str = "X-Request-Id, X-Model, X-Provider, X-Attempts, X-Fallback-Index, X-Placeholder, X-Components, \
                       X-Cache, Location, Preference-Applied, Retry-After, Retry-After-Ms, \
                       X-Ratelimit-Limit-Requests, X-Ratelimit-Remaining-Requests, X-Ratelimit-Reset-Requests, \
                       X-Ratelimit-Limit-Tokens, X-Ratelimit-Remaining-Tokens, X-Ratelimit-Reset-Tokens, \
                       X-Ratelimit-Limit-Pictures, X-Ratelimit-Remaining-Pictures, X-Ratelimit-Reset-Pictures";
/// Ten minutes: the longest that Chromium keeps an answer is two hours, and a changed setting should arrive before that.
const MAX_AGE_SECONDS: &str = "600";

pub(crate) type Header = (&'static str, String);

/// The setting `allowed_origins`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    Any,
    These(Vec<String>),
}

impl Allowed {
    /// Any origin when the setting is absent: the platform's own default, for apps in development and on phones.
    pub(crate) fn from_setting(origins: Option<Vec<String>>) -> Allowed {
        match origins {
            Some(origins) if !origins.iter().any(|origin| origin == "*") => {
                Allowed::These(origins.into_iter().map(|origin| origin.trim_end_matches('/').to_owned()).collect())
            }
            _ => Allowed::Any,
        }
    }

    fn admits(&self, origin: &str) -> bool {
        match self {
            Allowed::Any => true,
            Allowed::These(origins) => origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)),
        }
    }
}

/// What is added to an answer. The origin is echoed rather than `*`, which browsers refuse together with credentials.
pub(crate) fn answer(allowed: &Allowed, origin: &str) -> Vec<Header> {
    let mut headers = granted(allowed, origin);
    if headers.len() > 1 {
        headers.push(("access-control-expose-headers", EXPOSED.to_owned()));
    }
    headers
}

/// The whole answer to a browser that asks beforehand, and names the headers it wants to send.
pub(crate) fn preflight(allowed: &Allowed, origin: &str, wanted: &str) -> Vec<Header> {
    let mut headers = granted(allowed, origin);
    if headers.len() > 1 {
        headers.extend([
            ("access-control-allow-methods", METHODS.to_owned()),
            ("access-control-allow-headers", headers_for(wanted)),
            ("access-control-max-age", MAX_AGE_SECONDS.to_owned()),
        ]);
    }
    headers
}

fn headers_for(wanted: &str) -> String {
    let mut names = REQUEST_HEADERS.to_owned();
    for name in wanted.split(',').map(str::trim).take(32) {
        let harmless = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if harmless && name.to_ascii_lowercase().starts_with(CLIENT_HEADERS) {
            names.push_str(", ");
            names.push_str(name);
        }
    }
    names
}

/// `vary` also where the origin is refused: a cache in between must not hand that answer to an origin that is not.
fn granted(allowed: &Allowed, origin: &str) -> Vec<Header> {
    let mut headers = vec![("vary", "origin".to_owned())];
    if allowed.admits(origin) {
        headers.push(("access-control-allow-origin", origin.to_owned()));
        headers.push(("access-control-allow-credentials", "true".to_owned()));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
        headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    fn these() -> Allowed {
        Allowed::from_setting(Some(vec!["https://app.example".into(), "http://localhost:8081/".into()]))
    }

    #[test]
    fn any_origin_is_echoed_with_credentials() {
        for setting in [None, Some(vec!["*".to_owned()])] {
            let headers = answer(&Allowed::from_setting(setting), "https://a.example");
            assert_eq!(value(&headers, "access-control-allow-origin"), Some("https://a.example"));
            assert_eq!(value(&headers, "access-control-allow-credentials"), Some("true"));
            assert_eq!(value(&headers, "vary"), Some("origin"));
            assert!(value(&headers, "access-control-expose-headers").is_some_and(|names| names.contains("X-Model")));
        }
    }

    #[test]
    fn only_listed_origins_are_let_in() {
        for origin in ["https://app.example", "http://localhost:8081"] {
            assert_eq!(value(&answer(&these(), origin), "access-control-allow-origin"), Some(origin));
        }
        for origin in ["https://app.example.evil", "http://app.example", "null", "https://app.example:444"] {
            let headers = preflight(&these(), origin, "");
            assert_eq!(headers, [("vary", "origin".to_owned())], "{origin}");
            assert_eq!(answer(&these(), origin), headers, "{origin}");
        }
    }

    #[test]
    fn a_preflight_names_methods_and_headers() {
        let headers = preflight(&Allowed::Any, "https://a.example", "content-type,x-stainless-os, x-evil");
        assert_eq!(value(&headers, "access-control-allow-methods"), Some(METHODS));
        assert!(value(&headers, "access-control-allow-headers").is_some_and(|names| names.contains("Authorization")));
        let names = value(&headers, "access-control-allow-headers").unwrap_or_default();
        assert!(names.ends_with(", x-stainless-os") && !names.contains("x-evil"), "{names}");
        assert_eq!(value(&headers, "access-control-max-age"), Some("600"));
    }
}
