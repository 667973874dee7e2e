//! The bytes of a version, from whoever has them: this host, a folder, another host, a registry. Whoever gives them need
//! not be trusted: they are known by their hash.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Fleet, Version};
use crate::component;
use crate::oci;
use crate::registry::Registry;

/// A host that has said nothing for so long has gone.
const SIGN_LASTS: u64 = 60;
/// Some hundred megabytes from one host to another.
const FETCH: Duration = Duration::from_secs(120);

impl Fleet {
    pub(super) async fn fetch(&self, registry: &Registry, name: &str, version: &Version) -> Result<Bytes> {
        let sha256 = &version.sha256;
        let right = |bytes: &[u8]| component::sha256(bytes) == *sha256;
        if let Some(bytes) = registry.kept(name, sha256).filter(|bytes| right(bytes)) {
            return Ok(bytes.into());
        }
        let limit = registry.config().limits.component_bytes;
        if let Some(layout) = &self.layout
            && let Ok(bytes) = oci::blob_of_layout(layout, sha256, limit)
        {
            return Ok(bytes);
        }
        let mut problems = Vec::new();
        for address in self.others(version).await? {
            match tokio::time::timeout(FETCH, self.ask(&address, name, sha256, limit)).await {
                Ok(Ok(bytes)) if right(&bytes) => return Ok(bytes),
                Ok(Ok(_)) => problems.push(format!("{address} has other bytes")),
                Ok(Err(error)) => problems.push(format!("{address}: {error:#}")),
                Err(_) => problems.push(format!("{address} takes too long")),
            }
        }
        if let Some(registry) = &self.registry {
            match registry.blob(name, sha256, limit).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => problems.push(format!("{registry}: {error:#}")),
            }
        }
        bail!("nobody has the bytes of {name}@{}: {}", &sha256[..12.min(sha256.len())], problems.join("; "))
    }

    /// Who may have them: whoever wrote the record, and then all that have given a sign.
    async fn others(&self, version: &Version) -> Result<Vec<String>> {
        let mut others: Vec<String> = version.by.clone().into_iter().collect();
        for key in self.store().keys().await? {
            let Some(address) = key.strip_prefix("host/") else { continue };
            let said = self.store().get(&key).await?.and_then(|text| String::from_utf8(text).ok()?.parse::<u64>().ok());
            if said.is_some_and(|said| now().saturating_sub(said) <= SIGN_LASTS) {
                others.push(address.to_owned());
            } else {
                self.store().delete(&key).await?;
            }
        }
        others.retain(|address| Some(address) != self.address.as_ref());
        let mut seen = std::collections::BTreeSet::new();
        others.retain(|address| seen.insert(address.clone()));
        Ok(others)
    }

    /// Says that this host is there, for others who need bytes.
    pub(super) async fn sign(&self) -> Result<()> {
        if let Some(address) = &self.address {
            self.store().set(&format!("host/{address}"), now().to_string().into_bytes()).await?;
        }
        Ok(())
    }

    async fn ask(&self, address: &str, name: &str, sha256: &str, limit: u64) -> Result<Bytes> {
        let stream = TcpStream::connect(address).await.context("it does not answer")?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let path = format!("/components/{name}/bytes?sha256={sha256}");
        let mut request = Request::get(path).header(header::HOST, address);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let talk = async {
            let answer = sender.send_request(request.body(Full::<Bytes>::default())?).await?;
            let status = answer.status();
            ensure!(status == StatusCode::OK, "it answers {status}");
            let body = Limited::new(answer.into_body(), usize::try_from(limit).unwrap_or(usize::MAX));
            let body = body.collect().await.map_err(|error| anyhow::anyhow!("{error}"))?;
            anyhow::Ok(body.to_bytes())
        };
        tokio::select! {
            answered = talk => answered,
            ended = connection => {
                ended?;
                bail!("it closed the connection")
            }
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
