//! What an archive was made from, kept beside it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{process, workspace::Workspace};

/// The name of an image and the checksums of its inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp(String);

// === impl Stamp ===

impl Stamp {
    /// Reads the inputs.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub(crate) fn of(workspace: &Workspace, image: &str, inputs: &[PathBuf]) -> Result<Self> {
        let mut text = format!("{image}\n");
        let mut sums = process::command(workspace, "sha256sum");
        sums.args(inputs);
        process::stream(sums, |line| {
            text.push_str(line);
            text.push('\n');
        })?;
        Ok(Self(text))
    }

    /// Whether the archive was made from the same.
    pub(crate) fn is_kept_beside(&self, archive: &Path) -> bool {
        fs::read_to_string(path(archive)).is_ok_and(|text| text == self.0)
    }

    /// Remembers that the archive was made from this.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn keep_beside(&self, archive: &Path) -> Result<()> {
        let path = path(archive);
        fs::write(&path, &self.0).with_context(|| format!("cannot write {}", path.display()))
    }
}

fn path(archive: &Path) -> PathBuf {
    archive.with_extension("stamp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_out_of_date_when_an_input_or_the_name_changes() {
        let scratch = tempfile::tempdir().unwrap();
        let workspace = Workspace::here();
        let (input, archive) = (scratch.path().join("input"), scratch.path().join("a.tar"));
        fs::write(&input, "1").unwrap();
        let stamp = |image| Stamp::of(&workspace, image, std::slice::from_ref(&input)).unwrap();
        assert!(!stamp("image:1").is_kept_beside(&archive));
        stamp("image:1").keep_beside(&archive).unwrap();
        assert!(stamp("image:1").is_kept_beside(&archive));
        assert!(!stamp("image:2").is_kept_beside(&archive));
        fs::write(&input, "2").unwrap();
        assert!(!stamp("image:1").is_kept_beside(&archive));
    }
}
