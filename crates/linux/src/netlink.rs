//! Connections to the kernel's routing subsystem (rtnetlink(7)), each born in one namespace.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use futures::future::{Either, select};
use futures::stream::{Stream, StreamExt};
use model::IpFamily;
use netlink_packet_route::AddressFamily;
use rtnetlink::MulticastGroup;
use tokio::runtime::Handle;

use crate::{Error, Namespace};

/// Requests to the kernel in one namespace. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Netlink(rtnetlink::Handle);

/// Carries the messages of one [`Netlink`]; nothing moves unless it runs. Dropping it closes the
/// connection.
#[must_use = "requests get no answer unless the driver runs"]
pub struct Driver(Pin<Box<dyn Future<Output = ()> + Send>>);

/// A connection to the kernel inside `namespace`.
///
/// # Errors
/// [`Error::Namespace`] when it cannot be entered, [`Error::Kernel`] without a socket.
pub async fn connect(namespace: &Namespace) -> Result<(Netlink, Driver), Error> {
    let runtime = Handle::current();
    namespace.run(move || born(&runtime)).await?
}

/// What `work` returns, done inside `namespace` with a connection and on a thread of its own.
///
/// For requests that take the kernel long, such as the deletion of a link (20 ms): it works on a
/// request while that is being sent, so that all others on one connection wait, and a thread of the
/// runtime with them.
///
/// # Errors
/// As [`connect`]; [`Error::Closed`] when the kernel closes the connection first.
pub async fn apart<T: Send + 'static, F: Future<Output = T>>(
    namespace: &Namespace,
    work: impl FnOnce(Netlink) -> F + Send + 'static,
) -> Result<T, Error> {
    let runtime = Handle::current();
    let done = namespace.run(move || {
        let (netlink, driver) = born(&runtime)?;
        runtime.block_on(driver.until(work(netlink)))
    });
    done.await?
}

/// A connection in the namespace of the calling thread.
fn born(runtime: &Handle) -> Result<(Netlink, Driver), Error> {
    let _reactor = runtime.enter();
    let (connection, handle, _unsolicited) = rtnetlink::new_connection()
        .map_err(|source| Error::kernel("open a netlink socket", source))?;
    Ok((Netlink(handle), Driver(Box::pin(connection))))
}

/// One `()` whenever a link, an address, a route or a rule of `namespace` changed: observe again.
///
/// # Errors
/// As [`connect`].
pub async fn changes(
    namespace: &Namespace,
) -> Result<(impl Stream<Item = ()> + Send + Unpin + use<>, Driver), Error> {
    const GROUPS: [MulticastGroup; 7] = [
        MulticastGroup::Link,
        MulticastGroup::Ipv4Ifaddr,
        MulticastGroup::Ipv6Ifaddr,
        MulticastGroup::Ipv4Route,
        MulticastGroup::Ipv6Route,
        MulticastGroup::Ipv4Rule,
        MulticastGroup::Ipv6Rule,
    ];
    let runtime = Handle::current();
    let born = namespace.run(move || {
        let _reactor = runtime.enter();
        rtnetlink::new_multicast_connection(&GROUPS)
    });
    let (connection, handle, messages) = born
        .await?
        .map_err(|source| Error::kernel("listen to netlink", source))?;
    let driver = async move {
        let _open = handle;
        connection.await;
    };
    Ok((messages.map(|_| ()), Driver(Box::pin(driver))))
}

// === impl Netlink ===

impl Netlink {
    pub(crate) fn links(&self) -> rtnetlink::LinkHandle {
        self.0.link()
    }

    pub(crate) fn addresses(&self) -> rtnetlink::AddressHandle {
        self.0.address()
    }

    pub(crate) fn routes(&self) -> rtnetlink::RouteHandle {
        self.0.route()
    }

    pub(crate) fn rules(&self) -> rtnetlink::RuleHandle {
        self.0.rule()
    }
}

// === impl Driver ===

impl Driver {
    /// Runs the connection for as long as `work` takes, then closes it.
    ///
    /// # Errors
    /// [`Error::Closed`] when the kernel closes the connection first.
    pub async fn until<T>(self, work: impl Future<Output = T>) -> Result<T, Error> {
        match select(std::pin::pin!(work), self.0).await {
            Either::Left((result, _driver)) => Ok(result),
            Either::Right(((), _work)) => Err(Error::Closed),
        }
    }
}

impl IntoFuture for Driver {
    type Output = ();
    type IntoFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        self.0
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

pub(crate) const fn address_family(family: IpFamily) -> AddressFamily {
    match family {
        IpFamily::V4 => AddressFamily::Inet,
        IpFamily::V6 => AddressFamily::Inet6,
    }
}
