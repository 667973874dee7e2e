use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::{Folder, House, one_probe, other_version, probe};

async fn house_of_one(text: &str) -> (Folder, House) {
    let folder = Folder::new();
    std::fs::copy(probe(), folder.path().join("one.wasm")).expect("a copy");
    let house = House::of(folder.path(), &one_probe(text)).await;
    (folder, house)
}

#[tokio::test]
async fn a_put_is_served_kept_and_rolled_back() {
    let (folder, house) = house_of_one("").await;
    let first = house.version().await;
    let answer = house.ask("PUT", "/components/one", other_version(10)).await;
    assert_eq!(
        (answer.status, answer.json()["state"].as_str()),
        (StatusCode::OK, Some("serving")),
        "{}",
        answer.text()
    );
    assert_eq!(answer.json()["before"].as_str(), first.to_str().ok());
    let second = house.version().await;
    assert_ne!(first, second);
    let kept = || std::fs::read(folder.path().join("one.wasm")).expect("its file");
    assert_eq!(kept(), other_version(10));

    let answer = house.ask("PUT", "/components/one", other_version(10)).await;
    assert_eq!(answer.json()["state"], "unchanged", "{}", answer.text());
    let answer = house.ask("POST", "/components/one/rollback", "").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(house.version().await, first);
    assert_eq!(kept(), std::fs::read(probe()).expect("the probe"));
    // There is nothing before the first.
    let answer = house.ask("POST", "/components/one/rollback", "").await;
    assert_eq!((answer.status, answer.json()["details"]["check"].as_str()), (StatusCode::CONFLICT, Some("state")));
}

#[tokio::test]
async fn what_serves_the_outside_cannot_be_removed() {
    let (_folder, house) = house_of_one("").await;
    let answer = house.ask("DELETE", "/components/one", "").await;
    assert_eq!((answer.status, answer.json()["details"]["check"].as_str()), (StatusCode::CONFLICT, Some("importers")));
    assert_eq!(house.ask("DELETE", "/components/nobody", "").await.status, StatusCode::CONFLICT);
    assert_eq!(house.get("/hello").await.text(), "hello");
}

/// Reads an answer to its end, by hand.
async fn raw(house: &House, path: &str) -> (TcpStream, Vec<u8>) {
    let mut stream = TcpStream::connect(house.authority()).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a request");
    let mut seen = vec![0; 4096];
    let count = stream.read(&mut seen).await.expect("the beginning");
    seen.truncate(count);
    (stream, seen)
}

#[tokio::test]
async fn past_the_deadline_a_stream_of_events_ends_with_an_event_that_says_so() {
    let (_folder, house) = house_of_one("[limits]\ndrain_deadline_ms = 300\n").await;
    let (mut events, mut seen) = raw(&house, "/events?1000").await;
    let (mut lines, _) = raw(&house, "/drip?1000").await;
    let answer = house.ask("PUT", "/components/one", other_version(11)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert!(house.ask("GET", "/components", "").await.text().contains("\"draining\""));

    let end = tokio::time::timeout(Duration::from_secs(20), events.read_to_end(&mut seen)).await;
    end.expect("it ends").expect("and not with a reset");
    let seen = String::from_utf8(seen).expect("text");
    let event = seen.split("event: error\ndata: ").nth(1).unwrap_or_else(|| panic!("no error event in {seen}"));
    let body: serde_json::Value = serde_json::from_str(event.lines().next().unwrap_or_default()).expect("JSON");
    assert_eq!(body["error"], "replaced");
    assert!(seen.ends_with("0\r\n\r\n"), "the answer is whole: {seen}");

    // What cannot say so must not look whole.
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), lines.read_to_end(&mut rest)).await.expect("it ends");
    assert!(!rest.ends_with(b"0\r\n\r\n"));
    for _ in 0..100 {
        if !house.ask("GET", "/components", "").await.text().contains("\"draining\"") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the old version is still there");
}

