//! Limits that the runtime keeps for us: who meets one is counted here, as with our own.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p3::bindings::http::types::{HeaderError, HostFields as _};
use wasmtime_wasi_http::{FieldMap, WasiHttpView as _};

use crate::store::{self, State};

const FIELDS: &str = "wasi:http/types@0.3.0";
const RANDOM: &str = "wasi:random/random@0.3.0";

/// Which limit it was that broke a component off, by the name that metrics use. The runtime tells it in words alone.
pub fn limit(error: &anyhow::Error) -> Option<&'static str> {
    const WORDS: [(&str, &str); 4] = [
        ("fuel allocated for hostcalls", "hostcall_bytes"),
        ("store handle limit exceeded", "handles"),
        ("resource table has no free keys", "handles"),
        ("requested len", "random_bytes"),
    ];
    error.chain().find_map(|cause| {
        let text = cause.to_string();
        WORDS.iter().find(|(words, _)| text.contains(words)).map(|(_, limit)| *limit)
    })
}

/// Replaces the functions that refuse or shorten something without breaking off: they do the same, and count it.
pub fn count(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut random = linker.instance(RANDOM)?;
    random.func_wrap("get-random-bytes", |mut store: StoreContextMut<'_, State>, (most,): (u64,)| {
        let limit = store.data().random_bytes;
        if most > limit {
            hit(&mut store, "random_bytes");
        }
        let mut bytes = vec![0; usize::try_from(most.min(limit)).unwrap_or(usize::MAX)];
        getrandom::fill(&mut bytes).map_err(|_| wasmtime::Error::msg("the system gives no random numbers"))?;
        Ok((bytes,))
    })?;
    let mut fields = linker.instance(FIELDS)?;
    fields.func_wrap(
        "[static]fields.from-list",
        |mut store: StoreContextMut<'_, State>, (entries,): (Vec<(String, Vec<u8>)>,)| {
            let made = store.data_mut().http().from_list(entries);
            Ok((answered(&mut store, made)?,))
        },
    )?;
    fields.func_wrap(
        "[method]fields.append",
        |mut store: StoreContextMut<'_, State>, (fields, name, value): (Resource<FieldMap>, String, Vec<u8>)| {
            let done = store.data_mut().http().append(fields, name, value);
            Ok((answered(&mut store, done)?,))
        },
    )?;
    fields.func_wrap(
        "[method]fields.set",
        |mut store: StoreContextMut<'_, State>, (fields, name, values): (Resource<FieldMap>, String, Vec<Vec<u8>>)| {
            let done = store.data_mut().http().set(fields, name, values);
            Ok((answered(&mut store, done)?,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

fn answered<T>(
    store: &mut StoreContextMut<'_, State>,
    answer: Result<T, wasmtime_wasi::TrappableError<HeaderError>>,
) -> wasmtime::Result<Result<T, HeaderError>> {
    let refused = match answer {
        Ok(made) => return Ok(Ok(made)),
        Err(error) => error.downcast()?,
    };
    if matches!(refused, HeaderError::SizeExceeded) {
        hit(store, "header_bytes");
    }
    Ok(Err(refused))
}

fn hit(store: &mut StoreContextMut<'_, State>, limit: &str) {
    let member = store::running(store);
    let state = store.data();
    let name = member.map_or("", |member| state.seat(member).name.as_str());
    state.metrics.limits.add(&[name, limit], 1);
}
