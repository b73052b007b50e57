//! How gateway nodes are probed.

use std::time::Duration;

use clap::Args;
use probe::Pace;

use crate::gateways::Rules;

#[derive(Debug, Args)]
#[command(next_help_heading = "Liveness of gateway nodes")]
pub(crate) struct GatewayArgs {
    /// Milliseconds between two echo requests to an address of a gateway node
    #[arg(long = "gateway-probe-interval", value_name = "MILLISECONDS", default_value_t = 100,
          value_parser = clap::value_parser!(u64).range(20..=10_000))]
    probe_interval: u64,

    /// Losses in a row after which an observer calls a gateway node silent
    #[arg(long = "gateway-probe-losses", value_name = "NUMBER", default_value_t = 3,
          value_parser = clap::value_parser!(u8).range(2..=20))]
    probe_losses: u8,

    /// Milliseconds for which a gateway node that was taken out must answer before it carries traffic
    /// again
    #[arg(long = "gateway-return-delay", value_name = "MILLISECONDS", default_value_t = 2000,
          value_parser = clap::value_parser!(u64).range(0..=600_000))]
    return_delay: u64,
}

// === impl GatewayArgs ===

impl GatewayArgs {
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            pace: Pace {
                interval: Duration::from_millis(self.probe_interval),
                losses: self.probe_losses,
            },
            settling: Duration::from_millis(self.return_delay),
        }
    }
}
