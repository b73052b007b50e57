//! Log lines of a child become ours, with their level.

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// Passes lines on until the child closes its end.
pub(crate) async fn forward(program: &'static str, output: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        log(program, &String::from_utf8_lossy(&line));
    }
}

fn log(program: &'static str, line: &str) {
    let (level, message) = split(line);
    match level {
        Level::Error => tracing::error!(program, message),
        Level::Warning => tracing::warn!(program, message),
        Level::Information => tracing::info!(program, message),
        Level::Debug => tracing::debug!(program, message),
    }
}

/// The levels of ovs-appctl(8) that we tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
    Information,
    Debug,
}

/// Takes the level off `LEVEL|module|text`. What is not of this form is worth knowing: it comes
/// from before the program read its options, or from its libraries.
fn split(line: &str) -> (Level, &str) {
    match line.split_once('|') {
        Some(("EMER" | "ERR", rest)) => (Level::Error, rest),
        Some(("WARN", rest)) => (Level::Warning, rest),
        Some(("INFO", rest)) => (Level::Information, rest),
        Some(("DBG", rest)) => (Level::Debug, rest),
        Some(_) | None => (Level::Warning, line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_taken_off_a_line() {
        assert_eq!(
            split("INFO|raft|term 1: starting election"),
            (Level::Information, "raft|term 1: starting election")
        );
        assert_eq!(split("EMER|lib|x").0, Level::Error);
    }

    #[test]
    fn a_line_of_another_form_is_kept_whole() {
        let line = "ovsdb-server: unknown option|x";
        assert_eq!(split(line), (Level::Warning, line));
    }
}
