//! What the tests and tools need on the host: which version, where it is cached, how it is made.
