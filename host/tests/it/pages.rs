//! The app's pages, as browsers and programs see them.

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;

use crate::house::{Answer, Folder, House, assert_uniform, probe};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const SCRIPT: &str = "_expo/static/js/web/index-0123456789abcdef0123456789abcdef.js";

/// A folder of components, and beside it, where wanted, a build of the app.
struct Place {
    root: Folder,
}

impl Place {
    fn new() -> Self {
        let root = Folder::new();
        std::fs::create_dir_all(root.path().join("components")).expect("a folder");
        std::fs::copy(probe(), root.path().join("components/probe.wasm")).expect("a component");
        Self { root }
    }

    fn build(&self) {
        let app = self.root.path().join("app");
        let folder = app.join(SCRIPT);
        std::fs::create_dir_all(folder.parent().expect("a folder")).expect("folders");
        for (name, text) in [
            ("index.html", "<!doctype html><title>the app</title>"),
            ("index.html.gz", "gzip of the page"),
            ("sw.js", "self"),
            (SCRIPT, "0123456789"),
            (&format!("{SCRIPT}.br"), "brotli of the script"),
            (&format!("{SCRIPT}.gz"), "gzip of the script"),
            ("icon.png", "a picture"),
            ("icon.png.br", "never sent"),
            ("manifest.webmanifest", "{}"),
            (".hidden.js", "hidden"),
        ] {
            std::fs::write(app.join(name), text).expect("a file");
        }
        std::fs::write(self.root.path().join("secret.txt"), "secret").expect("a file");
    }

    async fn house(&self, text: &str) -> House {
        let text = format!(
            "{text}\n[chains]\n\"wasi:http/handler\" = [\"probe\"]\n[components.probe]\noutbound = [\"http://127.0.0.1:9\"]"
        );
        House::with_pages(&self.root.path().join("components"), &text).await
    }
}

async fn ask(house: &House, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(format!("{}{path}", house.base));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    house.send(request.body(Full::<Bytes>::default()).expect("a request")).await
}

#[tokio::test]
async fn a_browser_is_led_to_the_app_and_programs_are_not() {
    let place = Place::new();
    place.build();
    let house = place.house("").await;
    let led = ask(&house, "GET", "/?x=1", &[("accept", BROWSER)]).await;
    assert_eq!((led.status, &led.headers["location"]), (StatusCode::SEE_OTHER, &"/app/?x=1".parse().expect("a value")));
    assert_eq!(led.headers["vary"], "accept");
    // The component answers all others as it did.
    for headers in [&[][..], &[("accept", "*/*")], &[("accept", "application/json")]] {
        let answer = ask(&house, "GET", "/", headers).await;
        assert!(answer.headers.contains_key("x-components"), "{:?}", answer.headers);
    }
    let posted = ask(&house, "POST", "/", &[("accept", BROWSER)]).await;
    assert!(posted.headers.contains_key("x-components"));
    let redirected = ask(&house, "GET", "/app?x=1", &[]).await;
    assert_eq!(
        (redirected.status, &redirected.headers["location"]),
        (StatusCode::PERMANENT_REDIRECT, &"/app/?x=1".parse().expect("a value"))
    );
    // Only whole segments are the app's.
    assert!(ask(&house, "GET", "/apple", &[]).await.headers.contains_key("x-components"));
}

#[tokio::test]
async fn without_a_build_the_page_says_how_to_make_it_and_then_it_is_there() {
    let place = Place::new();
    let house = place.house("").await;
    let told = ask(&house, "GET", "/", &[("accept", BROWSER)]).await;
    assert_eq!(
        (told.status, &told.headers["content-type"]),
        (StatusCode::OK, &"text/html; charset=utf-8".parse().expect("a value"))
    );
    assert!(told.text().contains("cargo xtask app"));
    let told = ask(&house, "GET", "/app/", &[]).await;
    assert_eq!(told.status, StatusCode::NOT_FOUND);
    assert!(told.text().contains("cargo xtask app"));
    place.build();
    assert!(ask(&house, "GET", "/app/", &[]).await.text().contains("the app"));
}

#[tokio::test]
async fn files_have_their_types_and_what_has_a_hash_in_its_name_is_kept_for_ever() {
    let place = Place::new();
    place.build();
    let house = place.house("").await;
    for (path, content_type, cache) in [
        ("/app/", "text/html; charset=utf-8", "no-cache"),
        ("/app/index.html", "text/html; charset=utf-8", "no-cache"),
        ("/app/sw.js", "text/javascript; charset=utf-8", "no-cache"),
        ("/app/icon.png", "image/png", "no-cache"),
        ("/app/manifest.webmanifest", "application/manifest+json", "no-cache"),
        (&format!("/app/{SCRIPT}"), "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        // Screens are the app's own business.
        ("/app/chat", "text/html; charset=utf-8", "no-cache"),
        ("/app/item/a-1?x=y.z", "text/html; charset=utf-8", "no-cache"),
    ] {
        let answer = ask(&house, "GET", path, &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.headers["content-type"], content_type, "{path}");
        assert_eq!(answer.headers["cache-control"], cache, "{path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert!(answer.headers.contains_key("content-security-policy") && answer.headers.contains_key("x-request-id"));
        assert!(!answer.headers.contains_key("x-components"));
        let head = ask(&house, "HEAD", path, &[]).await;
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0), "{path}");
        assert_eq!(head.headers["content-length"], answer.body.len().to_string(), "{path}");
        let tag = answer.headers["etag"].to_str().expect("a tag");
        let again = ask(&house, "GET", path, &[("if-none-match", tag)]).await;
        assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
        assert_eq!(
            (&again.headers["etag"], &again.headers["cache-control"]),
            (&answer.headers["etag"], &answer.headers["cache-control"])
        );
    }
}

