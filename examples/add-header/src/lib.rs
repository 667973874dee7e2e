//! A middleware: it hands every request on, and adds a header to the answer. Bodies pass through as handles, unread.
//!
//! Any component that imports and exports `wasi:http/handler` can stand in the chain. Build it, copy it into the
//! components' folder, and name it where it should stand:
//!
//! ```toml
//! [chains]
//! "wasi:http/handler" = ["gate", "add-header", "router"]
//! ```

mod next {
    use spin_sdk::{wasip3, wit_bindgen};

    wit_bindgen::generate!({
        path: "wit",
        world: "example:add-header/link",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        with: { "wasi:http/types@0.3.0": wasip3::http::types },
        generate_all,
    });

    pub(crate) use wasi::http::handler::handle;
}

mod export {
    use spin_sdk::wasip3;

    use super::AddHeader;

    wasip3::http::service::export!(AddHeader with_types_in wasip3);
}

use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};
use spin_sdk::wasip3::wit_future;

struct AddHeader;

impl Guest for AddHeader {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let response = next::handle(request).await?;
        let status = response.get_status_code();
        // The header fields of an answer that came are not to be changed where they are.
        let headers = response.get_headers().clone();
        let _ = headers.set("x-served-with", &[b"care".to_vec()]);
        let (done, result) = wit_future::new(|| Ok(()));
        let (body, trailers) = Response::consume_body(response, result);
        drop(done);
        let (response, _sent) = Response::new(headers, Some(body), trailers);
        let _ = response.set_status_code(status);
        Ok(response)
    }
}
