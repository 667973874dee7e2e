//! Which capability a path asks for: what a key's scopes are about.

/// Paths, `/v1` and all, and the capability behind each.
const CAPABILITIES: &[(&str, &str)] = &[
    ("/llm", "llm"),
    ("/embedding", "embedding"),
    ("/image", "image"),
    ("/edit-image", "image-edit"),
    ("/tts", "tts"),
    ("/stt", "stt"),
    ("/v1/chat/completions", "llm"),
    ("/v1/completions", "llm"),
    ("/v1/responses", "llm"),
    ("/v1/embeddings", "embedding"),
    ("/v1/images/generations", "image"),
    ("/v1/images/edits", "image-edit"),
    ("/v1/images/variations", "image-edit"),
    ("/v1/audio/speech", "tts"),
    ("/v1/audio/transcriptions", "stt"),
    ("/v1/audio/translations", "stt"),
];

/// What anybody may read: it says how things are and how to ask, and costs nothing.
const PUBLIC: &[&str] = &["/health", "/healthz", "/readyz", "/openapi.json", "/docs", "/app", "/favicon.ico"];

/// What a front answers itself where it keeps requests for later, or takes many at once: no work of its own.
const FRONTS: &[&str] = &["/jobs", "/batch"];

pub(crate) fn path(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or_default()
}

pub(crate) fn capability(path: &str) -> Option<&'static str> {
    CAPABILITIES.iter().find(|(known, _)| *known == path).map(|(_, capability)| *capability)
}

pub(crate) fn is_public(path: &str) -> bool {
    is_below(PUBLIC, path)
}

pub(crate) fn is_the_fronts(path: &str) -> bool {
    is_below(FRONTS, path)
}

fn is_below(paths: &[&str], path: &str) -> bool {
    paths.iter().any(|known| path.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Whether OpenAI's clients ask there.
pub(crate) fn is_openai(path: &str) -> bool {
    path.starts_with("/v1/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_their_capability() {
        assert_eq!(capability("/edit-image"), Some("image-edit"));
        assert_eq!(capability("/v1/audio/speech"), Some("tts"));
        assert_eq!(capability("/models"), None);
    }

    #[test]
    fn what_costs_nothing_is_public() {
        for path in ["/health", "/docs", "/docs/docs.js", "/openapi.json", "/app/", "/app/index.html"] {
            assert!(is_public(path), "{path}");
        }
        for path in ["/llm", "/healthy", "/application", "/v1/models", "/"] {
            assert!(!is_public(path), "{path}");
        }
    }

    #[test]
    fn a_query_is_no_path() {
        assert_eq!(path("/stt?model=a/b&secret=1"), "/stt");
        assert_eq!(path("/health"), "/health");
    }
}
