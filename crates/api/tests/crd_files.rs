//! The definitions in `deploy/crds` are those of this crate.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::io;
    use std::path::Path;

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/crds");

    /// `UPDATE=1` writes the files first.
    #[test]
    fn the_committed_definitions_are_the_generated_ones() {
        let generated: BTreeMap<String, String> = api::crd_files().unwrap().into_iter().collect();
        if std::env::var_os("UPDATE").is_some() {
            for (name, text) in &generated {
                fs::write(Path::new(FOLDER).join(name), text).unwrap();
            }
        }
        let committed = committed().unwrap();
        let files = committed.keys().chain(generated.keys());
        let stale: Vec<_> = files
            .filter(|name| committed.get(*name) != generated.get(*name))
            .collect();
        assert!(
            stale.is_empty(),
            "out of date in deploy/crds: {stale:?}; run `cargo xtask codegen`"
        );
    }

    fn committed() -> io::Result<BTreeMap<String, String>> {
        fs::read_dir(FOLDER)?
            .map(|entry| {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                Ok((name, fs::read_to_string(entry.path())?))
            })
            .collect()
    }
}
