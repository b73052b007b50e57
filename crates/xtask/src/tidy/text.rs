//! Rules about lines of text.

use super::{
    tree::{Tree, is_rust},
    violation::Violation,
};

/// What is wrong with a line, and what to do.
type Finding = (&'static str, &'static str);

/// A test that is not run needs a reason.
const IGNORE: &str = concat!("#[", "ignore]");

/// Work that is left, in a comment or in code.
const LEFT: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];
const LEFT_IN_CODE: &str = concat!("to", "do!(");

/// Root tests inside a library would be compiled by no level.
const ROOT_TESTS: &str = concat!("feature = \"root-", "tests\"");

/// Starts of paths that exist on one person's machine only.
const HOMES: [&str; 4] = [
    concat!("/", "root/"),
    concat!("/", "home/"),
    concat!("/", "work/"),
    concat!("/", "Users/"),
];

/// Files that are not ours to word, or are made by tools.
const FOREIGN: [&str; 2] = ["Cargo.lock", "LICENSE"];

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    tree.files()
        .filter(|(path, _)| !FOREIGN.contains(path))
        .flat_map(|(path, text)| check_file(path, text))
        .collect()
}

fn check_file(path: &str, text: &str) -> Vec<Violation> {
    let rules: &[fn(&str) -> Option<Finding>] = if is_rust(path) {
        &[whitespace, ignored_test, lost_test, work_left, machine_path]
    } else {
        &[work_left, machine_path]
    };
    let mut violations = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let findings = rules.iter().filter_map(|rule| rule(line));
        violations
            .extend(findings.map(|(rule, remedy)| Violation::new(path, index + 1, rule, remedy)));
    }
    violations
}

fn whitespace(line: &str) -> Option<Finding> {
    let untidy = line.contains('\t') || line.ends_with(char::is_whitespace);
    untidy.then_some((
        "a tab or a space at the end",
        "run `cargo fmt`, or write `\\t`",
    ))
}

fn ignored_test(line: &str) -> Option<Finding> {
    line.contains(IGNORE).then_some((
        "a test is ignored without a reason",
        "write `#[ignore = \"why\"]`, or put it behind a feature",
    ))
}

fn lost_test(line: &str) -> Option<Finding> {
    line.contains(ROOT_TESTS).then_some((
        "a test that no level runs",
        "move it to a file in `tests/` whose `[[test]]` has `required-features`",
    ))
}

fn work_left(line: &str) -> Option<Finding> {
    let unnumbered = |word: &&str| {
        line.match_indices(*word).any(|(start, _)| {
            let before = line.get(..start).and_then(|text| text.chars().next_back());
            let after = line.get(start + word.len()..).unwrap_or_default();
            let is_word = !before.is_some_and(is_word_character)
                && !after.chars().next().is_some_and(is_word_character);
            is_word && !has_issue(after)
        })
    };
    let found = line.contains(LEFT_IN_CODE) || LEFT.iter().any(unnumbered);
    found.then_some((
        "work is left without an issue",
        "do it, or name the issue: `(#12)`",
    ))
}

/// `(#12)` follows.
fn has_issue(text: &str) -> bool {
    text.strip_prefix("(#")
        .and_then(|rest| rest.split_once(')'))
        .is_some_and(|(number, _)| number.parse::<u64>().is_ok())
}

fn machine_path(line: &str) -> Option<Finding> {
    let names = |home: &str| {
        line.match_indices(home).any(|(start, _)| {
            let before = line.get(..start).and_then(|text| text.chars().next_back());
            // `$x/home/`, `a/home/`, `}/home/`: a path below another one
            !before.is_some_and(|c| is_word_character(c) || ".}/".contains(c))
        })
    };
    HOMES.iter().any(|home| names(home)).then_some((
        "a path of one machine",
        "make it relative, or take it from the environment",
    ))
}

fn is_word_character(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_clean(line: &str) -> bool {
        check_file("a.rs", line).is_empty()
    }

    #[test]
    fn tabs_and_spaces_at_the_end_are_reported_with_their_line() {
        let violations = check_file("a.rs", "fn a() {}\n\tlet x;\nfn b() {} \n");
        let lines: Vec<usize> = violations.iter().map(|violation| violation.line).collect();
        assert_eq!(lines, [2, 3]);
    }

    #[test]
    fn tabs_are_allowed_where_the_format_wants_them() {
        assert!(check_file("Makefile", "all:\n\ttrue\n").is_empty());
    }

    #[test]
    fn an_ignored_test_needs_a_reason() {
        assert!(!is_clean(IGNORE));
        assert!(is_clean("#[ignore = \"needs 10 minutes\"]"));
    }

    #[test]
    fn a_root_test_inside_a_library_is_reported() {
        assert!(!is_clean(&format!("#[cfg({ROOT_TESTS})]")));
        assert!(is_clean("#[cfg(feature = \"client\")]"));
    }

    #[test]
    fn work_that_is_left_needs_the_number_of_an_issue() {
        for word in LEFT {
            assert!(!is_clean(&format!("// {word}: later")));
            assert!(!is_clean(&format!("// {word}(me): later")));
            assert!(is_clean(&format!("// {word}(#12): later")));
            assert!(is_clean(&format!("const {word}S: u8 = 1;")));
        }
        assert!(!is_clean(&format!("{LEFT_IN_CODE})")));
    }

    #[test]
    fn a_path_of_one_machine_is_reported() {
        for home in HOMES {
            assert!(!is_clean(&format!("let x = \"{home}me\";")));
            assert!(is_clean(&format!("let x = \"trixie{home}me\";")));
        }
    }
}
