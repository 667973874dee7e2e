//! The host, at its door: a real server on port 0, real components, one file per promise.

mod alone;
mod cancel;
mod chains;
mod contract;
mod house;
mod keys;
mod limits;
mod models;
mod names;
mod reload;
mod reuse;
mod shared;
mod shutdown;
mod trap;
