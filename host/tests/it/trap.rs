use http::{Request, StatusCode};
use http_body_util::Full;

use crate::house::{House, assert_uniform};

#[tokio::test]
async fn a_trap_costs_one_request() {
    let house = House::probe("").await;
    let (slow, trap, quick) = tokio::join!(house.get("/sleep?200"), house.get("/trap"), house.get("/hello"));
    assert_eq!(trap.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_uniform(&trap, "internal_error");
    assert!(!trap.text().contains("on purpose"), "nothing internal is told");
    assert_eq!((slow.text(), quick.text()), ("slept", "hello"));
    assert_eq!(house.get("/hello").await.text(), "hello");
}

#[tokio::test]
async fn a_trap_in_the_middle_of_an_answer_is_no_clean_end() {
    let house = House::probe("").await;
    let request = Request::get(format!("{}/trap-midway", house.base)).body(Full::default()).expect("a request");
    assert!(house.try_send(request).await.is_err());
    assert_eq!(house.get("/hello").await.text(), "hello");
}

#[tokio::test]
async fn traps_in_a_row_leave_nothing_behind() {
    let house = House::probe("[limits]\nconcurrent_requests = 2").await;
    for _ in 0..20 {
        assert_eq!(house.get("/trap").await.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
    assert_eq!(house.get("/hello").await.text(), "hello");
}
