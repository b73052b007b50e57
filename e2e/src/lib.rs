//! Tests on real parts: OVN, Open vSwitch, the Linux kernel, a Kubernetes API server.
