//! Folders whose content is trusted: what lies in them is loaded as code, or served.

use std::path::{Path, PathBuf};

/// The folder, made where it is missing, and only where it belongs to this user (or to root) and not everybody may write
/// there. Without a home the data folder is among the temporary files of everybody, where somebody may have been first.
pub fn own(folder: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::MetadataExt as _;
    // That it is there already, or cannot be made, shows in the next line.
    let _ = std::fs::create_dir_all(folder);
    let about = folder.metadata().ok()?;
    let is_ours = [rustix::process::geteuid().as_raw(), 0].contains(&about.uid());
    (about.is_dir() && is_ours && about.mode() & 0o002 == 0).then(|| folder.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_that_everybody_may_write_to_is_nobodys() {
        let folder = std::env::temp_dir().join(format!("hybrid-ai-own-{}", std::process::id()));
        assert_eq!(own(&folder).as_deref(), Some(folder.as_path()), "it was made here");
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).expect("it is ours");
        assert_eq!(own(&folder), None);
        std::fs::remove_dir(&folder).expect("it was there");
        std::fs::write(&folder, "").expect("a file");
        assert_eq!(own(&folder), None);
        std::fs::remove_file(&folder).expect("it was there");
        assert_eq!(own(Path::new("/proc/hybrid-ai")), None);
    }
}
