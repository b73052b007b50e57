//! How much of a packet the tunnel takes.

use std::str::FromStr;

use model::IpFamily;

/// How packets between nodes are wrapped (ovn-controller(8), `ovn-encap-type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encapsulation {
    Geneve,
    Vxlan,
    Stt,
}

/// The text names no encapsulation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("encapsulation `{0}` is not known; set `ovn-encap-type` to `geneve`, `vxlan` or `stt`")]
pub struct UnknownEncapsulation(String);

// === impl Encapsulation ===

impl Encapsulation {
    /// Bytes of an outer IPv6 header beyond those of an IPv4 one.
    const IPV6_EXTRA: u32 = 20;

    /// Bytes that the tunnel adds to a packet whose outer header is IPv4: Ethernet (14), IPv4 (20),
    /// UDP (8) and VXLAN (8), or Geneve with room for the options OVN may add, or STT over TCP.
    const fn overhead_over_ipv4(self) -> u32 {
        match self {
            Self::Geneve => 100,
            Self::Vxlan => 50,
            Self::Stt => 72,
        }
    }

    /// The port that nodes listen on for wrapped packets; `None` where they are not UDP.
    pub const fn udp_port(self) -> Option<u16> {
        match self {
            Self::Geneve => Some(6081),
            Self::Vxlan => Some(4789),
            Self::Stt => None,
        }
    }

    /// The MTU of pods and `ovn0`, in bytes, where the tunnel runs over a link of `link_mtu` between
    /// addresses of `family`.
    pub fn mtu(self, link_mtu: u32, family: IpFamily) -> u32 {
        let extra = match family {
            IpFamily::V4 => 0,
            IpFamily::V6 => Self::IPV6_EXTRA,
        };
        link_mtu.saturating_sub(self.overhead_over_ipv4() + extra)
    }
}

impl FromStr for Encapsulation {
    type Err = UnknownEncapsulation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "geneve" => Ok(Self::Geneve),
            "vxlan" => Ok(Self::Vxlan),
            "stt" => Ok(Self::Stt),
            other => Err(UnknownEncapsulation(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tunnel_header_is_taken_from_the_link() {
        assert_eq!(Encapsulation::Geneve.mtu(1500, IpFamily::V4), 1400);
        assert_eq!(Encapsulation::Vxlan.mtu(1500, IpFamily::V4), 1450);
        assert_eq!(Encapsulation::Stt.mtu(9000, IpFamily::V4), 8928);
    }

    #[test]
    fn an_ipv6_tunnel_takes_20_bytes_more() {
        assert_eq!(Encapsulation::Geneve.mtu(1500, IpFamily::V6), 1380);
    }

    #[test]
    fn a_tiny_link_gives_no_negative_mtu() {
        assert_eq!(Encapsulation::Geneve.mtu(68, IpFamily::V6), 0);
    }
}
