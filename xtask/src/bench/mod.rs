//! To come.
pub mod load {
    pub fn run(_: &[String]) -> anyhow::Result<()> {
        Ok(())
    }
}
pub mod proxy {
    pub fn run(_: &[String]) -> anyhow::Result<()> {
        Ok(())
    }
}
pub fn run(_: &[String]) -> anyhow::Result<()> {
    Ok(())
}
