//! What `deploy/` says of the platform is so: no file there can be run by this machine, but each can be held to what the
//! host reads and to itself.

use std::fs;
use std::path::PathBuf;

use xtask::tree;
use yaml_rust2::{Yaml, YamlLoader};

fn deploy(name: &str) -> String {
    tree::read(&tree::root().join("deploy").join(name)).expect("a file of deploy/")
}

fn documents(name: &str) -> Vec<Yaml> {
    YamlLoader::load_from_str(&deploy(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn manifests() -> Vec<PathBuf> {
    let folder = tree::root().join("deploy/kubernetes");
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

/// Every object of every manifest.
fn objects() -> Vec<Yaml> {
    manifests()
        .iter()
        .flat_map(|path| YamlLoader::load_from_str(&tree::read(path).expect("a manifest")).expect("it is YAML"))
        .collect()
}

fn of_kind(kind: &str) -> Yaml {
    objects().into_iter().find(|object| object["kind"].as_str() == Some(kind)).unwrap_or_else(|| panic!("a {kind}"))
}

fn names(list: &Yaml, key: &str) -> Vec<String> {
    let items = list.as_vec().expect("a list").iter();
    items.map(|item| item[key].as_str().expect("a name").to_owned()).collect()
}

/// The variables that the host names in its help, which a test of the host holds to what it reads.
fn known(variable: &str) -> bool {
    let sources = ["host/src/main.rs", "host/src/cli.rs"].map(|path| fs::read_to_string(tree::root().join(path)));
    sources.into_iter().flatten().any(|source| {
        let help = source.split("Environment:").nth(1).unwrap_or_default().split('.').next().unwrap_or_default();
        help.split([' ', ',', '(', ')', '\n']).any(|word| word == variable)
    })
}

#[test]
fn variables_are_those_that_the_host_reads() {
    let render = &documents("render.yaml")[0]["services"][0];
    let mut variables = names(&render["envVars"], "key");
    let container = &of_kind("Deployment")["spec"]["template"]["spec"]["containers"][0];
    variables.extend(names(&container["env"], "name"));
    let service = &documents("docker-compose.yml")[0]["services"]["hybrid-ai"];
    let composed = service["environment"].as_hash().expect("variables").keys();
    variables.extend(composed.map(|name| name.as_str().expect("a name").to_owned()));
    let image = deploy("Dockerfile");
    let set = image.lines().filter_map(|line| line.strip_prefix("ENV ")).flat_map(|line| line.split(' '));
    variables.extend(set.map(|one| one.split('=').next().expect("a name").to_owned()));
    assert!(variables.len() > 8);
    for variable in variables {
        assert!(known(&variable), "{variable} is nothing to the host");
    }
}

#[test]
fn the_plans_render_service_is_there() {
    let service = &documents("render.yaml")[0]["services"][0];
    assert_eq!(service["healthCheckPath"].as_str(), Some("/health"));
    let variables = names(&service["envVars"], "key");
    for wanted in ["HF_API_KEY", "ALLOWED_ORIGINS", "LOG_LEVEL"] {
        assert!(variables.iter().any(|name| name == wanted), "{wanted}");
    }
    // Render sets it, and looks for the platform there.
    assert!(!variables.iter().any(|name| name == "PORT"));
    let file = service["dockerfilePath"].as_str().expect("a Dockerfile");
    assert!(tree::root().join(file).is_file(), "{file}");
}

#[test]
fn no_secret_stands_in_a_manifest() {
    let service = &documents("render.yaml")[0]["services"][0];
    let key = service["envVars"].as_vec().expect("a list").iter().find(|one| one["key"].as_str() == Some("HF_API_KEY"));
    assert_eq!(key.expect("the key")["sync"].as_bool(), Some(false));
    let container = &of_kind("Deployment")["spec"]["template"]["spec"]["containers"][0];
    let key = container["env"].as_vec().expect("a list").iter().find(|one| one["name"].as_str() == Some("HF_API_KEY"));
    assert!(!key.expect("the key")["valueFrom"]["secretKeyRef"].is_badvalue());
}

#[test]
fn objects_find_each_other() {
    for object in objects() {
        for key in ["apiVersion", "kind"] {
            assert!(object[key].as_str().is_some(), "{key} of {object:?}");
        }
        assert_eq!(object["metadata"]["name"].as_str(), Some("hybrid-ai"), "{object:?}");
    }
    let deployment = of_kind("Deployment");
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(&of_kind("Service")["spec"]["selector"], labels);
    assert_eq!(&of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(&of_kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"], labels);
    assert_eq!(of_kind("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["kind"].as_str(), Some("Deployment"));
    let pod = &deployment["spec"]["template"]["spec"];
    let volumes = names(&pod["volumes"], "name");
    for mount in names(&pod["containers"][0]["volumeMounts"], "name") {
        assert!(volumes.contains(&mount), "no volume `{mount}`");
    }
}

/// Whoever stops the platform waits until running streams have ended, which takes `limits.shutdown_ms` at most.
#[test]
fn an_end_is_given_its_time() {
    let example = tree::read(&tree::root().join("hybrid.example.toml")).expect("the example");
    let limit = example.lines().find_map(|line| line.strip_prefix("shutdown_ms = ")).expect("the limit");
    let seconds = limit.trim().parse::<i64>().expect("milliseconds") / 1000;
    let render = &documents("render.yaml")[0]["services"][0];
    assert!(render["maxShutdownDelaySeconds"].as_i64().expect("seconds") > seconds);
    let pod = &of_kind("Deployment")["spec"]["template"]["spec"];
    assert!(pod["terminationGracePeriodSeconds"].as_i64().expect("seconds") > seconds);
    let grace = &documents("docker-compose.yml")[0]["services"]["hybrid-ai"]["stop_grace_period"];
    let grace = grace.as_str().and_then(|text| text.strip_suffix('s')).expect("seconds");
    assert!(grace.parse::<i64>().expect("seconds") > seconds);
}

#[test]
fn nothing_runs_as_root_or_writes_beside_its_data() {
    assert!(deploy("Dockerfile").lines().any(|line| line.starts_with("FROM ") && line.ends_with(":nonroot")));
    let pod = &of_kind("Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"].as_bool(), Some(true));
    let container = &pod["containers"][0]["securityContext"];
    assert_eq!(container["readOnlyRootFilesystem"].as_bool(), Some(true));
    assert_eq!(container["allowPrivilegeEscalation"].as_bool(), Some(false));
    assert_eq!(documents("docker-compose.yml")[0]["services"]["hybrid-ai"]["read_only"].as_bool(), Some(true));
}
