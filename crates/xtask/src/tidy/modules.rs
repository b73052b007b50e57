//! Every Rust file is part of a crate, and a module is `foo.rs` beside `foo/`.

use std::path::Path;

use super::{tree::Tree, violation::Violation};

/// Folders whose files, and whose folders with a `main.rs`, are programs of their own.
const TARGETS: [&str; 4] = ["tests", "benches", "examples", "src/bin"];

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let folders = tree.rust().filter_map(|(path, _)| module_folder(path));
    let orphans = tree
        .rust()
        .filter(|(path, _)| !is_root(path) && !is_named(tree, path))
        .map(|(path, _)| {
            Violation::new(
                path,
                1,
                "no module names this file",
                "add `mod`, or remove the file",
            )
        });
    folders.chain(orphans).collect()
}

fn module_folder(path: &str) -> Option<Violation> {
    path.ends_with("/mod.rs").then(|| {
        Violation::new(
            path,
            1,
            "a module in `mod.rs`",
            "move it to `foo.rs` beside `foo/`",
        )
    })
}

/// Whether cargo itself finds the file.
fn is_root(path: &str) -> bool {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let is_target = |folder: &str| {
        TARGETS
            .iter()
            .any(|target| Path::new(folder).ends_with(target))
    };
    match file {
        "build.rs" => true,
        "main.rs" => {
            let above = folder.rsplit_once('/').map_or("", |(above, _)| above);
            Path::new(folder).ends_with("src") || is_target(above)
        }
        "lib.rs" => Path::new(folder).ends_with("src"),
        _ => is_target(folder),
    }
}

/// Whether the parent module declares the file, or another file of the crate includes it by path.
fn is_named(tree: &Tree, path: &str) -> bool {
    let Some((folder, file)) = path.rsplit_once('/') else {
        return false;
    };
    let stem = file.trim_end_matches(".rs");
    let parents = [
        format!("{folder}.rs"),
        format!("{folder}/lib.rs"),
        format!("{folder}/main.rs"),
    ];
    let declared = parents
        .iter()
        .filter_map(|parent| tree.get(parent))
        .any(|text| text.lines().any(|line| declares(line, stem)));
    declared || is_included(tree, folder, file)
}

/// Whether a line is `mod stem;`, of any visibility.
fn declares(line: &str, stem: &str) -> bool {
    let line = line.trim_start();
    let line = match line.strip_prefix("pub(") {
        Some(rest) => rest.split_once(") ").map_or("", |(_, rest)| rest),
        None => line.strip_prefix("pub ").unwrap_or(line),
    };
    line.strip_prefix("mod ")
        .and_then(|rest| rest.split_once(';'))
        .is_some_and(|(name, _)| name.trim_start_matches("r#") == stem)
}

/// Whether a file of the crate brings this one in by its path: `include!("x.rs")`,
/// `#[path = "x.rs"]`, or `#[path = "folder"]` on a module that declares it.
fn is_included(tree: &Tree, folder: &str, file: &str) -> bool {
    let crate_root = folder.split_once("/src").map_or(folder, |(root, _)| root);
    let stem = file.trim_end_matches(".rs");
    tree.rust()
        .filter(|(path, _)| path.starts_with(crate_root))
        .any(|(path, text)| {
            let above = path.rsplit_once('/').map_or("", |(above, _)| above);
            let brought = |line: &str| quoted_path(line).map(|path| format!("{above}/{path}"));
            let declares_it = || text.lines().any(|line| declares(line, stem));
            text.lines()
                .filter_map(brought)
                .any(|path| path == format!("{folder}/{file}") || (path == folder && declares_it()))
        })
}

/// The quoted part of a line that brings in a file or folder.
fn quoted_path(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let rest = line
        .strip_prefix("#[path = ")
        .or_else(|| line.strip_prefix("include!("))?;
    rest.split('"').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places<const N: usize>(files: [(&str, &str); N]) -> Vec<String> {
        check(&Tree::from(files))
            .into_iter()
            .map(|violation| violation.file)
            .collect()
    }

    #[test]
    fn declared_modules_and_roots_are_accepted() {
        let orphans = places([
            ("a/src/lib.rs", "mod b;\npub(crate) mod c;\n"),
            ("a/src/b.rs", "pub mod d;\n"),
            ("a/src/b/d.rs", ""),
            ("a/src/c.rs", ""),
            ("a/src/bin/tool.rs", ""),
            ("a/tests/whole.rs", ""),
            ("a/tests/real/main.rs", "mod part;"),
            ("a/tests/real/part.rs", ""),
            ("a/build.rs", ""),
        ]);
        assert_eq!(orphans, [""; 0]);
    }

    #[test]
    fn a_file_that_no_module_names_is_an_orphan() {
        let orphans = places([
            ("a/src/lib.rs", "mod bc;\n// mod b;\n"),
            ("a/src/bc.rs", ""),
            ("a/src/b.rs", ""),
        ]);
        assert_eq!(orphans, ["a/src/b.rs"]);
    }

    #[test]
    fn a_declaration_in_a_sibling_does_not_count() {
        let orphans = places([
            ("a/src/lib.rs", "mod b;\nmod c;\n"),
            ("a/src/b.rs", "mod d;\n"),
            ("a/src/b/d.rs", ""),
            ("a/src/c.rs", ""),
            ("a/src/c/d.rs", ""),
        ]);
        assert_eq!(orphans, ["a/src/c/d.rs"]);
    }

    #[test]
    fn an_included_file_is_part_of_the_crate() {
        let include = concat!("include", "!(\"gen/cni.v1.rs\");\n");
        assert_eq!(
            places([("a/src/lib.rs", include), ("a/src/gen/cni.v1.rs", "")]),
            [""; 0]
        );
    }

    #[test]
    fn a_module_with_a_folder_of_its_own_finds_its_files_there() {
        let root = "#[path = \"gen/cni\"]\npub mod cni {\n    pub mod v1;\n}\n";
        assert_eq!(
            places([("a/src/lib.rs", root), ("a/src/gen/cni/v1.rs", "")]),
            [""; 0]
        );
        let orphans = places([("a/src/lib.rs", root), ("a/src/gen/cni/v2.rs", "")]);
        assert_eq!(orphans, ["a/src/gen/cni/v2.rs"]);
    }

    #[test]
    fn a_module_in_a_folder_file_is_reported() {
        let violations = check(&Tree::from([
            ("a/src/lib.rs", "mod b;"),
            ("a/src/b/mod.rs", ""),
        ]));
        assert!(
            violations
                .iter()
                .any(|violation| violation.rule == "a module in `mod.rs`")
        );
    }
}
