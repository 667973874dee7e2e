//! The host of Hybrid AI: it lets components run. It links, limits, swaps and watches them, and knows none of them by
//! name. Read in this order: `main`, `config`, `server`, `request`, `registry`, `component`, `link`, `store`, `outbound`.

pub mod admin;
pub mod audit;
pub mod cli;
pub mod compile;
pub mod config;
pub mod dev;
pub mod health;
pub mod key_cli;
pub mod keys;
pub mod keyvalue;
pub mod metrics;
pub mod otlp;
pub mod pages;
pub mod registry;
pub mod server;
pub mod swap;
pub mod telemetry;
pub mod usage;
pub mod watch;

mod access;
mod address;
mod canary;
mod compat;
mod component;
mod error;
mod gen_ai;
mod hits;
mod intake;
mod leftover;
mod limits;
mod link;
mod models;
mod outbound;
mod request;
mod shape;
mod smoke;
mod snapshot;
mod stats;
mod stdio;
mod store;
mod tasks;
mod told;
mod trace;
mod trust;
mod waiting;
