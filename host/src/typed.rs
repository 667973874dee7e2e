//! Calls whose types are known here, carried from one component to the next as Rust values.
//!
//! Any other call is a list of `Val`s, where every record allocates the names of its fields: some two hundred allocations for a
//! chat's question and answer, which go through two such calls. It is a shortcut and nothing else: what has other types is
//! linked by `Val`s.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use http::{HeaderMap, HeaderName};
use wasmtime::component::{Accessor, ComponentNamedList, Lift, LinkerInstance, Lower, Resource, TypedFunc};
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p3::{Request, Response};
use wasmtime_wasi_http::{FieldMap, WasiHttpView as _};

use crate::component::Function;
use crate::link::{Target, live, within};
use crate::records::{Budget, Completed, Control, Conversation, Error, Shape, Tokens};
use crate::store::State;

/// Defines a function as a call of the target's, where its types are known.
pub fn define(instance: &mut LinkerInstance<'_, State>, function: &Function, target: Target) -> Result<bool> {
    type Answer<T> = std::result::Result<T, Error>;
    Ok(carry::<Conversation, Option<String>, Control, Answer<Completed>>(instance, function, target)?
        || carry::<Conversation, Option<String>, Control, Answer<Tokens>>(instance, function, target)?
        || carry::<String, Conversation, Budget, Answer<Completed>>(instance, function, target)?
        || carry::<String, Conversation, Budget, Answer<Tokens>>(instance, function, target)?)
}

/// Defines `wasi:http/handler` as the target's. Some headers are taken off the requests on their way.
pub fn define_handler(
    instance: &mut LinkerInstance<'_, State>,
    name: &str,
    target: Target,
    withholds: Option<Arc<[HeaderName]>>,
) -> Result<()> {
    instance.func_wrap_concurrent(name, move |accessor: &Accessor<State>, (request,): (Resource<Request>,)| {
        let withholds = withholds.clone();
        Box::pin(async move {
            if let Some(names) = &withholds {
                accessor.with(|mut access| take_off(access.data_mut(), &request, names))?;
            }
            call::<_, (Result<Resource<Response>, ErrorCode>,)>(accessor, target, (request,)).await
        })
    })?;
    Ok(())
}

fn take_off(state: &mut State, request: &Resource<Request>, names: &[HeaderName]) -> wasmtime::Result<()> {
    let headers = &mut state.table().get_mut(request)?.headers;
    if names.iter().any(|name| headers.contains_key(name)) {
        let mut kept = HeaderMap::from(std::mem::take(headers));
        for name in names {
            kept.remove(name);
        }
        let kept = FieldMap::new_immutable(state.http().hooks, kept);
        state.table().get_mut(request)?.headers = kept;
    }
    Ok(())
}

/// Functions of a store's instances whose types have been compared: doing that takes microseconds, and a store answers many
/// requests.
#[derive(Default)]
pub struct Compared(Vec<(Target, Box<dyn Any + Send + Sync>)>);

impl Compared {
    /// By what they are called; a request calls a handful.
    fn find<T: Copy + 'static>(&self, target: Target) -> Option<T> {
        self.0.iter().find(|(of, _)| *of == target)?.1.downcast_ref().copied()
    }

    fn keep<T: Send + Sync + 'static>(&mut self, target: Target, function: T) {
        self.0.push((target, Box::new(function)));
    }
}

fn carry<A, B, C, R>(instance: &mut LinkerInstance<'_, State>, function: &Function, target: Target) -> Result<bool>
where
    A: Shape + Lift + Lower + Send + Sync + 'static,
    B: Shape + Lift + Lower + Send + Sync + 'static,
    C: Shape + Lift + Lower + Send + Sync + 'static,
    R: Shape + Lift + Lower + Send + Sync + 'static,
{
    if !function.has::<A, B, C, R>() {
        return Ok(false);
    }
    instance.func_wrap_concurrent(&function.name, move |accessor: &Accessor<State>, params: (A, B, C)| {
        Box::pin(call::<_, (R,)>(accessor, target, params))
    })?;
    Ok(true)
}

async fn call<Params, Results>(accessor: &Accessor<State>, target: Target, params: Params) -> wasmtime::Result<Results>
where
    Params: ComponentNamedList + Lower + Send + Sync + 'static,
    Results: ComponentNamedList + Lift + Send + Sync + 'static,
{
    let (function, limit) = live(accessor, target).await?;
    let began = Instant::now();
    let function = accessor.with(|mut access| -> wasmtime::Result<TypedFunc<Params, Results>> {
        if let Some(known) = access.data_mut().typed.find(target) {
            return Ok(known);
        }
        let compared = function.typed(&mut access)?;
        access.data_mut().typed.keep(target, compared);
        Ok(compared)
    })?;
    let results = within(accessor, limit, target.member, function.call_concurrent(accessor, params)).await?;
    accessor.with(|mut access| access.data_mut().note_call(target.member, began.elapsed()));
    Ok(results)
}

#[cfg(test)]
mod tests {
    use wasmtime::component::{Component, Linker};

    use super::*;
    use crate::component::Loaded;
    use crate::config::{Config, Overrides};
    use crate::stats::Stats;
    use crate::store::engine;

    /// A record that gains a field is carried as `Val`s again, and nobody would notice.
    #[test]
    fn the_calls_of_a_chat_have_types() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/components/llm.wasm");
        let bytes = std::fs::read(file).expect("`cargo xtask components` has built it");
        let config = Config::load(&Overrides::default(), |_| None).expect("the defaults");
        let engine = engine(&config.limits).expect("an engine");
        let code = Component::new(&engine, &bytes).expect("a component");
        let loaded = Loaded::new(&engine, "llm", 0, &"0".repeat(64), code, Arc::new(Stats::new(1)));
        let mut linker = Linker::new(&engine);
        let mut typed = Vec::new();
        for interface in loaded.imports.iter().chain(&loaded.exports).filter(|one| one.name.starts_with("hybrid:")) {
            let mut instance = linker.instance(&interface.name).expect("a name");
            for function in &interface.functions {
                if define(&mut instance, function, Target { member: 0, function: 0 }).expect("it is defined") {
                    typed.push(function.name.as_str());
                }
            }
        }
        assert_eq!(typed, ["chat", "chat-stream", "complete", "complete-stream"]);
    }
}
