//! Imports meet exports, by interface name. No interface is known here beyond what every WASI host serves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use wasmtime::Engine;
use wasmtime::component::{
    Accessor, ComponentExportIndex, ComponentType, Func, InstancePre, Lift, Linker, LinkerInstance, Lower, Resource,
};
use wasmtime_wasi_http::p3::bindings::http::client::HostWithStore;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p3::{Request, Response};
use wasmtime_wasi_http::{WasiHttp, WasiHttpView as _};

use crate::apart;
use crate::component::{Function, Interface, Loaded};
use crate::config::{Config, Outbound};
use crate::keyvalue::{self, Stores};
use crate::limits::{Hit, Kind};
use crate::outbound::Sender;
use crate::store::State;
use crate::typed;

const HTTP_HANDLER: &str = "wasi:http/handler@0.3.0";
const HTTP_CLIENT: &str = "wasi:http/client@0.3.0";
const CONFIG_STORE: &str = "wasi:config/store@0.2.0-draft-2024-09-27";
/// The setting that tells a component which headers the host takes off where it hands a request on.
const WITHHELD_SETTING: &str = "withheld";

/// What every component is linked against. Lives as long as the process.
pub struct Base {
    pub linker: Linker<State>,
    pub stores: Arc<Stores>,
}

/// A component with its imports met, ready to be instantiated.
pub struct Member {
    pub loaded: Arc<Loaded>,
    pub pre: InstancePre<State>,
    /// Every exported function, interface after interface; [`Target::function`] counts in it.
    pub functions: Vec<ComponentExportIndex>,
}

/// A function of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    pub member: usize,
    pub function: usize,
}

/// Nothing but another configuration helps.
#[derive(Debug, thiserror::Error)]
#[error("it {what}, which `components.{component}.{key}` does not grant")]
pub struct Ungranted {
    pub component: String,
    what: &'static str,
    key: &'static str,
}

/// The part of a version that compatible versions share: `a:b/c@0.1.3` → `a:b/c@0.1`.
pub fn compatible(name: &str) -> String {
    let Some((interface, version)) = name.split_once('@') else { return name.to_owned() };
    if version.contains(['-', '+']) {
        return name.to_owned();
    }
    let numbers: Vec<&str> = version.split('.').collect();
    match numbers.as_slice() {
        ["0", minor, ..] => format!("{interface}@0.{minor}"),
        [major, ..] => format!("{interface}@{major}"),
        [] => name.to_owned(),
    }
}

/// Who provides what to whom: the chains of one set of components.
pub struct Wiring<'a> {
    members: &'a [Arc<Loaded>],
    /// Interface → members that export it, in the order in which they are asked.
    chains: BTreeMap<String, Vec<usize>>,
}

