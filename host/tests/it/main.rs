//! The host, at its door: a real server on port 0, real components, one file per promise.

mod house;

mod admin;
mod again;
mod alone;
mod batch;
mod cache;
mod cancel;
mod chains;
mod component_limits;
mod contract;
mod examples;
mod faults;
mod fleet;
mod forwarded;
mod http2;
mod jobs;
mod jobs_killed;
mod keys;
mod limits;
mod models;
mod names;
mod observe;
mod pages;
mod pictures;
mod refused;
mod reload;
mod reuse;
mod shared;
mod shutdown;
mod slow;
mod swap;
mod tls;
mod trap;
mod webhooks;
mod weights;
