//! A node: a namespace with its own ovsdb-server, ovs-vswitchd and ovn-controller.
//!
//! `eth0` is for the API server and the databases, `eth1` for tunnels. The kernel here has no
//! openvswitch module, so every bridge is of the userspace datapath (`netdev`):
//!
//! ```text
//! pod --veth-- br-int ==geneve== br-phy (tunnel address) -- eth1 --veth-- switch
//! ```

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use model::DualStack;

use crate::{
    command::{Invocation, script},
    lab::PATIENCE,
    netns::Netns,
    ovn::Programs,
    process::Processes,
    supervisor::{Child, Station, Supervisor},
    wait_until,
};

/// The bridge that carries the tunnel address.
pub const TUNNEL_BRIDGE: &str = "br-phy";
/// The NIC that is a port of it.
pub const TUNNEL_NIC: &str = "eth1";
/// The NIC that reaches the central part.
pub const MANAGEMENT_NIC: &str = "eth0";

pub(crate) const VSWITCHD: &str = "vswitchd";
pub(crate) const DATABASE: &str = "ovsdb";
pub(crate) const OVN_CONTROLLER: &str = "ovn-controller";

/// A node of the lab.
#[derive(Debug)]
pub struct Node {
    name: String,
    netns: Netns,
    /// Its addresses on `eth0`, which are the node's InternalIP.
    management: DualStack<IpAddr>,
    /// Its addresses on `br-phy`; the first is the encapsulation's.
    tunnel: DualStack<IpAddr>,
    tunnel_mac: String,
    tunnels: Tunnels,
    directory: PathBuf,
    programs: Programs,
    /// Runs its Open vSwitch, where it is not the lab.
    supervisor: Option<Supervisor>,
    processes: Processes,
}

/// Who makes a node's tunnel bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tunnels {
    /// The lab, which stands in for our daemon where there is none.
    ByLab,
    /// Our daemon: the node comes with the tunnel's addresses on `eth1`.
    ByDaemon,
}

/// Who runs a node's Open vSwitch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supervision {
    /// The lab: what dies stays dead.
    ByLab,
    /// Our `kube-ovn-central vswitch`, as in a cluster.
    ByProgram,
}

/// Where a node is on the two networks.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) netns: Netns,
    pub(crate) management: DualStack<IpAddr>,
    pub(crate) tunnel: DualStack<IpAddr>,
    /// Of `eth1`; the tunnel bridge takes it over.
    pub(crate) tunnel_mac: String,
    pub(crate) tunnels: Tunnels,
    pub(crate) supervision: Supervision,
    pub(crate) directory: PathBuf,
}

// === impl Node ===

impl Node {
    /// Starts the node's OVS and lets it know the SB at `southbound`.
    ///
    /// # Errors
    /// A program cannot be started.
    pub(crate) fn start(
        name: &str,
        place: Place,
        programs: Programs,
        southbound: &str,
    ) -> Result<Self> {
        let mut node = Self {
            name: name.to_owned(),
            netns: place.netns,
            management: place.management,
            tunnel: place.tunnel,
            tunnel_mac: place.tunnel_mac,
            tunnels: place.tunnels,
            directory: place.directory,
            programs,
            supervisor: None,
            processes: Processes::default(),
        };
        if place.supervision == Supervision::ByProgram {
            node.start_supervisor(southbound)?;
            return Ok(node);
        }
        node.start_database()?;
        node.configure(southbound)?;
        match node.tunnels {
            Tunnels::ByLab => {
                node.silence_tunnel_nic()?;
                node.make_tunnel_bridge()?;
            }
            Tunnels::ByDaemon => node.address_tunnel_nic()?,
        }
        node.start_vswitchd()?;
        Ok(node)
    }

    /// Waits until the bridges are there, puts the tunnel addresses on and starts
    /// `ovn-controller`.
    ///
    /// # Errors
    /// They are not after [`PATIENCE`].
    pub(crate) async fn ready(&self) -> Result<()> {
        if self.tunnels == Tunnels::ByLab {
            self.restore_tunnel_address().await?;
        }
        if self.supervisor.is_none() {
            self.start_controller()?;
        }
        let what = format!("ovn-controller of {} is connected", self.name);
        wait_until(&what, PATIENCE, async || {
            let status = self.ovn_appctl(["connection-status"])?;
            ensure!(status == "connected", "it is {status}");
            Ok(())
        })
        .await
    }

