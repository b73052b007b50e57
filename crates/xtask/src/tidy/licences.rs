//! Whose code we ship: licences of every package in the lock file, and packages that must not be
//! in it.

use cargo_metadata::Metadata;

use super::violation::Violation;

/// Licences that a dependency may have (SPDX).
const ALLOWED: [&str; 8] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-3-Clause",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

/// Packages that must not come in, and why.
const BANNED: [(&str, &str); 3] = [
    (
        "aws-lc-rs",
        "two cryptographic providers in one process make rustls panic; use ring",
    ),
    (
        "aws-lc-sys",
        "two cryptographic providers in one process make rustls panic; use ring",
    ),
    (
        "openssl-sys",
        "a C library that the static shim cannot link; use rustls with ring",
    ),
];

const LOCK: &str = "Cargo.lock";

/// A package in the lock file.
#[derive(Debug, Clone)]
pub(crate) struct Locked {
    name: String,
    version: String,
    licence: Option<String>,
}

pub(crate) fn packages(metadata: &Metadata) -> Vec<Locked> {
    metadata
        .packages
        .iter()
        .map(|package| Locked {
            name: package.name.to_string(),
            version: package.version.to_string(),
            licence: package.license.clone(),
        })
        .collect()
}

pub(crate) fn check(packages: &[Locked]) -> Vec<Violation> {
    let banned = packages.iter().filter_map(check_ban);
    banned
        .chain(packages.iter().filter_map(check_licence))
        .collect()
}

fn check_ban(package: &Locked) -> Option<Violation> {
    let (name, why) = BANNED.iter().find(|(name, _)| *name == package.name)?;
    let remedy = format!("{why} (`cargo tree -i {name}` shows who brings it)");
    Some(Violation::new(
        LOCK,
        1,
        format!("`{name}` is banned"),
        &remedy,
    ))
}

fn check_licence(package: &Locked) -> Option<Violation> {
    let licence = package.licence.as_deref().unwrap_or("none");
    if is_allowed(licence) {
        return None;
    }
    let Locked { name, version, .. } = package;
    Some(Violation::new(
        LOCK,
        1,
        format!("`{name}` {version} has licence {licence}"),
        "choose another package, or allow the licence in crates/xtask/src/tidy/licences.rs",
    ))
}

/// Evaluates an SPDX expression; `/` is the old spelling of `OR`.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let (allowed, rest) = either(&tokens);
    allowed && rest.is_empty()
}

/// `a OR b`
fn either<'a, 't>(tokens: &'a [&'t str]) -> (bool, &'a [&'t str]) {
    let (mut allowed, mut rest) = both(tokens);
    while let ["OR", tail @ ..] = rest {
        let (right, after) = both(tail);
        allowed |= right;
        rest = after;
    }
    (allowed, rest)
}

/// `a AND b`, which binds more tightly
fn both<'a, 't>(tokens: &'a [&'t str]) -> (bool, &'a [&'t str]) {
    let (mut allowed, mut rest) = single(tokens);
    while let ["AND", tail @ ..] = rest {
        let (right, after) = single(tail);
        allowed &= right;
        rest = after;
    }
    (allowed, rest)
}

/// A name, a name with an exception, or an expression in parentheses.
fn single<'a, 't>(tokens: &'a [&'t str]) -> (bool, &'a [&'t str]) {
    match tokens {
        ["(", inner @ ..] => match either(inner) {
            (allowed, [")", rest @ ..]) => (allowed, rest),
            (_, rest) => (false, rest),
        },
        [name, "WITH", exception, rest @ ..] => (
            ALLOWED.contains(&format!("{name} WITH {exception}").as_str()),
            rest,
        ),
        [name, rest @ ..] => (ALLOWED.contains(name), rest),
        [] => (false, tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(name: &str, licence: Option<&str>) -> Locked {
        Locked {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: licence.map(str::to_owned),
        }
    }

    #[test]
    fn one_allowed_alternative_is_enough() {
        assert!(is_allowed("MIT OR LGPL-2.1-or-later"));
        assert!(is_allowed("Unlicense/MIT"));
    }

    #[test]
    fn every_part_of_a_conjunction_is_needed() {
        assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(!is_allowed("(MIT OR Apache-2.0) AND GPL-3.0-only"));
    }

    #[test]
    fn an_exception_belongs_to_its_licence() {
        assert!(is_allowed("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only"));
        assert!(!is_allowed("GPL-2.0-only WITH Classpath-exception-2.0"));
    }

    #[test]
    fn broken_expressions_are_not_allowed() {
        for broken in ["", "(MIT", "MIT MIT", ")", "AND"] {
            assert!(!is_allowed(broken), "{broken}");
        }
    }

    #[test]
    fn a_package_without_a_licence_is_reported() {
        let rules: Vec<String> = check(&[locked("a", None)])
            .into_iter()
            .map(|violation| violation.rule)
            .collect();
        assert_eq!(rules, ["`a` 1.0.0 has licence none"]);
    }

    #[test]
    fn a_banned_package_is_reported_whatever_its_licence() {
        let violations = check(&[locked("openssl-sys", Some("MIT"))]);
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].rule, "`openssl-sys` is banned");
    }
}
