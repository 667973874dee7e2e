use crate::house::root;

/// A new capability touches no file of the host: so none may be named in its code.
#[test]
fn the_host_names_no_component_and_no_capability() {
    let names = ["gate", "router", "tts", "stt", "image", "image-edit", "llm", "embedding", "hf", "local", "inference"];
    let mut paths = vec![root().join("host/src")];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            let entries = path.read_dir().expect("the host's source");
            paths.extend(entries.map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("a source file");
        // Its own unit tests may use the defaults' names.
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        assert!(!code.contains("hybrid:"), "{} names an interface of ours", path.display());
        for name in names {
            assert!(!code.contains(&format!("\"{name}\"")), "{} names `{name}`", path.display());
        }
    }
}
