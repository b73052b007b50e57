//! The custom resources of kube-ovn-rs: structs, columns, defaults, validation; no behaviour.
