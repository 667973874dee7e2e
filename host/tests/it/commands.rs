//! The commands of the README and of `docs/`, run as they stand there. `xtask/tests/docs.rs` holds the list of all of
//! them, and says of each which test runs it.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::house::{Folder, House, PROGRAM, Process, guest, root};
use crate::keys::built;

/// The commands in a page's blocks of `sh`, one each, continued lines put together.
fn blocks(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(page)).expect("a page");
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
    blocks.map(|(block, _)| block.to_owned()).collect()
}

/// The lines of a page that begin so, in blocks or indented.
fn lines(page: &str, start: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(page)).expect("a page");
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with(start));
    lines.map(str::to_owned).collect()
}

/// Runs words of the program's as they are written, and gives what it prints.
fn run(line: &str, more: &[&str], environment: &[(&str, &str)]) -> String {
    let mut words = line.split_whitespace();
    assert_eq!(words.next(), Some("hybrid-ai"));
    let mut command = Process::command();
    command.args(words).args(more).envs(environment.iter().copied()).current_dir(root());
    let output = command.stdout(Stdio::piped()).output().expect("the program");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "`{line}`: {err}");
    out.into_owned()
}

/// The built components, `changed` in another version than the built one.
fn components_but(changed: &[&str]) -> Folder {
    let folder = Folder::new();
    for entry in built().read_dir().expect("components") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_owned();
        std::fs::copy(&path, folder.path().join(name)).expect("a copy");
    }
    for name in changed {
        let mut bytes = std::fs::read(built().join(format!("{name}.wasm"))).expect("a component");
        // A custom section, `v_1`: other bytes, the same behaviour.
        bytes.extend_from_slice(&[0, 4, 2, b'v', b'_', 1]);
        folder.write(&format!("{name}.wasm"), bytes);
    }
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_calls_are_answered() {
    let house = House::of(&built(), "").await;
    let folder = Folder::new();
    let script = blocks("README.md").join("\n").replace("http://127.0.0.1:3000", &house.base);
    assert!(script.matches("curl ").count() >= 7, "{script}");
    // A call that fails ends it.
    let script = format!("set -eo pipefail\n{}", script.replace("curl ", "curl -sS --fail-with-body "));
    let place = folder.path().to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut bash = Command::new("bash");
        bash.arg("-c")
            .arg(script)
            .current_dir(place)
            .env("NO_PROXY", "*")
            .output()
            .expect("bash and curl are installed")
    });
    let output = output.await.expect("it ends");
    let (told, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told} {err}");
    let file = |name: &str| std::fs::read(folder.path().join(name)).expect("an answer");
    assert!(file("picture.png").starts_with(b"\x89PNG") && file("edited.png").starts_with(b"\x89PNG"));
    assert!(file("speech.wav").starts_with(b"RIFF"));
    for said in ["healthy", "text", "response", "embedding"] {
        assert!(told.contains(said), "no `{said}` in {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn components_are_replaced_as_the_pages_say() {
    let components = components_but(&["hf"]);
    let house = House::of(components.path(), "").await;
    let admin = house.admin.trim_start_matches("http://");
    let ask = |line: &str| tokio::task::block_in_place(|| run(line, &["--admin", admin], &[]));
    assert!(ask("hybrid-ai component list").lines().count() > 10);
    // The commands of the operator's guide, in their order: on trial, promoted, back; then for a fleet, which is this host.
    let told: Vec<String> = lines("docs/operating.md", "hybrid-ai component ").iter().map(|line| ask(line)).collect();
    let states: Vec<&str> = told.iter().filter_map(|told| told.split_whitespace().nth(1)).collect();
    assert_eq!(states[..3], ["canary", "serving", "serving"], "{told:?}");
    assert!(told.len() >= 5 && states[3..5] == ["serving", "serving"], "{told:?}");
    assert!(told[3].contains("it serves on this host alone"), "{told:?}");
    // A component that somebody has written.
    guest("echo-models");
    let told: Vec<String> = lines("docs/components.md", "hybrid-ai component ").iter().map(|line| ask(line)).collect();
    assert!(told.len() == 1 && told[0].starts_with("echo-models: serving"), "{told:?}");
}

#[test]
fn a_key_is_made_as_the_readme_says() {
    let data = Folder::new();
    let environment = [("HYBRID_DATA_DIR", data.path().to_str().expect("a path")), ("HYBRID_STORE", "file")];
    let made = lines("README.md", "hybrid-ai key create");
    assert_eq!(made.len(), 1);
    let key = run(&made[0], &[], &environment);
    assert!(key.trim().len() > 20 && key.lines().count() == 1, "{key}");
    let keys = run("hybrid-ai key list", &[], &environment);
    assert!(keys.contains("phone"), "{keys}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_asked_as_the_containers_do() {
    let house = House::of(&built(), "").await;
    let asked = |listen: &str| {
        let mut command = Command::new(&*PROGRAM);
        command.args(["health", "--listen", listen]).env_clear().current_dir(Path::new("/"));
        tokio::task::block_in_place(|| command.output().expect("the program").status.success())
    };
    assert!(asked(house.authority()));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    assert!(!asked(&nobody.to_string()));
}
