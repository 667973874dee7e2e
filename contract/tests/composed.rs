//! The contract, kept by `target/composed/hybrid-ai.wasm` in somebody else's server.

mod stock;

use std::path::PathBuf;

use contract::{KEY, Kind};
use standin::{Options, Standin};

fn composed() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/composed/hybrid-ai.wasm"))
}

/// One case or some, by a part of their names: `CASES=retries cargo test …`.
async fn run(environment: &[(&str, &str)], standin: &Standin, kind: Kind) {
    let addr = stock::serve(&composed(), environment).await.expect("the composed file serves");
    let base = format!("http://{addr}");
    match std::env::var("CASES") {
        Ok(part) => assert!(contract::run(&base, standin, kind, &part).await.is_empty(), "cases failed"),
        Err(_) => contract::run_all(&base, standin, kind).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_composed_file_keeps_the_contract_without_a_key() {
    let standin = Standin::start(Options::default()).expect("it starts");
    run(&[], &standin, Kind::Keyless).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_composed_file_keeps_the_contract_with_an_upstream() {
    let standin = Standin::start(Options { key: Some(KEY.to_owned()), ..Options::default() }).expect("it starts");
    let url = standin.url();
    let environment = [
        ("HF_BASE_URL", url.as_str()),
        ("HF_HUB_URL", url.as_str()),
        ("HF_API_KEY", KEY),
        ("RETRY_INITIAL_MS", "10"),
        ("POLL_MS", "20"),
        ("STREAM_KEEP_ALIVE_MS", "700"),
    ];
    run(&environment, &standin, Kind::Forgetful).await;
}
