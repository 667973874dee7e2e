//! Which bytes may become a component at all: by their hash, or by somebody's signature.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use minisign_verify::{PublicKey, Signature};

/// A signature is four lines.
const MAX_SIGNATURE_BYTES: u64 = 8 * 1024;

/// Nothing said: everything in the folder is trusted, since only the operator writes there.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    sha256: BTreeSet<String>,
    keys: Vec<PublicKey>,
}

impl Trust {
    pub fn new(sha256: Vec<String>, keys: &[String]) -> Result<Self> {
        for digest in &sha256 {
            if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
            {
                bail!("`trust.sha256` holds `{digest}`, which is not a SHA-256 in small hex digits");
            }
        }
        let keys = keys
            .iter()
            .map(|key| PublicKey::from_base64(key).ok().with_context(|| format!("`{key}` is no minisign public key")))
            .collect::<Result<_>>()?;
        Ok(Self { sha256: sha256.into_iter().collect(), keys })
    }

    pub fn check(&self, bytes: &[u8], sha256: &str, signature: Option<&str>) -> Result<()> {
        if (self.sha256.is_empty() && self.keys.is_empty()) || self.sha256.contains(sha256) {
            return Ok(());
        }
        if self.keys.is_empty() {
            bail!("its SHA-256 {sha256} is not in `trust.sha256`");
        }
        let Some(signature) = signature else {
            bail!("it has no signature (NAME.wasm.minisig), and its SHA-256 {sha256} is not in `trust.sha256`");
        };
        let signature = Signature::decode(signature).ok().context("its signature is not one of minisign")?;
        if self.keys.iter().any(|key| key.verify(bytes, &signature, true).is_ok()) {
            return Ok(());
        }
        bail!("its signature is by no key in `trust.minisign`, or of other bytes")
    }
}

/// What lies beside a file as its signature.
pub fn beside(file: &Path) -> Option<String> {
    let mut name = file.as_os_str().to_owned();
    name.push(".minisig");
    let file = Path::new(&name);
    (file.metadata().ok()?.len() <= MAX_SIGNATURE_BYTES).then(|| std::fs::read_to_string(file).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    // The key and the signature of the bytes `test` that minisign's libraries are tested with.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key\n\
        RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
        trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
        wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n";

    #[test]
    fn a_signature_covers_its_own_bytes() {
        let trust = Trust::new(Vec::new(), &[KEY.to_owned()]).expect("a key");
        assert!(trust.check(b"test", "00", Some(SIGNATURE)).is_ok());
        assert!(trust.check(b"tesT", "00", Some(SIGNATURE)).is_err());
        assert!(trust.check(b"test", "00", Some("nonsense")).is_err());
        assert!(trust.check(b"test", "00", None).is_err());
    }

    #[test]
    fn a_listed_hash_needs_no_signature() {
        let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned();
        let trust = Trust::new(vec![digest.clone()], &[]).expect("a hash");
        assert!(trust.check(b"test", &digest, None).is_ok());
        assert!(trust.check(b"other", "00", None).is_err());
        assert!(Trust::default().check(b"anything", "00", None).is_ok());
        assert!(Trust::new(vec!["abc".to_owned()], &[]).is_err());
        assert!(Trust::new(Vec::new(), &["no key".to_owned()]).is_err());
    }
}
