//! What the person at the terminal sees; the only module that prints.

/// One line of result, on standard output.
#[expect(
    clippy::print_stdout,
    reason = "a command line tool answers on standard output"
)]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// One line about a failure, on standard error.
#[expect(
    clippy::print_stderr,
    reason = "a command line tool complains on standard error"
)]
pub(crate) fn complain(line: &str) {
    eprintln!("{line}");
}
