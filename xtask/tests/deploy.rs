//! What `deploy/` says of the platform is so: no file there can be run by this machine, but each can be held to what the
//! host reads and to itself.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use xtask::{compose, schema, spin, tree};
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
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    files.sort();
    files
}

/// Every object of every manifest.
fn objects() -> Vec<Yaml> {
    manifests()
        .iter()
        .flat_map(|path| YamlLoader::load_from_str(&tree::read(path).expect("a manifest")).expect("it is YAML"))
        .collect()
}

/// The platform's own object of a kind.
fn of_kind(kind: &str) -> Yaml {
    named(kind, "hybrid-ai")
}

fn named(kind: &str, name: &str) -> Yaml {
    let is_it =
        |object: &Yaml| object["kind"].as_str() == Some(kind) && object["metadata"]["name"].as_str() == Some(name);
    objects().into_iter().find(is_it).unwrap_or_else(|| panic!("a {kind}"))
}

/// The same in JSON, as schemas look at it.
fn json(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Hash(fields) => {
            let field = |(name, value): (&Yaml, &Yaml)| (name.as_str().expect("a name").to_owned(), json(value));
            fields.iter().map(field).collect()
        }
        Yaml::Array(items) => items.iter().map(json).collect(),
        Yaml::String(text) => text.as_str().into(),
        Yaml::Integer(number) => (*number).into(),
        Yaml::Boolean(truth) => (*truth).into(),
        Yaml::Null => Value::Null,
        other => panic!("{other:?} in a manifest"),
    }
}

fn assert_fits(name: &str, manifest: &str) {
    let schema: Value = serde_json::from_str(&deploy(&format!("schemas/{name}.json"))).expect("a schema");
    for document in documents(manifest) {
        assert_eq!(schema::problems(&schema, &json(&document)), Vec::<String>::new(), "{manifest}");
    }
}

#[test]
fn every_manifest_fits_its_schema() {
    for manifest in manifests() {
        let name = manifest.file_name().expect("a name").to_string_lossy();
        assert_fits("kubernetes", &format!("kubernetes/{name}"));
    }
    assert_fits("kubernetes", "spinkube/secret.example.yaml");
    assert_fits("spinapp", "spinkube/hybrid-ai.yaml");
    assert_fits("wadm", "wasmcloud/wadm.yaml");
    assert_fits("compose", "docker-compose.yml");
    assert_fits("render", "render.yaml");
}

/// What a schema refuses of a manifest with one word changed, so that a schema that allows everything is found out.
#[test]
fn a_manifest_that_is_wrong_does_not_fit() {
    for (name, manifest, right, wrong) in [
        ("kubernetes", "kubernetes/hybrid-ai.yaml", "minReplicas", "minimumReplicas"),
        ("kubernetes", "kubernetes/hybrid-ai.yaml", "memory: 128Mi", "memory: 128MiB"),
        ("kubernetes", "kubernetes/hybrid-ai.yaml", "cidr: 0.0.0.0/0", "cidr: everywhere"),
        ("spinapp", "spinkube/hybrid-ai.yaml", "secretKeyRef", "secretRef"),
        ("spinapp", "spinkube/hybrid-ai.yaml", "v1alpha1", "v1"),
        ("wadm", "wasmcloud/wadm.yaml", "instances", "replicas"),
        ("compose", "docker-compose.yml", "read_only: true", "read_only: 1"),
        ("render", "render.yaml", "runtime: docker", "runtime: python"),
    ] {
        let schema: Value = serde_json::from_str(&deploy(&format!("schemas/{name}.json"))).expect("a schema");
        let text = deploy(manifest);
        assert!(text.contains(right), "{manifest}: {right}");
        let changed = YamlLoader::load_from_str(&text.replace(right, wrong)).expect("it is YAML");
        let problems: Vec<String> = changed.iter().flat_map(|one| schema::problems(&schema, &json(one))).collect();
        assert!(!problems.is_empty(), "{manifest}: {wrong}");
    }
}

fn names(list: &Yaml, key: &str) -> Vec<String> {
    let items = list.as_vec().expect("a list").iter();
    items.map(|item| item[key].as_str().expect("a name").to_owned()).collect()
}

