//! What a server says of its cluster: the answer to `cluster/status` (ovsdb-server(1)).

/// A server and its cluster, as the server sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) cluster: String,
    /// The server's id.
    pub(crate) server: String,
    /// Whether the cluster has let it in, and a majority is heard.
    pub(crate) is_member: bool,
    pub(crate) leads: bool,
    pub(crate) has_leader: bool,
    pub(crate) servers: Vec<Server>,
}

/// One of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// The first digits of its id.
    pub(crate) id: String,
    /// `tcp:10.0.0.1:6643`
    pub(crate) address: String,
}

// === impl Status ===

impl Status {
    /// `None` when an essential line is missing, as the cluster's id before it is known.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let id = |name: &str| {
            Some(
                value(name)?
                    .split_once('(')?
                    .1
                    .trim_end_matches(')')
                    .to_owned(),
            )
        };
        let servers = text.lines().skip_while(|line| *line != "Servers:");
        Some(Self {
            cluster: id("Cluster ID")?,
            server: id("Server ID")?,
            is_member: value("Status")? == "cluster member",
            leads: value("Role")? == "leader",
            has_leader: value("Leader").is_some_and(|leader| leader != "unknown"),
            servers: servers.filter_map(Server::parse).collect(),
        })
    }

    /// Whether it serves what a majority agrees upon.
    pub(crate) const fn is_connected(&self) -> bool {
        self.is_member && self.has_leader
    }
}

// === impl Server ===

impl Server {
    /// Reads `    0f1b (0f1b at tcp:10.0.0.1:6643) last msg 3 ms ago`.
    fn parse(line: &str) -> Option<Self> {
        let (id, rest) = line.strip_prefix("    ")?.split_once(" (")?;
        let (_again, rest) = rest.split_once(" at ")?;
        let (address, _rest) = rest.split_once(')')?;
        Some(Self {
            id: id.to_owned(),
            address: address.to_owned(),
        })
    }

    /// Whether this is the server with that whole id.
    pub(crate) fn is(&self, id: &str) -> bool {
        id.starts_with(&self.id)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const LEADER: &str = "\
a311
Name: OVN_Northbound
Cluster ID: a798 (a798a0de-c19e-46b4-8c2d-a5a98ffdf805)
Server ID: a311 (a3113672-953e-41ad-aeae-b8a4136d31db)
Address: tcp:10.0.0.1:6643
Status: cluster member
Role: leader
Term: 1
Leader: self
Vote: self

Last Election started 2123 ms ago, reason: timeout
Election timer: 1000
Connections: <-0f1b ->0f1b
Disconnections: 0
Servers:
    0f1b (0f1b at tcp:[fd00::2]:6643) next_index=5 match_index=4 last msg 306 ms ago
    a311 (a311 at tcp:10.0.0.1:6643) (self) next_index=2 match_index=4";

    /// A leader `a311...` with these others.
    pub(crate) fn leading(servers: &[(&str, &str)]) -> Status {
        let others = servers.iter().map(|(id, address)| Server {
            id: (*id).to_owned(),
            address: (*address).to_owned(),
        });
        let mut status = Status::parse(LEADER).unwrap();
        status.servers.retain(|server| server.id == "a311");
        status.servers.extend(others);
        status
    }

    #[test]
    fn a_leader_says_who_belongs_to_its_cluster() {
        let status = Status::parse(LEADER).unwrap();
        assert_eq!(status.cluster, "a798a0de-c19e-46b4-8c2d-a5a98ffdf805");
        assert!(status.leads && status.is_connected());
        let found = status
            .servers
            .iter()
            .map(|it| (it.id.as_str(), it.address.as_str()));
        let expected = [
            ("0f1b", "tcp:[fd00::2]:6643"),
            ("a311", "tcp:10.0.0.1:6643"),
        ];
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert!(status.servers[1].is(&status.server));
    }

    #[test]
    fn a_server_that_hears_no_leader_is_not_connected() {
        let text = LEADER.replace("Leader: self", "Leader: unknown");
        assert!(!Status::parse(&text).unwrap().is_connected());
        let text = LEADER.replace("cluster member", "disconnected from the cluster");
        assert!(!Status::parse(&text).unwrap().is_connected());
    }

    #[test]
    fn what_is_no_status_is_told_apart() {
        assert_eq!(Status::parse("unknown cluster"), None);
    }
}
