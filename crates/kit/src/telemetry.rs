//! Log lines on standard error.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{
    filter::{EnvFilter, ParseError},
    util::TryInitError,
};

use crate::args::{LogArgs, LogFormat};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The directives do not parse.
    #[error(
        "`{directives}` is not a log filter; write a level or directives such as `info,ovsdb=debug`"
    )]
    Filter {
        directives: String,
        source: ParseError,
    },
    /// Something else in the process logs already.
    #[error("logging is set up twice")]
    Twice(#[from] TryInitError),
}

/// Makes tracing events log lines, for the whole process and its remaining life.
///
/// # Errors
/// When the filter does not parse, and when it is called twice.
pub fn init(args: &LogArgs) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt as _;

    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&args.log_filter)?)
        .with_ansi(io::stderr().is_terminal())
        // Who reads the log may go away. Complaining about that would panic.
        .log_internal_errors(false)
        .with_writer(io::stderr);
    match args.log_format {
        LogFormat::Text => builder.finish().try_init()?,
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}

fn filter(directives: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(directives).map_err(|source| TelemetryError::Filter {
        directives: directives.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_is_quoted_in_the_error() {
        let error = filter("info,ovsdb=loud").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("`info,ovsdb=loud` is not a log filter")
        );
    }

    #[test]
    fn levels_and_directives_are_filters() {
        for directives in ["info", "warn,ovsdb=debug", ""] {
            assert!(filter(directives).is_ok(), "{directives}");
        }
    }
}
