//! What instances tell each other, through the runtime's `wasi:keyvalue`. Where there is no such store, each keeps what it
//! knows to itself.

/// The store that is told and asked; the runtime may know it by another name (setting `health_store`).
#[cfg(target_family = "wasm")]
const STORE: &str = "health";

/// There is no store, or it does not answer. Not that it holds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Away;

#[cfg(target_family = "wasm")]
mod store {
    use std::cell::OnceCell;

    use super::{Away, STORE};
    use crate::bindings::wasi::keyvalue::store::{Bucket, open};
    use crate::settings;

    thread_local! {
        static BUCKET: OnceCell<Option<Bucket>> = const { OnceCell::new() };
    }

    pub(super) fn with<T>(work: impl FnOnce(&Bucket) -> Option<T>) -> Result<T, Away> {
        BUCKET.with(|bucket| {
            let name = || settings::text("health_store").unwrap_or_else(|| STORE.to_owned());
            let bucket = bucket.get_or_init(|| open(&name()).ok()).as_ref().ok_or(Away)?;
            work(bucket).ok_or(Away)
        })
    }
}

pub fn get(key: &str) -> Result<Option<String>, Away> {
    #[cfg(target_family = "wasm")]
    return store::with(|bucket| bucket.get(key).ok())
        .map(|value| value.and_then(|value| String::from_utf8(value).ok()));
    #[cfg(not(target_family = "wasm"))]
    {
        let _ = key;
        Err(Away)
    }
}

/// A value that cannot be kept is not: whoever asks finds out for himself.
pub fn set(key: &str, value: &str) {
    #[cfg(target_family = "wasm")]
    let _ = store::with(|bucket| bucket.set(key, value.as_bytes()).ok());
    #[cfg(not(target_family = "wasm"))]
    let _ = (key, value);
}

pub fn delete(key: &str) {
    #[cfg(target_family = "wasm")]
    let _ = store::with(|bucket| bucket.delete(key).ok());
    #[cfg(not(target_family = "wasm"))]
    let _ = key;
}
