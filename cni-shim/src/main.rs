//! The CNI plugin: forwards the runtime's call to the node daemon and prints its answer.
//!
//! Environment and standard input go to the daemon as they are, and its reply to standard output.
//! What is decided here is what the daemon cannot decide: that it is not there, or of another
//! version. Nothing here knows pods or networks. Installed as `/opt/cni/bin/kube-ovn`.

mod call;
mod daemon;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use proto::cni::{VERSIONS, v1::CniError};
use serde_json::json;

use crate::call::{Call, Command};

fn main() -> ExitCode {
    let (output, code) = match answer() {
        Ok(result) => (result, ExitCode::SUCCESS),
        Err(error) => (object(&error), ExitCode::FAILURE),
    };
    let printed = io::stdout().write_all(&output);
    printed.map_or(ExitCode::FAILURE, |()| code)
}

/// What goes to standard output when the call succeeds.
fn answer() -> Result<Vec<u8>, CniError> {
    let call = Call::read()?;
    let version = call.config.cni_version.clone();
    if call.command == Command::Version {
        let versions = json!({ "cniVersion": version, "supportedVersions": VERSIONS });
        return Ok(versions.to_string().into_bytes());
    }
    daemon::ask(call).map_err(|error| error.in_version(&version))
}

/// The error object of the CNI specification 1.1, section 5.
fn object(error: &CniError) -> Vec<u8> {
    let (msg, details) = (&error.msg, &error.details);
    json!({ "cniVersion": error.cni_version, "code": error.code, "msg": msg, "details": details })
        .to_string()
        .into_bytes()
}
