//! Rows of OVN and Open vSwitch databases, who owns them, and how two sets of them differ.
