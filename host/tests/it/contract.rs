//! The same cases that the composed file keeps, kept by our host with its linked components.

use contract::{KEY, Kind};
use standin::{Options, Standin};

use crate::house::{House, root};

/// The built components; `cargo xtask test` builds them before.
pub fn built() -> std::path::PathBuf {
    let dir = root().join("target/components");
    assert!(dir.is_dir(), "no components in {}: run `cargo xtask components`", dir.display());
    dir
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_keeps_the_contract_without_a_key() {
    let standin = Standin::start(Options::default()).expect("it starts");
    let house = House::of(&built(), "").await;
    contract::run_all(&house.base, &standin, Kind::Keyless).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_keeps_the_contract_with_an_upstream() {
    let standin = Standin::start(Options { key: Some(KEY.to_owned()), ..Options::default() }).expect("it starts");
    let url = standin.url();
    let settings = format!(
        "[settings]\nhf_base_url = \"{url}\"\nhf_hub_url = \"{url}\"\nretry_initial_ms = 10\npoll_ms = 20\nstream_keep_alive_ms = 700\n"
    );
    let house = House::with_environment(&built(), &settings, &[("HF_API_KEY", KEY)]).await;
    contract::run_all(&house.base, &standin, Kind::Upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_name_the_components_that_served_them() {
    let house = House::of(&built(), "").await;
    let request = http::Request::post(format!("{}/llm", house.base))
        .header("content-type", "application/json")
        .body(r#"{"messages":[{"role":"user","content":"Hello"}]}"#.into())
        .expect("a request");
    let answer = house.send(request).await;
    let named = answer.headers["x-components"].to_str().expect("text").to_owned();
    let names: Vec<&str> = named.split(',').filter_map(|label| label.split('@').next()).collect();
    assert_eq!(names, ["gate", "router", "llm", "hf", "local"]);
    assert!(named.split(',').all(|label| label.split('@').nth(1).is_some_and(|digest| digest.len() == 12)), "{named}");
}
