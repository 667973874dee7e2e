//! `hybrid-ai health`: whether a running platform answers, for containers that hold no other program to ask with.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::tls;

/// A container's check gives up after three seconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks `GET /health`, over TLS where there is a certificate. Fails where nobody listens, or the answer is another than 200.
pub fn check(address: SocketAddr, tls: Option<&tls::Files>) -> Result<()> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).with_context(|| format!("calling {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let line = match tls {
        None => ask(stream, address)?,
        Some(files) => ask(tls::to_ourselves(files, stream)?, address)?,
    };
    match line.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => bail!("{address} answers `{line}`"),
    }
}

/// The first line of the answer.
fn ask(mut stream: impl Read + Write, address: SocketAddr) -> Result<String> {
    let request = format!("GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut answer = Vec::new();
    // The head says it; a body of any size is not worth waiting for.
    stream.take(1024).read_to_end(&mut answer).context("waiting for the answer")?;
    let text = String::from_utf8_lossy(&answer);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Where a platform that listens on `listen` is reached from its own machine.
pub fn own_address(listen: SocketAddr) -> SocketAddr {
    let ip = if listen.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { listen.ip() };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answering(head: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a caller");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).expect("a request");
            stream.write_all(head.as_bytes()).expect("an answer");
        });
        address
    }

    #[test]
    fn only_200_is_healthy() {
        check(answering("HTTP/1.1 200 OK\r\n\r\n{}"), None).expect("healthy");
        let refused = check(answering("HTTP/1.1 503 Service Unavailable\r\n\r\n"), None).expect_err("draining");
        assert!(refused.to_string().contains("503"), "{refused}");
    }

    #[test]
    fn all_addresses_are_reached_by_loopback() {
        let of = |text: &str| own_address(text.parse().expect("an address")).to_string();
        assert_eq!((of("0.0.0.0:8080"), of("192.0.2.1:80")), ("127.0.0.1:8080".into(), "192.0.2.1:80".into()));
    }

    #[test]
    fn nobody_there_is_not_healthy() {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        assert!(check(free, None).is_err());
    }
}
