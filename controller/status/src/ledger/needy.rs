//! Who must have addresses, and which.

use std::collections::BTreeSet;
use std::net::IpAddr;

use controller_index::{
    Allocation, Claimant, Index, JoinPort, Nic, Node, Origin, Place, Pod, Pool, Provision, Record,
    Vip, Wish as PodWish,
};
use controller_ipam::{Claim, ClaimKey, Request, Succession, Uid, Wish};
use model::{DualStack, IpPoolName, MacAddr, NodeName, PodKey, SubnetName};

use super::decision::{Lifetime, Recorded, Refusal};

/// A claimant that must have addresses, as the index knows it.
#[derive(Debug)]
pub(super) struct Needy {
    pub(super) claimant: Claimant,
    pub(super) uid: String,
    pub(super) node: Option<NodeName>,
    pub(super) subnet: SubnetName,
    /// What is recorded for it.
    pub(super) held: Option<Allocation>,
    /// What its annotations say, recorded or not.
    pub(super) annotated: Option<Allocation>,
    /// Whether its annotations say all else that it is told, too.
    pub(super) is_told: bool,
    /// Its place in a StatefulSet.
    pub(super) place: Option<Place>,
    nic: Nic,
    origin: Origin,
    /// What its annotations say of gateways.
    gateways: DualStack<IpAddr>,
    wish: Wish,
    mac: Option<MacAddr>,
    /// The `IPPool` whose addresses it may have.
    pool: Option<IpPoolName>,
}

/// The claimant as one that must have addresses; `None` when it must not, or does not exist.
pub(super) fn needy(index: &Index, claimant: &Claimant) -> Option<Needy> {
    match claimant {
        Claimant::Pod(key) => {
            let pod = index.pods().get(key)?;
            let needs = index.needs_addresses(key, pod);
            needs.then(|| of_pod(index, key, pod))
        }
        Claimant::Node(name) => of_node(index, name, index.nodes().get(name)?),
        Claimant::Vip(name) => {
            let vip = index.vips().get(name).filter(|vip| !vip.is_ending)?;
            of_vip(index, claimant, vip)
        }
        Claimant::Unknown(_) => None,
    }
}

fn of_pod(index: &Index, key: &PodKey, pod: &Pod) -> Needy {
    let unspecific = PodWish::default();
    let wish = pod.wish.as_ref().unwrap_or(&unspecific);
    let is_particular = wish.pool.is_some() || !wish.addresses.is_empty();
    let subnet = index.subnet_of(key, pod);
    let annotated = pod.allocation.as_ref();
    let is_told = annotated.is_none_or(|it| {
        let network = index.network_of(&it.subnet);
        network.is_none_or(|network| {
            let gateways = index.gateways_of(&it.subnet, network, &pod.gateways);
            pod.told.is(network, gateways)
        })
    });
    let pool = match &wish.pool {
        Some(Pool::Named(pool)) => Some(pool),
        Some(Pool::Listed(_)) | None => index.pool_of(&subnet, &key.namespace),
    };
    let held = index.allocation(key, pod);
    Needy {
        claimant: Claimant::Pod(key.clone()),
        uid: pod.uid.clone(),
        node: pod.node.clone(),
        pool: pool.cloned(),
        subnet,
        // who has nothing gets it from us, whatever annotations it was created with
        origin: match &held {
            Some(_) => index.origin(key, pod),
            None => Origin::Ours,
        },
        held,
        annotated: annotated.cloned(),
        is_told: pod.is_marked && is_told,
        place: pod.place.clone(),
        nic: pod.nic,
        gateways: pod.gateways,
        mac: wish.mac.filter(|_| is_particular),
        wish: wish_of(wish, pod.place.as_ref()),
    }
}

/// An address counts before a pool. The pods of a StatefulSet get the pool's entries by their
/// ordinals.
fn wish_of(wish: &PodWish, place: Option<&Place>) -> Wish {
    match (&wish.pool, place) {
        (_, _) if !wish.addresses.is_empty() => Wish::Addresses(wish.addresses),
        (None | Some(Pool::Named(_)), _) => Wish::Any,
        (Some(Pool::Listed(pool)), None) => Wish::OneOf(pool.clone()),
        (Some(Pool::Listed(pool)), Some(place)) => {
            Wish::pool_entry(pool, usize::try_from(place.ordinal).unwrap_or(usize::MAX))
        }
    }
}

/// A node whose wish cannot be read has what is recorded for it, or waits until it is mended.
fn of_node(index: &Index, name: &NodeName, node: &Node) -> Option<Needy> {
    let join = &index.defaults().settings.join;
    let held = |port: JoinPort| Allocation {
        subnet: join.clone(),
        addresses: port.addresses,
        mac: port.mac,
    };
    let annotated = node.annotated.clone().map(held);
    let held = index.join_port(name, node).map(held);
    if held.is_none() && node.wanted.is_none() {
        return None;
    }
    let network = index.network_of(join);
    Some(Needy {
        is_told: node.is_marked && network.is_none_or(|it| node.told.is(it, it.gateways)),
        claimant: Claimant::Node(name.clone()),
        uid: node.uid.clone(),
        node: Some(name.clone()),
        subnet: join.clone(),
        annotated,
        held,
        place: None,
        nic: Nic::Unsaid,
        origin: Origin::Unsaid,
        gateways: DualStack::default(),
        wish: exactly(node.wanted.unwrap_or_default()),
        mac: None,
        pool: None,
    })
}

