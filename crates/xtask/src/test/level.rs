//! The levels, in the order in which they run: what is quick to fail comes first.

use std::fmt;

use clap::ValueEnum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// rustfmt.
    Format,
    /// The project's own rules.
    Tidy,
    /// Generated files equal what is checked in.
    Codegen,
    /// Lints, with warnings as errors.
    Clippy,
    /// Documentation builds and its links lead somewhere.
    Docs,
    /// Tests without root: units, properties, scenarios, fake peers.
    Unit,
    /// Tests with root: real OVN, Open vSwitch, kernel, API server.
    Root,
    /// Tests on whole clusters: kubelet, containerd, images, chart.
    Cluster,
    /// Each crate built alone, without the features that its neighbours ask for.
    Alone,
    /// The root level again, to find what fails now and then.
    Repeat,
    /// Tests that take minutes.
    Slow,
}

impl Level {
    pub(crate) const ALL: [Self; 11] = [
        Self::Format,
        Self::Tidy,
        Self::Codegen,
        Self::Clippy,
        Self::Docs,
        Self::Unit,
        Self::Root,
        Self::Cluster,
        Self::Alone,
        Self::Repeat,
        Self::Slow,
    ];

    /// What the level looks at, in one line.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Format => "the code is formatted",
            Self::Tidy => "crate edges, licences, modules, texts",
            Self::Codegen => "generated files equal what is checked in",
            Self::Clippy => "lints, warnings are errors",
            Self::Docs => "documentation builds, links lead somewhere",
            Self::Unit => "units, properties, scenarios, fake peers; no root",
            Self::Root => "real OVN, Open vSwitch, kernel and API server; root",
            Self::Cluster => "images, chart and demo on a cluster of two nodes; root",
            Self::Alone => "each crate builds alone",
            Self::Repeat => "the root level three more times; root",
            Self::Slow => "long faults and chaos; no scale or upgrade tests yet; root",
        }
    }

    /// Whether the level runs tests that are counted.
    pub(crate) fn counts_tests(self) -> bool {
        match self {
            Self::Unit | Self::Root | Self::Cluster | Self::Repeat | Self::Slow => true,
            Self::Format | Self::Tidy | Self::Codegen | Self::Clippy | Self::Docs | Self::Alone => {
                false
            }
        }
    }

    /// Whether the level takes so long that it has to be asked for.
    pub(crate) fn is_slow(self) -> bool {
        match self {
            Self::Alone | Self::Repeat | Self::Slow => true,
            Self::Format
            | Self::Tidy
            | Self::Codegen
            | Self::Clippy
            | Self::Docs
            | Self::Unit
            | Self::Root
            | Self::Cluster => false,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Format => "format",
            Self::Tidy => "tidy",
            Self::Codegen => "codegen",
            Self::Clippy => "clippy",
            Self::Docs => "docs",
            Self::Unit => "unit",
            Self::Root => "root",
            Self::Cluster => "cluster",
            Self::Alone => "alone",
            Self::Repeat => "repeat",
            Self::Slow => "slow",
        })
    }
}
