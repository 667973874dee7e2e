//! What `cargo xtask` can do, one module for each command, and what its tests look at.

pub mod app;
pub mod bench;
pub mod chains;
pub mod check;
pub mod clients;
pub mod components;
pub mod compose;
pub mod dist;
pub mod docs;
pub mod languages;
pub mod licences;
pub mod load;
pub mod model;
pub mod packages;
pub mod process;
pub mod sbom;
pub mod schema;
pub mod sizes;
pub mod spin;
pub mod test;
pub mod tree;
pub mod wasm;
