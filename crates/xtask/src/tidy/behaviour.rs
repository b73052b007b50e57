//! The table of behaviours names a test for each, and each test that it names is there.
//!
//! The last cell of a row holds paths and, after each, the tests in that file, all in backticks. A
//! scenario (`.txt`) is a test by itself.

use std::{ffi::OsStr, path::Path};

use super::{tree::Tree, violation::Violation};

const DOCUMENT: &str = "docs/behaviour.md";

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let Some(text) = tree.get(DOCUMENT) else {
        let rule = "the table of behaviours is missing";
        return vec![Violation::new(DOCUMENT, 1, rule, "write it")];
    };
    let mut violations = Vec::new();
    let mut is_body = false;
    for (index, line) in text.lines().enumerate() {
        is_body = line.starts_with('|') && (is_body || is_separator(line));
        if is_body && !is_separator(line) {
            let found = check_row(tree, line);
            violations.extend(found.map(|(rule, remedy)| {
                let line = index + 1;
                Violation::new(DOCUMENT, line, rule, remedy)
            }));
        }
    }
    violations
}

/// The line between the names of the columns and the rows.
fn is_separator(line: &str) -> bool {
    let mut marks = line.chars().filter(|it| !it.is_whitespace());
    line.contains('-') && marks.all(|it| "|-:".contains(it))
}

/// What is wrong with a row, and what to do.
fn check_row(tree: &Tree, line: &str) -> Option<(String, &'static str)> {
    let cells = line.trim_end().trim_end_matches('|');
    let cell = cells.rsplit('|').next().unwrap_or_default();
    let mut file: Option<(&str, &str)> = None;
    let mut tests = 0_usize;
    for word in cell.split('`').skip(1).step_by(2) {
        if word.contains('/') {
            let Some(text) = tree.get(word) else {
                return Some((format!("there is no file {word}"), "name the one that is"));
            };
            file = Some((word, text));
            tests += usize::from(is_scenario(word));
        } else if let Some((path, text)) = file {
            if !has_test(text, word) {
                let rule = format!("{path} has no test {word}");
                return Some((rule, "name the test that proves the behaviour, or write it"));
            }
            tests += 1;
        } else {
            let rule = format!("the test {word} has no path before it");
            return Some((rule, "write `<path>` `<test>`"));
        }
    }
    (tests == 0).then(|| {
        let rule = "a behaviour without a test".to_owned();
        (rule, "name one, or move it to what is not there yet")
    })
}

fn is_scenario(path: &str) -> bool {
    Path::new(path).extension() == Some(OsStr::new("txt"))
}

/// Whether the function is there, with the attribute of a test before it.
fn has_test(text: &str, name: &str) -> bool {
    let head = format!("fn {name}(");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let places = lines.iter().enumerate();
    let mut places = places.filter(|(_, line)| line.contains(&head));
    places.any(|(place, _)| {
        let before = lines.get(..place).unwrap_or_default().iter().rev();
        let mut before = before.take_while(|line| !line.is_empty());
        before.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TESTS: &str = "#[test]\nfn it_holds() {}\n\n#[tokio::test(start_paused = true)]\n\
                         async fn it_waits() {}\n\nfn helper() {}\n";

    /// What is said of a document with that row, and of which line.
    fn said(row: &str) -> Vec<String> {
        let text = format!("# Behaviour\n\n| what holds | test |\n| --- | --- |\n{row}\n\nEnd.\n");
        let tree = Tree::from([
            (DOCUMENT, text.as_str()),
            ("a/tests/b.rs", TESTS),
            ("a/tests/c.txt", "# Rows"),
        ]);
        let all = check(&tree).into_iter();
        all.map(|it| format!("{}: {}", it.line, it.rule)).collect()
    }

    #[test]
    fn rows_whose_tests_are_there_are_accepted() {
        for row in [
            "| it holds | `a/tests/b.rs` `it_holds`, `it_waits` |",
            "| it holds | `a/tests/c.txt` |",
            "| `x` is `y` | `a/tests/b.rs` `it_holds`; `a/tests/c.txt` |",
        ] {
            assert_eq!(said(row), [""; 0]);
        }
    }

    #[test]
    fn a_row_is_reported_that_names_no_test_or_one_that_is_not_there() {
        for (row, rule) in [
            ("| it holds | |", "a behaviour without a test"),
            (
                "| it holds | `a/tests/b.rs` |",
                "a behaviour without a test",
            ),
            (
                "| it holds | `it_holds` |",
                "the test it_holds has no path before it",
            ),
            (
                "| it holds | `a/tests/d.rs` `it_holds` |",
                "there is no file a/tests/d.rs",
            ),
            (
                "| it holds | `a/tests/b.rs` `it_held` |",
                "a/tests/b.rs has no test it_held",
            ),
            (
                "| it holds | `a/tests/b.rs` `holds` |",
                "a/tests/b.rs has no test holds",
            ),
            (
                "| it holds | `a/tests/b.rs` `helper` |",
                "a/tests/b.rs has no test helper",
            ),
        ] {
            assert_eq!(said(row), [format!("5: {rule}")], "{row}");
        }
    }

    #[test]
    fn without_the_document_there_is_a_violation() {
        assert_eq!(check(&Tree::default()).len(), 1);
    }
}
