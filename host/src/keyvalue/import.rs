//! `wasi:keyvalue` as a component imports it.

use std::sync::Arc;

use anyhow::Result;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower, Resource, ResourceType};

use super::{Store, Stores, Trouble, at_once};
use crate::store::State;

const STORE: &str = "wasi:keyvalue/store@0.2.0-draft2";
const ATOMICS: &str = "wasi:keyvalue/atomics@0.2.0-draft2";

/// Whether an import is one of these.
pub fn is_ours(interface: &str) -> bool {
    matches!(interface, STORE | ATOMICS)
}

/// A store that a component opened.
struct Bucket(Store);

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "no-such-store")]
    NoSuchStore,
    #[component(name = "access-denied")]
    AccessDenied,
    #[component(name = "other")]
    Other(String),
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        Error::Other(trouble.to_string())
    }
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct KeyResponse {
    keys: Vec<String>,
    cursor: Option<String>,
}

type Own = Resource<Bucket>;

fn bucket(store: &mut StoreContextMut<'_, State>, bucket: &Own) -> wasmtime::Result<Store> {
    Ok(store.data_mut().table().get(bucket)?.0.clone())
}

/// One function of a bucket: at once where all stores are near, awaited otherwise, so that a lane never waits.
macro_rules! function {
    ($instance:ident, $near:ident, $name:literal, |$store:ident, ($($argument:ident : $type:ty),*)| $answer:expr) => {
        if $near {
            $instance.func_wrap($name, |mut store: StoreContextMut<'_, State>, (bucket_, $($argument),*): (Own, $($type),*)| {
                let $store = bucket(&mut store, &bucket_)?;
                Ok((at_once($answer).map_err(Error::from),))
            })?;
        } else {
            $instance.func_wrap_async($name, |mut store: StoreContextMut<'_, State>, (bucket_, $($argument),*): (Own, $($type),*)| {
                Box::new(async move {
                    let $store = bucket(&mut store, &bucket_)?;
                    Ok(($answer.await.map_err(Error::from),))
                })
            })?;
        }
    };
}

/// Serves the stores a component was granted.
pub fn add(linker: &mut Linker<State>, stores: &Arc<Stores>, granted: &[String]) -> Result<()> {
    let near = stores.are_near();
    let mut instance = linker.instance(STORE)?;
    instance.resource("bucket", ResourceType::host::<Bucket>(), |mut store, rep| {
        store.data_mut().table().delete(Resource::<Bucket>::new_own(rep))?;
        Ok(())
    })?;
    let granted: Vec<(String, Option<Store>)> =
        granted.iter().map(|name| (name.clone(), stores.get(name).cloned())).collect();
    let known: Vec<String> = stores.by_name.keys().cloned().collect();
    instance.func_wrap("open", move |mut store: StoreContextMut<'_, State>, (name,): (String,)| {
        let opened = match granted.iter().find(|(granted, _)| *granted == name) {
            Some((_, Some(found))) => Ok(store.data_mut().table().push(Bucket(found.clone()))?),
            None if known.contains(&name) => Err(Error::AccessDenied),
            _ => Err(Error::NoSuchStore),
        };
        Ok((opened,))
    })?;
    function!(instance, near, "[method]bucket.get", |it, (key: String)| it.get(&key));
    function!(instance, near, "[method]bucket.exists", |it, (key: String)| it.exists(&key));
    function!(instance, near, "[method]bucket.set", |it, (key: String, value: Vec<u8>)| it.set(&key, value));
    function!(instance, near, "[method]bucket.delete", |it, (key: String)| it.delete(&key));
    function!(instance, near, "[method]bucket.list-keys", |it, (cursor: Option<String>)| page(&it, cursor));
    let mut instance = linker.instance(ATOMICS)?;
    function!(instance, near, "increment", |it, (key: String, delta: i64)| it.increment(&key, delta));
    Ok(())
}

/// The keys after `cursor`, this many at most.
const PAGE: usize = 1000;

async fn page(store: &Store, cursor: Option<String>) -> Result<KeyResponse, Trouble> {
    let mut keys = store.keys().await?;
    if let Some(cursor) = cursor {
        keys.retain(|key| *key > cursor);
    }
    let more = keys.len() > PAGE;
    keys.truncate(PAGE);
    Ok(KeyResponse { cursor: more.then(|| keys.last().cloned()).flatten(), keys })
}
