//! The model table as JSON, which components read already: none of them carries a reader for TOML.

use std::path::Path;

fn main() {
    const TABLE: &str = "../../components/models.toml";
    println!("cargo::rerun-if-changed={TABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    let text = std::fs::read_to_string(TABLE).expect("components/models.toml is there");
    let table: serde_json::Value = toml::from_str(&text).expect("components/models.toml is TOML");
    let out = std::env::var("OUT_DIR").expect("cargo says where to write");
    std::fs::write(Path::new(&out).join("models.json"), table.to_string()).expect("the folder can be written");
}
