//! Components as OCI artefacts: in a registry of images, or in a folder with the layout of one. The artefact is what the
//! tools of the Bytecode Alliance and of the CNCF push: a manifest with one layer of `application/wasm`. What comes is
//! known by its digest, and goes through the same gates as any other bytes.
//!
//! Of the distribution API this needs two questions (a manifest, a blob), tokens and redirections.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use serde::Deserialize;

use crate::component;
use crate::config::Config;
use crate::outbound;

/// What the specification has registries take at most.
const MAX_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;
/// A registry leads to the place where its bytes are, and that perhaps to another one.
const MAX_REDIRECTIONS: usize = 4;
/// Some hundred megabytes over a slow line.
const PATIENCE: Duration = Duration::from_secs(300);
/// The second is what older tools call the same.
const WASM: [&str; 2] = ["application/wasm", "application/vnd.wasm.content.layer.v1+wasm"];
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                         application/vnd.docker.distribution.manifest.v2+json";
/// The annotation of a layer, or of its manifest, that holds a minisign signature of the bytes.
const SIGNATURE: &str = "hybrid-ai.minisig";
/// The annotation by which an index tells tags.
const TAG: &str = "org.opencontainers.image.ref.name";

/// Where an artefact is, as it is written on the command line.
#[expect(clippy::large_enum_variant, reason = "one is made for a command")]
pub enum Source {
    /// `oci://HOST/REPOSITORY[:TAG|@sha256:DIGEST]`
    Registry { registry: Registry, repository: String, reference: String },
    /// `layout:DIR[:TAG]`
    Layout { dir: PathBuf, tag: Option<String> },
}

/// What was found there.
#[derive(Debug)]
pub struct Pulled {
    pub bytes: Bytes,
    pub signature: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Descriptor {
    #[serde(default, rename = "mediaType")]
    media_type: String,
    digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// A manifest, or an index of such.
#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Source {
    /// None where it is a file.
    pub fn parse(text: &str, config: &Config) -> Result<Option<Self>> {
        if let Some(place) = text.strip_prefix("layout:") {
            let whole = PathBuf::from(place);
            let (dir, tag) = match place.rsplit_once(':') {
                Some((dir, tag)) if !tag.contains('/') && !whole.is_dir() => (dir.into(), Some(tag.to_owned())),
                _ => (whole, None),
            };
            return Ok(Some(Self::Layout { dir, tag }));
        }
        if !text.starts_with("oci://") {
            return Ok(None);
        }
        let (place, reference) = match text.rsplit_once('@') {
            Some((place, digest)) => {
                ensure!(digest_of(digest).is_ok(), "`{digest}` is no digest: sha256: and 64 hex digits");
                (place, digest)
            }
            None => match text.rsplit_once(':') {
                Some((place, tag)) if !tag.contains('/') => (place, tag),
                _ => (text, "latest"),
            },
        };
        let registry = Registry::parse(place, config)?;
        let repository = registry.path.clone();
        ensure!(!repository.is_empty(), "`{text}` names no repository: oci://HOST/REPOSITORY:TAG");
        Ok(Some(Self::Registry { registry, repository, reference: reference.to_owned() }))
    }

    /// The component's bytes, at most `limit` of them.
    pub async fn pull(&self, limit: u64) -> Result<Pulled> {
        let pull = async {
            match self {
                Self::Layout { dir, tag } => of_layout(dir, tag.as_deref(), limit),
                Self::Registry { registry, repository, reference } => {
                    Session { registry, authorization: None }.pull(repository, reference, limit).await
                }
            }
        };
        tokio::time::timeout(PATIENCE, pull).await.ok().context("it takes too long")?
    }
}

impl Manifest {
    fn parse(text: &[u8]) -> Result<Self> {
        serde_json::from_slice(text).context("its manifest is not one of OCI")
    }

