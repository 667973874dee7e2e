use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::json;

use crate::house::{Folder, House, folder_of_probes};
use crate::keys::built;

const GRANT: &str =
    "[components.one]\noutbound = [\"http://127.0.0.1:1\"]\n[chains]\n\"wasi:http/handler\" = [\"one\"]\n";

#[tokio::test]
async fn the_admin_address_tells_what_is_in_service() {
    let folder = folder_of_probes(&["one"]);
    let house = House::of(folder.path(), GRANT).await;
    assert_eq!(house.get("/hello").await.text(), "hello");
    assert_eq!(house.get("/trap").await.status, StatusCode::INTERNAL_SERVER_ERROR);

    let told = house.ask("GET", "/components", "").await.json();
    let one = &told["components"][0];
    assert_eq!((one["name"].as_str(), one["state"].as_str()), (Some("one"), Some("serving")), "{told}");
    assert_eq!((one["requests"].as_u64(), one["traps"].as_u64()), (Some(2), Some(1)), "{told}");
    assert_eq!(one["grants"]["outbound"][0], "http://127.0.0.1:1", "{told}");
    assert_eq!(one["sha256"].as_str().map(str::len), Some(64), "{told}");
    assert!(one["p99_ms"].is_number() && one["memory_bytes"].as_u64() > Some(65_535), "{told}");
    let names =
        |key: &str| one[key].as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect::<Vec<_>>();
    assert!(names("exports").iter().any(|name| name.starts_with("wasi:http/handler@0.3")), "{told}");
    assert!(names("imports").iter().any(|name| name.starts_with("wasi:http/client@0.3")), "{told}");
}

#[tokio::test]
async fn metrics_count_requests_and_traps() {
    let folder = folder_of_probes(&["one"]);
    let house = House::of(folder.path(), GRANT).await;
    house.get("/hello").await;
    house.get("/trap").await;
    let answer = house.ask("GET", "/metrics", "").await;
    assert!(answer.headers["content-type"].to_str().expect("text").starts_with("text/plain; version=0.0.4"));
    for line in [
        "hybrid_requests_total{status=\"2xx\"} 1",
        "hybrid_requests_total{status=\"5xx\"} 1",
        "hybrid_component_requests_total{component=\"one\"} 2",
        "hybrid_component_traps_total{component=\"one\"} 1",
    ] {
        assert!(answer.text().lines().any(|told| told == line), "{line} in {}", answer.text());
    }
}

#[tokio::test]
async fn readiness_ends_when_the_host_drains() {
    let folder = folder_of_probes(&["one"]);
    let house = House::of(folder.path(), GRANT).await;
    assert_eq!(house.ask("GET", "/readyz", "").await.status, StatusCode::OK);
    house.stop();
    assert_eq!(house.ask("GET", "/readyz", "").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(house.ask("GET", "/healthz", "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn web_pages_and_strangers_are_kept_out() {
    let folder = folder_of_probes(&["one"]);
    let house = House::of(folder.path(), GRANT).await;
    let ask = |name: &'static str, value: &'static str| {
        let request = Request::get(format!("{}/components", house.admin)).header(name, value);
        house.send(request.body(Full::default()).expect("a request"))
    };
    assert_eq!(ask("origin", "http://evil.example").await.status, StatusCode::FORBIDDEN);
    assert_eq!(ask("host", "evil.example:3001").await.status, StatusCode::FORBIDDEN);
    assert_eq!(house.ask("GET", "/nothing", "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(house.ask("POST", "/metrics", "").await.status, StatusCode::METHOD_NOT_ALLOWED);

    let guarded = House::with_environment(folder.path(), GRANT, &[("HYBRID_ADMIN_TOKEN", "a-token")]).await;
    assert_eq!(guarded.ask("GET", "/components", "").await.status, StatusCode::UNAUTHORIZED);
    let request = Request::get(format!("{}/components", guarded.admin)).header("authorization", "Bearer a-token");
    assert_eq!(guarded.send(request.body(Full::default()).expect("a request")).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_and_ended_at_the_admin_address() {
    let state = Folder::new();
    let house = House::keeping(&built(), "store = \"memory\"", &[], state.path()).await;
    assert_eq!(house.ask("GET", "/keys", "").await.json()["keys"], json!([]));
    let wish = json!({ "name": "phone", "scopes": ["embedding"], "limits": { "requests_per_minute": 2 }, "valid_seconds": 60 });
    let made = house.ask("POST", "/keys", wish.to_string()).await;
    assert_eq!(
        (made.status, &made.headers["cache-control"]),
        (StatusCode::CREATED, &"no-store".parse().expect("a value"))
    );
    let told = made.json();
    let key = told["key"].as_str().expect("a key").to_owned();
    assert_eq!((&told["record"]["state"], &told["kept"]), (&json!("valid"), &json!("memory")));
    let ask = async |headers: &[(&str, &str)]| house.post_with("/embedding", headers, r#"{"text":"x"}"#).await.status;
    assert_eq!(ask(&[]).await, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&[("x-api-key", &key)]).await, StatusCode::OK);
    let listed = house.ask("GET", "/keys", "").await;
    assert!(!listed.text().contains(&key) && listed.json()["keys"][0]["name"] == "phone", "{}", listed.text());
    for (wish, status) in [
        (wish.to_string(), StatusCode::UNPROCESSABLE_ENTITY),
        (r#"{"name":"a b"}"#.to_owned(), StatusCode::UNPROCESSABLE_ENTITY),
        (r#"{"naem":"x"}"#.to_owned(), StatusCode::BAD_REQUEST),
        ("x".repeat(100_000), StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(house.ask("POST", "/keys", wish.clone()).await.status, status, "{wish:.40}");
    }
    let ended = house.ask("DELETE", "/keys/phone", "").await;
    assert_eq!((ended.status, &ended.json()["revoked"][0]["name"]), (StatusCode::OK, &json!("phone")));
    assert_eq!(house.ask("DELETE", "/keys/phone", "").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(house.ask("PUT", "/keys", "").await.status, StatusCode::METHOD_NOT_ALLOWED);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(ask(&[("x-api-key", &key)]).await, StatusCode::UNAUTHORIZED);
    let audit = std::fs::read_to_string(state.path().join("audit.jsonl")).expect("an audit log");
    let lines: Vec<serde_json::Value> = audit.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let actions: Vec<_> = lines.iter().map(|line| (line["action"].as_str(), line["by"].as_str())).collect();
    let by = Some("admin address");
    assert_eq!(actions, [(Some("key.create"), by), (Some("key.revoke"), by)], "{audit}");
    assert!(!audit.contains(&key));
}