    fn start_supervisor(&mut self, southbound: &str) -> Result<()> {
        let station = Station {
            name: &self.name,
            netns: &self.netns,
            address: *self.management.values().next().context("no address")?,
            southbound,
            directory: &self.directory,
        };
        self.supervisor = Some(Supervisor::start(&station, &self.programs)?);
        self.address_tunnel_nic()
    }

    /// The kernel hears a NIC that is in a netdev bridge too, and would answer a second time. OVS
    /// takes the frames before this hook.
    fn silence_tunnel_nic(&self) -> Result<()> {
        self.netns.nft(&format!(
            "add table netdev lab
             add chain netdev lab ingress {{ \
             type filter hook ingress device {TUNNEL_NIC} priority 0; policy drop; }}"
        ))
    }

    fn start_database(&self) -> Result<()> {
        let file = self.directory.join("conf.db");
        self.programs
            .create_database(&file, "openvswitch/vswitch.ovsschema")?;
        let server = self
            .ovs("ovsdb-server")?
            .arg(format!("--remote=p{}", self.ovs_socket()))
            .arg(format!(
                "--unixctl={}",
                self.directory.join("ovsdb.ctl").display()
            ))
            .arg(file);
        self.spawn(DATABASE, &server)
    }

    /// All that a node knows at its first start, in one transaction before vswitchd runs.
    fn configure(&self, southbound: &str) -> Result<()> {
        let encap = match self.tunnels {
            Tunnels::ByLab => &self.tunnel,
            // what is known before our daemon runs
            Tunnels::ByDaemon => &self.management,
        };
        let encap = encap.values().next().context("a node has an address")?;
        self.vs(&format!(
            "--retry --timeout=10 --no-wait init
             set Open_vSwitch . external_ids:system-id={name} external_ids:hostname={name} \
             external_ids:ovn-remote=\"{southbound}\" external_ids:ovn-encap-type=geneve \
             external_ids:ovn-encap-ip=\"{encap}\" external_ids:ovn-bridge-datapath-type=netdev \
             other_config:n-handler-threads=1 other_config:n-revalidator-threads=1
             add-br br-int
             set Bridge br-int datapath_type=netdev fail_mode=secure",
            name = self.name,
        ))
        .map(drop)
    }

    fn make_tunnel_bridge(&self) -> Result<()> {
        self.vs(&format!(
            "--no-wait add-br {TUNNEL_BRIDGE}
             set Bridge {TUNNEL_BRIDGE} datapath_type=netdev other_config:hwaddr=\"{mac}\"
             add-port {TUNNEL_BRIDGE} {TUNNEL_NIC}",
            mac = self.tunnel_mac,
        ))
        .map(drop)
    }

    fn address_tunnel_nic(&self) -> Result<()> {
        let addresses = self.tunnel.values();
        self.netns
            .ip(addresses.map(|address| crate::network::add_address(TUNNEL_NIC, *address)))
    }

    /// Starts vswitchd, as again after [`Node::kill_vswitchd`].
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_vswitchd(&self) -> Result<()> {
        let vswitchd = self
            .ovs("ovs-vswitchd")?
            .arg(self.ovs_socket())
            .arg(format!(
                "--unixctl={}",
                self.directory.join("vswitchd.ctl").display()
            ));
        self.spawn(VSWITCHD, &vswitchd)
    }

    /// 23.03 has no `--unixctl`: its control socket is found by the pid file in `OVN_RUNDIR`.
    fn start_controller(&self) -> Result<()> {
        let controller = self
            .ovs("ovn-controller")?
            .arg("--pidfile")
            .arg(self.ovs_socket());
        self.spawn(OVN_CONTROLLER, &controller)
    }

