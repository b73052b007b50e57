//! The client against real `ovsdb-server` processes (Debian: `openvswitch-switch`, `ovn-common`).

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod northbound;
#[cfg(test)]
mod reconnect;
#[cfg(test)]
mod server;
#[cfg(test)]
mod standalone;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod walk;
