//! A component that calls another, which misbehaves: the host's tests see by it what that costs the one who calls.

mod bindings {
    use spin_sdk::wit_bindgen;

    wit_bindgen::generate!({
        inline: "
            package test:hostile@0.1.0;
            interface bombs {
                type deep = list<list<list<list<list<list<u8>>>>>>;
                give: async func(width: u32) -> deep;
                send: async func(width: u32) -> u32;
                yields: async func(times: u32) -> u32;
                recurse: async func(times: u32) -> u32;
                chain: async func(times: u32) -> u32;
            }
            world caller {
                import bombs;
            }
        ",
        world: "test:hostile/caller",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        generate_all,
    });
}

mod export {
    use spin_sdk::wasip3;

    use super::Caller;

    wasip3::http::service::export!(Caller with_types_in wasip3);
}

use bindings::test::hostile::bombs;
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Request, Response};
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};

struct Caller;

impl Guest for Caller {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let number = query.parse().unwrap_or(0);
        let told = match path {
            "/hello" => return Ok(respond("hello")),
            // How many bytes came, of lists in lists.
            "/give" => bombs::give(number).await.into_iter().flatten().flatten().flatten().flatten().flatten().count(),
            "/send" => bombs::send(number).await as usize,
            "/yields" => bombs::yields(number).await as usize,
            "/recurse" => bombs::recurse(number).await as usize,
            "/chain" => bombs::chain(number).await as usize,
            _ => return Ok(respond("?")),
        };
        Ok(respond(&told.to_string()))
    }
}

fn respond(text: &str) -> Response {
    let (mut writer, body) = wit_stream::new();
    let bytes = text.as_bytes().to_vec();
    spawn(async move {
        writer.write_all(bytes).await;
    });
    let (_, trailers) = wit_future::new(|| Ok(None));
    Response::new(Fields::new(), Some(body), trailers).0
}
