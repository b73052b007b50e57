//! Bandwidths.

use std::fmt;
use std::str::FromStr;

/// A bandwidth: a whole number of Mbit/s, at least 1 and at most 4294967, which is the most that OVN
/// can express in kbit/s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u32);

/// The text is no bandwidth.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write a whole number of Mbit/s, such as 100, and at most {MOST}")]
pub struct InvalidRate;

const MOST: u32 = 4_294_967;

// === impl Rate ===

impl Rate {
    /// `None` for 0, which means that there is no limit.
    ///
    /// # Errors
    /// It is no whole number, or more than 4294967.
    pub fn limit(text: &str) -> Result<Option<Self>, InvalidRate> {
        let rate = text.trim().parse::<u32>();
        let rate = rate.ok().filter(|rate| *rate <= MOST);
        let rate = rate.ok_or(InvalidRate)?;
        Ok((rate > 0).then_some(Self(rate)))
    }

    pub fn kilobits(self) -> i64 {
        i64::from(self.0) * 1000
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::limit(text)?.ok_or(InvalidRate)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_whole_number_and_zero_is_none() {
        let limit = |text| Rate::limit(text).map(|it| it.map(Rate::kilobits));
        assert_eq!(limit("20"), Ok(Some(20_000)));
        assert_eq!(limit(" 1 "), Ok(Some(1000)));
        assert_eq!(limit("0"), Ok(None));
        assert_eq!(limit("4294967"), Ok(Some(4_294_967_000)));
        for text in ["", "-1", "1.5", "10M", "4294968", "99999999999"] {
            assert_eq!(limit(text), Err(InvalidRate), "{text}");
        }
    }
}
