//! Codes and constructors of [`CniError`].

use std::error::Error;

use crate::cni::{NEWEST, v1::CniError};

/// Error codes of the CNI specification 1.1, section 5, "Error".
impl CniError {
    /// The version of the configuration is not supported.
    pub const INCOMPATIBLE_VERSION: u32 = 1;
    /// A field of the configuration is not supported; the message names it and its value.
    pub const UNSUPPORTED_FIELD: u32 = 2;
    /// The container is unknown or does not exist; the runtime need not call DEL.
    pub const UNKNOWN_CONTAINER: u32 = 3;
    /// A variable of the environment is missing or wrong; the message names it.
    pub const INVALID_ENVIRONMENT: u32 = 4;
    /// Reading, writing or talking failed.
    pub const IO: u32 = 5;
    /// What was read makes no sense.
    pub const DECODE: u32 = 6;
    /// The configuration is well formed and wrong.
    pub const INVALID_CONFIG: u32 = 7;
    /// The failure is transient: the runtime should try again.
    pub const TRY_AGAIN: u32 = 11;
    /// Of STATUS: no ADD can be served.
    pub const UNAVAILABLE: u32 = 50;
    /// Of STATUS: no ADD can be served, and containers have limited connectivity.
    pub const UNAVAILABLE_LIMITED: u32 = 51;
}

impl CniError {
    /// An error without details, in our newest version.
    pub fn new(code: u32, msg: impl Into<String>) -> Self {
        Self {
            code,
            msg: msg.into(),
            details: String::new(),
            cni_version: NEWEST.to_owned(),
        }
    }

    /// The same error in another version, that of the configuration.
    pub fn in_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.cni_version);
        self
    }

    /// An error with the chain of its causes as details.
    pub fn because(code: u32, msg: impl Into<String>, cause: &(dyn Error + 'static)) -> Self {
        let mut details = cause.to_string();
        let mut next = cause.source();
        while let Some(error) = next {
            details.extend([": ", &error.to_string()]);
            next = error.source();
        }
        Self {
            details,
            ..Self::new(code, msg)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::ParseIntError;

    use super::*;

    #[derive(Debug)]
    struct Outer(ParseIntError);

    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("no MTU")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn the_details_are_the_whole_chain_of_causes() {
        let cause = Outer("x".parse::<u8>().unwrap_err());
        let error = CniError::because(CniError::INVALID_CONFIG, "mtu is `x`", &cause);
        assert_eq!(error.code, 7);
        assert_eq!(error.details, "no MTU: invalid digit found in string");
    }
}
