//! Which paths there are, and what may be done with them.

use crate::input::Problem;

/// What is answered without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Health,
    OpenApi,
    Docs,
    DocsScript,
    DocsStyle,
}

/// What a capability answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Image,
    EditImage,
    Tts,
    Stt,
    Llm,
    Embedding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Page(Page),
    Endpoint(Endpoint),
}

pub(crate) const ROUTES: &[(&str, Route)] = &[
    ("/llm", Route::Endpoint(Endpoint::Llm)),
    ("/embedding", Route::Endpoint(Endpoint::Embedding)),
    ("/image", Route::Endpoint(Endpoint::Image)),
    ("/edit-image", Route::Endpoint(Endpoint::EditImage)),
    ("/tts", Route::Endpoint(Endpoint::Tts)),
    ("/stt", Route::Endpoint(Endpoint::Stt)),
    ("/health", Route::Page(Page::Health)),
    ("/healthz", Route::Page(Page::Health)),
    ("/openapi.json", Route::Page(Page::OpenApi)),
    ("/docs", Route::Page(Page::Docs)),
    ("/docs/docs.js", Route::Page(Page::DocsScript)),
    ("/docs/docs.css", Route::Page(Page::DocsStyle)),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Head,
    Post,
    Options,
    Other,
}

/// What to do with a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Page(Page),
    Endpoint(Endpoint),
    /// Tell which methods there are.
    Tell(&'static str),
    NotFound,
    NotAllowed(&'static str),
}

pub(crate) fn way(verb: Verb, path: &str) -> Way {
    let Some((_, route)) = ROUTES.iter().find(|(known, _)| *known == path) else { return Way::NotFound };
    match (route, verb) {
        (Route::Page(page), Verb::Get | Verb::Head) => Way::Page(*page),
        (Route::Endpoint(endpoint), Verb::Post) => Way::Endpoint(*endpoint),
        (_, Verb::Options) => Way::Tell(route.allow()),
        _ => Way::NotAllowed(route.allow()),
    }
}

impl Route {
    pub(crate) fn allow(self) -> &'static str {
        match self {
            Route::Page(_) => "GET, HEAD, OPTIONS",
            Route::Endpoint(_) => "POST, OPTIONS",
        }
    }
}

/// The names of what is wrong, for the access log: fields are the contract's own words.
pub(crate) fn names(problems: &[Problem]) -> String {
    let names: Vec<&str> = problems.iter().take(10).map(|problem| problem.field.as_str()).collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plans_seven_endpoints_are_there() {
        assert_eq!(way(Verb::Get, "/health"), Way::Page(Page::Health));
        for (path, endpoint) in [
            ("/image", Endpoint::Image),
            ("/edit-image", Endpoint::EditImage),
            ("/tts", Endpoint::Tts),
            ("/stt", Endpoint::Stt),
            ("/llm", Endpoint::Llm),
            ("/embedding", Endpoint::Embedding),
        ] {
            assert_eq!(way(Verb::Post, path), Way::Endpoint(endpoint));
        }
    }

    #[test]
    fn other_methods_and_paths_are_told_apart() {
        assert_eq!(way(Verb::Get, "/image"), Way::NotAllowed("POST, OPTIONS"));
        assert_eq!(way(Verb::Head, "/llm"), Way::NotAllowed("POST, OPTIONS"));
        assert_eq!(way(Verb::Post, "/health"), Way::NotAllowed("GET, HEAD, OPTIONS"));
        assert_eq!(way(Verb::Other, "/health"), Way::NotAllowed("GET, HEAD, OPTIONS"));
        assert_eq!(way(Verb::Head, "/health"), Way::Page(Page::Health));
        assert_eq!(way(Verb::Options, "/tts"), Way::Tell("POST, OPTIONS"));
        for path in ["/", "", "/images", "/image/", "/IMAGE", "/docs/x", "//llm"] {
            assert_eq!(way(Verb::Get, path), Way::NotFound, "{path}");
        }
    }
}
