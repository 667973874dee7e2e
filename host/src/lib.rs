//! The host of Hybrid AI: it lets components run. It links, limits, swaps and watches them, and knows none of them by
//! name. Read in this order: `main`, `config`, `server`, `request`, `registry`, `component`, `link`, `store`, `outbound`.

pub mod config;
pub mod dev;
pub mod pages;
pub mod registry;
pub mod server;
pub mod telemetry;
pub mod watch;

mod access;
mod address;
mod compat;
mod component;
mod error;
mod link;
mod models;
mod outbound;
mod request;
mod stdio;
mod store;
mod tasks;
