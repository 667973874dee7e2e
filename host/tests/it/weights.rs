//! A model that runs inside a component: what its weights cost the host.

use sha2::{Digest as _, Sha256};

use crate::house::{Answer, House, root};

async fn embedding(house: &House, body: &str) -> Answer {
    let request = http::Request::post(format!("{}/embedding", house.base))
        .header("content-type", "application/json")
        .body(body.to_owned().into())
        .expect("a request");
    house.send(request).await
}

fn numbers(answer: &Answer) -> Vec<f64> {
    let body = answer.json();
    let all = body["embedding"].as_array().expect("a vector");
    all.iter().map(|number| number.as_f64().expect("a number")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_are_a_models_own_with_no_key() {
    let house = House::of(&root().join("target/components"), "").await;
    for body in [r#"{"text":"tide"}"#, r#"{"text":"tide","model":"sentence-transformers/all-MiniLM-L6-v2"}"#] {
        let answer = embedding(&house, body).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["x-model"], "local/all-MiniLM-L6-v2");
        assert_eq!(answer.headers["x-provider"], "local");
        assert!(!answer.headers.contains_key("x-placeholder"));
        assert_eq!(numbers(&answer).len(), 384);
    }
}

/// The native build is held to the same digests by the component's own unit tests.
#[tokio::test(flavor = "multi_thread")]
async fn the_component_gives_the_same_bits_as_the_native_build() {
    let house = House::of(&root().join("target/components"), "").await;
    let bits = std::fs::read_to_string(root().join("components/local-embedding/tests/bits.json")).expect("the digests");
    let bits: serde_json::Value = serde_json::from_str(&bits).expect("JSON");
    for (text, wanted) in bits.as_object().expect("texts and digests") {
        // The endpoint takes no empty text.
        if text.is_empty() {
            continue;
        }
        let answer = embedding(&house, &serde_json::json!({ "text": text }).to_string()).await;
        let bytes: Vec<u8> = numbers(&answer).into_iter().flat_map(|number| (number as f32).to_le_bytes()).collect();
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(*wanted, digest, "{text:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_with_large_weights_is_used_again() {
    let house = House::of(&root().join("target/components"), "").await;
    for _ in 0..3 {
        assert_eq!(embedding(&house, r#"{"text":"tide"}"#).await.status, 200);
        // The worker goes back when the answer has been read to its end, which is a moment after we have it.
        let kept = async {
            while house.registry.idle() == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), kept).await.expect("the instances were dropped");
    }
}
