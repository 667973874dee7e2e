//! Has the linker put the functions that a request runs through next to each other (`hot.ld`). Spread over the program's
//! 25 MB they lie on more pages than the processor keeps in mind, and a tenth of its time went into finding them.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=hot.ld");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|it| it == value);
    // Rust's own lld and GNU's linker know how; who has chosen another is left alone.
    let chosen = env::var_os("RUSTC_LINKER").is_some()
        || env::var("CARGO_ENCODED_RUSTFLAGS")
            .is_ok_and(|flags| flags.contains("linker") || flags.contains("-fuse-ld"));
    if is("CARGO_CFG_TARGET_OS", "linux") && is("PROFILE", "release") && !chosen {
        // From where Cargo finds it again in a tree that was moved.
        let script = Path::new(&env::var_os("OUT_DIR").expect("Cargo says where to write")).join("hot.ld");
        fs::copy("hot.ld", &script).expect("the list is copied");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
    }
}