#[tokio::test]
async fn the_newest_of_several_waiting_versions_wins() {
    let (_folder, house) = house_of_one("[limits]\ndraining_versions = 1\ndrain_deadline_ms = 1500\n").await;
    let (_stream, _) = raw(&house, "/events?1000").await;
    assert_eq!(house.ask("PUT", "/components/one", other_version(20)).await.status, StatusCode::OK);
    // The one before it still drains: these wait, and only the last of them is worth it.
    let put = async |number: u8, wait: u64| {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        house.ask("PUT", "/components/one", other_version(number)).await.status.as_u16()
    };
    let (second, third, fourth) = tokio::join!(put(21, 0), put(22, 300), put(23, 600));
    assert_eq!((second, third, fourth), (409, 409, 200));
    let label = house.version().await;
    let expected = house.ask("PUT", "/components/one", other_version(23)).await.json()["version"].clone();
    assert_eq!(label.to_str().ok(), expected.as_str());
}

#[tokio::test]
async fn versions_in_a_row_are_not_overtaken_by_their_own_files() {
    let (folder, house) = house_of_one("[limits]\ndraining_versions = 64\n").await;
    house.watch(folder.path());
    let mut last = String::new();
    for number in 40..80 {
        let answer = house.ask("PUT", "/components/one", other_version(number)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        last = answer.json()["version"].as_str().expect("a version").to_owned();
        assert_eq!(house.version().await, last);
    }
    // Whoever watches the folder has seen all of it by then.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(house.version().await, last);
}

#[tokio::test]
async fn a_canary_gets_its_share_and_keeps_its_clients() {
    let (_folder, house) = house_of_one("").await;
    let current = house.version().await;
    let answer = house.ask("PUT", "/components/one?canary=30&promote_after=40", other_version(30)).await;
    assert_eq!((answer.status, answer.json()["state"].as_str()), (StatusCode::OK, Some("canary")), "{}", answer.text());
    let as_client = async |key: usize| {
        let request =
            Request::get(format!("{}/hello", house.base)).header("authorization", format!("Bearer key-{key}"));
        house.send(request.body(Full::default()).expect("a request")).await.headers["x-components"].clone()
    };
    let mut on_trial = Vec::new();
    for key in 0..60 {
        if as_client(key).await != current {
            on_trial.push(key);
        }
    }
    assert!((6..=32).contains(&on_trial.len()), "{} of 60 clients", on_trial.len());
    assert!(house.ask("GET", "/components", "").await.text().contains("\"canary\""));
    let (in_trial, outside) = (on_trial[0], (0..60).find(|key| !on_trial.contains(key)).expect("somebody"));
    for _ in 0..5 {
        assert_ne!(as_client(in_trial).await, current);
        assert_eq!(as_client(outside).await, current);
    }
    // Enough good requests, and everybody gets it.
    for _ in 0..60 {
        as_client(in_trial).await;
    }
    for _ in 0..200 {
        if as_client(outside).await != current {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it was not promoted");
}

#[tokio::test]
async fn a_canary_that_traps_is_taken_back_within_twenty_bad_requests() {
    let (_folder, house) = house_of_one("").await;
    let current = house.version().await;
    for _ in 0..20 {
        house.get("/hello").await;
    }
    assert_eq!(house.ask("PUT", "/components/one?canary=100", other_version(31)).await.status, StatusCode::OK);
    assert_ne!(house.version().await, current);
    let mut bad = 0;
    while bad < 40 {
        let answer = house.get("/trap").await;
        if answer.status.is_server_error() {
            bad += 1;
        }
        if house.version().await == current {
            break;
        }
    }
    assert!(bad <= 20, "{bad} bad requests");
    // And it is remembered.
    for _ in 0..200 {
        if !house.ask("GET", "/components", "").await.text().contains("\"canary\"") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let again = house.ask("PUT", "/components/one?canary=100", other_version(31)).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", again.text());
}

#[tokio::test]
async fn a_canary_is_promoted_or_abandoned_by_command() {
    let (folder, house) = house_of_one("").await;
    let current = house.version().await;
    let start = async |number| house.ask("PUT", "/components/one?canary=0.01", other_version(number)).await.status;
    assert_eq!(start(32).await, StatusCode::OK);
    assert_eq!(house.ask("POST", "/components/one/abandon", "").await.json()["state"], "abandoned");
    assert_eq!(house.version().await, current);
    assert_eq!(start(33).await, StatusCode::OK);
    assert_eq!(house.ask("POST", "/components/one/promote", "").await.json()["state"], "serving");
    assert_ne!(house.version().await, current);
    assert_eq!(std::fs::read(folder.path().join("one.wasm")).expect("its file"), other_version(33));
}

#[tokio::test]
async fn a_smoke_call_must_be_answered_as_the_configuration_says() {
    let smoke = "smoke = { path = \"/hello\", status = 200 }\n";
    let (_folder, house) = house_of_one(smoke).await;
    assert_eq!(house.ask("PUT", "/components/one", other_version(40)).await.status, StatusCode::OK);
    let smoke = "smoke = { path = \"/trap\", status = 200 }\n";
    let (_folder, house) = house_of_one(smoke).await;
    let before = house.version().await;
    let answer = house.ask("PUT", "/components/one", other_version(41)).await;
    assert_eq!(answer.json()["details"]["check"], "smoke", "{}", answer.text());
    assert_eq!(house.version().await, before);
}

#[tokio::test]
async fn a_file_that_is_dropped_in_while_a_put_waits_is_the_newer_change() {
    let (folder, house) = house_of_one("[limits]\ndraining_versions = 1\ndrain_deadline_ms = 1500\n").await;
    house.watch(folder.path());
    let (_stream, _) = raw(&house, "/events?1000").await;
    let first = house.ask("PUT", "/components/one", other_version(50)).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text());
    let before = house.version().await;
    // The one before it still drains, so this one waits.
    let put = house.ask("PUT", "/components/one", other_version(51));
    let drop_in = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let part = folder.write("one.part", other_version(52));
        std::fs::rename(part, folder.path().join("one.wasm")).expect("renamed");
    };
    let (put, ()) = tokio::join!(put, drop_in);
    assert_eq!((put.status, put.json()["details"]["check"].as_str()), (StatusCode::CONFLICT, Some("state")));
    let now = house.until_not(&before).await;
    let again = house.ask("PUT", "/components/one", other_version(52)).await.json();
    assert_eq!((again["state"].as_str(), again["version"].as_str()), (Some("unchanged"), now.to_str().ok()));
    assert_eq!(std::fs::read(folder.path().join("one.wasm")).expect("its file"), other_version(52));
}

#[tokio::test]
async fn a_way_back_outlasts_the_process() {
    let (folder, state) = (Folder::new(), Folder::new());
    std::fs::write(folder.path().join("one.wasm"), other_version(60)).expect("a file");
    let text = one_probe("");
    let start = || House::keeping(folder.path(), &text, &[], state.path());
    let house = start().await;
    let mut versions = vec![house.version().await];
    for number in [61, 62] {
        assert_eq!(house.ask("PUT", "/components/one", other_version(number)).await.status, StatusCode::OK);
        versions.push(house.version().await);
    }
    drop(house);

    // Back, one after the other, and no further.
    let house = start().await;
    assert_eq!(house.version().await, versions[2]);
    for version in [&versions[1], &versions[0]] {
        let answer = house.ask("POST", "/components/one/rollback", "").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(house.version().await, *version);
    }
    assert_eq!(house.ask("POST", "/components/one/rollback", "").await.status, StatusCode::CONFLICT);
    drop(house);

    // What served before the end is a version before, where another file has come meanwhile.
    std::fs::write(folder.path().join("one.wasm"), other_version(63)).expect("a file");
    let house = start().await;
    assert_ne!(house.version().await, versions[0]);
    assert_eq!(house.ask("POST", "/components/one/rollback", "").await.status, StatusCode::OK);
    assert_eq!(house.version().await, versions[0]);
}
