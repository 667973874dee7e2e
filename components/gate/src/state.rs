//! What the gate keeps between requests, and shares with its other instances: keys, and counts.
//!
//! Everything here is answered by the runtime's `wasi:keyvalue`; without a store there are no keys and no limits.

#[cfg(target_family = "wasm")]
mod bindings {
    use spin_sdk::wit_bindgen;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/gate",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        generate_all,
    });
}

/// The store did not answer. Not that it holds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Away;

/// One of the runtime's stores.
pub(crate) struct Store {
    #[cfg(target_family = "wasm")]
    bucket: bindings::wasi::keyvalue::store::Bucket,
    /// Native unit tests keep their counts here.
    #[cfg(not(target_family = "wasm"))]
    counts: std::cell::RefCell<std::collections::BTreeMap<String, i64>>,
}

#[cfg(target_family = "wasm")]
impl Store {
    /// None where the runtime has no such store for us.
    pub(crate) fn open(name: &str) -> Result<Option<Store>, Away> {
        use bindings::wasi::keyvalue::store::{Error, open};
        match open(name) {
            Ok(bucket) => Ok(Some(Store { bucket })),
            Err(Error::NoSuchStore | Error::AccessDenied) => Ok(None),
            Err(Error::Other(_)) => Err(Away),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Away> {
        self.bucket.get(key).map_err(|_| Away)
    }

    pub(crate) fn exists(&self, key: &str) -> Result<bool, Away> {
        self.bucket.exists(key).map_err(|_| Away)
    }

    pub(crate) fn delete(&self, key: &str) {
        // What is left over costs room, and nothing else.
        let _ = self.bucket.delete(key);
    }

    pub(crate) fn increment(&self, key: &str, delta: i64) -> Result<i64, Away> {
        bindings::wasi::keyvalue::atomics::increment(&self.bucket, key, delta).map_err(|_| Away)
    }
}

#[cfg(not(target_family = "wasm"))]
impl Store {
    pub(crate) fn open(_: &str) -> Result<Option<Store>, Away> {
        Ok(Some(Store { counts: std::cell::RefCell::default() }))
    }

    pub(crate) fn get(&self, _: &str) -> Result<Option<Vec<u8>>, Away> {
        Ok(None)
    }

    pub(crate) fn exists(&self, _: &str) -> Result<bool, Away> {
        Ok(false)
    }

    pub(crate) fn delete(&self, key: &str) {
        self.counts.borrow_mut().remove(key);
    }

    pub(crate) fn increment(&self, key: &str, delta: i64) -> Result<i64, Away> {
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry(key.to_owned()).or_default();
        *count += delta;
        Ok(*count)
    }
}
