use crate::house::{Folder, House, probe, root};

const CONFIG: &str =
    "[components.one]\noutbound = [\"http://127.0.0.1:1\"]\n[chains]\n\"wasi:http/handler\" = [\"one\"]";

/// The probe with a custom section at its end: other bytes, the same behaviour.
fn other_version() -> Vec<u8> {
    let mut bytes = std::fs::read(probe()).expect("the probe");
    bytes.extend_from_slice(&[0, 5, 3, b'v', b'2', b'!', b'2']);
    bytes
}

#[tokio::test]
async fn a_changed_file_serves_the_next_request_and_running_ones_end_on_the_old() {
    let folder = Folder::new();
    let file = folder.path().join("one.wasm");
    std::fs::copy(probe(), &file).expect("a copy");
    let house = House::of(folder.path(), CONFIG).await;
    let before = house.get("/hello").await.headers["x-components"].clone();

    let (running, ()) = tokio::join!(house.get("/drip?20"), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        std::fs::write(&file, other_version()).expect("a new version");
        let changed = house.registry.reload(folder.path()).expect("it loads");
        assert_eq!(changed.len(), 1);
        let after = house.get("/hello").await.headers["x-components"].clone();
        assert_ne!(before, after);
    });
    assert_eq!(running.headers["x-components"], before);
    assert!(running.text().ends_with("19\n"));
}

#[tokio::test]
async fn a_broken_file_changes_nothing() {
    let folder = Folder::new();
    std::fs::copy(probe(), folder.path().join("one.wasm")).expect("a copy");
    let house = House::of(folder.path(), CONFIG).await;
    folder.write("one.wasm", b"half a component");
    assert!(house.registry.reload(folder.path()).is_err());
    assert_eq!(house.get("/hello").await.text(), "hello");
}

#[tokio::test]
async fn the_watcher_notices_by_itself() {
    let folder = Folder::new();
    std::fs::copy(probe(), folder.path().join("one.wasm")).expect("a copy");
    let house = House::of(folder.path(), CONFIG).await;
    hybrid_ai::watch::start(house.registry.clone(), folder.path().to_owned()).expect("a thread");
    let before = house.get("/hello").await.headers["x-components"].clone();
    let part = folder.write(".one.part", other_version());
    std::fs::rename(part, folder.path().join("one.wasm")).expect("a rename");
    for _ in 0..200 {
        if house.get("/hello").await.headers["x-components"] != before {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("still the old version, of {}", root().display());
}
