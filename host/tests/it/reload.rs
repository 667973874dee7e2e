use std::time::Duration;

use crate::house::{Folder, House, one_probe, other_version, probe};

#[tokio::test]
async fn a_changed_file_serves_the_next_request_and_running_ones_end_on_the_old() {
    let folder = Folder::new();
    let file = folder.path().join("one.wasm");
    std::fs::copy(probe(), &file).expect("a copy");
    let house = House::of(folder.path(), &one_probe("")).await;
    house.watch(folder.path());
    let before = house.version().await;

    let (running, ()) = tokio::join!(house.get("/drip?100"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        std::fs::write(&file, other_version(2)).expect("a new version");
        house.until_not(&before).await;
    });
    assert_eq!(running.headers["x-components"], before);
    assert!(running.text().ends_with("99\n"));
}

#[tokio::test]
async fn a_file_renamed_into_place_is_served_and_a_half_written_one_is_not_read() {
    let folder = Folder::new();
    std::fs::copy(probe(), folder.path().join("one.wasm")).expect("a copy");
    let house = House::of(folder.path(), &one_probe("")).await;
    house.watch(folder.path());
    let before = house.version().await;

    // It is open for writing, and half of it is there.
    let bytes = other_version(3);
    let mut file = std::fs::File::create(folder.path().join("one.wasm")).expect("a file");
    std::io::Write::write_all(&mut file, &bytes[..bytes.len() / 2]).expect("half of it");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(house.version().await, before);
    assert_eq!(house.refusals("one").await, 0, "nobody has looked at it");
    std::io::Write::write_all(&mut file, &bytes[bytes.len() / 2..]).expect("the other half");
    drop(file);
    let second = house.until_not(&before).await;

    let part = folder.write(".one.part", other_version(4));
    std::fs::rename(part, folder.path().join("one.wasm")).expect("a rename");
    house.until_not(&second).await;
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_is_looked_at_once() {
    let folder = Folder::new();
    std::fs::copy(probe(), folder.path().join("one.wasm")).expect("a copy");
    let house = House::of(folder.path(), &one_probe("")).await;
    house.watch(folder.path());
    let before = house.version().await;
    folder.write("one.wasm", b"half a component");
    for _ in 0..200 {
        if house.refusals("one").await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(house.refusals("one").await, 1);
    assert_eq!(house.version().await, before);
}

#[tokio::test]
async fn components_appear_and_vanish_with_their_files() {
    let folder = Folder::new();
    std::fs::copy(probe(), folder.path().join("one.wasm")).expect("a copy");
    let house = House::of(folder.path(), &one_probe("")).await;
    house.watch(folder.path());
    let there = async |count: usize| {
        for _ in 0..500 {
            let told = house.ask("GET", "/components", "").await.json();
            if told["components"].as_array().map(Vec::len) == Some(count) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("there are not {count} components");
    };
    folder.write("two.wasm", wat::parse_str("(component)").expect("a component"));
    there(2).await;
    std::fs::remove_file(folder.path().join("two.wasm")).expect("it was there");
    there(1).await;
    // The one that serves the outside stays, whatever becomes of its file.
    std::fs::remove_file(folder.path().join("one.wasm")).expect("it was there");
    for _ in 0..200 {
        if house.refusals("one").await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(house.get("/hello").await.text(), "hello");
}

#[tokio::test]
async fn the_configuration_is_taken_whole_or_not_at_all() {
    let folder = Folder::new();
    std::fs::copy(probe(), folder.path().join("one.wasm")).expect("a copy");
    let settings = Folder::new();
    let file = settings.write("hybrid.toml", one_probe(""));
    let house = House::of(folder.path(), &one_probe("")).await;
    house.watch_with(folder.path(), &file);
    let echo = async || house.post("/echo", vec![0; 1000]).await.status.as_u16();
    assert_eq!(echo().await, 200);

    std::fs::write(&file, one_probe("[limits]\nrequest_body_bytes = 10\n")).expect("a file");
    let started = std::time::Instant::now();
    while echo().await != 413 {
        assert!(started.elapsed() < Duration::from_secs(10), "the limit was not taken over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // A chain of nobody, a key that is none: neither these nor the limit beside them.
    for wrong in ["[limits]\nrequest_body_bytes = 10000\nmemory_byte = 1\n", "[limits]\ncpu_ms = 0\n"] {
        std::fs::write(&file, one_probe(wrong)).expect("a file");
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(echo().await, 413, "{wrong}");
    }
    std::fs::write(&file, "[chains]\n\"wasi:http/handler\" = [\"nobody\"]\n").expect("a file");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(echo().await, 413);
}
