//! API keys and limits, with the components that enforce them.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use hybrid_ai::keys::{self, Wanted};

use crate::house::{Answer, Folder, House, PROGRAM, assert_uniform, probe, root};

/// The built components; `cargo xtask test` builds them before.
pub fn built() -> std::path::PathBuf {
    let dir = root().join("target/components");
    assert!(dir.is_dir(), "no components in {}: run `cargo xtask components`", dir.display());
    dir
}

pub fn wanted(name: &str, limits: &[(&str, u32)]) -> Wanted {
    let limits = limits.iter().map(|(limit, most)| ((*limit).to_owned(), *most)).collect::<BTreeMap<_, _>>();
    Wanted { name: name.to_owned(), limits, ..Wanted::default() }
}

pub async fn ask(house: &House, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::post(format!("{}{path}", house.base)).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = r#"{"messages":[{"role":"user","content":"hello"}],"model":"local/echo"}"#;
    house.send(request.body(Full::new(Bytes::from_static(body.as_bytes()))).expect("a request")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_is_open_until_a_key_is_made_and_never_again() {
    let house = House::of(&built(), "store = \"memory\"").await;
    assert_eq!(ask(&house, "/llm", &[]).await.status, StatusCode::OK);
    let (key, record) = keys::create(house.registry.stores(), wanted("one", &[])).await.expect("a key");
    let refused = ask(&house, "/llm", &[]).await;
    assert_eq!(
        (refused.status, &refused.headers["www-authenticate"]),
        (StatusCode::UNAUTHORIZED, &"Bearer".parse().expect("a value"))
    );
    assert_uniform(&refused, "unauthorized");
    assert_eq!(ask(&house, "/v1/chat/completions", &[]).await.json()["error"]["code"], "invalid_api_key");
    assert_eq!(house.get("/health").await.status, StatusCode::OK);
    let bearer = format!("Bearer {key}");
    for header in [("authorization", bearer.as_str()), ("x-api-key", key.as_str())] {
        let answer = ask(&house, "/llm", &[header]).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("x-log-")), "{:?}", answer.headers);
    }
    keys::revoke(house.registry.stores(), &record.id).await.expect("revoked");
    // What is known of a key is asked again after a second.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    for headers in [&[("x-api-key", key.as_str())][..], &[]] {
        assert_eq!(ask(&house, "/llm", headers).await.status, StatusCode::UNAUTHORIZED);
    }
}

