//! The manifests of the workspace's packages.

use cargo_metadata::{Dependency, DependencyKind, Metadata, Package};

use super::{tree::Tree, violation::Violation};

/// A package of the workspace, as far as the rules look at it.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Relative to the root of the workspace.
    pub(crate) manifest: String,
    pub(crate) uses: Vec<Use>,
    /// Whether `[lints]` says `workspace = true`.
    pub(crate) inherits_lints: bool,
}

/// One dependency.
#[derive(Debug, Clone)]
pub(crate) struct Use {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) features: Vec<String>,
    /// Whether it is a package of this workspace.
    pub(crate) is_ours: bool,
    /// Where the manifest names it, from 1.
    pub(crate) line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Build,
    Development,
}

/// The packages of the workspace.
pub(crate) fn members(metadata: &Metadata, tree: &Tree) -> Vec<Member> {
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| member(package, metadata, tree))
        .collect()
}

fn member(package: &Package, metadata: &Metadata, tree: &Tree) -> Member {
    let path = package.manifest_path.strip_prefix(&metadata.workspace_root);
    let manifest = path.unwrap_or(&package.manifest_path).to_string();
    let text = tree.get(&manifest).unwrap_or_default();
    Member {
        name: package.name.to_string(),
        uses: package
            .dependencies
            .iter()
            .map(|dependency| used(dependency, text))
            .collect(),
        inherits_lints: inherits_lints(text),
        manifest,
    }
}

fn used(dependency: &Dependency, manifest: &str) -> Use {
    Use {
        kind: kind(dependency.kind),
        features: dependency.features.clone(),
        is_ours: dependency.path.is_some(),
        line: line_of(manifest, &dependency.name),
        name: dependency.name.clone(),
    }
}

/// Cargo may learn more kinds; to the rules they are code.
fn kind(kind: DependencyKind) -> Kind {
    if kind == DependencyKind::Development {
        Kind::Development
    } else if kind == DependencyKind::Build {
        Kind::Build
    } else {
        Kind::Normal
    }
}

/// The line that starts with a key, or the first one.
fn line_of(manifest: &str, key: &str) -> usize {
    let names = |line: &str| {
        line.strip_prefix(key)
            .is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    };
    manifest
        .lines()
        .position(names)
        .map_or(1, |index| index + 1)
}

fn inherits_lints(manifest: &str) -> bool {
    manifest
        .lines()
        .skip_while(|line| line.trim() != "[lints]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .any(|line| line.replace(' ', "") == "workspace=true")
}

/// Every package takes the lints of the workspace.
pub(crate) fn check(members: &[Member]) -> Vec<Violation> {
    members
        .iter()
        .filter(|member| !member.inherits_lints)
        .map(|member| {
            Violation::new(
                &member.manifest,
                1,
                "the package does not take the lints of the workspace",
                "add `[lints]` with `workspace = true`",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n\n\
                            [dependencies]\ntokio-util.workspace = true\ntokio = \"1\"\n";

    #[test]
    fn a_manifest_that_inherits_the_lints_is_accepted() {
        assert!(inherits_lints(MANIFEST));
    }

    #[test]
    fn workspace_under_another_heading_does_not_count() {
        assert!(!inherits_lints(
            "[lints]\nrust.x = 1\n[package]\nworkspace = true\n"
        ));
        assert!(!inherits_lints("[package]\nname = \"a\"\n"));
    }

    #[test]
    fn a_dependency_is_found_at_its_own_line_and_not_at_a_longer_name() {
        assert_eq!(line_of(MANIFEST, "tokio"), 9);
        assert_eq!(line_of(MANIFEST, "tokio-util"), 8);
        assert_eq!(line_of(MANIFEST, "absent"), 1);
    }
}
