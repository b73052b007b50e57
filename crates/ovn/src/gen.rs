//! Tables and columns, generated from the `.ovsschema` files by `cargo xtask codegen`.

pub mod nb;
pub mod sb;
pub mod vswitch;