    /// Which manifest of an index is meant.
    fn choose(&self, tag: Option<&str>) -> Result<&Descriptor> {
        let tagged =
            tag.and_then(|tag| self.manifests.iter().find(|one| one.annotations.get(TAG).is_some_and(|is| is == tag)));
        match (tagged, tag, self.manifests.as_slice()) {
            (Some(tagged), ..) => Ok(tagged),
            (None, None, [only]) => Ok(only),
            (None, Some(tag), _) => bail!("it has nothing by the tag `{tag}`"),
            (None, None, several) => bail!("it has {} manifests: name one by its tag", several.len()),
        }
    }

    fn wasm(&self) -> Result<&Descriptor> {
        let mut layers = self.layers.iter().filter(|layer| WASM.contains(&layer.media_type.as_str()));
        match (layers.next(), layers.count()) {
            (Some(only), 0) => Ok(only),
            (None, _) => bail!("it has no layer of `{}`", WASM[0]),
            (Some(_), more) => bail!("it has {} layers of `{}`, and a component is one", more + 1, WASM[0]),
        }
    }

    fn signature(&self, layer: &Descriptor) -> Option<String> {
        layer.annotations.get(SIGNATURE).or_else(|| self.annotations.get(SIGNATURE)).cloned()
    }
}

/// The hex digits of a digest, which become part of a path.
fn digest_of(text: &str) -> Result<&str> {
    let hex = text.strip_prefix("sha256:").with_context(|| format!("`{text}` is no SHA-256"))?;
    let is_hex = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    ensure!(is_hex, "`{text}` is no SHA-256");
    Ok(hex)
}

/// Bytes that are what their digest says.
fn verified(bytes: Bytes, sha256: &str) -> Result<Bytes> {
    let is = component::sha256(&bytes);
    ensure!(is == sha256, "its bytes have the SHA-256 {is}, not {sha256}");
    Ok(bytes)
}

/// A blob of a folder in the layout of OCI images.
pub fn blob_of_layout(dir: &Path, sha256: &str, limit: u64) -> Result<Bytes> {
    let file = dir.join("blobs/sha256").join(digest_of(&format!("sha256:{sha256}"))?);
    let size = file.metadata().with_context(|| format!("reading {}", file.display()))?.len();
    ensure!(size <= limit, "{} has {size} bytes, more than {limit}", file.display());
    verified(std::fs::read(&file).with_context(|| format!("reading {}", file.display()))?.into(), sha256)
}

fn of_layout(dir: &Path, tag: Option<&str>, limit: u64) -> Result<Pulled> {
    let index = dir.join("index.json");
    let text = std::fs::read(&index).with_context(|| format!("reading {}", index.display()))?;
    let chosen = Manifest::parse(&text)?;
    let manifest = |one: &Descriptor| {
        let text = blob_of_layout(dir, digest_of(&one.digest)?, MAX_MANIFEST_BYTES)?;
        Manifest::parse(&text)
    };
    let mut found = manifest(chosen.choose(tag)?)?;
    if !found.manifests.is_empty() {
        found = manifest(found.choose(None)?)?;
    }
    let layer = found.wasm()?;
    let bytes = blob_of_layout(dir, digest_of(&layer.digest)?, limit)?;
    Ok(Pulled { bytes, signature: found.signature(layer) })
}

/// A registry, and a place in it. Cheap to keep: it connects when it is asked.
pub struct Registry {
    /// `https://HOST`, or `http://` on this machine.
    origin: String,
    /// The repository, or what repositories are below.
    path: String,
    /// `user:password`, as `Basic` has it.
    account: Option<HeaderValue>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.origin, self.path)
    }
}

