//! The host, at its door: a real server on port 0, real components, one file per promise.

mod house;

mod alone;
mod cancel;
mod chains;
mod contract;
mod limits;
mod models;
mod names;
mod pages;
mod reload;
mod reuse;
mod shutdown;
mod trap;
