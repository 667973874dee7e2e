//! `wasi:keyvalue` as a component imports it.

use std::sync::Arc;

use anyhow::Result;
use futures::future::try_join_all;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType};

use super::{Store, Stores, Trouble, at_once};
use crate::store::State;

const STORE: &str = "wasi:keyvalue/store@0.2.0-draft2";
const ATOMICS: &str = "wasi:keyvalue/atomics@0.2.0-draft2";
const BATCH: &str = "wasi:keyvalue/batch@0.2.0-draft2";

/// Whether an import is one of these.
pub fn is_ours(interface: &str) -> bool {
    matches!(interface, STORE | ATOMICS | BATCH)
}

/// A store that a component opened.
struct Bucket(Store);

/// A value as a component saw it, which it may swap for another.
struct Cas {
    store: Store,
    key: String,
    seen: Option<Vec<u8>>,
}

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

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum CasError {
    #[component(name = "store-error")]
    StoreError(Error),
    #[component(name = "cas-failed")]
    CasFailed(Resource<Cas>),
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
    swaps(&mut instance)?;
    let mut instance = linker.instance(BATCH)?;
    function!(instance, near, "get-many", |it, (keys: Vec<String>)| get_many(&it, keys));
    function!(instance, near, "set-many", |it, (all: Vec<(String, Vec<u8>)>)| set_many(&it, all));
    function!(instance, near, "delete-many", |it, (keys: Vec<String>)| delete_many(&it, &keys));
    Ok(())
}

/// A swap is made of what was last looked at: when the handle was made, or by `current`.
fn swaps(instance: &mut LinkerInstance<'_, State>) -> Result<()> {
    instance.resource("cas", ResourceType::host::<Cas>(), |mut store, rep| {
        store.data_mut().table().delete(Resource::<Cas>::new_own(rep))?;
        Ok(())
    })?;
    instance.func_wrap_async(
        "[static]cas.new",
        |mut store: StoreContextMut<'_, State>, (it, key): (Own, String)| {
            Box::new(async move {
                let from = bucket(&mut store, &it)?;
                let made = match from.get(&key).await {
                    Ok(seen) => Ok(store.data_mut().table().push(Cas { store: from, key, seen })?),
                    Err(trouble) => Err(Error::from(trouble)),
                };
                Ok((made,))
            })
        },
    )?;
    instance.func_wrap_async(
        "[method]cas.current",
        |mut store: StoreContextMut<'_, State>, (it,): (Resource<Cas>,)| {
            Box::new(async move {
                let cas = store.data_mut().table().get(&it)?;
                let (from, key) = (cas.store.clone(), cas.key.clone());
                let seen = from.get(&key).await;
                if let Ok(seen) = &seen {
                    store.data_mut().table().get_mut(&it)?.seen.clone_from(seen);
                }
                Ok((seen.map_err(Error::from),))
            })
        },
    )?;
    instance.func_wrap_async(
        "swap",
        |mut store: StoreContextMut<'_, State>, (it, value): (Resource<Cas>, Vec<u8>)| {
            Box::new(async move {
                let Cas { store: to, key, seen } = store.data_mut().table().delete(it)?;
                let swapped = match to.swap(&key, seen, value).await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(seen)) => {
                        let again = store.data_mut().table().push(Cas { store: to, key, seen })?;
                        Err(CasError::CasFailed(again))
                    }
                    Err(trouble) => Err(CasError::StoreError(trouble.into())),
                };
                Ok((swapped,))
            })
        },
    )?;
    Ok(())
}

/// Those that there are, and those that there are not; in the order in which they were asked for.
async fn get_many(store: &Store, keys: Vec<String>) -> Result<Vec<(String, Option<Vec<u8>>)>, Trouble> {
    let values = try_join_all(keys.iter().map(|key| store.get(key))).await?;
    Ok(keys.into_iter().zip(values).collect())
}

/// One after the other as far as it goes: what was set before a failure stays set.
async fn set_many(store: &Store, all: Vec<(String, Vec<u8>)>) -> Result<(), Trouble> {
    try_join_all(all.into_iter().map(|(key, value)| async move { store.set(&key, value).await })).await.map(drop)
}

async fn delete_many(store: &Store, keys: &[String]) -> Result<(), Trouble> {
    try_join_all(keys.iter().map(|key| store.delete(key))).await.map(drop)
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
