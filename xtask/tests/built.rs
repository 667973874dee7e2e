//! What the built files ask for and offer. `cargo xtask components` and `cargo xtask compose` make them.

use xtask::chains::{HANDLER, unversioned};
use xtask::wasm::Outline;
use xtask::{compose, sizes, spin, tree};

const CAPABILITIES: &[&str] = &["tts", "stt", "image", "image-edit", "llm", "embedding"];

fn outlines() -> Vec<(String, Outline)> {
    let guests = tree::guests().expect("the project's own folders");
    guests
        .into_iter()
        .map(|guest| (guest.name.clone(), Outline::of(&guest.file(&tree::root())).expect("a component")))
        .collect()
}

#[test]
fn only_hf_sends_http() {
    for (name, outline) in outlines() {
        assert_eq!(outline.asks_for("wasi:http/client"), name == "hf", "`{name}` and wasi:http/client");
        // The way of WASI 0.2.
        assert!(!outline.asks_for("wasi:http/outgoing-handler"), "`{name}` sends HTTP");
    }
}

/// Rust's standard library always imports what looks at preopened folders; that none are opened is the host's promise.
/// Sockets it leaves out where nobody names them, so that is the component's.
#[test]
fn nobody_opens_sockets() {
    for (name, outline) in outlines() {
        let socket = outline.imports.iter().find(|import| import.starts_with("wasi:sockets/"));
        assert!(socket.is_none(), "`{name}` imports {socket:?}");
    }
}

#[test]
fn components_import_wasi_and_what_their_world_names() {
    for (name, outline) in outlines() {
        for import in &outline.imports {
            let known = import.starts_with("wasi:") || import.starts_with("hybrid:");
            assert!(known, "`{name}` imports {import}");
            // State is the gate's, and what the provider tells the router of how models do.
            let store = unversioned(import).starts_with("wasi:keyvalue/");
            assert!(!store || ["gate", "hf", "router"].contains(&name.as_str()), "`{name}` imports {import}");
        }
    }
}

#[test]
fn components_are_small() {
    for guest in tree::guests().expect("the project's own folders") {
        let size = std::fs::metadata(guest.file(&tree::root())).expect("a built file").len();
        assert!(size <= sizes::limit(&guest), "`{}` has {size} bytes of {}", guest.name, sizes::limit(&guest));
    }
}

#[test]
fn a_composed_capability_offers_it_and_asks_for_wasi_alone() {
    for name in CAPABILITIES {
        let outline = Outline::of(&compose::file(name)).expect("a composed file");
        assert_eq!(outline.exports.len(), 1, "`{name}` exports {:?}", outline.exports);
        assert_eq!(unversioned(&outline.exports[0]), format!("hybrid:{name}/{name}"));
        for import in &outline.imports {
            assert!(import.starts_with("wasi:") || unversioned(import) == "hybrid:types/types", "`{name}`: {import}");
        }
        assert!(outline.asks_for("wasi:config/store"), "`{name}` takes its settings from elsewhere");
    }
}

#[test]
fn everything_in_one_is_a_stock_wasi_http_component() {
    let outline = Outline::of(&compose::file("hybrid-ai")).expect("a composed file");
    assert_eq!(outline.exports, [format!("{HANDLER}@0.3.0")]);
    for import in &outline.imports {
        assert!(import.starts_with("wasi:") || unversioned(import) == "hybrid:types/types", "{import}");
    }
    for plugged in ["wasi:config/store", "wasi:keyvalue/store", "wasi:keyvalue/atomics", HANDLER] {
        assert!(!outline.asks_for(plugged), "{plugged}: {:?}", outline.imports);
    }
}

#[test]
fn everything_in_one_fits_an_edge_with_the_models_too() {
    let without = compose::everything(false).expect("built components").len();
    let with = compose::everything(true).expect("built components").len();
    assert!(with > without + 20_000_000, "the models are missing: {with} bytes, {without} without");
    assert!(with <= 50 << 20, "{with} bytes are more than 50 MiB");
}

#[test]
fn spin_takes_the_manifest() {
    let root = tree::root();
    let text = tree::read(&root.join("spin.toml")).expect("spin.toml");
    assert_eq!(spin::problems(&text, &root).expect("a manifest"), Vec::<String>::new());
}
