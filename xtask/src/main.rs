//! `cargo xtask COMMAND`: everything about the project that is done by a machine and is not the host.

use anyhow::bail;

const USAGE: &str = "\
cargo xtask components [NAME...]   build the components (all, or those named) into target/components and target/plugs
cargo xtask compose [NAME...]      plug them together into target/composed (those named are built first), with
                                   --models those too that carry a model's weights
cargo xtask app                    build the app for the web into target/app (wants Node 20 or newer)
cargo xtask dist                   target/dist/hybrid-ai: one file with the components and the built app inside, its
                                   SHA-256 and the list of what it is made of (CycloneDX)
cargo xtask sizes                  print how large they are, and fail where one is too large
cargo xtask check                  formatting and lints, native and wasm
cargo xtask test                   build everything and run every test
cargo xtask clients [PART]         other people's clients against our host (needs python3 and node; installs them in target/)
cargo xtask languages              components in Python and JavaScript, built by their own tools and served (the same)
cargo xtask docs                   write docs/configuration.md of what the host reads
cargo xtask fuzz-api [REQUESTS]    requests made up from /openapi.json, by schemathesis
cargo xtask model minilm           pack the weights of local-embedding anew, and see that the committed file is the same
cargo xtask bench [SECONDS]        requests per second and CPU of POST /llm, beside a native proxy; then the CPU of
                                   POST /embedding beside onnxruntime (`bench embedding` for that alone)
cargo xtask bench swap [SWAPS]     what replacing a component costs those who ask meanwhile, and what it leaves behind
cargo xtask bench compile          what those who ask notice of components that are compiled meanwhile (part of `swap`)
cargo xtask bench misbehave        what a component that loops, hoards or floods costs those who ask for something else
cargo xtask bench dist             how soon the file that `dist` makes answers, and its memory while idle
cargo xtask bench connections      what connections cost that say nothing
cargo xtask profile                writes host/profile/requests.profdata, by which the host is laid out (wants the
                                   toolchain's llvm-tools)
cargo xtask load                   our host under h2load and slowhttptest (wants both, from Debian)
cargo xtask standin [OPTION...]    a stand-in Hugging Face (--listen ADDRESS, --key TOKEN, --unserved MODEL)";

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    match command.as_str() {
        "components" => xtask::components::build(&rest),
        "app" => xtask::app::build(),
        "compose" => xtask::compose::write(&rest),
        "dist" => xtask::dist::build(),
        "sizes" => xtask::sizes::print(),
        "check" => xtask::check::all(),
        "test" => xtask::test::all(),
        "clients" => xtask::clients::run_all(&rest),
        "languages" => xtask::languages::run_all(),
        "load" => xtask::load::run(),
        "docs" => xtask::docs::write(),
        "fuzz-api" => xtask::clients::fuzz(&rest),
        "bench" => xtask::bench::run(&rest),
        "profile" => xtask::bench::profile::run(),
        "model" => xtask::model::run_for(&rest),
        "standin" => standin::cli::run(rest.into_iter()),
        // What `bench` starts as processes of their own.
        "bench-load" => xtask::bench::load::run(&rest),
        "bench-proxy" => xtask::bench::proxy::run(&rest),
        "" | "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => bail!("`{other}` is not a command\n\n{USAGE}"),
    }
}