impl Registry {
    /// `oci://HOST[:PORT][/PATH]`
    pub fn parse(text: &str, config: &Config) -> Result<Self> {
        let rest = text.strip_prefix("oci://").with_context(|| format!("`{text}` is no oci://HOST/PATH"))?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_matches('/');
        let is_name = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte))
        };
        ensure!(
            path.is_empty() || path.split('/').all(is_name),
            "`{path}` is no repository: small letters, digits, `.`, `_`, `-` and `/`"
        );
        let host = if host == "docker.io" { "registry-1.docker.io" } else { host };
        let scheme = if is_here(host) { "http" } else { "https" };
        let origin = format!("{scheme}://{host}");
        origin
            .parse::<Uri>()
            .ok()
            .filter(|uri| uri.host().is_some())
            .with_context(|| format!("`{host}` is no host"))?;
        let account = config.registry_account.clone();
        let client = outbound::client_with(&config.limits, HttpConnector::new())?;
        Ok(Self { origin, path: path.to_owned(), account, client })
    }

    /// A component's bytes by their hash, in the repository of its name.
    pub async fn blob(&self, name: &str, sha256: &str, limit: u64) -> Result<Bytes> {
        let repository = if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) };
        let mut session = Session { registry: self, authorization: None };
        let blob = session.blob(&repository, sha256, limit);
        tokio::time::timeout(PATIENCE, blob).await.ok().context("it takes too long")?
    }

    async fn send(
        &self,
        uri: &str,
        accept: &'static str,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::get(uri).header(header::ACCEPT, accept).header(header::USER_AGENT, "hybrid-ai");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let sent = self.client.request(request.body(Full::default())?).await;
        sent.with_context(|| format!("asking {uri}"))
    }
}

/// `USER:PASSWORD`, as it is shown to a registry.
pub fn account(text: &str) -> Result<HeaderValue> {
    ensure!(text.contains(':'), "HYBRID_REGISTRY_AUTH must be USER:PASSWORD");
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(text.trim())))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether a registry is on this machine, where it may do without TLS, as everybody's tools have it.
fn is_here(host: &str) -> bool {
    let name = if host.starts_with('[') {
        host.split(']').next().unwrap_or(host)
    } else {
        host.split(':').next().unwrap_or(host)
    };
    let name = name.trim_start_matches('[');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Some questions to a registry, with the token that the first of them was given.
struct Session<'a> {
    registry: &'a Registry,
    authorization: Option<HeaderValue>,
}

