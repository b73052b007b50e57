//! The node's kernel state by domain: desired, observe, diff, apply.
