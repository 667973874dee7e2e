//! The stand-in by hand.

use anyhow::{Context, bail};

use crate::{Options, Standin};

const USAGE: &str = "standin [--listen ADDRESS] [--key TOKEN] [--unserved MODEL]... [--zero-latency]";

/// Runs until the process is ended. The first line on stderr names the address.
pub fn run(arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let options = parse(arguments)?;
    let standin = Standin::start(options)?;
    eprintln!("listening on {}/", standin.url());
    loop {
        std::thread::park();
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Options> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("`{argument}` needs a value; usage: {USAGE}"));
        match argument.as_str() {
            "--listen" => options.listen = value()?.parse().context("`--listen` wants ADDRESS:PORT")?,
            "--key" => options.key = Some(value()?),
            "--unserved" => options.unserved.push(value()?),
            "--zero-latency" => options.zero_latency = true,
            "--help" | "-h" => bail!("usage: {USAGE}"),
            other => bail!("`{other}` is not known; usage: {USAGE}"),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> anyhow::Result<Options> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_become_options() {
        let options = parsed("--listen 127.0.0.1:3100 --key hf_x --unserved a/b --zero-latency").expect("all known");
        assert_eq!((options.listen.port(), options.key.as_deref()), (3100, Some("hf_x")));
        assert!(options.zero_latency && options.unserved == ["a/b"]);
        assert!(parsed("--port 1").is_err() && parsed("--listen").is_err());
    }
}