impl<'a> Wiring<'a> {
    /// A chain's order comes from the configuration; where it says nothing, links come before ends, by name.
    pub fn new(members: &'a [Arc<Loaded>], configured: &BTreeMap<String, Vec<String>>) -> Self {
        let mut chains: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, member) in members.iter().enumerate() {
            for export in &member.exports {
                chains.entry(compatible(&export.name)).or_default().push(index);
            }
        }
        for (interface, chain) in &mut chains {
            let plain = interface.split('@').next().unwrap_or(interface);
            if let Some(order) = configured.get(plain) {
                let place = |member: &usize| order.iter().position(|name| *name == members[*member].name);
                chain.retain(|member| place(member).is_some());
                chain.sort_by_key(place);
            } else {
                let is_end =
                    |member: &usize| !members[*member].imports.iter().any(|i| compatible(&i.name) == *interface);
                chain.sort_by_key(|member| (is_end(member), members[*member].name.clone()));
            }
        }
        Self { members, chains }
    }

    /// The member that serves the outside on an interface: the first of its chain.
    pub fn entry(&self, interface: &str) -> Option<usize> {
        self.chains.iter().find(|(name, _)| name.split('@').next() == Some(interface))?.1.first().copied()
    }

    /// Who answers what `importer` imports: the next link where it is itself in the chain, the first otherwise.
    fn provider(&self, importer: usize, interface: &str) -> Option<usize> {
        let chain = self.chains.get(&compatible(interface))?;
        match chain.iter().position(|member| *member == importer) {
            Some(place) => chain.get(place + 1).copied(),
            None => chain.first().copied(),
        }
    }

    /// Links one member. Refuses what nobody provides and what does not fit its provider's functions.
    pub fn link(&self, base: &Base, index: usize, config: &Config) -> Result<Member> {
        let loaded = &self.members[index];
        let mut linker = base.linker.clone();
        let mut keeps = false;
        if let Some(grant) = config.grants.get(&loaded.name).filter(|grant| !grant.withholds.is_empty()) {
            let withheld: Vec<_> = grant.withholds.iter().map(http::HeaderName::as_str).collect();
            linker.allow_shadowing(true);
            add_settings(&mut linker, Some(withheld.join(",")))?;
            linker.allow_shadowing(false);
        }
        for import in &loaded.imports {
            let is_link = loaded.exports.iter().any(|export| compatible(&export.name) == compatible(&import.name));
            match self.provider(index, &import.name) {
                Some(provider) => self.bridge(&mut linker, import, (index, provider), config)?,
                None if compatible(&import.name) == compatible(HTTP_CLIENT) => {
                    let grant = config.grants.get(&loaded.name).filter(|g| !matches!(g.outbound, Outbound::Nowhere));
                    let Some(grant) = grant else {
                        return Err(
                            Ungranted { component: loaded.name.clone(), what: "sends HTTP", key: "outbound" }.into()
                        );
                    };
                    let sender = Sender {
                        component: loaded.name.clone(),
                        grant: grant.clone(),
                        limits: config.limits_of(&loaded.name),
                    };
                    add_client(&mut linker, Arc::new(sender))?;
                }
                None if keyvalue::import::is_ours(&import.name) => {
                    let granted = config.grants.get(&loaded.name).map(|grant| grant.stores.as_slice());
                    let Some(granted) = granted.filter(|granted| !granted.is_empty()) else {
                        return Err(
                            Ungranted { component: loaded.name.clone(), what: "keeps state", key: "stores" }.into()
                        );
                    };
                    // Once for all of its interfaces.
                    if !std::mem::replace(&mut keeps, true) {
                        keyvalue::import::add(&mut linker, &base.stores, granted)?;
                    }
                }
                None if import.name.starts_with("wasi:") && !is_link => {}
                None if import.is_types_only() => {}
                None if is_link => end_of_chain(&mut linker, import)?,
                None => bail!("nobody provides `{}`", import.name),
            }
        }
        let pre = linker.instantiate_pre(&loaded.code).map_err(anyhow::Error::from)?;
        let functions = loaded.exports.iter().flat_map(|export| &export.functions).filter_map(|f| f.index).collect();
        Ok(Member { loaded: Arc::clone(loaded), pre, functions })
    }

    /// Whether what a member imports still fits those who provide it.
    pub fn check(&self, index: usize) -> Result<()> {
        for import in &self.members[index].imports {
            if let Some(provider) = self.provider(index, &import.name) {
                import.functions.iter().try_for_each(|function| self.fits(import, function, provider))?;
            }
        }
        Ok(())
    }

    /// Every function of `import` becomes a call into the provider's export of the same name.
    fn bridge(
        &self,
        linker: &mut Linker<State>,
        import: &Interface,
        (importer, provider): (usize, usize),
        config: &Config,
    ) -> Result<()> {
        let grant_of = |member: usize| config.grants.get(&self.members[member].name);
        let is_apart = grant_of(provider).is_some_and(|grant| grant.apart);
        let withholds = grant_of(importer).map(|grant| &grant.withholds).filter(|names| !names.is_empty());
        let is_handler = compatible(&import.name) == compatible(HTTP_HANDLER);
        let mut instance = linker.instance(&import.name)?;
        for function in &import.functions {
            self.fits(import, function, provider)?;
            let target =
                self.target(provider, &import.name, &function.name).context("a function that fits is there")?;
            if is_apart && function.can_be_carried() {
                apart::define(&mut instance, &function.name, target)?;
            } else if is_handler {
                typed::define_handler(&mut instance, &function.name, target, withholds.cloned())?;
            } else if !typed::define(&mut instance, function, target)? {
                define(&mut instance, &function.name, target)?;
            }
        }
        Ok(())
    }

    /// Refuses a function that its provider does not export as it is imported.
    fn fits(&self, import: &Interface, function: &Function, provider: usize) -> Result<()> {
        let exporter = &self.members[provider];
        let Some(exported) = exporter
            .exports
            .iter()
            .filter(|export| compatible(&export.name) == compatible(&import.name))
            .flat_map(|export| &export.functions)
            .find(|exported| exported.name == function.name && exported.index.is_some())
        else {
            bail!("`{}` exports `{}` without its function `{}`", exporter.name, import.name, function.name);
        };
        if !function.is_async {
            bail!("`{}` of `{}` must be an async func to be called across components", function.name, import.name);
        }
        // Resources of WASI are the host's own and always the same; the linker checks them when it lowers.
        if !import.name.starts_with("wasi:") && !function.fits(exported) {
            let what = if exported.is_async { "has other parameters or results" } else { "is not an async func" };
            bail!("`{}` of `{}` in `{}` {what}", function.name, import.name, exporter.name);
        }
        Ok(())
    }

    fn target(&self, member: usize, interface: &str, function: &str) -> Option<Target> {
        let exports = &self.members[member].exports;
        let flat = exports.iter().flat_map(|export| export.functions.iter().map(move |f| (&export.name, f)));
        flat.filter(|(_, f)| f.index.is_some())
            .position(|(name, f)| compatible(name) == compatible(interface) && f.name == function)
            .map(|function| Target { member, function })
    }
}

