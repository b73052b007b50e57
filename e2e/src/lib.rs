//! Tests on real parts: OVN, Open vSwitch, the Linux kernel, a Kubernetes API server.
//!
//! They are under `tests/`, need root and the feature `root-tests`; see each file's head.
