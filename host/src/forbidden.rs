//! Headers that belong to a connection, and to no component.

use std::sync::{Arc, LazyLock};

use http::HeaderName;
use wasmtime_wasi_http::ForbiddenHeaderFilter;

/// Whether it is one of wasmtime's `DEFAULT_FORBIDDEN_HEADERS`. Every header of every request and answer is looked up, and who
/// looks into that constant makes its names anew: that was 1 % of a request's instructions.
pub fn is_forbidden(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "host"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// The same as wasmtime asks for it on every header map, so it is made once.
pub fn filter() -> ForbiddenHeaderFilter {
    static FILTER: LazyLock<ForbiddenHeaderFilter> = LazyLock::new(|| Arc::new(is_forbidden));
    Arc::clone(&FILTER)
}

#[cfg(test)]
mod tests {
    use wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS;

    use super::*;

    #[test]
    fn they_are_the_runtimes_own() {
        for name in DEFAULT_FORBIDDEN_HEADERS {
            assert!(is_forbidden(&name), "{name}");
        }
        assert_eq!(DEFAULT_FORBIDDEN_HEADERS.len(), 9, "as many are listed above");
        assert!(!is_forbidden(&http::header::AUTHORIZATION));
    }
}
