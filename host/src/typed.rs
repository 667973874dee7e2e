//! Calls whose types are known here, carried from one component to the next as Rust values.
//!
//! A call of any other interface is a list of `Val`s, where every record allocates the names of its fields: some two
//! hundred allocations for a chat's question and answer. Every chat goes through two such calls, so these few functions
//! have types. It is a shortcut and nothing else: a component whose interface is another one is linked by `Val`s.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use http::{HeaderMap, HeaderName};
use wasmtime::component::{Accessor, ComponentNamedList, Lift, LinkerInstance, Lower, Resource};
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p3::{Request, Response};
use wasmtime_wasi_http::{FieldMap, WasiHttpView as _};

use crate::link::{Target, compatible, live, within};
use crate::store::State;
use wit::exports::hybrid::inference::inference as models;
use wit::exports::hybrid::llm::llm;
use wit::hybrid::types::types::{Budget, Control, Conversation, Error};

mod wit {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "package hybrid:host; world carried { export hybrid:llm/llm@0.1.0; export hybrid:inference/inference@0.1.0; }",
    });
}

type Asked = (Conversation, Option<String>, Control);
type Passed = (String, Conversation, Budget);

/// Defines a function as a call of the target's, where its types are known.
pub fn define(instance: &mut LinkerInstance<'_, State>, interface: &str, name: &str, target: Target) -> Result<bool> {
    match (compatible(interface).as_str(), name) {
        ("hybrid:llm/llm@0.1", "complete") => carry::<Asked, (Result<llm::Answer, Error>,)>(instance, name, target)?,
        ("hybrid:llm/llm@0.1", "complete-stream") => {
            carry::<Asked, (Result<llm::AnswerTokens, Error>,)>(instance, name, target)?;
        }
        ("hybrid:inference/inference@0.1", "chat") => {
            carry::<Passed, (Result<models::ChatAnswer, Error>,)>(instance, name, target)?;
        }
        ("hybrid:inference/inference@0.1", "chat-stream") => {
            carry::<Passed, (Result<models::ChatTokens, Error>,)>(instance, name, target)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
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

fn carry<Params, Results>(instance: &mut LinkerInstance<'_, State>, name: &str, target: Target) -> Result<()>
where
    Params: ComponentNamedList + Lift + Lower + Send + Sync + 'static,
    Results: ComponentNamedList + Lift + Lower + Send + Sync + 'static,
{
    instance.func_wrap_concurrent(name, move |accessor: &Accessor<State>, params: Params| {
        Box::pin(call::<_, Results>(accessor, target, params))
    })?;
    Ok(())
}

async fn call<Params, Results>(accessor: &Accessor<State>, target: Target, params: Params) -> wasmtime::Result<Results>
where
    Params: ComponentNamedList + Lower + Send + Sync + 'static,
    Results: ComponentNamedList + Lift + Send + Sync + 'static,
{
    let (function, limit) = live(accessor, target).await?;
    let began = Instant::now();
    let function = accessor.with(|access| function.typed::<Params, Results>(access))?;
    let results = within(accessor, limit, target.member, function.call_concurrent(accessor, params)).await?;
    accessor.with(|mut access| access.data_mut().note_call(target.member, began.elapsed()));
    Ok(results)
}
