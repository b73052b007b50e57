//! The chassis' name, which must outlive everything but the node itself.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use uuid::Uuid;

/// Where Open vSwitch's own scripts keep it, too.
const FILE: &str = "system-id.conf";

/// The name in `directory`; a random one is made and kept where there is none.
///
/// # Errors
/// When it can be neither read nor written.
pub(crate) fn system_id(directory: &Path) -> Result<String> {
    let path = directory.join(FILE);
    if path.exists() {
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read the chassis' name in {}", path.display()))?;
        if !text.trim().is_empty() {
            return Ok(text.trim().to_owned());
        }
    }
    let name = Uuid::new_v4().to_string();
    let draft = path.with_extension("draft");
    fs::write(&draft, format!("{name}\n"))
        .and_then(|()| fs::rename(&draft, &path))
        .with_context(|| format!("cannot keep the chassis' name in {}", path.display()))?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let name = system_id(folder.path()).unwrap();
        assert!(Uuid::parse_str(&name).is_ok());
        assert_eq!(system_id(folder.path()).unwrap(), name);
    }

    #[test]
    fn the_name_that_another_installation_left_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "chassis-1\n").unwrap();
        assert_eq!(system_id(folder.path()).unwrap(), "chassis-1");
    }
}
