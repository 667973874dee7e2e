//! Settings from the environment, for runtimes that serve no `wasi:config`.

mod names;

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    use spin_sdk::wit_bindgen;

    use super::Environment;

    wit_bindgen::generate!({
        path: "../../wit",
        world: "hybrid:worlds/config-env",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        generate_all,
    });
    export!(Environment);
}

use bindings::exports::wasi::config::store::{Error, Guest};

struct Environment;

impl Guest for Environment {
    fn get(key: String) -> Result<Option<String>, Error> {
        Ok(names::value(&key, |variable| std::env::var(variable).ok()))
    }

    fn get_all() -> Result<Vec<(String, String)>, Error> {
        Ok(names::all(|variable| std::env::var(variable).ok()))
    }
}