    /// Puts the tunnel addresses on the bridge's internal port, once vswitchd has made it and has
    /// given it its MAC: it takes the port down for that, and IPv6 addresses would go.
    ///
    /// # Errors
    /// The port does not come.
    pub async fn restore_tunnel_address(&self) -> Result<()> {
        let what = format!("{TUNNEL_BRIDGE} of {} takes its address", self.name);
        let addresses = self.tunnel.values();
        let commands: Vec<String> = addresses
            .map(|address| crate::network::add_address(TUNNEL_BRIDGE, *address))
            .chain([format!("link set {TUNNEL_BRIDGE} up")])
            .collect();
        wait_until(&what, PATIENCE, async || {
            let link = self
                .netns
                .command("ip")
                .args(["link", "show", TUNNEL_BRIDGE])
                .read()?;
            ensure!(
                link.contains(&self.tunnel_mac),
                "its MAC is another: {link}"
            );
            self.netns.ip(&commands)
        })
        .await
    }

    /// Kills vswitchd.
    ///
    /// # Errors
    /// It was never started.
    pub fn kill_vswitchd(&self) -> Result<()> {
        let vswitchd = self.processes.remove(VSWITCHD);
        vswitchd.context("vswitchd does not run")?.kill()
    }

    /// Its programs: `ovsdb`, `vswitchd`, `ovn-controller`.
    pub(crate) const fn processes(&self) -> &Processes {
        &self.processes
    }

    /// The node's name; also its chassis name and hostname.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The node's namespace.
    pub const fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The addresses on `eth0`: the InternalIPs of the Node object.
    pub const fn addresses(&self) -> &DualStack<IpAddr> {
        &self.management
    }

    /// The addresses that tunnels use, the first one for the encapsulation.
    pub const fn tunnel_addresses(&self) -> &DualStack<IpAddr> {
        &self.tunnel
    }

    /// Who makes its tunnel bridge.
    pub const fn tunnels(&self) -> Tunnels {
        self.tunnels
    }

    /// What runs its Open vSwitch.
    ///
    /// # Errors
    /// The lab does ([`crate::LabOptions::supervised_nodes`]).
    pub fn supervisor(&self) -> Result<&Supervisor> {
        self.supervisor.as_ref().context("nodes are not supervised")
    }

    /// The node's files: sockets, databases, logs.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// OVS' database, as `--ovs-socket` takes it.
    pub fn ovs_socket(&self) -> String {
        format!("unix:{}", self.directory.join("db.sock").display())
    }

    /// Runs `ovs-vsctl`.
    ///
    /// # Errors
    /// What it says.
    pub fn vsctl<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        let vsctl = self
            .ovs("ovs-vsctl")?
            .arg(format!("--db={}", self.ovs_socket()));
        read(vsctl, arguments)
    }

    /// Runs `ovs-vsctl` with a command per line, as one transaction ([`script`]).
    ///
    /// # Errors
    /// What it says.
    pub fn vs(&self, text: &str) -> Result<String> {
        self.vsctl(script(text))
    }

    /// Runs `ovs-appctl` against vswitchd.
    ///
    /// # Errors
    /// What it says.
    pub fn appctl<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        let appctl = self.ovs("ovs-appctl")?.arg("-t");
        let appctl = match &self.supervisor {
            None => appctl.arg(self.directory.join("vswitchd.ctl")),
            Some(_) => appctl.arg(Child::Switch.program()),
        };
        read(appctl, arguments)
    }

    /// Runs `ovs-ofctl`; bridges are named by their name.
    ///
    /// # Errors
    /// What it says.
    pub fn ofctl<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        read(self.ovs("ovs-ofctl")?, arguments)
    }

    /// Runs `ovn-appctl` against ovn-controller.
    ///
    /// # Errors
    /// What it says.
    pub fn ovn_appctl<A: AsRef<str>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<String> {
        let appctl = self.ovs("ovn-appctl")?.args(["-t", "ovn-controller"]);
        read(appctl, arguments)
    }

    fn spawn(&self, name: &str, program: &Invocation) -> Result<()> {
        self.processes.spawn(name, program, &self.directory)
    }

    /// A program of OVS or OVN in this node's namespace and directories.
    fn ovs(&self, program: &str) -> Result<Invocation> {
        let command = self.programs.command(program)?.in_netns(self.netns.path());
        Ok(["OVS_RUNDIR", "OVN_RUNDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"]
            .into_iter()
            .fold(command, |command, variable| {
                command.env(variable, &self.directory)
            }))
    }
}

fn read<A: AsRef<str>>(
    command: Invocation,
    arguments: impl IntoIterator<Item = A>,
) -> Result<String> {
    command
        .args(arguments.into_iter().map(|word| word.as_ref().to_owned()))
        .read()
}
