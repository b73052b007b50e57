//! An OVSDB (RFC 7047) client: consistent replicas, guarded transactions, leader following.
