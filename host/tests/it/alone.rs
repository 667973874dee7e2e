use crate::house::House;

#[tokio::test]
async fn a_stock_component_is_served_with_nothing_of_ours() {
    let house = House::probe("").await;
    let answer = house.get("/hello").await;
    assert_eq!(answer.text(), "hello");
    for ours in ["x-request-id", "x-components", "access-control-allow-origin"] {
        assert!(!answer.headers.contains_key(ours), "{ours}");
    }
    assert!(!house.get("/headers").await.text().contains("spin-client-addr"));
}

#[tokio::test]
async fn bodies_pass_both_ways_while_they_come() {
    let house = House::probe("").await;
    let large: Vec<u8> = (0..3_000_000u32).map(|number| number.to_le_bytes()[0]).collect();
    assert_eq!(house.post("/echo", large.clone()).await.body, large);
    assert_eq!(house.get("/drip?3").await.text(), "0\n1\n2\n");
}
