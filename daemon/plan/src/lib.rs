//! What a node should look like: links, addresses, routes, OVS rows; pure.
