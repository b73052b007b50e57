//! Generated files say so in their first lines, and no other file does.

use super::{tree::Tree, violation::Violation};
use crate::codegen::{MARK, is_generated_path};

/// A mark counts only here, so that prose may speak of it.
const HEAD_LINES: usize = 8;

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    tree.files()
        .filter_map(|(path, text)| {
            let marked = text
                .lines()
                .take(HEAD_LINES)
                .any(|line| line.contains(MARK));
            match (is_generated_path(path), marked) {
                (true, false) => Some(Violation::new(
                    path,
                    1,
                    "a file among the generated ones without their mark",
                    "generate it in crates/xtask/src/codegen.rs, or move it",
                )),
                (false, true) => Some(Violation::new(
                    path,
                    1,
                    "a file with the mark of generated ones that nothing generates",
                    "remove it, or add its folder to crates/xtask/src/codegen.rs",
                )),
                (true, true) | (false, false) => None,
            }
        })
        .collect()
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
    fn marked_files_in_their_place_are_accepted() {
        let marked = format!("//! Rows.\n//! {MARK}\n");
        assert_eq!(
            places([
                ("crates/ovn/src/gen/nb.rs", &marked),
                ("a.rs", "//! By hand.")
            ]),
            [""; 0]
        );
    }

    #[test]
    fn a_handwritten_file_among_the_generated_is_reported() {
        assert_eq!(
            places([("crates/ovn/src/gen/x.rs", "//! By hand.")]),
            ["crates/ovn/src/gen/x.rs"]
        );
    }

    #[test]
    fn a_mark_outside_the_generated_places_is_reported() {
        assert_eq!(
            places([("crates/ovn/src/row.rs", MARK)]),
            ["crates/ovn/src/row.rs"]
        );
    }
}
