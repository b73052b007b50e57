//! The vocabulary of validation: rules in CEL, the expression language of the API server.
//!
//! A rule on a field sees the field's value as `self` and is skipped when the field is absent.
//! Every message names the field, the value and the remedy. The API server bounds what a rule may
//! cost by the longest value that the schema allows, so fields with rules have a greatest length,
//! and `split` is told how many parts it need make.

use kube::core::{Message, Rule};
use schemars::{Schema, transform::Transform};
use serde_json::{Value, json};

/// `message` is a CEL expression.
fn rule(cel: impl Into<String>, message: impl Into<String>) -> Rule {
    Rule::new(cel).message(Message::Expression(message.into()))
}

/// A rule on the text `field`.
fn on_text(field: &str, cel: impl Into<String>, fault: &str) -> Rule {
    rule(cel, format!(r#""{field} '" + self + "' {fault}""#))
}

/// `rule`, or the empty text.
pub(crate) fn or_empty(mut rule: Rule) -> Rule {
    rule.rule = format!("self == '' || ({})", rule.rule);
    rule
}

/// Puts `rule` on each element of a list; for `#[schemars(transform = ..)]`.
pub(crate) fn each(rule: Rule) -> impl Transform {
    move |list: &mut Schema| {
        if let Some(item) = list.get_mut("items").and_then(Value::as_object_mut) {
            item.insert("x-kubernetes-validations".to_owned(), json!([rule]));
        }
    }
}

// === one field ===

pub(crate) fn address(field: &str) -> Rule {
    let fault = "is not an IP address; write it like 10.0.0.1 or fd00::1";
    on_text(field, "isIP(self)", fault)
}

pub(crate) fn mac(field: &str) -> Rule {
    let cel = "self.matches('^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$')";
    let fault = "is not a MAC address; write six hexadecimal pairs joined by colons";
    on_text(field, cel, fault)
}

/// The name of another object.
pub(crate) fn object_name(field: &str) -> Rule {
    let cel = "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')";
    let fault = "is no name of an object; use lower-case letters, digits, - and . alone";
    on_text(field, cel, fault)
}

pub(crate) fn cidr(field: &str) -> Rule {
    let fault = "is not a CIDR; write it like 10.0.0.0/16 or fd00::/64";
    on_text(field, "isCIDR(self)", fault)
}

pub(crate) fn cidr_or_address(field: &str) -> Rule {
    let fault = "is neither a CIDR nor an IP address; write it like 10.0.0.0/16 or 10.0.0.1";
    on_text(field, "isCIDR(self) || isIP(self)", fault)
}

pub(crate) fn address_pair(field: &str) -> Rule {
    let fault = "is not an IP address or two, IPv4 first; write it like 10.0.0.1 or \
                 10.0.0.1,fd00::1, without spaces";
    on_text(field, pair_of("isIP"), fault)
}

/// Addresses, which the API server has not the time to compare.
pub(crate) fn next_hops(field: &str) -> Rule {
    let fault = "are not IP addresses; write them like 10.0.0.1,10.0.0.2, without spaces";
    on_text(field, "self.split(',', 8).all(p, isIP(p))", fault)
}

pub(crate) fn next_hop_of_reroute() -> Rule {
    let has_next_hop = "(has(self.nextHopIP) && self.nextHopIP != '')";
    let message = "nextHopIP belongs to the action reroute, and to no other; set or remove it";
    Rule::new(format!("(self.action == 'reroute') == {has_next_hop}"))
        .message(Message::Message(message.to_owned()))
        .field_path(".nextHopIP")
}

pub(crate) fn cidr_pair(field: &str) -> Rule {
    let fault = "is not a CIDR or two, IPv4 first; write it like 10.0.0.0/16 or \
                 10.0.0.0/16,fd00::/64, without spaces";
    on_text(field, pair_of("isCIDR"), fault)
}

/// One part that `is_valid`, or two, the first of IPv4 and the second of IPv6.
fn pair_of(is_valid: &str) -> String {
    let parts = "self.split(',', 3)";
    format!(
        "{parts}.size() <= 2 && {parts}.all(p, {is_valid}(p)) && \
         ({parts}.size() == 1 || (!{parts}[0].contains(':') && {parts}[1].contains(':')))"
    )
}

pub(crate) fn range(field: &str) -> Rule {
    let parts = "self.split('..', 3)";
    let cel = format!(
        "{parts}.size() <= 2 && {parts}.all(p, isIP(p)) && \
         {parts}[0].contains(':') == {parts}[{parts}.size() - 1].contains(':')"
    );
    let fault = "is neither an IP address nor a range; write it like 10.0.0.1 or \
                 10.0.0.1..10.0.0.9";
    on_text(field, cel, fault)
}

/// An address, a range or a CIDR.
pub(crate) fn addresses(field: &str) -> Rule {
    let parts = "self.split('..', 3)";
    let cel = format!(
        "isCIDR(self) || ({parts}.size() <= 2 && {parts}.all(p, isIP(p)) && \
         {parts}[0].contains(':') == {parts}[{parts}.size() - 1].contains(':'))"
    );
    let fault = "is neither an IP address nor a range nor a CIDR; write it like 10.0.0.1, \
                 10.0.0.1..10.0.0.9 or 10.0.0.0/28";
    on_text(field, cel, fault)
}

/// CIDRs that no subnet can have; the overlap may be either way.
pub(crate) fn not_reserved(field: &str) -> Rule {
    let cel = "self.split(',', 3).all(p, !isCIDR(p) || \
               ['127.0.0.0/8', '224.0.0.0/4', '::1/128', 'ff00::/8'].all(r, \
               !cidr(r).containsCIDR(p) && !cidr(p).containsCIDR(r)))";
    on_text(
        field,
        cel,
        "overlaps a loopback or multicast range; choose another",
    )
}

pub(crate) fn port(field: &str) -> Rule {
    let fault = "is not a port; give a decimal number from 1 to 65535";
    on_text(
        field,
        "self.matches('^[1-9][0-9]*$') && int(self) <= 65535",
        fault,
    )
}

pub(crate) fn transport(field: &str) -> Rule {
    let fault = "is not a protocol with ports; choose tcp, udp or sctp";
    on_text(field, "self.lowerAscii() in ['tcp', 'udp', 'sctp']", fault)
}

/// What the kernel accepts as the name of a link, apart from its length.
pub(crate) fn interface(field: &str) -> Rule {
    let cel = r"self.matches(r'^[^/:\s]+$') && !(self in ['.', '..'])";
    let fault = "is not the name of an interface; give one that `ip link` prints";
    on_text(field, cel, fault)
}

/// A number has no text whose length the API server could bound, so the message names all four.
pub(crate) fn free_table(field: &str) -> Rule {
    let fault = "is not free: 252 to 255 are routing tables of the kernel; choose another";
    Rule::new("!(self in [252, 253, 254, 255])")
        .message(Message::Message(format!("{field} {fault}")))
}

/// Addresses that packets can be sent to by way of any link.
pub(crate) fn routers(field: &str) -> Rule {
    let cel = "self.split(',', 3).all(p, !isIP(p) || ip(p).isGlobalUnicast())";
    let fault = "is no address of a router: loopback, link-local, multicast and unspecified ones are \
                 not routed to; choose another";
    on_text(field, cel, fault)
}

// === several fields ===

/// Fields `one` and `other`, addresses or CIDRs, are of one family.
pub(crate) fn same_family(one: &str, other: &str) -> Rule {
    rule(
        format!(
            "!has(self.{one}) || !has(self.{other}) || \
             self.{one}.contains(':') == self.{other}.contains(':')"
        ),
        format!(
            r#""{one} '" + self.{one} + "' and {other} '" + self.{other} + "' are of different families; give two of IPv4 or two of IPv6""#
        ),
    )
}

pub(crate) fn gateway_inside_cidr() -> Rule {
    let cidrs = "self.cidrBlock.split(',', 3)";
    rule(
        format!(
            "!has(self.gateway) || !has(self.cidrBlock) || !{cidrs}.all(c, isCIDR(c)) || \
             self.gateway.split(',', 3).all(g, !isIP(g) || {cidrs}.exists(c, cidr(c).containsIP(g)))"
        ),
        r#""gateway '" + self.gateway + "' is outside cidrBlock '" + self.cidrBlock + "'; choose an address in it, or leave gateway empty""#,
    )
    .field_path(".gateway")
}

const NO_EGRESS_GATEWAY: &str =
    "!has(self.externalEgressGateway) || self.externalEgressGateway == ''";

fn on_egress_gateway(cel: &str, fault: &str) -> Rule {
    rule(
        format!("{NO_EGRESS_GATEWAY} || {cel}"),
        format!(r#""externalEgressGateway '" + self.externalEgressGateway + "' {fault}""#),
    )
    .field_path(".externalEgressGateway")
}

pub(crate) fn egress_gateway_without_nat() -> Rule {
    let fault = "contradicts natOutgoing; set natOutgoing to false, or remove the gateway";
    on_egress_gateway("!has(self.natOutgoing) || !self.natOutgoing", fault)
}

pub(crate) fn egress_gateway_with_table() -> Rule {
    let fault = "has no routing table; set policyRoutingPriority and policyRoutingTableID";
    on_egress_gateway(
        "(has(self.policyRoutingPriority) && has(self.policyRoutingTableID))",
        fault,
    )
}

pub(crate) fn egress_gateway_family() -> Rule {
    on_egress_gateway(
        "!has(self.cidrBlock) || self.cidrBlock.contains(',') || \
         (!self.externalEgressGateway.contains(',') && \
         self.externalEgressGateway.contains(':') == self.cidrBlock.contains(':'))",
        "is of another family than cidrBlock; give an address of the same",
    )
}

/// Who is the gateway is said twice since Kube-OVN 1.9.
pub(crate) fn one_gateway() -> Rule {
    let message = "logicalGateway and underlayGateway contradict each other: they are opposites; \
                   leave one of them out";
    let cel = "!has(self.logicalGateway) || !self.logicalGateway || \
               !has(self.underlayGateway) || !self.underlayGateway";
    Rule::new(cel)
        .message(Message::Message(message.to_owned()))
        .field_path(".logicalGateway")
}

/// Linux has no IPv6 on a link with a smaller MTU.
pub(crate) fn mtu_of_ipv6() -> Rule {
    let message = "mtu is less than IPv6 needs; set it to 1280 or more, or remove it";
    let cel = "!has(self.mtu) || self.mtu >= 1280 || !has(self.cidrBlock) || \
               !self.cidrBlock.contains(':')";
    Rule::new(cel)
        .message(Message::Message(message.to_owned()))
        .field_path(".mtu")
}

// === the whole object ===
//
// The API server forgives an object from before a rule what an update leaves as it was, but counts
// every change, of a finalizer even, as one of the whole object. These rules look at the old object
// themselves, or a bad one could never be deleted.

/// `spec.<field>` has a value, or had none before.
pub(crate) fn set(field: &str, remedy: &str) -> Rule {
    let is_set =
        |object: &str| format!("has({object}.spec.{field}) && {object}.spec.{field} != ''");
    let (now, before) = (is_set("self"), is_set("old"));
    Rule::new(format!(
        "({now}) || oldSelf.optMap(old, !({before})).orValue(false)"
    ))
    .optional_old_self(true)
    .message(Message::Message(format!("{field} is empty; {remedy}")))
    .field_path(format!(".spec.{field}"))
}

/// A new object's name has at most `greatest` characters.
pub(crate) fn name_within(greatest: usize, reason: &str) -> Rule {
    rule(
        format!("self.metadata.name.size() <= {greatest} || oldSelf.hasValue()"),
        format!(
            r#""metadata.name '" + self.metadata.name + "' is longer than {greatest} characters; choose a shorter one, since {reason}""#
        ),
    )
    .optional_old_self(true)
}