fn define(instance: &mut LinkerInstance<'_, State>, name: &str, target: Target) -> Result<()> {
    instance.func_new_concurrent(name, move |accessor, _, params, results| {
        Box::pin(async move {
            let (function, limit) = live(accessor, target).await?;
            let began = Instant::now();
            let call = function.call_concurrent(accessor, params, results);
            within(accessor, limit, target.member, call).await?;
            accessor.with(|mut access| access.data_mut().note_call(target.member, began.elapsed()));
            Ok(())
        })
    })?;
    Ok(())
}

/// Waits for a call as long as the called member may take.
pub async fn within<T>(
    accessor: &Accessor<State>,
    limit: Option<Duration>,
    member: usize,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    let Some(limit) = limit else { return call.await };
    match tokio::time::timeout(limit, call).await {
        Ok(done) => done,
        Err(_) => accessor.with(|mut access| {
            Err(access.data_mut().hit(member, Kind::Call, format!("took longer than {limit:?} for a call")).into())
        }),
    }
}

/// A place in a member that lets in only so many requests at once. A moment's crowd waits; a lasting one is told.
pub async fn place(places: Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    tokio::time::timeout(Duration::from_secs(1), places.acquire_owned()).await.ok()?.ok()
}

pub fn crowded(state: &State, member: usize) -> Hit {
    state.hit(member, Kind::Concurrency, "works on as many requests as it may".to_owned())
}

/// Notes that a member works on the request, and has a place in it where there are only so many. Where it is known to compute,
/// the request goes on where that disturbs nobody.
pub async fn use_member(accessor: &Accessor<State>, member: usize) -> wasmtime::Result<()> {
    let (places, leaving) = accessor.with(|mut access| {
        let state = access.data_mut();
        (state.note_use(member), state.leave_for(member))
    });
    if let Some(meter) = leaving {
        meter.has_left().await;
    }
    let Some(places) = places else { return Ok(()) };
    let place = place(places).await;
    accessor.with(|mut access| {
        let state = access.data_mut();
        match place {
            Some(place) => state.permits.push(place),
            None => return Err(crowded(state, member).into()),
        }
        Ok(())
    })
}

