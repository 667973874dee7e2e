//! Shared state in memory, for runtimes that serve no `wasi:keyvalue`: it lasts as long as the instance.

mod store;

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    use super::Memory;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/keyvalue-memory",
        generate_all,
    });
    export!(Memory);
}

use std::cell::RefCell;

use bindings::exports::wasi::keyvalue::atomics::{self, CasError};
use bindings::exports::wasi::keyvalue::store::{Bucket, BucketBorrow, Error, Guest, GuestBucket, KeyResponse};
use store::Store;

thread_local! {
    static STORE: RefCell<Store> = RefCell::default();
}

struct Memory;
/// There is one store, whatever it is called.
struct TheStore;

fn with<T>(run: impl FnOnce(&mut Store) -> T) -> T {
    STORE.with_borrow_mut(run)
}

impl Guest for Memory {
    type Bucket = TheStore;

    fn open(_: String) -> Result<Bucket, Error> {
        Ok(Bucket::new(TheStore))
    }
}

impl GuestBucket for TheStore {
    fn get(&self, key: String) -> Result<Option<Vec<u8>>, Error> {
        Ok(with(|store| store.get(&key).map(<[u8]>::to_vec)))
    }

    fn set(&self, key: String, value: Vec<u8>) -> Result<(), Error> {
        with(|store| store.set(key, value)).map_err(Error::Other)
    }

    fn delete(&self, key: String) -> Result<(), Error> {
        with(|store| store.delete(&key));
        Ok(())
    }

    fn exists(&self, key: String) -> Result<bool, Error> {
        Ok(with(|store| store.get(&key).is_some()))
    }

    fn list_keys(&self, cursor: Option<String>) -> Result<KeyResponse, Error> {
        let (keys, cursor) = with(|store| store.keys(cursor.as_deref()));
        Ok(KeyResponse { keys, cursor })
    }
}

/// A key and the value it had.
struct Cas {
    key: String,
    value: Option<Vec<u8>>,
}

impl Cas {
    fn of(key: String) -> Cas {
        let value = with(|store| store.get(&key).map(<[u8]>::to_vec));
        Cas { key, value }
    }
}

impl atomics::GuestCas for Cas {
    fn new(_: BucketBorrow<'_>, key: String) -> Result<atomics::Cas, Error> {
        Ok(atomics::Cas::new(Cas::of(key)))
    }

    fn current(&self) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.value.clone())
    }
}

impl atomics::Guest for Memory {
    type Cas = Cas;

    fn increment(_: BucketBorrow<'_>, key: String, delta: i64) -> Result<i64, Error> {
        with(|store| store.increment(key, delta)).map_err(Error::Other)
    }

    fn swap(cas: atomics::Cas, value: Vec<u8>) -> Result<(), CasError> {
        let Cas { key, value: before } = cas.into_inner::<Cas>();
        if with(|store| store.get(&key) != before.as_deref()) {
            return Err(CasError::CasFailed(atomics::Cas::new(Cas::of(key))));
        }
        with(|store| store.set(key, value)).map_err(|text| CasError::StoreError(Error::Other(text)))
    }
}
