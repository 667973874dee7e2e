//! The list of what the dist file is made of, as CycloneDX writes it: for those who must know where a faulty package is.

use anyhow::Context;
use serde_json::{Value, json};

use crate::packages::{self, Package};
use crate::{dist, tree};

pub fn written(digest: &str) -> anyhow::Result<String> {
    let mut packages = packages::crates()?;
    if tree::target().join("app/index.html").is_file() {
        packages.extend(packages::app()?);
    }
    let ours = packages.iter().find(|one| one.name == "hybrid-ai").context("the host's own package")?;
    let mut components: Vec<Value> = packages.iter().filter(|one| one.name != "hybrid-ai").map(described).collect();
    for guest in tree::guests()?.into_iter().filter(|guest| guest.folder == "components") {
        let file = guest.file(&tree::root());
        components.push(json!({
            "type": "file",
            "bom-ref": format!("file:{}.wasm", guest.name),
            "name": format!("{}.wasm", guest.name),
            "hashes": [{ "alg": "SHA-256", "content": dist::sha256(&file)? }],
        }));
    }
    let needs = |one: &Package| json!({ "ref": one.purl, "dependsOn": one.needs });
    let bom = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        // The same file gets the same number, whoever builds it.
        "serialNumber": serial(digest),
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": ours.purl,
                "name": "hybrid-ai",
                "version": ours.version,
                "licenses": [{ "expression": ours.licence }],
                "hashes": [{ "alg": "SHA-256", "content": digest }],
            },
        },
        "components": components,
        "dependencies": packages.iter().map(needs).collect::<Vec<_>>(),
    });
    Ok(format!("{bom:#}\n"))
}

fn described(package: &Package) -> Value {
    let mut about = json!({
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
    });
    if let Some(licence) = &package.licence {
        about["licenses"] = json!([{ "expression": licence }]);
    }
    if let Some(checksum) = &package.checksum {
        about["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    about
}

/// A UUID of the kind that everybody may make in his own way.
fn serial(digest: &str) -> String {
    let part = |from: usize, to: usize| &digest[from..to];
    format!("urn:uuid:{}-{}-8{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}