/// A VIP that cannot be read has what is recorded for it, or waits until it is mended.
fn of_vip(index: &Index, claimant: &Claimant, vip: &Vip) -> Option<Needy> {
    let held = index.record_of(claimant, &vip.uid).map(Record::allocation);
    if held.is_none() && vip.fault.is_some() {
        return None;
    }
    // its status does not say of which subnet its addresses are
    let subnet = held.as_ref().map_or(&vip.subnet, |it| &it.subnet);
    let reserved = vip.reserved.clone().map(|it| Allocation {
        subnet: subnet.clone(),
        ..it
    });
    Some(Needy {
        claimant: claimant.clone(),
        uid: vip.uid.clone(),
        node: None,
        subnet: vip.subnet.clone(),
        held,
        annotated: reserved,
        is_told: true,
        place: None,
        nic: Nic::Unsaid,
        origin: Origin::Unsaid,
        gateways: DualStack::default(),
        wish: exactly(vip.wanted),
        mac: vip.mac,
        pool: None,
    })
}

fn exactly(addresses: DualStack<IpAddr>) -> Wish {
    if addresses.is_empty() {
        Wish::Any
    } else {
        Wish::Addresses(addresses)
    }
}

/// Whether the subnet of the pod's namespace is still to be seen.
pub(super) fn awaits_namespace(index: &Index, needy: &Needy) -> bool {
    let Claimant::Pod(key) = &needy.claimant else {
        return false;
    };
    let is_named = needy.held.is_some() || index.names_subnet(key);
    !is_named && index.awaits_namespace(&key.namespace)
}

/// Why no pod gets an address of the subnet.
pub(super) fn unfit(index: &Index, name: &SubnetName) -> Option<String> {
    let subnet = index.subnets().get(name)?;
    (subnet.provision == Provision::AddressesOnly).then(|| {
        format!(
            "subnet `{name}` only has addresses for the network of another plugin; name another \
             subnet in the annotation ovn.kubernetes.io/logical_switch"
        )
    })
}

/// Why the claimant cannot have the address of the join subnet that it asks for.
pub(super) fn slot(index: &Index, needy: &Needy) -> Option<String> {
    let join = &index.defaults().settings.join;
    let slots = index.inputs().gateways.values().flatten();
    let slots: BTreeSet<&IpAddr> = slots.flat_map(DualStack::values).collect();
    let mut wanted = needy.wanted().into_iter().flat_map(DualStack::values);
    let taken = wanted.find(|it| needy.subnet == *join && slots.contains(it))?;
    Some(format!(
        "{taken} of subnet `{join}` is where traffic for gateway nodes is sent; ask for another \
         address, or for none"
    ))
}

// === impl Needy ===

impl Needy {
    pub(super) fn key(&self) -> ClaimKey {
        ClaimKey::new(self.claimant.record_name())
    }

    /// The addresses that it asks for, if for some in particular.
    pub(super) const fn wanted(&self) -> Option<&DualStack<IpAddr>> {
        match &self.wish {
            Wish::Addresses(addresses) => Some(addresses),
            Wish::Any | Wish::OneOf(_) => None,
        }
    }

    /// What it asks for: what it holds already, else what the user says.
    pub(super) fn request(&self, succession: Succession) -> Request {
        match &self.held {
            Some(held) => self.request_of(held, succession),
            None => Request {
                wish: self.wish.clone(),
                mac: self.mac,
                ..self.any(self.subnet.clone(), succession)
            },
        }
    }

    /// Asks for what the annotations say, though no record confirms it.
    pub(super) fn hint(&self) -> Option<Request> {
        let annotated = self.annotated.as_ref().filter(|_| self.held.is_none())?;
        Some(self.request_of(annotated, Succession::Replace))
    }

    fn request_of(&self, held: &Allocation, succession: Succession) -> Request {
        self.any(held.subnet.clone(), succession)
            .with_wish(Wish::Addresses(held.addresses))
            .with_mac(held.mac)
    }

    fn any(&self, subnet: SubnetName, succession: Succession) -> Request {
        let pool = self.pool.clone().filter(|_| subnet == self.subnet);
        Request::new(self.key(), Uid::new(self.uid.clone()), subnet, succession).of_pool(pool)
    }

    /// What it holds, as the allocator knows claims.
    pub(super) fn claim(&self) -> Option<Claim> {
        let held = self.held.clone()?;
        Some(Claim {
            key: self.key(),
            uid: Some(Uid::new(self.uid.clone())),
            subnet: held.subnet,
            addresses: held.addresses,
            mac: held.mac,
        })
    }

    /// The addresses with what there is to tell about them; `None` without their subnet.
    pub(super) fn recorded(self, index: &Index, allocation: Allocation) -> Option<Recorded> {
        let network = index.network_of(&allocation.subnet)?;
        Some(Recorded {
            cidrs: network.cidrs,
            gateways: index.gateways_of(&allocation.subnet, network, &self.gateways),
            claimant: self.claimant,
            uid: self.uid,
            node: self.node,
            subnet: allocation.subnet,
            addresses: allocation.addresses,
            mac: allocation.mac,
            nic: self.nic,
            origin: self.origin,
            lifetime: match self.place {
                Some(_) => Lifetime::StatefulSet,
                None => Lifetime::Claimant,
            },
        })
    }

    pub(super) fn refuse(self, message: String) -> Refusal {
        Refusal {
            claimant: self.claimant,
            uid: self.uid,
            message,
        }
    }
}
