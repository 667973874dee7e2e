//! Cargo forgets `strip` of a profile for a package that has an `opt-level` of its own there, and names are a sixth of the
//! component.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let wasm = std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm");
    if wasm && std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rustc-cdylib-link-arg=--strip-all");
    }
}
