//! One set of components, linked with one another.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::component::Loaded;
use crate::config::Config;
use crate::leaning::Leaning;
use crate::link::{Base, Member, Wiring};
use crate::store::Seat;

/// The interface on which requests come in.
const HANDLER: &str = "wasi:http/handler";

/// The components as they were when a request came in.
///
/// A request keeps the snapshot it started with, so a swap never changes a request half way.
pub struct Snapshot {
    pub members: Vec<Arc<Member>>,
    pub entry: Entry,
    /// What stores know of the members.
    pub roster: Arc<[Seat]>,
}

/// The function that takes requests from outside.
pub enum Entry {
    /// `wasi:http/handler@0.3`, and where it is exported.
    Handler { member: usize },
    /// A stock WASI 0.2 `wasi:http/incoming-handler`, served alone.
    Incoming(crate::compat::Incoming),
}

impl Snapshot {
    /// Links all of them.
    pub fn new(base: &Base, loaded: Vec<Arc<Loaded>>, config: &Config) -> Result<Self> {
        Self::link(base, None, loaded, config)
    }

    /// Links what is other than in a snapshot made with the same configuration. One component that was replaced by one
    /// with the same imports and exports costs one linking: everybody else's leads to the same places.
    pub fn next(&self, base: &Base, loaded: Vec<Arc<Loaded>>, config: &Config) -> Result<Self> {
        let before = &self.members;
        let alike = before.len() == loaded.len()
            && before.iter().zip(&loaded).all(|(old, new)| {
                Arc::ptr_eq(&old.loaded, new) || (old.loaded.name == new.name && old.loaded.looks_like(new))
            });
        Self::link(base, alike.then_some(before), loaded, config)
    }

    fn link(
        base: &Base,
        before: Option<&Vec<Arc<Member>>>,
        mut loaded: Vec<Arc<Loaded>>,
        config: &Config,
    ) -> Result<Self> {
        loaded.sort_by(|a, b| a.name.cmp(&b.name));
        let wiring = Wiring::new(&loaded, &config.chains);
        let mut members = Vec::with_capacity(loaded.len());
        for (index, component) in loaded.iter().enumerate() {
            let same = before.map(|before| &before[index]).filter(|member| Arc::ptr_eq(&member.loaded, component));
            let member = match same {
                // What it calls may have changed its parameters.
                Some(same) => wiring.check(index).map(|()| Arc::clone(same)),
                None => wiring.link(base, index, config).map(Arc::new),
            };
            members.push(member.with_context(|| format!("`{}` cannot be linked", component.name))?);
        }
        let entry = wiring.entry(HANDLER).with_context(|| format!("no component exports `{HANDLER}`"))?;
        // The functions are looked up by type once here, so that a misfit is refused before it serves.
        ServicePre::new(members[entry].pre.clone())?;
        Ok(Self { roster: roster(&loaded, config), members, entry: Entry::Handler { member: entry } })
    }

    /// One component, with nothing of ours in front.
    pub fn alone(base: &Base, loaded: Arc<Loaded>, config: &Config) -> Result<Self> {
        if loaded.exports.iter().any(|export| export.name.starts_with(HANDLER)) {
            return Self::new(base, vec![loaded], config);
        }
        let (member, incoming) = crate::compat::link(base, &loaded).with_context(|| {
            format!("`{}` exports neither `{HANDLER}` nor a WASI 0.2 incoming-handler", loaded.name)
        })?;
        let roster = roster(std::slice::from_ref(&loaded), config);
        Ok(Self { members: vec![Arc::new(member)], entry: Entry::Incoming(incoming), roster })
    }

    /// Everything that serves, by name.
    pub fn loaded(&self) -> Vec<Arc<Loaded>> {
        self.members.iter().map(|member| Arc::clone(&member.loaded)).collect()
    }
}

fn roster(loaded: &[Arc<Loaded>], config: &Config) -> Arc<[Seat]> {
    let seat = |component: &Arc<Loaded>| {
        let limits = config.limits_of(&component.name);
        let code = component.code.image_range();
        Seat {
            label: component.label.clone(),
            name: component.name.clone(),
            stats: Arc::clone(&component.stats),
            places: limits.concurrent_requests.map(|most| Arc::new(Semaphore::new(most))),
            code: code.start as usize..code.end as usize,
            leaning: Leaning::default(),
            limits,
        }
    };
    loaded.iter().map(seat).collect()
}
