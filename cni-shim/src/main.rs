//! The CNI plugin: forwards the runtime's call to the node daemon and prints its answer.

fn main() {}
