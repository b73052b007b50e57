//! Errors with their chain of causes.

use std::{error::Error, fmt};

/// Prints an error and its causes, joined by `: `, for the one place where it is logged.
///
/// ```
/// let error = "no-number".parse::<u8>().unwrap_err();
/// assert_eq!(kit::error::Chain(&error).to_string(), "invalid digit found in string");
/// ```
#[derive(Debug)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