#[tokio::test]
async fn encoded_twins_are_sent_to_who_takes_them() {
    let place = Place::new();
    place.build();
    let house = place.house("").await;
    let script = format!("/app/{SCRIPT}");
    for (accepted, encoding, body) in [
        ("gzip, deflate, br, zstd", Some("br"), "brotli of the script"),
        ("gzip", Some("gzip"), "gzip of the script"),
        ("br;q=0, gzip", Some("gzip"), "gzip of the script"),
        ("identity", None, "0123456789"),
    ] {
        let answer = ask(&house, "GET", &script, &[("accept-encoding", accepted)]).await;
        assert_eq!(answer.text(), body, "{accepted}");
        assert_eq!(answer.headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().expect("text")), encoding);
        assert_eq!(answer.headers["vary"], "accept-encoding");
    }
    let plain = ask(&house, "GET", &script, &[]).await;
    let packed = ask(&house, "GET", &script, &[("accept-encoding", "br")]).await;
    assert_ne!(plain.headers["etag"], packed.headers["etag"]);
    assert_eq!(ask(&house, "GET", "/app/icon.png", &[("accept-encoding", "br")]).await.text(), "a picture");
    assert_eq!(ask(&house, "GET", "/app/chat", &[("accept-encoding", "br, gzip")]).await.text(), "gzip of the page");
}

#[tokio::test]
async fn a_part_of_a_file_can_be_asked_for() {
    let place = Place::new();
    place.build();
    let house = place.house("").await;
    let script = format!("/app/{SCRIPT}");
    let part = ask(&house, "GET", &script, &[("range", "bytes=2-4"), ("accept-encoding", "br")]).await;
    assert_eq!((part.status, part.text()), (StatusCode::PARTIAL_CONTENT, "234"));
    assert_eq!(part.headers["content-range"], "bytes 2-4/10");
    assert!(!part.headers.contains_key("content-encoding"));
    let beyond = ask(&house, "GET", &script, &[("range", "bytes=10-")]).await;
    assert_eq!(
        (beyond.status, &beyond.headers["content-range"]),
        (StatusCode::RANGE_NOT_SATISFIABLE, &"bytes */10".parse().expect("a value"))
    );
}

#[tokio::test]
async fn nothing_outside_of_the_folder_is_reached() {
    let place = Place::new();
    place.build();
    let house = place.house("").await;
    let root = place.root.path().display().to_string();
    for path in [
        "/app/../secret.txt",
        "/app/%2e%2e/secret.txt",
        "/app/..%2fsecret.txt",
        "/app/x/../../secret.txt",
        "/app/.hidden.js",
        "/app/%2ehidden.js",
        "/app//secret.txt",
        &format!("/app/{root}/secret.txt"),
        "/app/..\\secret.txt",
        "/app/gone.js",
        "/app/_expo/static/js/web/gone.js",
        "/app/index.html.gz",
        "/app/_expo/static/",
    ] {
        // As a hostile client writes it: libraries tidy paths.
        let answer = house.raw(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
        assert!(!answer.contains("\r\n\r\nsecret") && !answer.contains("hidden\r\n"), "{path}: {answer}");
        let is_page = answer.contains("the app</title>");
        assert!(
            is_page || answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400"),
            "{path}: {answer}"
        );
        assert!(!is_page || !path.contains('.'), "{path}: {answer}");
    }
    assert_uniform(&ask(&house, "GET", "/app/gone.js", &[]).await, "not_found");
    let posted = ask(&house, "POST", "/app/", &[]).await;
    assert_uniform(&posted, "method_not_allowed");
    assert_eq!(posted.headers["allow"], "GET, HEAD");
}

#[tokio::test]
async fn a_folder_can_be_named_and_none_too() {
    let place = Place::new();
    place.build();
    let elsewhere = place.root.path().join("elsewhere");
    std::fs::rename(place.root.path().join("app"), &elsewhere).expect("renamed");
    let house = place.house(&format!("app_dir = {:?}", elsewhere.display().to_string())).await;
    assert!(ask(&house, "GET", "/app/", &[]).await.text().contains("the app"));
    let house = place.house("app_dir = \"\"").await;
    assert!(ask(&house, "GET", "/app/", &[]).await.headers.contains_key("x-components"));
    assert!(ask(&house, "GET", "/", &[("accept", BROWSER)]).await.headers.contains_key("x-components"));
}
