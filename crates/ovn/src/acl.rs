//! What an ACL says beside its match (ovn-nb(5), table `ACL`).

use std::fmt;
use std::str::FromStr;

use model::name;

/// The action that lets a packet through, and what belongs to its connection.
pub const ALLOW_RELATED: &str = "allow-related";
/// The action that drops without an answer.
pub const DROP: &str = "drop";
/// The severity of what is logged.
pub const WARNING: &str = "warning";
/// The longest name that the schema takes.
const LONGEST_NAME: usize = 63;

/// Where in the pipeline of a switch a packet is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Where it enters the switch, before load balancing: what pods send.
    FromLport,
    /// Where it leaves the switch: what pods get. `inport` must not be matched here, since VXLAN
    /// does not carry it.
    ToLport,
}

/// The text is no direction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither from-lport nor to-lport")]
pub struct InvalidDirection(String);

/// The name of an ACL, by which what it logs is found.
pub fn log_name(text: impl Into<String>) -> Option<String> {
    Some(name::shortened(text.into(), LONGEST_NAME))
}

// === impl Direction ===

impl Direction {
    /// The value of the column `direction`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FromLport => "from-lport",
            Self::ToLport => "to-lport",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Direction {
    type Err = InvalidDirection;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::FromLport, Self::ToLport];
        let mut all = all.into_iter();
        all.find(|it| it.name() == text)
            .ok_or_else(|| InvalidDirection(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_7_6_11_a_name_has_63_characters_at_most_and_long_ones_stay_apart() {
        let fits = "x".repeat(63);
        assert_eq!(log_name(fits.clone()), Some(fits));
        let name = |end: &str| log_name("x".repeat(70) + end).unwrap();
        assert_eq!(name("a").len(), 63);
        assert_ne!(name("a"), name("b"));
    }

    #[test]
    fn a_direction_is_read_as_it_is_written() {
        for direction in [Direction::FromLport, Direction::ToLport] {
            assert_eq!(direction.to_string().parse(), Ok(direction));
        }
        assert!("inport".parse::<Direction>().is_err());
    }
}
