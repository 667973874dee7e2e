//! What every request meets, whichever route it takes.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::House;
use crate::house::is_timestamp;

const ROUTES: &[(&str, &str)] = &[
    ("GET", "/health"),
    ("POST", "/image"),
    ("POST", "/edit-image"),
    ("POST", "/tts"),
    ("POST", "/stt"),
    ("POST", "/llm"),
    ("POST", "/embedding"),
];

pub(super) async fn health_is_told(house: &House<'_>) -> Result<()> {
    let reply = house.get("/health").await?;
    let body = reply.is(200)?.json()?;
    ensure!(body["status"] == "healthy", "{body}");
    ensure!(is_timestamp(body["timestamp"].as_str().unwrap_or_default()), "{body}");
    let head = house.send("HEAD", "/health", &[], "").await?;
    head.is(200)?.is_of("application/json")?;
    ensure!(head.body.is_empty(), "HEAD has a body");
    // A query changes nothing.
    house.get("/health?probe=1").await?.is(200)?;
    Ok(())
}

pub(super) async fn the_contract_describes_itself(house: &House<'_>) -> Result<()> {
    let reply = house.get("/openapi.json").await?;
    let body = reply.is(200)?.json()?;
    ensure!(body["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{}", body["openapi"]);
    for (method, path) in ROUTES {
        let method = method.to_lowercase();
        ensure!(body["paths"][path][&method].is_object(), "{method} {path} is not described");
    }
    let reply = house.get("/docs").await?;
    let page = std::str::from_utf8(&reply.is(200)?.is_of("text/html")?.body).context("the page is text")?.to_owned();
    for elsewhere in ["src=\"http", "src=\"//", "href=\"http", "@import"] {
        let loads =
            page.split(elsewhere).skip(1).any(|rest| !elsewhere.starts_with("href") || rest.contains("stylesheet"));
        ensure!(!loads, "the page needs the internet: {elsewhere}");
    }
    Ok(())
}

pub(super) async fn unknown_paths_and_methods_are_json_too(house: &House<'_>) -> Result<()> {
    for path in ["/", "/nothing", "/image/", "/images", "/health/x", "/..%2fhealth"] {
        let reply = house.get(path).await?;
        if path != "/" || reply.status == 404 {
            reply.refuses(404, "not_found")?;
        }
    }
    for (method, path) in ROUTES {
        let other = if *method == "GET" { "POST" } else { "GET" };
        for wrong in [other, "DELETE", "PATCH"] {
            let reply = house.send(wrong, path, &[], "").await?;
            reply.refuses(405, "method_not_allowed")?;
            let allowed: Vec<&str> = reply.header("allow").split(',').map(str::trim).collect();
            ensure!(allowed.contains(method), "{wrong} {path}: `allow` is {allowed:?}");
        }
    }
    Ok(())
}

pub(super) async fn other_origins_may_call(house: &House<'_>) -> Result<()> {
    let origin = ("origin", "https://app.example");
    let fine = house.send("GET", "/health", &[origin], "").await?;
    let refused = house.post_with("/llm", &[origin], &json!({})).await?;
    let nowhere = house.send("GET", "/nothing", &[origin], "").await?;
    for reply in [&fine, &refused, &nowhere] {
        let allowed = reply.header("access-control-allow-origin");
        let credentials = reply.header("access-control-allow-credentials");
        ensure!(allowed == "*" || allowed == origin.1, "allowed origin `{allowed}`");
        // A browser takes no `*` together with credentials.
        ensure!(credentials != "true" || allowed == origin.1, "credentials with `{allowed}`");
        ensure!(allowed == "*" || reply.header("vary").to_lowercase().contains("origin"), "`vary` lacks `origin`");
    }
    ensure!(fine.header("access-control-allow-credentials") == "true", "credentials are not allowed");
    let exposed = fine.header("access-control-expose-headers").to_lowercase();
    for header in ["x-request-id", "x-model", "x-placeholder", "x-ratelimit-remaining-requests", "retry-after-ms"] {
        ensure!(exposed.contains(header), "`{header}` is not exposed: {exposed}");
    }
    Ok(())
}

pub(super) async fn preflights_are_answered(house: &House<'_>) -> Result<()> {
    let headers = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type, authorization, x-stainless-lang, x-somebody-else"),
    ];
    for (_, path) in ROUTES {
        let reply = house.send("OPTIONS", path, &headers, "").await?;
        ensure!(reply.status.is_success(), "OPTIONS {path} got {}", reply.status);
        ensure!(reply.header("access-control-allow-origin") == "https://app.example", "OPTIONS {path}: no origin");
        let methods = reply.header("access-control-allow-methods");
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
            ensure!(methods.contains(method), "OPTIONS {path} allows {methods}");
        }
        let names = reply.header("access-control-allow-headers").to_lowercase();
        let ours =
            ["x-api-key", "x-fallback", "x-timeout-ms", "idempotency-key", "prefer", "last-event-id", "traceparent"];
        // OpenAI's own client adds names of its own in browsers.
        for name in ["content-type", "authorization", "x-stainless-lang"].iter().chain(&ours) {
            ensure!(names.contains(name), "OPTIONS {path} allows {names}, without {name}");
        }
        ensure!(!names.contains('*') && !names.contains("x-somebody-else"), "OPTIONS {path} allows {names}");
        ensure!(reply.header("vary").to_lowercase().contains("origin"), "OPTIONS {path}: `vary` lacks `origin`");
    }
    Ok(())
}

pub(super) async fn requests_have_an_id(house: &House<'_>) -> Result<()> {
    let (one, other) = (house.get("/health").await?, house.get("/health").await?);
    let (one, other) = (one.header("x-request-id"), other.header("x-request-id"));
    ensure!(!one.is_empty() && one != other, "`{one}` and `{other}`");
    let own = "my-id_0.42";
    for (method, path) in [("GET", "/health"), ("GET", "/nothing"), ("POST", "/llm"), ("GET", "/image")] {
        let reply = house.send(method, path, &[("x-request-id", own)], "").await?;
        reply.says("x-request-id", own)?;
    }
    let long = "x".repeat(1000);
    for odd in [long.as_str(), "a b", "<script>", "a\tb"] {
        let reply = house.send("GET", "/health", &[("x-request-id", odd)], "").await?;
        let given = reply.header("x-request-id");
        ensure!(!given.is_empty() && given != odd, "`{odd}` was taken for an id");
    }
    Ok(())
}

pub(super) async fn what_is_for_the_log_stays_inside(house: &House<'_>) -> Result<()> {
    let body = json!({ "messages": [{ "role": "user", "content": "hello" }], "model": "local/extractive" });
    for reply in [house.post("/llm", &body).await?, house.post("/llm", &json!({})).await?] {
        ensure!(reply.header("x-log-parameters").is_empty(), "the log's parameters went out");
        ensure!(reply.header("spin-client-addr").is_empty(), "the client's address went out");
    }
    Ok(())
}
