//! A component that keeps state: the host's tests see by it what `wasi:keyvalue` does here.

mod bindings {
    use spin_sdk::wit_bindgen;

    wit_bindgen::generate!({
        path: "../../../../wit",
        inline: "
            package test:keeper;
            world keeper {
                import wasi:keyvalue/store@0.2.0-draft2;
                import wasi:keyvalue/atomics@0.2.0-draft2;
                import wasi:keyvalue/batch@0.2.0-draft2;
            }
        ",
        world: "test:keeper/keeper",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        generate_all,
    });
}

mod export {
    use spin_sdk::wasip3;

    use super::Keeper;

    wasip3::http::service::export!(Keeper with_types_in wasip3);
}

use bindings::wasi::keyvalue::atomics::{self, Cas, CasError};
use bindings::wasi::keyvalue::batch;
use bindings::wasi::keyvalue::store::{self, Bucket, Error};
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Request, Response};
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};

struct Keeper;

impl Guest for Keeper {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let done = store::open("default").and_then(|bucket| match path {
            // One more, so many times, whoever else does the same.
            "/add" => add(&bucket, query.parse().unwrap_or(0)),
            "/get" => Ok(text(bucket.get(query)?)),
            "/stale" => stale(&bucket),
            "/many" => many(&bucket),
            _ => Ok("?".to_owned()),
        });
        Ok(respond(&done.unwrap_or_else(|error| format!("{error:?}"))))
    }
}

fn add(bucket: &Bucket, times: u32) -> Result<String, Error> {
    let mut last = 0;
    for _ in 0..times {
        let mut cas = Cas::new(bucket, "n")?;
        loop {
            last = text(cas.current()?).parse::<u32>().unwrap_or(0) + 1;
            match atomics::swap(cas, last.to_string().as_bytes()) {
                Ok(()) => break,
                Err(CasError::CasFailed(again)) => cas = again,
                Err(CasError::StoreError(error)) => return Err(error),
            }
        }
    }
    Ok(last.to_string())
}

/// What was seen before somebody else's change cannot be swapped; what is told instead can.
fn stale(bucket: &Bucket) -> Result<String, Error> {
    let cas = Cas::new(bucket, "s")?;
    bucket.set("s", b"theirs")?;
    match atomics::swap(cas, b"mine") {
        Err(CasError::CasFailed(again)) => {
            let now = text(again.current()?);
            let swapped = atomics::swap(again, b"mine").is_ok();
            Ok(format!("{now} {swapped} {}", text(bucket.get("s")?)))
        }
        Err(CasError::StoreError(error)) => Err(error),
        Ok(()) => Ok("swapped".to_owned()),
    }
}

fn many(bucket: &Bucket) -> Result<String, Error> {
    let all: Vec<_> = (0..50).map(|number| (format!("m{number}"), format!("v{number}").into_bytes())).collect();
    batch::set_many(bucket, &all)?;
    let keys: Vec<String> = ["m7", "none", "m49"].map(str::to_owned).into();
    let some = batch::get_many(bucket, &keys)?;
    let told: Vec<String> = some.into_iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
    batch::delete_many(bucket, &all.into_iter().map(|(key, _)| key).collect::<Vec<_>>())?;
    Ok(format!("{} {}", told.join(" "), bucket.exists("m7")?))
}

fn text(value: Option<Vec<u8>>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| String::from_utf8_lossy(&value).into_owned())
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