/// The function in this request's instances, and how long a call of it may take. The first call of a member waits until
/// the driver has instantiated it: that cannot be done from in here, since instantiation needs the whole store.
pub async fn live(accessor: &Accessor<State>, target: Target) -> wasmtime::Result<(Func, Option<Duration>)> {
    use_member(accessor, target.member).await?;
    let found = |state: &State| {
        let functions = state.live[target.member].as_ref()?;
        Some((functions[target.function], state.seat(target.member).limits.call))
    };
    let waiting = accessor.with(|mut access| {
        let state = access.data_mut();
        if let Some(found) = found(state) {
            return Ok(found);
        }
        let (done, wait) = oneshot::channel();
        state.wanted.push((target.member, done));
        state.wake_driver();
        Err(wait)
    });
    match waiting {
        Ok(found) => Ok(found),
        Err(wait) => {
            let _ = wait.await;
            accessor.with(|mut access| {
                found(access.data_mut()).ok_or_else(|| wasmtime::format_err!("the component was not instantiated"))
            })
        }
    }
}

/// The last link of a chain imports an interface that nobody after it exports.
fn end_of_chain(linker: &mut Linker<State>, import: &Interface) -> Result<()> {
    let mut instance = linker.instance(&import.name)?;
    for function in &import.functions {
        let what = format!("`{}` of `{}` was handed on past the end of its chain", function.name, import.name);
        instance.func_new_concurrent(&function.name, move |_, _, _, _| {
            let what = what.clone();
            Box::pin(async move { Err(wasmtime::Error::msg(what)) })
        })?;
    }
    Ok(())
}

/// What every component may import: clocks, random numbers, its own standard streams, settings and HTTP's types.
/// Files and sockets are there for toolchains that name them, and empty.
pub fn base(engine: &Engine, stores: Arc<Stores>) -> Result<Base> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::bindings::http::types::add_to_linker::<_, WasiHttp>(&mut linker, State::http)?;
    crate::hits::count(&mut linker)?;
    add_settings(&mut linker, None)?;
    Ok(Base { linker, stores })
}

/// `wasi:http/client` for one component, with what it may do.
fn add_client(linker: &mut Linker<State>, sender: Arc<Sender>) -> Result<()> {
    linker.instance(HTTP_CLIENT)?.func_wrap_concurrent(
        "send",
        move |accessor: &Accessor<State>, (request,): (Resource<Request>,)| {
            let sender = Arc::clone(&sender);
            Box::pin(async move {
                accessor.with(|mut access| access.data_mut().hooks.sends(sender));
                let accessor = accessor.with_getter::<WasiHttp>(State::http);
                // The request is looked at, and the grant taken, before this first waits.
                let sent = <WasiHttp as HostWithStore<State>>::send(&accessor, request).await;
                let sent: Result<Resource<Response>, ErrorCode> = match sent {
                    Ok(response) => Ok(response),
                    Err(error) => Err(error.downcast()?),
                };
                Ok((sent,))
            })
        },
    )?;
    Ok(())
}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum SettingsError {
    #[component(name = "upstream")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}

/// The settings are the same for all components, but for what the host withholds from whom comes after this one.
fn add_settings(linker: &mut Linker<State>, withheld: Option<String>) -> Result<()> {
    let mut instance = linker.instance(CONFIG_STORE)?;
    let own = withheld.clone();
    instance.func_wrap("get", move |store, (key,): (String,)| {
        let value = match key.as_str() {
            WITHHELD_SETTING => own.clone(),
            key => store.data().settings.get(key).cloned(),
        };
        Ok((Ok::<Option<String>, SettingsError>(value),))
    })?;
    instance.func_wrap("get-all", move |store, (): ()| {
        let others = store.data().settings.iter().filter(|(key, _)| *key != WITHHELD_SETTING);
        let all = others.map(|(key, value)| (key.clone(), value.clone()));
        let own = withheld.iter().map(|names| (WITHHELD_SETTING.to_owned(), names.clone()));
        Ok((Ok::<Vec<(String, String)>, SettingsError>(all.chain(own).collect()),))
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::compatible;

    #[test]
    fn versions_share_what_semver_says() {
        assert_eq!(compatible("hybrid:llm/llm@0.1.7"), "hybrid:llm/llm@0.1");
        assert_eq!(compatible("wasi:http/handler@1.2.3"), "wasi:http/handler@1");
        assert_eq!(compatible("wasi:config/store@0.2.0-draft"), "wasi:config/store@0.2.0-draft");
        assert_eq!(compatible("plain"), "plain");
    }
}
