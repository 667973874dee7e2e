//! Files that no toolchain would make, and some that a careless one does: none of them ever serves.

use http::StatusCode;

use crate::house::{Folder, House, one_probe, other_version, probe};

/// What is in service while they come: somebody who answers `hello`, and somebody who imports what they pretend to be.
const CALLER: &str = r#"(component
  (import "test:greet/greet@0.1.0" (instance
    (type $card (record (field "name" string) (field "age" u32)))
    (export "card" (type $named (eq $card)))
    (export "hello" (func async (param "to" $named) (result string)))
    (export "count" (func async (result u32))))))"#;

/// The good one that all others are changed from. Nothing calls it.
const GREETER: &str = r#"(component
  (core module $code
    (memory (export "memory") 1)
    (func (export "hello") (param i32 i32 i32) (result i32) unreachable)
    (func (export "count") (result i32) unreachable)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $i (instantiate $code))
  (type $card (record (field "name" string) (field "age" u32)))
  (func $hello async (param "to" $card) (result string)
    (canon lift (core func $i "hello") (memory $i "memory") (realloc (func $i "realloc"))))
  (func $count async (result u32) (canon lift (core func $i "count")))
  (component $shape
    (type $c (record (field "name" string) (field "age" u32)))
    (import "card" (type $card (eq $c)))
    (import "hello" (func $hello async (param "to" $card) (result string)))
    (import "count" (func $count async (result u32)))
    (export $named "card" (type $c))
    (export "hello" (func $hello) (func async (param "to" $named) (result string)))
    (export "count" (func $count)))
  (instance $greet (instantiate $shape
    (with "card" (type $card)) (with "hello" (func $hello)) (with "count" (func $count))))
  (export "test:greet/greet@0.1.0" (instance $greet)))"#;

