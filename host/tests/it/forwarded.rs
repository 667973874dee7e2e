use http::Request;
use http_body_util::Full;

use crate::house::{House, folder_of_probes, one_probe};

async fn seen(house: &House, path: &str, fields: &[(&str, &str)]) -> String {
    let mut request = Request::get(format!("{}{path}", house.base));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    house.send(request.body(Full::default()).expect("a request")).await.text().to_owned()
}

/// Who asked, as components see it.
async fn client(house: &House, fields: &[(&str, &str)]) -> String {
    let all = seen(house, "/headers", fields).await;
    all.lines().find_map(|line| line.strip_prefix("spin-client-addr: ")).expect("the address").to_owned()
}

#[tokio::test]
async fn nobody_is_believed_about_who_asks() {
    let folder = folder_of_probes(&["one"]);
    let house = House::of(folder.path(), &one_probe("")).await;
    let told = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https"), ("spin-client-addr", "1.2.3.4:5")];
    assert!(client(&house, &told).await.starts_with("127.0.0.1:"));
    assert_eq!(seen(&house, "/scheme", &told).await, "http");
}

#[tokio::test]
async fn a_trusted_proxy_is_believed() {
    let folder = folder_of_probes(&["one"]);
    let text = format!("trusted_proxies = [\"127.0.0.0/8\", \"::1\"]\n{}", one_probe(""));
    let house = House::of(folder.path(), &text).await;
    assert_eq!(client(&house, &[("x-forwarded-for", "1.1.1.1, 203.0.113.9")]).await, "203.0.113.9:0");
    assert_eq!(client(&house, &[("x-forwarded-for", "2001:db8::7")]).await, "[2001:db8::7]:0");
    assert!(client(&house, &[]).await.starts_with("127.0.0.1:"));
    assert_eq!(seen(&house, "/scheme", &[("x-forwarded-proto", "https")]).await, "https");
}
