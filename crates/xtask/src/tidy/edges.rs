//! Which crate may use which of ours: a closed table, and the whole architecture on one screen.

use super::{
    manifests::{Kind, Member, Use},
    violation::Violation,
};
use crate::codegen::is_generated_path;

/// What the edges of a crate are held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purity {
    /// No runtime, no client, no kernel: a function of its arguments.
    Pure,
    Effectful,
}

use Purity::{Effectful, Pure};

/// Package, purity, the packages of the workspace that its code may use.
const TABLE: &[(&str, Purity, &[&str])] = &[
    // libraries
    ("model", Pure, &[]),
    ("api", Pure, &["model"]),
    ("ovsdb", Effectful, &[]),
    ("ovn", Pure, &["model", "ovsdb"]),
    ("linux", Effectful, &["model"]),
    ("kit", Effectful, &[]),
    ("proto", Effectful, &[]),
    ("probe", Effectful, &["model", "kit"]),
    // the controller, in the order of its data path
    (
        "controller-index",
        Effectful,
        &["model", "api", "controller-plan"],
    ),
    ("controller-plan", Pure, &["model", "ovn"]),
    (
        "controller-sync",
        Effectful,
        &[
            "model",
            "ovn",
            "ovsdb",
            "controller-plan",
            "controller-index",
            "kit",
        ],
    ),
    (
        "controller-status",
        Effectful,
        // the recorder is where addresses are chosen: it alone asks the allocator
        &["model", "api", "controller-index", "controller-ipam", "kit"],
    ),
    ("controller-ipam", Pure, &["model"]),
    (
        "controller",
        Effectful,
        &[
            "model",
            "api",
            "ovsdb",
            "ovn",
            "kit",
            "probe",
            "proto",
            "controller-index",
            "controller-plan",
            "controller-sync",
            "controller-status",
            "controller-ipam",
        ],
    ),
    // the node
    ("daemon-plan", Pure, &["model", "ovn", "linux"]),
    (
        "daemon",
        Effectful,
        &[
            "model",
            "api",
            "ovsdb",
            "ovn",
            "linux",
            "kit",
            "probe",
            "proto",
            "daemon-plan",
        ],
    ),
    ("cni-shim", Effectful, &["proto"]),
    (
        "nat-gateway",
        Effectful,
        &["model", "proto", "linux", "kit"],
    ),
    ("pinger", Effectful, &["model", "kit"]),
    ("central", Effectful, &["ovsdb", "kit"]),
    // for the project itself
    ("assets", Effectful, &[]),
    (
        "testkit",
        Effectful,
        &[
            "model", "api", "ovsdb", "ovn", "linux", "kit", "proto", "assets",
        ],
    ),
    ("cluster", Effectful, &["model", "testkit", "assets"]),
    (
        "xtask",
        Effectful,
        &["model", "api", "ovsdb", "testkit", "assets", "cluster"],
    ),
    (
        "e2e",
        Effectful,
        &[
            "model", "api", "ovsdb", "ovn", "linux", "kit", "proto", "testkit", "assets", "cluster",
        ],
    ),
];

/// What tests may use in addition: the laboratory, and `kit` to serve what a program calls.
const FOR_TESTS: [&str; 3] = ["testkit", "assets", "kit"];

/// Packages that do I/O or keep time, which no pure crate depends on.
const IMPURE: [&str; 13] = [
    "futures",
    "hyper",
    "hyper-util",
    "kit",
    "libc",
    "netlink-sys",
    "nix",
    "rtnetlink",
    "tokio",
    "tokio-stream",
    "tokio-util",
    "tonic",
    "tracing-subscriber",
];

/// Features that turn a pure library into one that does I/O.
const IMPURE_FEATURES: [(&str, &[&str]); 3] = [
    ("kube", &["client", "runtime", "config"]),
    ("linux", &["kernel"]),
    ("ovsdb", &["client"]),
];

/// Holds every manifest against the table.
pub(crate) fn check(members: &[Member]) -> Vec<Violation> {
    members
        .iter()
        .flat_map(|member| match rule(&member.name) {
            Some((purity, allowed)) => check_member(member, purity, allowed),
            None => vec![Violation::new(
                &member.manifest,
                1,
                format!(
                    "package `{}` is not in the table of crate edges",
                    member.name
                ),
                "add a line with what it may use to crates/xtask/src/tidy/edges.rs",
            )],
        })
        .collect()
}

fn rule(package: &str) -> Option<(Purity, &'static [&'static str])> {
    TABLE
        .iter()
        .find(|(name, _, _)| *name == package)
        .map(|(_, purity, allowed)| (*purity, *allowed))
}

fn check_member(member: &Member, purity: Purity, allowed: &[&str]) -> Vec<Violation> {
    let mut violations = Vec::new();
    if purity == Pure {
        violations.extend(unguarded(member));
    }
    for dependency in &member.uses {
        if !is_allowed(dependency, allowed) {
            violations.push(forbidden(member, dependency));
        }
        if purity == Pure && dependency.kind != Kind::Development {
            violations.extend(impurity(member, dependency));
        }
    }
    violations
}

