//! The gRPC interfaces between the programs, versioned by package.
//!
//! The `.proto` files are in `proto/`; the code below `gen` is generated from them by
//! `cargo xtask codegen` and checked in. Clients come always, servers with the feature `server`, so
//! that the CNI plugin stays small. Nothing here opens a connection.

mod cni_error;

/// Calls of the CNI plugin, forwarded to the node daemon.
#[path = "gen/cni"]
pub mod cni {
    #[expect(
        unused_qualifications,
        clippy::allow_attributes_without_reason,
        reason = "generated"
    )]
    #[cfg_attr(
        feature = "server",
        expect(
            clippy::allow_attributes,
            clippy::as_conversions,
            clippy::clone_on_ref_ptr,
            clippy::default_trait_access,
            clippy::excessive_nesting,
            clippy::too_many_lines,
            reason = "generated"
        )
    )]
    pub mod v1;

    /// The versions of the CNI specification that shim and daemon speak, oldest first.
    pub const VERSIONS: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", NEWEST];

    /// The version of answers to who speaks none of ours.
    pub const NEWEST: &str = "1.1.0";
}

/// What a program would have the world be, and what it is, for operators with a generic client.
#[path = "gen/debug"]
pub mod debug {
    #[expect(
        unused_qualifications,
        clippy::allow_attributes_without_reason,
        clippy::derive_partial_eq_without_eq,
        reason = "generated"
    )]
    #[cfg_attr(
        feature = "server",
        expect(
            clippy::allow_attributes,
            clippy::as_conversions,
            clippy::clone_on_ref_ptr,
            clippy::default_trait_access,
            clippy::excessive_nesting,
            clippy::too_many_lines,
            reason = "generated"
        )
    )]
    pub mod v1;
}

/// Which gateway nodes answer, as the daemons of others tell the leading controller.
#[path = "gen/liveness"]
pub mod liveness {
    #[expect(
        unused_qualifications,
        clippy::allow_attributes_without_reason,
        clippy::derive_partial_eq_without_eq,
        reason = "generated"
    )]
    #[cfg_attr(
        feature = "server",
        expect(
            clippy::allow_attributes,
            clippy::as_conversions,
            clippy::clone_on_ref_ptr,
            clippy::default_trait_access,
            clippy::excessive_nesting,
            reason = "generated"
        )
    )]
    pub mod v1;
}
