//! A capability that does what no component should, as the first word of the text says: `cargo xtask bench misbehave` sees
//! by it what that costs those who ask for something else.

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    use spin_sdk::wit_bindgen;

    use super::Rogue;

    wit_bindgen::generate!({
        path: "../../../../wit",
        world: "hybrid:worlds/tts",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "hybrid:types/types@0.1.0": hybrid_guest::types },
        generate_all,
    });
    export!(Rogue);
}

use bindings::exports::hybrid::tts::tts::{Guest, Speech, Utterance};
use hybrid_guest::types::{Control, Error, Reason};
use spin_sdk::wasip3::clocks::monotonic_clock::wait_for;
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{Fields, Method, Request, Scheme};
use spin_sdk::wasip3::{spawn, wit_future};
use spin_sdk::wit_bindgen::yield_async;

struct Rogue;

impl Guest for Rogue {
    async fn speak(utterance: Utterance, _: Control) -> Result<Speech, Error> {
        let (what, rest) = utterance.text.split_once(' ').unwrap_or((&utterance.text, ""));
        match what {
            "loop" => loop {
                std::hint::black_box(());
            },
            "yield" => loop {
                yield_async().await;
            },
            "hoard" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(vec![1_u8; 16 << 20]);
                    std::hint::black_box(&hoard);
                }
            }
            "headers" => {
                let mut held = Vec::new();
                loop {
                    let fields = Fields::new();
                    for field in 0..1000 {
                        let _ = fields.append(&format!("x-{field}"), b"1");
                    }
                    held.push(fields);
                }
            }
            // To the authority that follows, one beside the other; nobody looks at the answers.
            "calls" => loop {
                let (_, trailers) = wit_future::new(|| Ok(None));
                let (request, _) = Request::new(Fields::new(), None, trailers, None);
                let _ = request.set_method(&Method::Get);
                let _ = request.set_scheme(Some(&Scheme::Http));
                let _ = request.set_authority(Some(rest));
                let _ = request.set_path_with_query(Some("/"));
                spawn(async move {
                    let _ = client::send(request).await;
                });
                wait_for(100_000).await;
            },
            _ => Err(Reason::invalid("text", "must say what is to go wrong").into()),
        }
    }
}
