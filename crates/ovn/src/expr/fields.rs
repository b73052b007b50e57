//! The fields and predicates of OVN 25.03 (ovn-sb(5), `Logical_Flow.match`).

/// Those of one word, and those whose first word the second part follows.
const FIELDS: [(&str, &[&str]); 30] = [
    ("inport", &[""]),
    ("outport", &[""]),
    (
        "flags",
        &[
            "",
            "loopback",
            "force_snat_for_dnat",
            "force_snat_for_lb",
            "skip_snat_for_lb",
            "use_snat_zone",
            "localnet",
            "icmp_snat",
            "tunnel_rx",
            "from_ctrl",
        ],
    ),
    (
        "ct_mark",
        &[
            "",
            "blocked",
            "natted",
            "ecmp_reply_port",
            "skip_snat",
            "force_snat",
            "obs_stage",
            "allow_established",
            "obs_collector_id",
        ],
    ),
    (
        "ct_label",
        &[
            "",
            "blocked",
            "natted",
            "ecmp_reply_eth",
            "ecmp_reply_port",
            "label",
            "obs_point_id",
            "obs_unused",
        ],
    ),
    ("ct_state", &[""]),
    (
        "ct",
        &["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"],
    ),
    ("eth", &["src", "dst", "type", "bcast", "mcast", "mcastv6"]),
    ("vlan", &["tci", "present", "pcp", "vid"]),
    (
        "ip",
        &[
            "",
            "proto",
            "dscp",
            "ecn",
            "ttl",
            "frag",
            "is_frag",
            "later_frag",
            "first_frag",
        ],
    ),
    ("ip4", &["", "src", "dst", "src_mcast", "mcast"]),
    (
        "ip6",
        &[
            "",
            "src",
            "dst",
            "label",
            "mcast",
            "mcast_rsvd",
            "mcast_all_nodes",
            "mcast_all_rtrs",
            "mcast_sol_node",
            "mcast_flood",
        ],
    ),
    ("icmp", &[""]),
    ("icmp4", &["", "type", "code", "frag_mtu"]),
    ("icmp6", &["", "type", "code", "frag_mtu"]),
    ("igmp", &[""]),
    ("mldv1", &[""]),
    ("mldv2", &[""]),
    ("arp", &["", "op", "spa", "sha", "tpa", "tha"]),
    ("rarp", &["", "op", "spa", "sha", "tpa", "tha"]),
    ("nd", &["", "target", "sll", "tll"]),
    ("nd_ns", &[""]),
    ("nd_ns_mcast", &[""]),
    ("nd_na", &[""]),
    ("nd_rs", &[""]),
    ("nd_ra", &[""]),
    ("tcp", &["", "src", "dst", "flags"]),
    ("udp", &["", "src", "dst"]),
    ("sctp", &["", "src", "dst"]),
    ("pkt", &["mark"]),
];
/// `reg0`, `xreg1` and so on, which have no parts.
const REGISTERS: [&str; 3] = ["xxreg", "xreg", "reg"];

/// Whether OVN has a field or predicate of that name.
pub(super) fn is_known(name: &str) -> bool {
    let (first, rest) = name.split_once('.').unwrap_or((name, ""));
    let mut fields = FIELDS.iter();
    let is_field = fields.any(|(word, parts)| *word == first && parts.contains(&rest));
    let mut registers = REGISTERS.iter();
    is_field
        || registers.any(|it| {
            let number = name.strip_prefix(it).and_then(|it| it.parse::<u8>().ok());
            number.is_some_and(|it| it < 16)
        })
}
