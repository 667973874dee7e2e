//! What every component shares: the records of `hybrid:types` as Rust types, the settings, and the way a capability
//! walks its chain of models.

pub mod bytes;
pub mod catalogue;
pub mod chain;
#[cfg(any(target_family = "wasm", test))]
mod heap;
pub mod json;
mod onward;
pub mod settings;
pub mod shared;
pub mod table;
pub mod time;

mod bindings {
    use spin_sdk::wit_bindgen;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/shared",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        generate_all,
    });
}

#[cfg(target_family = "wasm")]
#[global_allocator]
static HEAP: heap::Heap = heap::Heap::new();

pub use bindings::hybrid::types::types;
use types::{Error, Reason};

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Error { reason, attempts: 0 }
    }
}

impl Reason {
    /// One thing wrong with one field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Reason::Invalid(vec![types::Problem { field: field.into(), message: message.into() }])
    }
}
