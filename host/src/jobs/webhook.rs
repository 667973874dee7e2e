//! Telling somebody else's server that a job has ended: a signed POST, tried again until it is taken.
//!
//! The signature is that of Standard Webhooks, which receivers find libraries for: HMAC-SHA256 of `ID.TIMESTAMP.BODY` in
//! `webhook-signature`. The address is a stranger's word: only public ones are connected to, and redirections are not
//! followed.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http::{Request, Uri, header};
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use sha2::Sha256;

use crate::address::{PublicResolver, is_public};
use crate::config::{self, Origin};
use crate::error::Refusal;
use crate::outbound;

/// What signs webhooks.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// As Standard Webhooks writes it, `whsec_` and base64; any other text stands for itself.
    pub fn parse(text: &str) -> Self {
        let decoded = text.strip_prefix("whsec_").and_then(|rest| STANDARD.decode(rest).ok());
        Self(decoded.unwrap_or_else(|| text.as_bytes().to_vec()))
    }

    fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length will do");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// One receiver's patience is not everybody's: an answer is waited for this long.
const PATIENCE: Duration = Duration::from_secs(15);

enum Connections {
    Public(Client<HttpsConnector<HttpConnector<PublicResolver>>, Full<Bytes>>),
    Any(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

pub struct Sender(Connections);

impl Sender {
    /// With `anywhere`, addresses of our own network are connected to as well.
    pub fn new(limits: &config::Limits, anywhere: bool) -> Result<Self> {
        Ok(Self(match anywhere {
            true => Connections::Any(outbound::client_with(limits, HttpConnector::new())?),
            false => {
                let connector = HttpConnector::new_with_resolver(PublicResolver::new());
                Connections::Public(outbound::client_with(limits, connector)?)
            }
        }))
    }

    /// One try.
    pub async fn send(&self, secret: &Secret, url: &str, id: &str, body: String) -> Result<()> {
        let uri = check(url, matches!(self.0, Connections::Any(_))).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        let timestamp = super::record::now_ms() / 1000;
        let signature = secret.sign(id, timestamp, body.as_bytes());
        let request = Request::post(uri)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, "hybrid-ai")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(Full::new(Bytes::from(body)))?;
        let sent = async {
            match &self.0 {
                Connections::Public(client) => client.request(request).await,
                Connections::Any(client) => client.request(request).await,
            }
        };
        let answer = tokio::time::timeout(PATIENCE, sent).await.context("no answer in time")??;
        if !answer.status().is_success() {
            bail!("answered {}", answer.status());
        }
        Ok(())
    }
}

/// The address, if it may be one. Names are looked at when they are resolved.
pub fn check(url: &str, anywhere: bool) -> Result<Uri, Refusal> {
    let wrong = || Refusal::Wrong("x-webhook-url", "must be an address beginning with https:// or http://");
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let origin = Origin::parse(url).map_err(|_| wrong())?;
    if !anywhere && origin.address().is_some_and(|address| !is_public(address)) {
        return Err(Refusal::Wrong("x-webhook-url", "must lead to a public address"));
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_standards_own() {
        // The example of the specification.
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert_eq!(
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert_eq!(format!("{secret:?}"), "Secret");
    }

    #[test]
    fn addresses_of_ours_are_refused() {
        for url in [
            "http://127.0.0.1/",
            "http://10.0.0.1:80/x",
            "https://[::1]/",
            "http://169.254.169.254/latest",
            "ftp://a/",
            "/x",
            "",
            "http://user:word@example.com/",
            "http://[::ffff:127.0.0.1]/",
        ] {
            assert!(check(url, false).is_err(), "{url}");
        }
        assert!(check("https://example.com/hook?a=1", false).is_ok() && check("http://127.0.0.1:1/", true).is_ok());
    }
}
