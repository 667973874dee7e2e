//! Which paths there are, and what may be done with them.

use crate::input::Problem;
use crate::v1;

/// What is answered without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Health,
    /// What there is to choose from, by capability.
    Models,
    /// The same as OpenAI's clients ask for it.
    OpenAiModels,
    OpenAiModel,
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
    OpenAi(v1::Endpoint),
}

impl Endpoint {
    /// Whose work it is, and OpenTelemetry's word for that, for whoever counts.
    pub(crate) fn work(self) -> &'static str {
        use v1::Endpoint as OpenAi;
        match self {
            Endpoint::Image | Endpoint::OpenAi(OpenAi::Images) => "capability=image operation=image_generation",
            Endpoint::EditImage | Endpoint::OpenAi(OpenAi::ImageEdits) => "capability=image-edit operation=image_edit",
            Endpoint::Tts | Endpoint::OpenAi(OpenAi::Speech) => "capability=tts operation=text_to_speech",
            Endpoint::Stt | Endpoint::OpenAi(OpenAi::Transcriptions) => "capability=stt operation=speech_to_text",
            Endpoint::OpenAi(OpenAi::Completions) => "capability=llm operation=text_completion",
            Endpoint::Llm | Endpoint::OpenAi(OpenAi::Chat) => "capability=llm operation=chat",
            Endpoint::Embedding | Endpoint::OpenAi(OpenAi::Embeddings) => "capability=embedding operation=embeddings",
        }
    }
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
    ("/v1/chat/completions", Route::Endpoint(Endpoint::OpenAi(v1::Endpoint::Chat))),
    ("/v1/completions", Route::Endpoint(Endpoint::OpenAi(v1::Endpoint::Completions))),
    ("/v1/embeddings", Route::Endpoint(Endpoint::OpenAi(v1::Endpoint::Embeddings))),
    ("/v1/images/generations", Route::Endpoint(Endpoint::OpenAi(v1::Endpoint::Images))),
    ("/v1/images/edits", Route::Endpoint(Endpoint::OpenAi(v1::Endpoint::ImageEdits))),
    ("/v1/audio/speech", Route::Endpoint(Endpoint::OpenAi(v1::Endpoint::Speech))),
    ("/v1/audio/transcriptions", Route::Endpoint(Endpoint::OpenAi(v1::Endpoint::Transcriptions))),
    ("/v1/models", Route::Page(Page::OpenAiModels)),
    ("/v1/models/{model}", Route::Page(Page::OpenAiModel)),
    ("/models", Route::Page(Page::Models)),
    ("/health", Route::Page(Page::Health)),
    ("/healthz", Route::Page(Page::Health)),
    ("/openapi.json", Route::Page(Page::OpenApi)),
    ("/docs", Route::Page(Page::Docs)),
    ("/docs/docs.js", Route::Page(Page::DocsScript)),
    ("/docs/docs.css", Route::Page(Page::DocsStyle)),
];

/// What stands before a model's name, whose own slash may be written as one or escaped.
pub(crate) const OPENAI_MODEL: &str = "/v1/models/";

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
    let model = path.strip_prefix(OPENAI_MODEL).is_some_and(|model| !model.is_empty());
    let path = if model { "/v1/models/{model}" } else { path };
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
    fn a_models_name_is_the_rest_of_its_path() {
        for path in ["/v1/models/org%2Fname", "/v1/models/org/name", "/v1/models/name"] {
            assert_eq!(way(Verb::Get, path), Way::Page(Page::OpenAiModel), "{path}");
        }
        assert_eq!(way(Verb::Get, "/v1/models"), Way::Page(Page::OpenAiModels));
        assert_eq!(way(Verb::Get, "/v1/models/"), Way::NotFound);
        assert_eq!(way(Verb::Post, "/v1/models/a"), Way::NotAllowed("GET, HEAD, OPTIONS"));
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
