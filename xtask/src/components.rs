//! `components`: from source to `target/components/NAME.wasm` and `target/plugs/NAME.wasm`.

use std::fs;

use anyhow::bail;

use crate::tree;

/// Builds all components, or those named.
pub fn build(names: &[String]) -> anyhow::Result<()> {
    let mut guests = tree::guests()?;
    if let Some(unknown) = names.iter().find(|name| !guests.iter().any(|guest| guest.name == **name)) {
        let known: Vec<&str> = guests.iter().map(|guest| guest.name.as_str()).collect();
        bail!("there is no component `{unknown}`; there are {}", known.join(", "));
    }
    if !names.is_empty() {
        guests.retain(|guest| names.contains(&guest.name));
    }
    for file in source_tree::build(&tree::root(), &guests)? {
        let kilobytes = fs::metadata(&file)?.len() / 1000;
        eprintln!("{} ({kilobytes} KB)", file.strip_prefix(tree::root())?.display());
    }
    Ok(())
}