/// Answered by callbacks that can go on calling back, where nobody may wait for them: they once took the host's own stack.
const NOT_ASYNC: &str = r#"(component
  (core module $code
    (func (export "f") (result i32) i32.const 1)
    (func (export "back") (param i32 i32 i32) (result i32) i32.const 1))
  (core instance $i (instantiate $code))
  (func (export "f") (canon lift (core func $i "f") async (callback (func $i "back")))))"#;

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The good one with something else in place of a part of it.
fn greeter(changes: &[(&str, &str)]) -> Vec<u8> {
    let text = changes.iter().fold(GREETER.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    component(&text)
}

/// A component around a module.
fn around(module: &str) -> Vec<u8> {
    component(&format!("(component (core module $code {module}) (core instance (instantiate $code)))"))
}

fn imports(name: &str, function: &str) -> Vec<u8> {
    component(&format!("(component (import \"{name}\" (instance (export \"f\" {function}))))"))
}

/// Name, bytes, and the check that must refuse them.
fn bad() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = greeter(&[]);
    let middle = good.len() / 2;
    let mut flipped = good.clone();
    flipped[8] ^= 0xff;
    let mut version = good.clone();
    version[4] = 0x7f;
    let mut section = good.clone();
    section.extend_from_slice(&[1, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    let mut two = good.clone();
    two.extend_from_slice(&good);
    let start = |body: &str| around(&format!("(func $start {body}) (start $start)"));
    let many = |what: &str, count: usize| around(&what.repeat(count));
    vec![
        ("empty", vec![], "shape"),
        ("one byte", vec![0], "shape"),
        ("text", b"hello".to_vec(), "shape"),
        ("a script", b"#!/bin/sh\nexit 0\n".to_vec(), "shape"),
        ("an ELF file", b"\x7fELF\x02\x01\x01".to_vec(), "shape"),
        ("only the magic number", b"\0asm".to_vec(), "shape"),
        ("an unknown version", version, "shape"),
        ("a core module", wat::parse_str("(module)").expect("a module"), "shape"),
        ("truncated in the middle", good[..middle].to_vec(), "shape"),
        ("truncated at the end", good[..good.len() - 1].to_vec(), "shape"),
        ("a flipped byte", flipped, "shape"),
        ("a section longer than the file", section, "shape"),
        ("twice the same in one file", two, "shape"),
        ("an empty component", component("(component)"), "link"),
        ("another interface", greeter(&[("test:greet/greet", "test:greet/other")]), "link"),
        ("another major version", greeter(&[("greet@0.1.0", "greet@0.2.0")]), "link"),
        ("a function less", greeter(&[("    (export \"count\" (func $count)))\n", ")")]), "link"),
        (
            "a function of another name",
            greeter(&[("(export \"count\" (func $count))", "(export \"counts\" (func $count))")]),
            "link",
        ),
        (
            "sync in place of async",
            greeter(&[
                ("(func $count async (result u32) (canon", "(func $count (result u32) (canon"),
                ("(import \"count\" (func $count async", "(import \"count\" (func $count"),
            ]),
            "link",
        ),
        (
            "another result",
            greeter(&[
                ("(func $count async (result u32) (canon", "(func $count async (result s32) (canon"),
                ("(func $count async (result u32)))", "(func $count async (result s32)))"),
            ]),
            "link",
        ),
        (
            "no result",
            greeter(&[
                ("(func (export \"count\") (result i32) unreachable)", "(func (export \"count\"))"),
                ("(func $count async (result u32) (canon", "(func $count async (canon"),
                ("(func $count async (result u32)))", "(func $count async))"),
            ]),
            "link",
        ),
        ("a field of another type", greeter(&[("(field \"age\" u32)", "(field \"age\" s32)")]), "link"),
        ("a field of another name", greeter(&[("(field \"age\" u32)", "(field \"years\" u32)")]), "link"),
        (
            "fields in another order",
            greeter(&[("(field \"name\" string) (field \"age\" u32)", "(field \"age\" u32) (field \"name\" string)")]),
            "link",
        ),
        ("a missing import", imports("test:nobody/nothing@0.1.0", "(func async)"), "link"),
        ("an ungranted import", imports("wasi:http/client@0.3.0", "(func async)"), "link"),
        ("files that are not there", imports("wasi:filesystem/nothing@0.2.0", "(func)"), "link"),
        ("an import of another version", imports("test:greet/greet@7.0.0", "(func async)"), "link"),
        ("a known import of another type", imports("wasi:random/random@0.2.0", "(func (param \"x\" string))"), "link"),
        ("a trap at the start", start("unreachable"), "start"),
        ("an endless start", start("(loop $l br $l)"), "start"),
        ("endless recursion at the start", start("call $start"), "start"),
        ("a division by zero at the start", start("i32.const 1 i32.const 0 i32.div_s drop"), "start"),
        (
            "a start that writes outside its memory",
            around("(memory 1) (func $s i32.const -1 i32.const 1 i32.store) (start $s)"),
            "start",
        ),
        (
            "a start that hoards memory",
            around(
                "(memory 1) (func $s (loop $l i32.const 64 memory.grow i32.const -1 i32.ne br_if $l) unreachable) (start $s)",
            ),
            "start",
        ),
        (
            "a start that grows a table for ever",
            around(
                "(table 1 funcref) (func $s (loop $l ref.null func i32.const 1000 table.grow 0 i32.const -1 i32.ne br_if $l) unreachable) (start $s)",
            ),
            "start",
        ),
        ("data outside of its memory", around("(memory 1) (data (i32.const 70000) \"x\")"), "start"),
        ("elements outside of their table", around("(table 1 funcref) (func $f) (elem (i32.const 9) $f)"), "start"),
        ("a gigantic table", around("(table 4000000000 funcref)"), "shape"),
        ("a large table", around("(table 200000 funcref)"), "shape"),
        ("a gigantic memory", around("(memory 65536)"), "shape"),
        ("a memory above the limit", around("(memory 9000)"), "shape"),
        ("a thousand tables", many("(table 1 funcref)", 1000), "shape"),
        ("a hundred memories", many("(memory 1)", 100), "shape"),
        ("more functions than anybody has", many("(func)", 200_001), "shape"),
        ("more types than anybody has", many("(type (func (param i32)))", 50_001), "shape"),
        ("a function of megabytes", around(&format!("(func {})", "nop ".repeat(2_200_000))), "shape"),
        ("modules in modules", nested(40), "shape"),
        (
            "two thousand instances",
            component(&format!("(component (core module $m) {})", "(core instance (instantiate $m))".repeat(2100))),
            "shape",
        ),
        ("code that does not type", invalid("(func (result i32) i64.const 0)"), "compile"),
        ("a stack that runs empty", invalid("(func drop)"), "compile"),
        ("a call of nobody", invalid("(func call 99)"), "compile"),
        ("a shared memory", invalid("(memory 1 1 shared)"), "compile"),
        ("callbacks of what is not async", component(NOT_ASYNC), "compile"),
        (
            "a 64-bit table of the wrong kind",
            invalid("(table 1 externref) (func $f) (elem (table 0) (i32.const 0) func $f)"),
            "compile",
        ),
    ]
}

/// Around a module that does not validate: the text format does not mind.
fn invalid(module: &str) -> Vec<u8> {
    around(module)
}

fn nested(depth: usize) -> Vec<u8> {
    let text = (0..depth).fold(String::new(), |inner, _| format!("(component {inner})"));
    component(&text)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_broken_is_ever_let_in() {
    let folder = Folder::new();
    std::fs::copy(probe(), folder.path().join("one.wasm")).expect("a copy");
    folder.write("caller.wasm", component(CALLER));
    folder.write("greeter.wasm", greeter(&[]));
    let limits = "[limits]\nstart_ms = 1000\nmemory_bytes = 268435456\n";
    let house = House::of(folder.path(), &one_probe(limits)).await;
    let digest = async || {
        let told = house.ask("GET", "/components", "").await.json();
        let of = told["components"].as_array().into_iter().flatten().find(|c| c["name"] == "greeter").cloned();
        of.expect("it serves")["sha256"].clone()
    };
    let before = digest().await;
    let bad = bad();
    assert!(bad.len() >= 50, "{}", bad.len());
    let mut wrong = Vec::new();
    for (what, bytes, check) in bad {
        // What does not start exports nothing that others import, so it comes as somebody new.
        let name = if check == "start" { "newcomer" } else { "greeter" };
        let answer = house.ask("PUT", &format!("/components/{name}"), bytes).await;
        let told = answer.json();
        if answer.status != StatusCode::UNPROCESSABLE_ENTITY || told["details"]["check"] != check {
            wrong.push(format!("{what}: {} in place of a refusal at `{check}`: {}", answer.status, told["message"]));
        }
        assert_eq!(digest().await, before, "{what}");
        assert_eq!(house.get("/hello").await.text(), "hello", "{what}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The good one goes through, in another version.
    let mut good = greeter(&[]);
    good.extend_from_slice(&[0, 2, 1, b'x']);
    assert_eq!(house.ask("PUT", "/components/greeter", good).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_refusal_names_the_function_and_is_remembered() {
    let folder = Folder::new();
    std::fs::copy(probe(), folder.path().join("one.wasm")).expect("a copy");
    folder.write("caller.wasm", component(CALLER));
    folder.write("greeter.wasm", greeter(&[]));
    let house = House::of(folder.path(), &one_probe("")).await;
    let changed = greeter(&[("(field \"age\" u32)", "(field \"age\" s32)")]);
    let told = house.ask("PUT", "/components/greeter", changed).await.json();
    let message = told["message"].as_str().expect("a message");
    assert!(message.contains("`hello`") && message.contains("test:greet/greet@0.1.0"), "{message}");

    let broken = around("(func $start unreachable) (start $start)");
    let first = house.ask("PUT", "/components/newcomer", broken.clone()).await.json();
    let second = house.ask("PUT", "/components/newcomer", broken).await.json();
    assert_eq!(first["details"]["check"], second["details"]["check"]);
    assert!(second["message"].as_str().is_some_and(|text| text.contains("refused before")), "{second}");

    // No other component can help it.
    let ungranted = imports("wasi:http/client@0.3.0", "(func async)");
    for remembered in [false, true] {
        let told = house.ask("PUT", "/components/newcomer", ungranted.clone()).await.json();
        let message = told["message"].as_str().expect("a message");
        assert!(message.contains("`components.newcomer.outbound`"), "{message}");
        assert_eq!(message.contains("refused before"), remembered, "{message}");
    }
}

#[tokio::test]
async fn both_sides_of_a_changed_interface_may_come_one_after_the_other() {
    let folder = Folder::new();
    std::fs::copy(probe(), folder.path().join("one.wasm")).expect("a copy");
    folder.write("caller.wasm", component(CALLER));
    folder.write("greeter.wasm", greeter(&[]));
    let house = House::of(folder.path(), &one_probe("")).await;
    let change = ("(field \"age\" u32)", "(field \"age\" u64)");
    // Another core signature goes with it.
    let greeter = greeter(&[change, ("(param i32 i32 i32) (result i32)", "(param i32 i32 i64) (result i32)")]);
    assert_eq!(house.ask("PUT", "/components/greeter", greeter).await.json()["details"]["check"], "link");
    // One that will never fit has nothing to do with them.
    let stranger = imports("test:nobody/has@0.1.0", "(func async)");
    assert_eq!(house.ask("PUT", "/components/stranger", stranger).await.json()["details"]["check"], "link");
    let caller = component(&CALLER.replace(change.0, change.1));
    let answer = house.ask("PUT", "/components/caller", caller).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert!(answer.json()["notes"][0].as_str().is_some_and(|note| note.contains("greeter@")), "{}", answer.text());
}

#[tokio::test]
async fn a_compile_bomb_costs_its_time_and_nothing_else() {
    let folder = Folder::new();
    std::fs::copy(probe(), folder.path().join("one.wasm")).expect("a copy");
    // So that the probe itself is compiled already.
    drop(House::of(folder.path(), &one_probe("")).await);
    let house = House::of(folder.path(), &one_probe("[limits]\ncompile_ms = 250\n")).await;
    // Every function is small; together they are seconds of work on any machine, and none of it can be left out.
    let body = "local.get 0 local.get 0 i32.load i32.mul local.set 0 ".repeat(400);
    let function = format!("(func (param i32) (result i32) {body} local.get 0)");
    let bomb = around(&format!("(memory 1) {}", function.repeat(4000)));
    let started = std::time::Instant::now();
    let answer = house.ask("PUT", "/components/bomb", bomb).await;
    assert_eq!(answer.json()["details"]["check"], "compile", "{}", answer.text());
    assert!(answer.text().contains("limits.compile_ms"), "{}", answer.text());
    assert!(started.elapsed() < std::time::Duration::from_secs(30));
    let memory = House::of(folder.path(), &one_probe("[limits]\ncompile_memory_bytes = 33554432\n")).await;
    let answer = memory.ask("PUT", "/components/bomb", around(&format!("(memory 1) {}", function.repeat(2000)))).await;
    assert_eq!(answer.json()["details"]["check"], "compile", "{}", answer.text());
    assert!(answer.text().contains("limits.compile_memory_bytes"), "{}", answer.text());
    assert_eq!(memory.get("/hello").await.text(), "hello");
}

#[tokio::test]
async fn only_what_is_trusted_is_let_in() {
    let folder = Folder::new();
    std::fs::copy(probe(), folder.path().join("one.wasm")).expect("a copy");
    let digest = |bytes: &[u8]| {
        use sha2::{Digest as _, Sha256};
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let probe = std::fs::read(probe()).expect("the probe");
    // The key and the signature are those of minisign's own description of its format.
    let trust = format!(
        "[trust]\nsha256 = [\"{}\", \"{}\"]\nminisign = [\"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"]\n",
        digest(&probe),
        digest(&other_version(50)),
    );
    let house = House::of(folder.path(), &one_probe(&trust)).await;
    assert_eq!(house.ask("PUT", "/components/one", other_version(50)).await.status, StatusCode::OK);
    let answer = house.ask("PUT", "/components/one", other_version(51)).await;
    assert_eq!(answer.json()["details"]["check"], "trust", "{}", answer.text());

    let signature = "untrusted comment: signature from minisign secret key\n\
        RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
        trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
        wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n";
    // Signed, by that key, but other bytes.
    let request = http::Request::put(format!("{}/components/one", house.admin))
        .header("x-minisign", hybrid_ai::admin::base64(signature.as_bytes()))
        .body(http_body_util::Full::new(other_version(52).into()))
        .expect("a request");
    let answer = house.send(request).await;
    assert_eq!(answer.json()["details"]["check"], "trust", "{}", answer.text());
    assert!(answer.text().contains("by no key"), "{}", answer.text());
}
