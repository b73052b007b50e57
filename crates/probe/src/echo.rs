//! ICMP echo requests and answers (RFC 792, RFC 4443) on a socket.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use model::IpFamily;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use tokio::net::UdpSocket;

/// More than an answer of ours, with the header of its packet, can be long.
const LONGEST: usize = 256;
/// Any: no packet is sent there.
const PORT: u16 = 9;

/// A socket for the requests of one family.
#[derive(Debug)]
pub(crate) struct Echo {
    /// Of ICMP, which the runtime serves as it does UDP.
    socket: UdpSocket,
    family: IpFamily,
    kind: Kind,
    /// What tells our requests from those of other processes.
    identifier: u16,
}

/// Who sorts the answers of several processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The kernel, which needs no privilege: where `net.ipv4.ping_group_range` has our group.
    Datagram,
    /// We do.
    Raw,
}

/// An answer to a request of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) from: IpAddr,
    pub(crate) sequence: u16,
}

/// The host's own address in packets to `address`; `None` without a way there. Nothing is sent.
pub fn own_address_towards(address: IpAddr) -> Option<IpAddr> {
    let any = match IpFamily::of(address) {
        IpFamily::V4 => IpAddr::from([0; 4]),
        IpFamily::V6 => IpAddr::from([0; 16]),
    };
    let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
    socket.connect((address, PORT)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

// === impl Echo ===

impl Echo {
    /// # Errors
    /// When neither kind of socket is allowed, or the host knows no such family.
    pub(crate) fn open(family: IpFamily, identifier: u16) -> io::Result<Self> {
        let of_kind = |kind| {
            Ok(Self {
                socket: open(family, kind)?,
                family,
                kind,
                identifier,
            })
        };
        of_kind(Kind::Datagram).or_else(|_refused: io::Error| of_kind(Kind::Raw))
    }

    /// # Errors
    /// Such as when there is no way to the address.
    pub(crate) async fn send(&self, to: IpAddr, sequence: u16) -> io::Result<()> {
        let packet = request(self.family, self.identifier, sequence);
        let sent = self.socket.send_to(&packet, SocketAddr::new(to, 0)).await;
        sent.map(drop)
    }

    /// The next answer to a request of ours.
    ///
    /// # Errors
    /// When the socket fails.
    pub(crate) async fn receive(&self) -> io::Result<Answer> {
        let mut buffer = [0; LONGEST];
        loop {
            let (length, from) = self.socket.recv_from(&mut buffer).await?;
            let packet = buffer.get(..length).unwrap_or_default();
            if let Some(sequence) = self.answered(packet) {
                let from = from.ip();
                return Ok(Answer { from, sequence });
            }
        }
    }

    fn answered(&self, packet: &[u8]) -> Option<u16> {
        let message = match (self.family, self.kind) {
            (IpFamily::V4, Kind::Raw) => packet.get(header_length(packet)?..)?,
            (IpFamily::V4, Kind::Datagram) | (IpFamily::V6, Kind::Raw | Kind::Datagram) => packet,
        };
        let (identifier, sequence) = parse_answer(self.family, message)?;
        let is_ours = match self.kind {
            Kind::Datagram => true,
            Kind::Raw => identifier == self.identifier,
        };
        is_ours.then_some(sequence)
    }
}

fn open(family: IpFamily, kind: Kind) -> io::Result<UdpSocket> {
    let (domain, protocol) = match family {
        IpFamily::V4 => (AddressFamily::Inet, SockProtocol::Icmp),
        IpFamily::V6 => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    let kind = match kind {
        Kind::Datagram => SockType::Datagram,
        Kind::Raw => SockType::Raw,
    };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(domain, kind, flags, protocol)?;
    UdpSocket::from_std(socket.into())
}

/// The kernel writes the checksum of ICMPv6, and the identifier of a datagram socket.
fn request(family: IpFamily, identifier: u16, sequence: u16) -> Vec<u8> {
    let kind: u16 = match family {
        IpFamily::V4 => 8 << 8,
        IpFamily::V6 => 128 << 8,
    };
    let checksum = match family {
        IpFamily::V4 => checksum([kind, identifier, sequence]),
        IpFamily::V6 => 0,
    };
    let words = [kind, checksum, identifier, sequence];
    words.into_iter().flat_map(u16::to_be_bytes).collect()
}

/// Of words in the order of the network (RFC 1071).
fn checksum(words: [u16; 3]) -> u16 {
    let add = |sum: u16, word: u16| {
        let (sum, carried) = sum.overflowing_add(word);
        sum + u16::from(carried)
    };
    !words.into_iter().fold(0, add)
}

/// Identifier and sequence number of an echo reply.
fn parse_answer(family: IpFamily, message: &[u8]) -> Option<(u16, u16)> {
    let kind: u16 = match family {
        IpFamily::V4 => 0,
        IpFamily::V6 => 129 << 8,
    };
    let word = |place| {
        let (bytes, _) = message.get(place..)?.split_first_chunk()?;
        Some(u16::from_be_bytes(*bytes))
    };
    (word(0)? == kind).then_some((word(4)?, word(6)?))
}

/// Of an IPv4 packet.
fn header_length(packet: &[u8]) -> Option<usize> {
    Some(usize::from(packet.first()? & 0x0f) * 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_what_the_standard_says() {
        let v6 = request(IpFamily::V6, 1, 2);
        assert_eq!(v6, [128, 0, 0, 0, 0, 1, 0, 2]);
        let v4 = request(IpFamily::V4, 0xfffe, 0x1234);
        // type, code; the sum of all words with the checksum is all ones
        assert_eq!(
            (&v4[..2], &v4[4..]),
            (&[8, 0][..], &[0xff, 0xfe, 0x12, 0x34][..])
        );
        let words = v4
            .chunks(2)
            .map(|it| u32::from(it[0]) << 8 | u32::from(it[1]));
        let sum: u32 = words.sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    }

    #[test]
    fn only_whole_echo_replies_are_answers() {
        let v4 = |message: &[u8]| parse_answer(IpFamily::V4, message);
        assert_eq!(v4(&[0, 0, 9, 9, 0, 7, 1, 0]), Some((7, 256)));
        assert_eq!(v4(&[8, 0, 9, 9, 0, 7, 1, 0]), None, "a request");
        assert_eq!(v4(&[3, 1, 9, 9, 0, 7, 1, 0]), None, "unreachable");
        assert_eq!(v4(&[0, 0, 9, 9, 0, 7, 1]), None, "cut short");
        let v6 = parse_answer(IpFamily::V6, &[129, 0, 9, 9, 0, 7, 0, 1, 5]);
        assert_eq!(v6, Some((7, 1)));
    }

    #[test]
    fn the_way_to_this_host_is_by_its_own_address() {
        let here = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(own_address_towards(here), Some(here));
    }
}