fn is_allowed(dependency: &Use, allowed: &[&str]) -> bool {
    let name = dependency.name.as_str();
    let for_tests = dependency.kind == Kind::Development && FOR_TESTS.contains(&name);
    !dependency.is_ours || allowed.contains(&name) || for_tests
}

fn forbidden(member: &Member, dependency: &Use) -> Violation {
    Violation::new(
        &member.manifest,
        dependency.line,
        format!("`{}` may not use `{}`", member.name, dependency.name),
        "move the code to a crate that may, or change the table in crates/xtask/src/tidy/edges.rs",
    )
}

/// A pure crate has a `clippy.toml` with the bans that its manifest cannot state.
fn unguarded(member: &Member) -> Option<Violation> {
    let configuration = member.manifest.replace("Cargo.toml", "clippy.toml");
    let guarded = is_generated_path(&configuration);
    (!guarded).then(|| {
        Violation::new(
            &member.manifest,
            1,
            format!(
                "the pure crate `{}` has no clippy.toml of its own",
                member.name
            ),
            "add its folder to crates/xtask/src/codegen/clippy.rs",
        )
    })
}

fn impurity(member: &Member, dependency: &Use) -> Option<Violation> {
    let feature = IMPURE_FEATURES
        .iter()
        .filter(|(name, _)| *name == dependency.name)
        .flat_map(|(_, features)| *features)
        .find(|feature| dependency.features.iter().any(|used| used == *feature));
    let what = match feature {
        Some(feature) => format!("feature `{feature}` of `{}`", dependency.name),
        None if IMPURE.contains(&dependency.name.as_str()) => format!("`{}`", dependency.name),
        None => return None,
    };
    Some(Violation::new(
        &member.manifest,
        dependency.line,
        format!("the pure crate `{}` uses {what}", member.name),
        "take what it needs as a value",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, uses: Vec<Use>) -> Member {
        Member {
            name: name.to_owned(),
            manifest: format!("{}/Cargo.toml", folder(name)),
            uses,
            inherits_lints: true,
        }
    }

    fn folder(name: &str) -> &str {
        match name {
            "controller-plan" => "controller/plan",
            "api" => "crates/api",
            other => other,
        }
    }

    fn ours(name: &str, kind: Kind) -> Use {
        Use {
            name: name.to_owned(),
            kind,
            features: vec![],
            is_ours: true,
            line: 7,
        }
    }

    fn foreign(name: &str, features: &[&str]) -> Use {
        Use {
            features: features
                .iter()
                .map(|feature| (*feature).to_owned())
                .collect(),
            is_ours: false,
            ..ours(name, Kind::Normal)
        }
    }

    fn rules(members: &[Member]) -> Vec<String> {
        check(members)
            .into_iter()
            .map(|violation| violation.rule)
            .collect()
    }

    #[test]
    fn an_edge_of_the_table_is_accepted() {
        let plan = member("controller-plan", vec![ours("ovn", Kind::Normal)]);
        assert_eq!(rules(&[plan]), [""; 0]);
    }

    #[test]
    fn an_edge_outside_the_table_is_reported_at_its_line() {
        let pinger = member("pinger", vec![ours("ovsdb", Kind::Normal)]);
        let violations = check(&[pinger]);
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].line, 7);
        assert_eq!(violations[0].rule, "`pinger` may not use `ovsdb`");
    }

    #[test]
    fn tests_may_use_the_testkit_and_code_may_not() {
        let tests = member("daemon", vec![ours("testkit", Kind::Development)]);
        assert_eq!(rules(&[tests]), [""; 0]);
        let code = member("daemon", vec![ours("testkit", Kind::Normal)]);
        assert_eq!(rules(&[code]), ["`daemon` may not use `testkit`"]);
    }

    #[test]
    fn a_package_without_a_line_in_the_table_is_reported() {
        assert_eq!(
            rules(&[member("helpers", vec![])]),
            ["package `helpers` is not in the table of crate edges"]
        );
    }

    #[test]
    fn a_pure_crate_has_no_runtime() {
        let plan = member("controller-plan", vec![foreign("tokio", &[])]);
        assert_eq!(
            rules(&[plan]),
            ["the pure crate `controller-plan` uses `tokio`"]
        );
    }

    #[test]
    fn a_pure_crate_without_its_own_lints_is_reported() {
        let moved = Member {
            manifest: "elsewhere/Cargo.toml".to_owned(),
            ..member("api", vec![])
        };
        assert_eq!(
            rules(&[moved]),
            ["the pure crate `api` has no clippy.toml of its own"]
        );
    }

    #[test]
    fn a_pure_crate_uses_libraries_without_their_effects() {
        let derive = member("api", vec![foreign("kube", &["derive"])]);
        assert_eq!(rules(&[derive]), [""; 0]);
        let client = member("api", vec![foreign("kube", &["derive", "client"])]);
        assert_eq!(
            rules(&[client]),
            ["the pure crate `api` uses feature `client` of `kube`"]
        );
    }
}
