//! What others have written is built in only where `deny.toml` allows it.

use xtask::licences::Rules;
use xtask::packages;

#[test]
fn what_is_built_in_may_be() {
    let rules = Rules::read().expect("deny.toml");
    let mut all = packages::crates().expect("the crates");
    let app = packages::app().expect("the app's packages");
    assert!(all.len() > 150 && app.len() > 100, "{} and {}", all.len(), app.len());
    all.extend(app);
    let objections: Vec<String> = all.iter().filter_map(|package| rules.objection(package)).collect();
    assert!(objections.is_empty(), "{}", objections.join("\n"));
}