/// By the host, and by the gate itself where the host does not. What the host takes off behind another component is no
/// matter of the gate's.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_at_the_gate() {
    let folder = Folder::new();
    folder.write("gate.wasm", std::fs::read(built().join("gate.wasm")).expect("the gate"));
    folder.write("probe.wasm", std::fs::read(probe()).expect("the probe"));
    let of_another =
        r#"withholds = ["authorization", "x-api-key", "x-admission", "x-admitted-as", "x-admission-count"]"#;
    let of_another = format!("{of_another}\n[components.gate]\nwithholds = []");
    for withholds in ["", "[components.gate]\nwithholds = []", &of_another] {
        let text = format!(
            "store = \"memory\"\n[chains]\n\"wasi:http/handler\" = [\"gate\", \"probe\"]\n\
             [components.probe]\noutbound = [\"http://127.0.0.1:1\"]\n{withholds}"
        );
        let house = House::of(folder.path(), &text).await;
        let (key, _) = keys::create(house.registry.stores(), wanted("one", &[])).await.expect("a key");
        let bearer = format!("Bearer {key}");
        for header in [("authorization", bearer.as_str()), ("x-api-key", key.as_str())] {
            let admission = [("x-admission", "guessed"), ("x-admitted-as", "key/1"), ("x-admission-count", "9")];
            let told = [&[header, ("x-mine", "stays")][..], &admission].concat();
            let answer = ask(&house, "/headers", &told).await;
            let seen = answer.text();
            assert_eq!(answer.status, StatusCode::OK, "{seen}");
            assert!(seen.contains("x-mine: stays") && seen.contains("x-request-id: "), "{seen}");
            assert!(!seen.contains(&key) && !seen.contains("x-adm"), "{seen}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_outlast_the_process_that_made_them() {
    let data = Folder::new();
    let environment = [("HYBRID_DATA_DIR", data.path().to_str().expect("a path"))];
    let made = std::process::Command::new(&*PROGRAM)
        .args(["key", "create", "one"])
        .envs(environment)
        .env("HYBRID_STORE", "file")
        .output()
        .expect("it starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let key = String::from_utf8(made.stdout).expect("text");
    // Nobody says where: a file has been made.
    let house = House::with_environment(&built(), "", &environment).await;
    assert_eq!(house.registry.stores().place(), "file");
    assert_eq!(ask(&house, "/llm", &[]).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&house, "/llm", &[("x-api-key", key.trim())]).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_what_its_scopes_name() {
    let house = House::of(&built(), "store = \"memory\"").await;
    let scoped = Wanted { scopes: Some(vec!["tts".into()]), ..wanted("voice", &[]) };
    let (key, _) = keys::create(house.registry.stores(), scoped).await.expect("a key");
    let refused = ask(&house, "/llm", &[("x-api-key", &key)]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_uniform(&refused, "forbidden");
    // The body is for another capability; that the door lets it through is what counts.
    assert_eq!(ask(&house, "/tts", &[("x-api-key", &key)]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_told_and_enforced() {
    let house = House::of(&built(), "store = \"memory\"").await;
    let limits = [("requests_per_minute", 3)];
    let (key, _) = keys::create(house.registry.stores(), wanted("three", &limits)).await.expect("a key");
    for remaining in ["2", "1", "0"] {
        let answer = ask(&house, "/llm", &[("x-api-key", &key)]).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["x-ratelimit-limit-requests"], "3");
        assert_eq!(answer.headers["x-ratelimit-remaining-requests"], remaining);
        assert!(answer.headers.contains_key("x-ratelimit-reset-requests"));
    }
    // A page must be able to read why it is refused.
    let refused = ask(&house, "/llm", &[("x-api-key", &key), ("origin", "https://app.example")]).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_uniform(&refused, "rate_limited");
    assert_eq!(refused.headers["access-control-allow-origin"], "https://app.example");
    let header = |name: &str| refused.headers[name].to_str().expect("text").parse::<u64>().expect("a number");
    // A minute, and what is left of its last slot.
    assert!((50..=70).contains(&header("retry-after")), "{}", header("retry-after"));
    assert!(header("retry-after-ms").div_ceil(1000) == header("retry-after"));
    let openai = ask(&house, "/v1/chat/completions", &[("x-api-key", &key)]).await;
    assert_eq!(openai.json()["error"]["code"], "rate_limit_exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_its_own_limit() {
    let settings = "store = \"memory\"\n[settings]\naddress_requests_per_minute = 2\n";
    let house = House::of(&built(), settings).await;
    for status in [StatusCode::OK, StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
        assert_eq!(ask(&house, "/llm", &[]).await.status, status);
    }
    // What costs nothing is not counted.
    assert_eq!(house.get("/health").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_named_origins_are_let_in() {
    let house =
        House::with_environment(&built(), "", &[("ALLOWED_ORIGINS", "https://app.example, http://localhost:8081")])
            .await;
    for (origin, allowed) in [
        ("https://app.example", true),
        ("http://localhost:8081", true),
        ("https://app.example.evil", false),
        ("http://app.example", false),
        ("null", false),
    ] {
        for method in ["OPTIONS", "GET"] {
            let request = Request::builder()
                .method(method)
                .uri(format!("{}/health", house.base))
                .header("origin", origin)
                .header("access-control-request-method", "DELETE")
                .body(Full::default())
                .expect("a request");
            let answer = house.send(request).await;
            let given = answer.headers.get("access-control-allow-origin").map(|it| it.to_str().expect("text"));
            assert_eq!(given, allowed.then_some(origin), "{method} {origin}");
            assert_eq!(answer.headers.contains_key("access-control-allow-credentials"), allowed, "{method} {origin}");
            assert_eq!(answer.headers["vary"], "origin", "{method} {origin}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_command_asks_the_host_that_has_the_keys() {
    let data = Folder::new();
    let state = data.path().to_str().expect("a path").to_owned();
    let house = House::keeping(&built(), "store = \"file\"", &[], data.path()).await;
    let admin = house.admin.trim_start_matches("http://");
    let config = data.write("hybrid.toml", format!("store = \"file\"\n[admin]\nlisten = \"{admin}\"\n"));
    let key = async |words: &'static [&'static str]| {
        let mut command = std::process::Command::new(&*PROGRAM);
        command.arg("key").args(words).arg("--config").arg(&config).env_clear().env("HYBRID_DATA_DIR", &state);
        let done = tokio::task::spawn_blocking(move || command.output()).await.expect("it runs").expect("it starts");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        (done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned(), said)
    };
    let (made, text, said) = key(&["create", "phone", "--requests-per-minute", "5"]).await;
    assert!(made && text.starts_with("hai_"), "{said}");
    assert_eq!(ask(&house, "/llm", &[]).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&house, "/llm", &[("x-api-key", text.trim())]).await.status, StatusCode::OK);
    let (_, list, said) = key(&["list"]).await;
    assert!(list.contains("phone") && list.contains("5 requests per minute"), "{list}{said}");
    let (twice, _, said) = key(&["create", "phone"]).await;
    assert!(!twice && said.contains("there is a valid key `phone` already"), "{said}");
    assert!(key(&["revoke", "phone"]).await.1.starts_with("revoked phone"), "{list}");
}
