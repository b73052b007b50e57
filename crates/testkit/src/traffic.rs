//! Do packets flow? Ping, TCP and UDP between two namespaces.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use model::IpFamily;

use crate::netns::Netns;

/// The size of a TCP transfer that needs many full segments, in bytes.
pub const LARGE: usize = 10_000_000;
/// The size of a TCP transfer that fits into one segment, in bytes.
pub const SMALL: usize = 500;

const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
const DATAGRAM_DEADLINE: Duration = Duration::from_secs(2);
/// Without progress for so long a transfer has failed.
const STALL: Duration = Duration::from_secs(5);

/// What `ping` counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echoes {
    /// Requests with an answer.
    pub received: usize,
    /// Second answers to one request.
    pub duplicates: usize,
}

/// Pings three times, 0.2 s apart; an answer may take one second.
///
/// # Errors
/// `ping` cannot be run.
pub fn ping(from: &Netns, to: IpAddr) -> Result<Echoes> {
    let finished = from
        .command("ping")
        .args(["-n", "-c", "3", "-i", "0.2", "-W", "1", &to.to_string()])
        .finish()?;
    let answers = finished
        .stdout
        .lines()
        .filter(|line| line.contains("bytes from"));
    let (duplicates, first): (Vec<_>, Vec<_>) = answers.partition(|line| line.contains("DUP!"));
    Ok(Echoes {
        received: first.len(),
        duplicates: duplicates.len(),
    })
}

/// Pings until one of the requests is answered; at most `deadline`.
///
/// # Errors
/// No answer.
pub async fn wait_for_ping(from: &Netns, to: IpAddr, deadline: Duration) -> Result<()> {
    let what = format!("{} is answered by {to}", from.name());
    crate::wait_until(&what, deadline, async || {
        let ping = from
            .command("ping")
            .args(["-n", "-c", "1", "-W", "1", &to.to_string()]);
        ping.read().map(drop)
    })
    .await
}

/// Sends `bytes` over one TCP connection from `client` to `address`, which `server` listens on,
/// and checks that they all arrived unchanged.
///
/// # Errors
/// No connection, a stall of five seconds, or other bytes than were sent.
pub fn tcp(client: &Netns, server: &Netns, address: IpAddr, bytes: usize) -> Result<()> {
    let listener = listen(server, IpFamily::of(address))?;
    let port = listener.local_addr()?.port();
    tcp_to(client, &listener, SocketAddr::new(address, port), bytes)
}

/// A listener in a namespace, on every address of a family and a free port.
///
/// # Errors
/// The namespace has no such family.
pub fn listen(netns: &Netns, family: IpFamily) -> Result<TcpListener> {
    netns.run(|| TcpListener::bind((any(family), 0)).context("cannot listen"))
}

/// A UDP socket in a namespace, on every address of a family and a free port.
///
/// # Errors
/// The namespace has no such family.
pub fn listen_udp(netns: &Netns, family: IpFamily) -> Result<UdpSocket> {
    netns.run(|| UdpSocket::bind((any(family), 0)).context("cannot listen"))
}

fn any(family: IpFamily) -> IpAddr {
    match family {
        IpFamily::V4 => Ipv4Addr::UNSPECIFIED.into(),
        IpFamily::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Sends a datagram from `client` to `address`, such as a VIP of the `server` socket, and has it
/// answered from there.
///
/// # Errors
/// No datagram, or no answer that seems to come from `address`, within two seconds.
pub fn udp_to(client: &Netns, server: &UdpSocket, address: SocketAddr) -> Result<()> {
    let socket = listen_udp(client, IpFamily::of(address.ip()))?;
    let mut buffer = [0; 16];
    socket.set_read_timeout(Some(DATAGRAM_DEADLINE))?;
    server.set_read_timeout(Some(DATAGRAM_DEADLINE))?;
    socket.connect(address)?;
    socket
        .send(b"question")
        .with_context(|| format!("{} cannot send to {address}", client.name()))?;
    let (_length, peer) = server
        .recv_from(&mut buffer)
        .with_context(|| format!("no datagram to {address} arrived"))?;
    server.send_to(b"answer", peer)?;
    let length = socket
        .recv(&mut buffer)
        .with_context(|| format!("no answer came from {address}"))?;
    ensure!(length == b"answer".len(), "another answer came");
    Ok(())
}

/// Like [`tcp`], to an address that need not be the listener's own, such as a VIP.
///
/// # Errors
/// As [`tcp`].
pub fn tcp_to(
    client: &Netns,
    listener: &TcpListener,
    address: SocketAddr,
    bytes: usize,
) -> Result<()> {
    let mut stream = client
        .run(|| Ok(TcpStream::connect_timeout(&address, CONNECT_DEADLINE)?))
        .with_context(|| format!("{} cannot connect to {address}", client.name()))?;
    let sent: Vec<u8> = (0..=u8::MAX).cycle().take(bytes).collect();
    let received = thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(listener));
        let result = send(&mut stream, &sent);
        let received = receiver
            .join()
            .map_err(|_panic| anyhow::anyhow!("receiver panicked"))?;
        result.with_context(|| format!("cannot send {bytes} bytes to {address}"))?;
        received.with_context(|| format!("sent {bytes} bytes to {address}"))
    })?;
    ensure!(
        received == sent,
        "sent {bytes} bytes, {} arrived or they differ",
        received.len()
    );
    Ok(())
}

fn send(stream: &mut TcpStream, bytes: &[u8]) -> Result<()> {
    stream.set_write_timeout(Some(STALL))?;
    stream.write_all(bytes)?;
    stream.shutdown(Shutdown::Write)?;
    Ok(())
}

fn receive(listener: &TcpListener) -> Result<Vec<u8>> {
    let (mut stream, _peer) = listener.accept()?;
    stream.set_read_timeout(Some(STALL))?;
    let mut bytes = Vec::new();
    stream
        .read_to_end(&mut bytes)
        .context("a transfer stalled")?;
    Ok(bytes)
}
