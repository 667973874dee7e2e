//! A component that does on request what components should not, and the little that they should: the host's tests
//! serve it alone.

mod export {
    use spin_sdk::wasip3;

    use super::Probe;

    wasip3::http::service::export!(Probe with_types_in wasip3);
}

use std::sync::atomic::{AtomicU32, Ordering};

use spin_sdk::wasip3::clocks::monotonic_clock::wait_for;
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Method, Request, RequestOptions, Response, Scheme};
use spin_sdk::wasip3::{random, spawn, wit_future, wit_stream};
use spin_sdk::wit_bindgen::{StreamResult, StreamWriter, yield_async};

struct Probe;

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Guest for Probe {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        match path {
            "/hello" => text("hello"),
            // How many requests this very instance has seen.
            "/count" => text(&(COUNT.fetch_add(1, Ordering::Relaxed) + 1).to_string()),
            "/trap" => panic!("on purpose"),
            "/loop" => loop {
                std::hint::black_box(());
            },
            "/hoard" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(vec![1u8; 16 << 20]);
                    std::hint::black_box(&hoard);
                }
            }
            "/sleep" => {
                wait_for(number(query) * 1_000_000).await;
                text("slept")
            }
            "/headers" => {
                let all = request.get_headers().copy_all();
                let lines: Vec<String> =
                    all.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value))).collect();
                text(&lines.join("\n"))
            }
            "/echo" => {
                let (_, result) = wit_future::new(|| Ok(()));
                let (body, _) = Request::consume_body(request, result);
                Ok(respond(body))
            }
            // Reads all of it, and tells how much it was.
            "/swallow" => {
                let (_, result) = wit_future::new(|| Ok(()));
                let (body, _) = Request::consume_body(request, result);
                text(&body.collect().await.len().to_string())
            }
            "/scheme" => {
                let is_secure = matches!(request.get_scheme(), Some(Scheme::Https));
                text(if is_secure { "https" } else { "http" })
            }
            // So many megabytes, as fast as they are taken.
            "/flood" => {
                let (mut bytes, body) = wit_stream::new();
                let count = number(query);
                spawn(async move {
                    for _ in 0..count * 16 {
                        if !bytes.write_all(vec![b'x'; 64 * 1024]).await.is_empty() {
                            return;
                        }
                    }
                });
                Ok(respond(body))
            }
            // A line every 20 ms, as many as asked for.
            "/drip" => {
                let (mut lines, body) = wit_stream::new();
                let count = number(query);
                spawn(async move {
                    for line in 0..count {
                        wait_for(20_000_000).await;
                        if !lines.write_all(format!("{line}\n").into_bytes()).await.is_empty() {
                            return;
                        }
                    }
                });
                Ok(respond(body))
            }
            // So many header fields in its answer.
            "/fields" => {
                let fields = Fields::new();
                for field in 0..number(query) {
                    if fields.append(&format!("x-{field}"), b"1").is_err() {
                        break;
                    }
                }
                let (_, trailers) = wit_future::new(|| Ok(None));
                Ok(Response::new(fields, None, trailers).0)
            }
            // One header field of so many bytes.
            "/field" => {
                let fields = Fields::new();
                let _ = fields.append("x-long", &vec![b'x'; number(query) as usize]);
                let (_, trailers) = wit_future::new(|| Ok(None));
                Ok(Response::new(fields, None, trailers).0)
            }
            // So many random bytes at once.
            "/random" => text(&random::random::get_random_bytes(number(query)).len().to_string()),
            // So many things of the host's held at once.
            "/handles" => {
                let held: Vec<Fields> = (0..number(query)).map(|_| Fields::new()).collect();
                text(&held.len().to_string())
            }
            "/print" => {
                let line = "x".repeat(1000);
                for _ in 0..number(query) / 1000 {
                    println!("{line}");
                }
                text("printed")
            }
            // The same as server-sent events.
            "/events" => {
                let (mut events, body) = wit_stream::new();
                let count = number(query);
                spawn(async move {
                    for event in 0..count {
                        wait_for(20_000_000).await;
                        if !events.write_all(format!("data: {event}\n\n").into_bytes()).await.is_empty() {
                            return;
                        }
                    }
                });
                let (_, trailers) = wit_future::new(|| Ok(None));
                let kind = [("content-type".to_owned(), b"text/event-stream".to_vec())];
                let headers = Fields::from_list(&kind).unwrap_or_else(|_| Fields::new());
                Ok(Response::new(headers, Some(body), trailers).0)
            }
            "/trap-midway" => {
                let (mut lines, body) = wit_stream::new();
                spawn(async move {
                    lines.write_all(b"so far so good\n".to_vec()).await;
                    wait_for(20_000_000).await;
                    panic!("midway");
                });
                Ok(respond(body))
            }
            // Does next to nothing and lets others come first, for ever.
            "/yield" => loop {
                yield_async().await;
            },
            // An answer that goes on and on with nothing in it.
            "/nothing" => {
                let (nothing, body) = wit_stream::new();
                spawn(write_nothing(nothing));
                Ok(respond(body))
            }
            // Sends a request to the authority named in the query, and hands its answer on.
            "/send" => client::send(request_to(query, None, None)).await,
            // The same with a body that goes on and on with nothing in it.
            "/send-nothing" => {
                let (nothing, body) = wit_stream::new();
                spawn(write_nothing(nothing));
                client::send(request_to(query, Some(body), None)).await
            }
            // The same, and nobody may take any time at it: for a connection, for the answer's head or between its bytes.
            "/send-in-no-time" => {
                let (what, authority) = query.split_once('@').unwrap_or_default();
                let options = RequestOptions::new();
                let _ = match what {
                    "connect" => options.set_connect_timeout(Some(0)),
                    "head" => options.set_first_byte_timeout(Some(0)),
                    _ => options.set_between_bytes_timeout(Some(0)),
                };
                client::send(request_to(authority, None, Some(options))).await
            }
            _ => text("?"),
        }
    }
}

async fn write_nothing(mut to: StreamWriter<u8>) {
    while matches!(to.write(Vec::new()).await.0, StreamResult::Complete(_)) {}
}

fn request_to(
    authority: &str,
    body: Option<spin_sdk::wit_bindgen::StreamReader<u8>>,
    options: Option<RequestOptions>,
) -> Request {
    let (_, trailers) = wit_future::new(|| Ok(None));
    // Few would send a body with a GET.
    let method = if body.is_some() { Method::Post } else { Method::Get };
    let (request, _) = Request::new(Fields::new(), body, trailers, options);
    let _ = request.set_method(&method);
    let _ = request.set_scheme(Some(&Scheme::Http));
    let _ = request.set_authority(Some(authority));
    let _ = request.set_path_with_query(Some("/from-probe"));
    request
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

fn text(text: &str) -> Result<Response, ErrorCode> {
    let (mut writer, body) = wit_stream::new();
    let bytes = text.as_bytes().to_vec();
    spawn(async move {
        writer.write_all(bytes).await;
    });
    Ok(respond(body))
}

fn respond(body: spin_sdk::wit_bindgen::StreamReader<u8>) -> Response {
    let (_, trailers) = wit_future::new(|| Ok(None));
    Response::new(Fields::new(), Some(body), trailers).0
}
