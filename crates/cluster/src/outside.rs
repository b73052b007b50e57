//! The host that is no part of Kubernetes, as a server: it tells clients who they seem to be.

use std::{
    fs::{self, Permissions},
    net::{IpAddr, SocketAddr},
    os::unix::fs::PermissionsExt,
};

use anyhow::{Context, Result};
use model::{DualStack, IpFamily};
use testkit::{Families, command::Invocation};

use crate::{
    cgroup,
    detached::Detached,
    directory::{Directory, write},
    image::busybox_program,
    network,
};

/// Its name among the control groups.
pub(crate) const GROUP: &str = "outside";
/// The path that answers with the client's address.
pub const ADDRESS_PATH: &str = "/cgi-bin/address";

/// The server writes addresses of IPv6 in brackets.
const ANSWER: &str = r#"#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
echo "$REMOTE_ADDR" | tr -d '[]'
"#;

/// Where it listens, on port 80; behind the addresses that nodes route by.
pub(crate) fn addresses(families: Families) -> DualStack<IpAddr> {
    let address = |family| match family {
        IpFamily::V4 => network::OUTSIDE_V4,
        IpFamily::V6 => network::OUTSIDE_V6,
    };
    network::control_addresses(families).map(|family, _| address(family))
}

/// Starts a server for each address.
pub(crate) fn start(directory: &Directory, families: Families) -> Result<()> {
    let files = directory.path().join(GROUP);
    let script = files.join("www").join(ADDRESS_PATH.trim_start_matches('/'));
    write(&script, ANSWER)?;
    fs::set_permissions(&script, Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} executable", script.display()))?;
    let group = cgroup::make(GROUP)?;
    for (family, address) in addresses(families).iter() {
        let listen = SocketAddr::new(*address, 80).to_string();
        let server = Invocation::new(busybox_program()?)
            .args(["httpd", "-f", "-p", &listen, "-h"])
            .arg(files.join("www"))
            .in_netns(network::outside().path());
        let name = match family {
            IpFamily::V4 => "httpd-v4",
            IpFamily::V6 => "httpd-v6",
        };
        Detached::new(name, &files).start(&server, &group)?;
    }
    Ok(())
}
