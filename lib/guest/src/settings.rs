//! Settings by name, from `wasi:config/store`. Names are lower case with underscores, as Spin's variables are.
//!
//! A runtime that changes settings gives a component fresh instances, so a component may keep what it has parsed.

use std::str::FromStr;

/// The setting's text; none when it is not set, empty, or the runtime cannot say.
pub fn text(name: &str) -> Option<String> {
    #[cfg(target_family = "wasm")]
    return crate::bindings::wasi::config::store::get(name).ok().flatten().filter(|value| !value.trim().is_empty());
    #[cfg(not(target_family = "wasm"))]
    {
        let _ = name; // Native unit tests run on the defaults.
        None
    }
}

/// The setting as a number or whatever else parses; `default` when it is absent or not of that kind.
pub fn parsed<T: FromStr>(name: &str, default: T) -> T {
    text(name).and_then(|value| value.trim().parse().ok()).unwrap_or(default)
}

/// A comma-separated setting.
pub fn list(name: &str) -> Option<Vec<String>> {
    let values: Vec<String> =
        text(name)?.split(',').map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect();
    (!values.is_empty()).then_some(values)
}
