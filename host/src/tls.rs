//! The certificate that the host shows, read again when its files change.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use serde::Deserialize;
use tokio_rustls::TlsAcceptor;

use crate::telemetry::{self, Level};

/// Renewed certificates come weeks before the old ones end.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Where the certificate lies, as PEM: the host's own and then those that vouch for it, and the key of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// When a file was changed, and how long it is.
type Sight = Option<(SystemTime, u64)>;

/// What is shown to clients. Lives as long as the server.
#[derive(Debug)]
struct Shown {
    files: Files,
    provider: Arc<CryptoProvider>,
    now: ArcSwap<CertifiedKey>,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    at: Instant,
    files: [Sight; 2],
}

impl Files {
    /// The certificates of the file, the host's own first.
    pub fn chain(&self) -> Result<Vec<CertificateDer<'static>>> {
        let of = || format!("reading {}, `tls.certificate`", self.certificate.display());
        let chain = CertificateDer::pem_file_iter(&self.certificate).with_context(of)?;
        let chain = chain.collect::<Result<Vec<_>, _>>().with_context(of)?;
        if chain.is_empty() {
            bail!("{} holds no certificate in PEM", self.certificate.display());
        }
        Ok(chain)
    }

    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey> {
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .with_context(|| format!("reading {}, `tls.key`", self.key.display()))?;
        // It also looks whether the two belong together: one of them may be new and the other not yet.
        CertifiedKey::from_der(self.chain()?, key, provider).context("`tls.certificate` and `tls.key`")
    }

    fn sight(&self) -> [Sight; 2] {
        let look =
            |path: &Path| path.metadata().ok().and_then(|about: Metadata| Some((about.modified().ok()?, about.len())));
        [look(&self.certificate), look(&self.key)]
    }
}

/// Accepts connections with this certificate, in HTTP/2 where the client can, and else in HTTP/1.
pub fn acceptor(files: &Files) -> Result<TlsAcceptor> {
    let provider = Arc::new(ring::default_provider());
    let seen = Mutex::new(Seen { at: Instant::now(), files: files.sight() });
    let now = ArcSwap::from_pointee(files.read(&provider)?);
    let shown = Shown { files: files.clone(), provider: Arc::clone(&provider), now, seen };
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("the versions of TLS")?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A connection to the host of this very certificate, for whoever asks it on its own machine: no name is looked at, but
/// that it is the same certificate.
pub fn to_ourselves(
    files: &Files,
    stream: std::net::TcpStream,
) -> Result<StreamOwned<ClientConnection, std::net::TcpStream>> {
    let provider = Arc::new(ring::default_provider());
    let own = files.chain()?.swap_remove(0);
    let same = Arc::new(Same { own, provider: Arc::clone(&provider) });
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("the versions of TLS")?
        .dangerous()
        .with_custom_certificate_verifier(same)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").context("a name")?;
    Ok(StreamOwned::new(ClientConnection::new(Arc::new(config), name)?, stream))
}

#[derive(Debug)]
struct Same {
    own: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Same {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match *shown == self.own {
            true => Ok(ServerCertVerified::assertion()),
            false => {
                Err(rustls::Error::General("another certificate is shown than the one in `tls.certificate`".into()))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Shown {
    fn look(&self) {
        // Somebody else is looking.
        let Ok(mut seen) = self.seen.try_lock() else { return };
        if seen.at.elapsed() < LOOK_AGAIN {
            return;
        }
        seen.at = Instant::now();
        let files = self.files.sight();
        if files == seen.files {
            return;
        }
        match self.files.read(&self.provider) {
            Ok(read) => {
                seen.files = files;
                self.now.store(Arc::new(read));
                telemetry::line(Level::Info, "a new certificate is shown", &[]);
            }
            // Both files are looked at again until they fit.
            Err(error) => {
                let error = format!("{error:#}");
                let message = "a changed certificate was refused, the one before is shown";
                telemetry::line(Level::Warn, message, &[("error", (&error).into())]);
            }
        }
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.look();
        Some(self.now.load_full())
    }
}
