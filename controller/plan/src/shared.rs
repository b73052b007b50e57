//! Addresses that pods share: those of the VIPs that they name.

use std::collections::BTreeSet;
use std::net::IpAddr;

use model::{Owner, PortKey, VipName};

use crate::inputs::{Port, Reserved, Shared};
use crate::{Inputs, Planned};

/// What the port may use beside its own addresses; a problem for each VIP that it may not.
pub(crate) fn addresses(
    inputs: &Inputs,
    key: &PortKey,
    port: &Port,
    planned: &mut Planned,
) -> BTreeSet<IpAddr> {
    let mut addresses = BTreeSet::new();
    for shared in &port.shared {
        match usable(inputs, key, port, shared) {
            Ok(usable) => addresses.extend(usable),
            Err(message) => planned.problem(&Owner::Port(key.clone()), "VipNotUsable", message),
        }
    }
    addresses
}

/// One that is still to be recorded says itself what it waits for.
fn usable(
    inputs: &Inputs,
    key: &PortKey,
    port: &Port,
    shared: &Shared,
) -> Result<Vec<IpAddr>, String> {
    let (name, reserved) = find(inputs, port, shared)?;
    if reserved.namespace != key.pod.namespace {
        return Err(format!(
            "VIP `{name}` is for pods of namespace `{}`: write `{}` into its spec.namespace, or \
             name another VIP",
            reserved.namespace, key.pod.namespace
        ));
    }
    if reserved.subnet != port.subnet {
        return Err(format!(
            "VIP `{name}` is of subnet `{}`, and the pod of subnet `{}`: name a VIP of the pod's \
             subnet",
            reserved.subnet, port.subnet
        ));
    }
    Ok(match shared {
        Shared::Vip(_) => reserved.addresses.values().copied().collect(),
        Shared::Address(address) => vec![*address],
    })
}

fn find<'a>(
    inputs: &'a Inputs,
    port: &Port,
    shared: &'a Shared,
) -> Result<(&'a VipName, &'a Reserved), String> {
    match shared {
        Shared::Vip(name) => inputs
            .reserved
            .get_key_value(name)
            .ok_or_else(|| format!("there is no VIP `{name}`: create it, or name another")),
        Shared::Address(address) => {
            let mut all = inputs.reserved.iter();
            let found = all.find(|(_, it)| {
                it.subnet == port.subnet && it.addresses.values().any(|it| it == address)
            });
            found.ok_or_else(|| {
                format!(
                    "no VIP of subnet `{}` reserves {address}: create a Vip with that address",
                    port.subnet
                )
            })
        }
    }
}