/// The variables that the host names in its help, which a test of the host holds to what it reads.
fn known(variable: &str) -> bool {
    let sources = ["host/src/main.rs", "host/src/cli.rs"].map(|path| fs::read_to_string(tree::root().join(path)));
    sources.into_iter().flatten().any(|source| {
        let variable = variable.strip_suffix("_FILE").unwrap_or(variable);
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
    // In the cluster they are files of a volume, and the variables say where.
    let pod = &of_kind("Deployment")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let mut files = 0;
    for variable in container["env"].as_vec().expect("a list") {
        let name = variable["name"].as_str().expect("a name");
        let secret = ["KEY", "TOKEN"].iter().any(|word| name.trim_end_matches("_FILE").ends_with(word));
        if secret {
            let file = variable["value"].as_str().filter(|_| name.ends_with("_FILE")).expect("the place of a file");
            let mounts = container["volumeMounts"].as_vec().expect("a list").iter();
            let mut mounts = mounts.filter(|mount| mount["name"].as_str() == Some("secrets"));
            let place = mounts.next().expect("the secrets")["mountPath"].as_str().expect("a path");
            assert!(file.starts_with(place), "{file}");
            files += 1;
        }
    }
    assert_eq!(files, 2);
    for value in YamlLoader::load_from_str(&deploy("spinkube/hybrid-ai.yaml")).expect("it is YAML") {
        for variable in value["spec"]["variables"].as_vec().expect("variables") {
            let secret = variable["name"].as_str().expect("a name").ends_with("key");
            assert_eq!(secret, !variable["valueFrom"]["secretKeyRef"].is_badvalue(), "{variable:?}");
        }
    }
}

#[test]
fn objects_find_each_other() {
    for object in objects() {
        for key in ["apiVersion", "kind"] {
            assert!(object[key].as_str().is_some(), "{key} of {object:?}");
        }
        let name = object["metadata"]["name"].as_str().expect("a name");
        assert!(["hybrid-ai", "hybrid-ai-redis"].contains(&name), "{name}");
    }
    let redis = named("Deployment", "hybrid-ai-redis");
    let redis_labels = &redis["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&redis["spec"]["selector"]["matchLabels"], redis_labels);
    assert_eq!(&named("Service", "hybrid-ai-redis")["spec"]["selector"], redis_labels);
    assert_eq!(&named("NetworkPolicy", "hybrid-ai-redis")["spec"]["podSelector"]["matchLabels"], redis_labels);
    let to_redis = &of_kind("NetworkPolicy")["spec"]["egress"][1]["to"][0]["podSelector"]["matchLabels"];
    assert_eq!(to_redis, redis_labels);
    let deployment = of_kind("Deployment");
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(&of_kind("Service")["spec"]["selector"], labels);
    assert_eq!(&of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(&of_kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"], labels);
    assert_eq!(of_kind("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["kind"].as_str(), Some("Deployment"));
    let pod = &deployment["spec"]["template"]["spec"];
    // The configuration is one that the host takes, and the ports of the probes are those that it listens on.
    let toml: toml::Table =
        of_kind("ConfigMap")["data"]["hybrid.toml"].as_str().expect("a file").parse().expect("TOML");
    let admin = toml["admin"]["listen"].as_str().and_then(|listen| listen.rsplit_once(':')).expect("an address").1;
    let ports = pod["containers"][0]["ports"].as_vec().expect("ports").iter();
    let mut ports = ports.filter(|port| port["name"].as_str() == Some("admin"));
    assert_eq!(
        ports.next().expect("a port")["containerPort"].as_i64().map(|port| port.to_string()).as_deref(),
        Some(admin)
    );
    let store = pod["containers"][0]["env"].as_vec().expect("a list").iter();
    let mut store = store.filter(|variable| variable["name"].as_str() == Some("HYBRID_STORE"));
    let store = store.next().expect("a store")["value"].as_str().expect("an address").to_owned();
    assert!(store.starts_with("redis://hybrid-ai-redis:"), "{store}");
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
    let before = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"].as_i64().expect("seconds");
    assert!(pod["terminationGracePeriodSeconds"].as_i64().expect("seconds") > seconds + before);
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

/// What Akamai Functions gives an application.
const EDGE_APPLICATION_BYTES: u64 = 50 * 1024 * 1024;
const EDGE_MEMORY_BYTES: u64 = 128 * 1024 * 1024;
const EDGE_BODY_BYTES: u64 = 10 * 1024 * 1024;
const EDGE_MS: u64 = 30_000;

/// What there is to be said of the image without building it, as hadolint would and as our own files want it.
#[test]
fn the_image_is_made_by_the_rules() {
    let text = deploy("Dockerfile").replace("\\\n", " ");
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let of = |word: &str| -> Vec<&str> {
        lines.iter().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' ')).map(str::trim).collect()
    };
    let known = ["FROM", "WORKDIR", "COPY", "RUN", "ENV", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT"];
    for line in &lines {
        assert!(known.contains(&line.split(' ').next().expect("a word")), "{line}");
    }
    // Every image is named in a version, and the compiler is the one that the project wants.
    let stages: Vec<&str> = of("FROM");
    for stage in &stages {
        let (_, tag) = stage.split(' ').next().and_then(|image| image.rsplit_once(':')).expect("a tag");
        assert_ne!(tag, "latest");
    }
    let toolchain: toml::Table =
        tree::read(&tree::root().join("rust-toolchain.toml")).expect("the toolchain").parse().expect("TOML");
    let channel = toolchain["toolchain"]["channel"].as_str().expect("a version");
    let version = stages[0].strip_prefix("rust:").and_then(|rest| rest.split('-').next()).expect("Rust's own image");
    assert!(channel.starts_with(version), "{channel} and {version}");
    assert!(of("RUN").iter().any(|run| run.contains("rustup target add wasm32-wasip2")));
    // What is copied out of a stage was put there by that stage, and what is copied in is not left out.
    let made = of("RUN").join(" ");
    for copied in of("COPY").into_iter().filter_map(|copy| copy.strip_prefix("--from=")) {
        let words: Vec<&str> = copied.split(' ').filter(|word| !word.starts_with("--")).collect();
        assert!(stages[0].ends_with(&format!(" AS {}", words[0])), "{copied}");
        let folder = words[1].rsplit_once('/').expect("a folder").0;
        assert!(
            made.contains(words[1]) || made.contains(&format!("{folder}/ ")) || made.ends_with(&format!("{folder}/")),
            "{copied}"
        );
    }
    let ignored = tree::read(&tree::root().join(".dockerignore")).expect("what is left out");
    for name in ["target", "**/node_modules", ".git"] {
        assert!(ignored.lines().any(|line| line == name), "{name}");
    }
    // No shell is there to read these.
    let exec = |text: &str| serde_json::from_str::<Vec<String>>(text).expect("a list of words");
    let entry = exec(of("ENTRYPOINT")[0]);
    let (_, check) = of("HEALTHCHECK")[0].split_once(" CMD ").expect("a command");
    assert_eq!((entry[0].as_str(), exec(check)), ("hybrid-ai", vec!["hybrid-ai".to_owned(), "health".to_owned()]));
    assert!(of("COPY").iter().any(|copy| copy.ends_with(" /usr/local/bin/hybrid-ai")), "it is found by its name");
    // What it keeps is where it may write.
    let kept = of("ENV").iter().find_map(|env| env.split(' ').find_map(|pair| pair.strip_prefix("HYBRID_DATA_DIR=")));
    assert_eq!(kept, Some(of("VOLUME")[0]));
    assert!(of("COPY").iter().any(|copy| copy.contains("--chown=nonroot:nonroot") && copy.ends_with(" /data")));
    let port = of("ENV").iter().find_map(|env| env.split(' ').find_map(|pair| pair.strip_prefix("PORT=")));
    assert_eq!(port, Some(of("EXPOSE")[0]));
}

#[test]
fn the_edges_application_keeps_the_edges_limits() {
    let root = tree::root();
    let text = tree::read(&root.join("spin.akamai.toml")).expect("spin.akamai.toml");
    assert_eq!(spin::problems(&text, &root).expect("a manifest"), Vec::<String>::new());
    let manifest: toml::Table = text.parse().expect("TOML");
    assert!(!text.contains("middleware ="), "the edge knows none");
    let components = manifest["component"].as_table().expect("components");
    let files = components.values().map(|component| root.join(component["source"].as_str().expect("a file")));
    let size: u64 = files.map(|file| file.metadata().expect("a built file").len()).sum();
    assert!(size < EDGE_APPLICATION_BYTES, "{size}");
    let variables = &components["hybrid-ai"]["variables"];
    let number = |name: &str| variables[name].as_str().and_then(|text| text.parse::<u64>().ok()).expect("a number");
    // A picture and a mask, both as base64 in JSON, and some words.
    assert!(number("max_upload_bytes") * 4 / 3 * 2 + 64 * 1024 < EDGE_BODY_BYTES);
    // A picture as it was read, as it is worked on, and as it is written.
    assert!(number("max_picture_pixels") * 4 * 3 < EDGE_MEMORY_BYTES);
    assert!(number("total_timeout_ms") < EDGE_MS && number("attempt_timeout_ms") < number("total_timeout_ms"));
    assert!(number("limit_lease") >= 10, "the store takes 50 writes a second");
}

/// Both applications are told the same, but for what the edge allows less of; and what a cluster sets is among it.
#[test]
fn applications_of_spin_know_the_same_variables() {
    let root = tree::root();
    let variables = |file: &str| {
        let manifest: toml::Table = tree::read(&root.join(file)).expect("a manifest").parse().expect("TOML");
        manifest["variables"].as_table().expect("variables").clone()
    };
    let known = variables("spin.toml");
    assert_eq!(known, variables("spin.akamai.toml"));
    let app = &documents("spinkube/hybrid-ai.yaml")[0]["spec"];
    for name in names(&app["variables"], "name") {
        assert!(known.contains_key(&name), "{name}");
    }
    let store = app["runtimeConfig"]["keyValueStores"][0]["name"].as_str();
    let runtime: toml::Table = deploy("spin/runtime-config.toml").parse().expect("TOML");
    let stores = runtime["key_value_store"].as_table().expect("stores");
    assert!(stores.contains_key(store.expect("a name")) && stores.len() == 1);
    assert_eq!(runtime["outbound_http"]["connection_pooling"].as_bool(), Some(true));
}

#[test]
fn the_composed_file_for_spin_asks_for_wasi_alone_and_keeps_no_state() {
    let outline = xtask::wasm::Outline::of(&compose::file("spin")).expect("a composed file");
    assert_eq!(outline.exports, ["wasi:http/handler@0.3.0"]);
    for import in &outline.imports {
        assert!(import.starts_with("wasi:") || import.starts_with("hybrid:types/types"), "{import}");
    }
    for served in ["wasi:config/store", "wasi:keyvalue/store", "wasi:keyvalue/atomics"] {
        assert!(outline.asks_for(served), "{served}");
    }
}
