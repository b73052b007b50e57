//! The text files of the workspace, read once.

use std::{collections::BTreeMap, ffi::OsStr, fs, path::Path};

use anyhow::{Context, Result};

/// Folders that hold nothing of the project's own.
const FOREIGN: [&str; 3] = [".git", "target", "node_modules"];

/// Path, relative to the root and with `/`, to text.
#[derive(Debug, Default)]
pub(crate) struct Tree(BTreeMap<String, String>);

impl Tree {
    /// Reads every file below `root` that is UTF-8.
    ///
    /// # Errors
    /// When a folder or file cannot be read.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, root)?;
        Ok(tree)
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The files whose name ends in `.rs`.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(|(path, _)| is_rust(path))
    }

    pub(crate) fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    fn read_folder(&mut self, root: &Path, folder: &Path) -> Result<()> {
        let entries =
            fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let kind = entry.file_type()?;
            if kind.is_dir() && !is_foreign(&entry.file_name()) {
                self.read_folder(root, &path)?;
            } else if kind.is_file() {
                self.read_file(root, &path)?;
            }
        }
        Ok(())
    }

    fn read_file(&mut self, root: &Path, path: &Path) -> Result<()> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        if let Ok(text) = String::from_utf8(bytes) {
            let relative = path
                .strip_prefix(root)?
                .to_string_lossy()
                .replace('\\', "/");
            self.0.insert(relative, text);
        }
        Ok(())
    }
}

/// Whether a file holds Rust code, by its name.
pub(crate) fn is_rust(path: &str) -> bool {
    Path::new(path).extension() == Some(OsStr::new("rs"))
}

fn is_foreign(name: &OsStr) -> bool {
    FOREIGN.iter().any(|foreign| name == *foreign)
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Tree {
    fn from(files: [(&str, &str); N]) -> Self {
        Self(
            files
                .map(|(path, text)| (path.to_owned(), text.to_owned()))
                .into(),
        )
    }
}
