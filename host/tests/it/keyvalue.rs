//! `wasi:keyvalue` as a component sees it, from memory, from a file, and from a Redis that hosts share.

use crate::house::{Folder, House, guest};
use crate::shared::Redis;

async fn house(folder: &Folder, store: &str) -> House {
    let text = format!(
        "store = \"{store}\"\n[chains]\n\"wasi:http/handler\" = [\"one\"]\n[components.one]\nstores = [\"default\"]\n"
    );
    House::keeping(folder.path(), &text, &[], &folder.path().join("state")).await
}

fn folder() -> Folder {
    let folder = Folder::new();
    std::fs::copy(guest("keeper"), folder.path().join("one.wasm")).expect("a copy");
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_swapped_and_many_are_asked_for_at_once_wherever_they_are_kept() {
    let (redis, folder) = (Redis::start(), folder());
    for store in ["memory", "file", &redis.url()] {
        let house = house(&folder, store).await;
        assert_eq!(house.get("/stale").await.text(), "theirs true mine", "{store}");
        assert_eq!(house.get("/many").await.text(), "m7=v7 none=- m49=v49 false", "{store}");
        let (one, other) = tokio::join!(house.get("/add?100"), house.get("/add?100"));
        let most = [one, other].map(|answer| answer.text().parse::<u32>().expect("a number")).into_iter().max();
        assert_eq!((most, house.get("/get?n").await.text()), (Some(200), "200"), "{store}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_swap_one_value_and_without_redis_none_does() {
    let (mut redis, folder) = (Redis::start(), folder());
    let (one, other) = (house(&folder, &redis.url()).await, house(&folder, &redis.url()).await);
    let (a, b) = tokio::join!(one.get("/add?200"), other.get("/add?200"));
    let most = [a, b].map(|answer| answer.text().parse::<u32>().expect("a number")).into_iter().max();
    assert_eq!(most, Some(400));
    redis.kill();
    let told = one.get("/add?1").await;
    assert!(told.text().contains("nothing is swapped"), "{}", told.text());
}