impl Session<'_> {
    async fn pull(&mut self, repository: &str, reference: &str, limit: u64) -> Result<Pulled> {
        let mut manifest = self.manifest(repository, reference).await?;
        if !manifest.manifests.is_empty() {
            let digest = manifest.choose(None)?.digest.clone();
            manifest = self.manifest(repository, &digest).await?;
        }
        let layer = manifest.wasm()?;
        let bytes = self.blob(repository, digest_of(&layer.digest)?, limit).await?;
        Ok(Pulled { bytes, signature: manifest.signature(layer) })
    }

    async fn manifest(&mut self, repository: &str, reference: &str) -> Result<Manifest> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let text = self.get(&path, MANIFESTS, MAX_MANIFEST_BYTES).await?;
        match digest_of(reference) {
            Ok(sha256) => Manifest::parse(&verified(text, sha256).context("of its manifest")?),
            Err(_) => Manifest::parse(&text),
        }
    }

    async fn blob(&mut self, repository: &str, sha256: &str, limit: u64) -> Result<Bytes> {
        verified(self.get(&format!("/v2/{repository}/blobs/sha256:{sha256}"), "*/*", limit).await?, sha256)
    }

    async fn get(&mut self, path: &str, accept: &'static str, limit: u64) -> Result<Bytes> {
        let first = format!("{}{path}", self.registry.origin);
        let mut answer = self.registry.send(&first, accept, self.authorization.as_ref()).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            self.authorization = Some(self.introduce(&answer).await?);
            answer = self.registry.send(&first, accept, self.authorization.as_ref()).await?;
        }
        for _ in 0..MAX_REDIRECTIONS {
            if !answer.status().is_redirection() {
                break;
            }
            let place =
                answer.headers().get(header::LOCATION).and_then(|place| place.to_str().ok()).unwrap_or_default();
            let next =
                if place.starts_with('/') { format!("{}{place}", self.registry.origin) } else { place.to_owned() };
            // What is behind another address gets no token of this one's.
            let authorization = self.authorization.as_ref().filter(|_| place.starts_with('/'));
            answer = self.registry.send(allowed(&next)?, accept, authorization).await?;
        }
        let status = answer.status();
        let body = Limited::new(answer.into_body(), usize::try_from(limit).unwrap_or(usize::MAX));
        let body =
            body.collect().await.map_err(|error| anyhow::anyhow!("{error}, of at most {limit} bytes"))?.to_bytes();
        if status != StatusCode::OK {
            let text: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            let words = text["errors"][0]["message"].as_str().unwrap_or_default();
            bail!("{first} answers {status} {words}");
        }
        Ok(body)
    }

    /// What a registry wants to be told by who asks.
    async fn introduce(&self, answer: &Response<Incoming>) -> Result<HeaderValue> {
        let challenge = answer.headers().get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let challenge = challenge.context("the registry wants to know who asks, and does not say how")?;
        let account = self.registry.account.as_ref();
        let Some(words) = challenge.strip_prefix("Bearer ") else {
            return account
                .cloned()
                .context("the registry wants an account: set HYBRID_REGISTRY_AUTH to USER:PASSWORD");
        };
        let words = parameters(words);
        let realm = words.get("realm").context("the registry wants a token, and does not say from where")?;
        let mut uri = allowed(realm)?.to_owned();
        for (at, key) in ["service", "scope"].into_iter().filter(|key| words.contains_key(key)).enumerate() {
            let start = if at == 0 && !uri.contains('?') { '?' } else { '&' };
            uri.push_str(&format!("{start}{key}={}", escaped(words[key])));
        }
        let answer = self.registry.send(&uri, "application/json", account).await?;
        ensure!(answer.status() == StatusCode::OK, "{realm} gives no token: {}", answer.status());
        let limit = usize::try_from(MAX_MANIFEST_BYTES).unwrap_or(usize::MAX);
        let body =
            Limited::new(answer.into_body(), limit).collect().await.map_err(|error| anyhow::anyhow!("{error}"))?;
        let told: serde_json::Value = serde_json::from_slice(&body.to_bytes()).context("a token comes as JSON")?;
        let token =
            told["token"].as_str().or(told["access_token"].as_str()).context("there is no token in the answer")?;
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// An address that the registry names: nothing is said in the clear but on this machine.
fn allowed(uri: &str) -> Result<&str> {
    let parsed = uri.parse::<Uri>().ok().with_context(|| format!("`{uri}` is no address"))?;
    let is_fine = match parsed.scheme_str() {
        Some("https") => true,
        Some("http") => parsed.host().is_some_and(is_here),
        _ => false,
    };
    ensure!(is_fine, "the registry leads to `{uri}`, which is not https");
    Ok(uri)
}

/// `key="value"`, with commas between.
fn parameters(text: &str) -> BTreeMap<&str, &str> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while let Some((key, after)) = rest.split_once("=\"") {
        let Some((value, after)) = after.split_once('"') else { break };
        found.insert(key.trim_matches([' ', ',']), value);
        rest = after;
    }
    found
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read() {
        let words =
            parameters("realm=\"https://auth.example/token\",service=\"registry\", scope=\"repository:a/b:pull,push\"");
        assert_eq!(words["realm"], "https://auth.example/token");
        assert_eq!(words["scope"], "repository:a/b:pull,push");
        assert_eq!(escaped("repository:a/b:pull,push d"), "repository:a/b:pull%2Cpush%20d");
    }

    #[test]
    fn only_what_is_on_this_machine_may_do_without_tls() {
        assert!(["localhost", "localhost:5000", "127.0.0.1:5000", "[::1]:5000"].into_iter().all(is_here));
        assert!(!["registry.example", "127.0.0.1.example:80", "[2001:db8::1]:5000"].into_iter().any(is_here));
        assert!(allowed("http://registry.example/blob").is_err());
        assert!(allowed("https://registry.example/blob").is_ok());
        assert!(allowed("ftp://registry.example/blob").is_err());
    }

    #[test]
    fn a_digest_is_no_path() {
        assert!(digest_of("sha256:../../etc/passwd").is_err());
        assert!(digest_of(&format!("sha256:{}", "A".repeat(64))).is_err());
        assert!(digest_of(&format!("sha512:{}", "a".repeat(64))).is_err());
        assert!(digest_of(&format!("sha256:{}", "a".repeat(64))).is_ok());
    }
}
