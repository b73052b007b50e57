//! Test support: namespaces as nodes, a real OVN, a real Kubernetes API server.
