//! The stand-in on its own: `cargo run -p standin -- --listen 127.0.0.1:3100`.

fn main() -> anyhow::Result<()> {
    standin::cli::run(std::env::args().skip(1))
}
