//! A pod on each of two nodes, from API object to packet.
