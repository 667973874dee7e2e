//! As `prepare`, inside a component that a host serves: `POST /TIMES` with a picture answers the best time in milliseconds.

mod export {
    use spin_sdk::wasip3;

    use super::Served;

    wasip3::http::service::export!(Served with_types_in wasip3);
}

use std::time::Instant;

use hybrid_picture::{File, Limits, prepare};
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Request, Response};
use spin_sdk::wasip3::{wit_future, wit_stream};

struct Served;

impl Guest for Served {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        let times: u32 = path.trim_start_matches('/').parse().unwrap_or(1);
        let (_, result) = wit_future::new(|| Ok(()));
        let (body, _) = Request::consume_body(request, result);
        let file = File::from(body.collect().await);
        let best = (0..times).map(|_| {
            let started = Instant::now();
            let prepared = prepare(&file, &Limits::default()).expect("the picture can be prepared");
            assert!(!prepared.png.is_empty());
            started.elapsed().as_secs_f64() * 1000.0
        });
        Ok(text(format!("{:.1}", best.fold(f64::INFINITY, f64::min))))
    }
}

fn text(text: String) -> Response {
    let (mut writer, body) = wit_stream::new();
    spin_sdk::wasip3::spawn(async move {
        writer.write_all(text.into_bytes()).await;
    });
    let (_, trailers) = wit_future::new(|| Ok(None));
    Response::new(Fields::new(), Some(body), trailers).0
}
