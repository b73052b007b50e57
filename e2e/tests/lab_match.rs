//! Which expressions OVN reads, by its own word: our reader of users' matches agrees with it.
#![cfg(test)]

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use testkit::{Lab, LabOptions, OvnVersion, Wired, lab, wait_until};

const PATIENCE: Duration = Duration::from_secs(20);
const GOOD: &str = include_str!("../../crates/ovn/src/expr/read/good.txt");
const BAD: &str = include_str!("../../crates/ovn/src/expr/read/bad.txt");
/// A router that a node needs the flows of.
const ROUTER: &str = "
    ls-add s
    lsp-add s p
    lsp-set-addresses p 00:00:00:00:01:01
    lr-add r
    lrp-add r r-s 00:00:00:00:01:02 10.1.0.1/24
    lsp-add s s-r
    lsp-set-type s-r router
    lsp-set-addresses s-r router
    lsp-set-options s-r router-port=r-s
";

#[test]
fn ovn_25_03_reads_what_we_read_and_nothing_else() {
    ovn_reads_what_we_read(OvnVersion::V25_03);
}

#[test]
fn ovn_23_03_reads_what_we_read_and_nothing_else() {
    ovn_reads_what_we_read(OvnVersion::V23_03);
}

fn ovn_reads_what_we_read(version: OvnVersion) {
    lab::run(LabOptions::on(version).nodes(1), async |lab| {
        lab.nb(ROUTER)?;
        let _pod = Wired::attach(lab, "n1", "p", "10.1.0.11".parse()?).await?;
        lab.node("n1")?.ovn_appctl(["vlog/disable-rate-limit"])?;
        for (priority, text) in GOOD.lines().chain(BAD.lines()).enumerate() {
            let priority = (priority + 1).to_string();
            lab.nbctl(["lr-policy-add", "r", &priority, text, "allow"])?;
        }
        lab.sync()?;
        wait_until("OVN has tried them all", PATIENCE, async || {
            let log = log(lab)?;
            let read: Vec<&str> = BAD
                .lines()
                .filter(|it| complaint(&log, it).is_none())
                .collect();
            ensure!(read.is_empty(), "it reads {read:#?}");
            Ok(())
        })
        .await?;
        let log = log(lab)?;
        let unread: Vec<&str> = GOOD.lines().filter_map(|it| complaint(&log, it)).collect();
        ensure!(unread.is_empty(), "it cannot read {unread:#?}");
        Ok(())
    });
}

/// What the node says.
fn log(lab: &Lab) -> Result<String> {
    let log = lab.node("n1")?.directory().join("ovn-controller.log");
    Ok(fs::read_to_string(log)?)
}

/// The line of the log that says that the match cannot be read.
fn complaint<'a>(log: &'a str, text: &str) -> Option<&'a str> {
    let said = format!("error parsing match \"{text}\"");
    log.lines().find(|line| line.contains(&said))
}
