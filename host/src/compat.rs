//! Other people's WASI 0.2 components, served alone.

use std::sync::Arc;

use anyhow::Result;
use wasmtime::Store;
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::handler::Proxy;
use wasmtime_wasi_http::p2::bindings::{Proxy as Proxy2, ProxyPre};

use crate::component::Loaded;
use crate::link::{Base, Member};
use crate::store::State;

/// A linked `wasi:http/incoming-handler@0.2`.
pub struct Incoming(ProxyPre<State>);

impl Incoming {
    pub async fn instantiate(&self, store: &mut Store<State>) -> Result<Arc<Proxy>> {
        let proxy: Proxy2 = self.0.instantiate_async(store).await?;
        Ok(Arc::new(Proxy::P2(proxy)))
    }
}

/// Links a component against WASI 0.2 with HTTP.
pub fn link(base: &Base, loaded: &Arc<Loaded>) -> Result<(Member, Incoming)> {
    let mut linker = base.linker.clone();
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    let pre = linker.instantiate_pre(&loaded.code)?;
    let incoming = Incoming(ProxyPre::new(pre.clone())?);
    Ok((Member { loaded: Arc::clone(loaded), pre, functions: Vec::new() }, incoming))
}

/// What the `Prepared` call of wasmtime-wasi-http needs to reach HTTP's state.
pub fn view(state: &mut State) -> wasmtime_wasi_http::WasiHttpCtxView<'_> {
    state.http()
}
