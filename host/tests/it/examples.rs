//! Other people's components: those of `examples/`, built here and put into the chains by configuration.

use crate::house::{Folder, House, guest, root};

const CHAINS: &str = "[chains]\n\
    \"wasi:http/handler\" = [\"gate\", \"add-header\", \"router\"]\n\
    \"hybrid:inference/inference\" = [\"echo-models\", \"hf\", \"local\", \"unknown-model\"]\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_middleware_and_a_provider_stand_where_the_configuration_puts_them() {
    let folder = Folder::new();
    for entry in root().join("target/components").read_dir().expect("`cargo xtask components` was run") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("a copy");
    }
    for name in ["add-header", "echo-models"] {
        std::fs::copy(guest(name), folder.path().join(format!("{name}.wasm"))).expect("a copy");
    }
    let house = House::of(folder.path(), CHAINS).await;
    assert_eq!(house.get("/health").await.headers["x-served-with"], "care");

    let ask = async |model: &str| {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"Is anybody there"}}],"model":"{model}"}}"#);
        let request = http::Request::post(format!("{}/llm", house.base)).header("content-type", "application/json");
        house.send(request.body(body.into()).expect("a request")).await
    };
    let answer = ask("echo/parrot").await;
    assert!(answer.text().contains("Is anybody there"), "{}", answer.text());
    assert_eq!(
        (&answer.headers["x-provider"], &answer.headers["x-model"]),
        (&"echo".parse().unwrap(), &"echo/parrot".parse().unwrap())
    );
    assert_eq!(answer.headers["x-placeholder"], "true");
    let names: Vec<&str> = answer.headers["x-components"].to_str().expect("text").split(',').collect();
    let names: Vec<&str> = names.iter().filter_map(|label| label.split('@').next()).collect();
    assert_eq!(names, ["gate", "add-header", "router", "llm", "echo-models"]);
    // Everybody else is still asked.
    assert_eq!(ask("local/echo").await.headers["x-provider"], "local");
}
