use crate::house::House;

#[tokio::test]
async fn an_instance_serves_many_requests_and_then_goes() {
    let house = House::probe("[limits]\nrequests_per_instance = 3").await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(house.get("/count").await.text().to_owned());
    }
    assert_eq!(seen, ["1", "2", "3", "1", "2", "3"]);
}

#[tokio::test]
async fn an_instance_that_trapped_is_not_used_again() {
    let house = House::probe("").await;
    house.get("/count").await;
    house.get("/trap").await;
    assert_eq!(house.get("/count").await.text(), "1");
}

#[tokio::test]
async fn one_instance_takes_one_request_at_a_time() {
    let house = House::probe("").await;
    let (_, count) = tokio::join!(house.get("/sleep?200"), house.get("/count"));
    assert_eq!(count.text(), "1");
    // Two instances wait now; the counters of both together are what was counted.
    let (one, two) = tokio::join!(house.get("/count"), house.get("/count"));
    assert!(one.text().parse::<u32>().expect("a number") + two.text().parse::<u32>().expect("a number") <= 5);
}

#[tokio::test]
async fn an_instance_that_grew_is_not_kept() {
    let house = House::probe("[limits]\nkept_memory_bytes = 1").await;
    assert_eq!(house.get("/count").await.text(), "1");
    assert_eq!(house.get("/count").await.text(), "1");
}
