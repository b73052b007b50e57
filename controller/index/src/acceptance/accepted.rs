//! What a subnet was accepted with.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use model::{CidrPair, DualStack, VpcName};

/// The network that a subnet was accepted with, as recorded in the annotation
/// `api::annotation::ACCEPTED`: `<vpc> <cidrs> <gateways> <provider> <uid>`. Without the last, or the
/// last two, it is of an earlier release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub vpc: VpcName,
    pub cidrs: CidrPair,
    pub gateways: DualStack<IpAddr>,
    pub provider: Option<String>,
    /// The UID of the subnet that it is of.
    pub uid: Option<String>,
}

// === impl Accepted ===

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.vpc, self.cidrs, self.gateways)?;
        let words = [&self.provider, &self.uid].into_iter().flatten();
        words.into_iter().try_for_each(|word| write!(f, " {word}"))
    }
}

/// The text is no such record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `<vpc> <cidrs> <gateways> <provider> <uid>`")]
pub struct InvalidAccepted(String);

impl FromStr for Accepted {
    type Err = InvalidAccepted;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidAccepted(text.to_owned());
        let mut words = text.split_whitespace();
        let mut word = || words.next().ok_or_else(invalid);
        let (vpc, cidrs, gateways) = (word()?, word()?, word()?);
        Ok(Self {
            vpc: vpc.parse().ok().ok_or_else(invalid)?,
            cidrs: cidrs.parse().ok().ok_or_else(invalid)?,
            gateways: gateways.parse().ok().ok_or_else(invalid)?,
            provider: words.next().map(str::to_owned),
            uid: words.next().map(str::to_owned),
        })
    }
}
