//! With TLS: our client and ovn-controller reach the databases, and nobody else does.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail, ensure};
use kit::tls::{AUTHORITIES, Authority, CERTIFICATE, Identity, KEY, Pem, Validity};
use ovsdb::{Client, Columns, Operation, Options, Outcome, Remote, Row, Tls, Transaction};
use tokio::{runtime, time::timeout};

use super::{Host, PATIENCE, Process, stop};

const SWITCH: &str = "Logical_Switch";

/// Good for a hundred years, whatever the clock of this host says.
fn good() -> Validity {
    let years = Duration::from_hours(100 * 365 * 24);
    SystemTime::UNIX_EPOCH..SystemTime::UNIX_EPOCH + years
}

fn authority() -> Result<Authority> {
    Ok(Authority::generate(&good())?)
}

// === impl Host ===

impl Host {
    /// Puts certificates where the programs look for them.
    fn certify(&self, pem: &Pem) -> Result<()> {
        let folder = self.path("tls");
        std::fs::create_dir_all(&folder)?;
        for (name, text) in [
            (AUTHORITIES, &pem.authorities),
            (CERTIFICATE, &pem.certificate),
            (KEY, &pem.key),
        ] {
            std::fs::write(folder.join(name), text)?;
        }
        Ok(())
    }

    fn secured(
        &self,
        start: fn(&Self, &[&str]) -> Result<Process>,
        first: &str,
    ) -> Result<Process> {
        let folder = self.path("tls").display().to_string();
        start(
            self,
            &[first, "--enable-ssl=true", "--tls-directory", &folder],
        )
    }

    /// Adds a switch by our client, and returns the names of all.
    fn add_switch(&self, identity: &Identity, name: &str) -> Result<BTreeSet<String>> {
        let identity = identity.clone();
        self.netns.run(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(add_switch(identity, name))
        })
    }
}

async fn add_switch(identity: Identity, name: &str) -> Result<BTreeSet<String>> {
    let remotes = vec!["ssl:127.0.0.1:6641".parse::<Remote>()?];
    let options = Options::new(remotes, "OVN_Northbound")
        .table(SWITCH, Columns::All)
        .leader_only()
        .tls(Tls::new(move || identity.client()));
    let (client, driver) = Client::new(options);
    drop(kit::spawn("driver", driver.run()));
    timeout(PATIENCE / 4, client.replica().connected())
        .await
        .context("no connection")?;
    let insert = Operation::Insert {
        table: SWITCH.to_owned(),
        uuid: None,
        row: Row::new().with("name", name),
    };
    let outcome = client.transact(Transaction::new().with(insert)).await;
    ensure!(outcome == Outcome::Committed, "{outcome:?}");
    let database = client.replica().read();
    let rows = database.table(SWITCH).values();
    Ok(rows.map(|row| row.str("name").to_owned()).collect())
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[tokio::test]
async fn databases_keep_their_content_when_tls_is_switched_on() -> Result<()> {
    let host = Host::new()?;
    let program = host.central("127.0.0.1")?;
    host.is_ready(10661).await?;
    let plain = ["--db=tcp:127.0.0.1:6641", "ls-add", "before"];
    host.tool("ovn-nbctl", &plain).read()?;
    stop(program).await?;

    let authority = authority()?;
    host.certify(&authority.issue(&good())?)?;
    let program = host.secured(Host::central_with, "--address=127.0.0.1")?;
    host.is_ready(10661).await?;
    let member = authority.issue(&good())?;
    let member = Identity::new(move || Ok(member.clone()));
    assert_eq!(
        host.add_switch(&member, "after")?,
        names(["before", "after"])
    );
    assert!(host.tool("ovn-nbctl", &plain).read().is_err());
    stop(program).await
}

#[tokio::test]
async fn a_stranger_is_refused_and_renewed_files_are_used_without_a_restart() -> Result<()> {
    let host = Host::new()?;
    let (first, second) = (authority()?, authority()?);
    host.certify(&first.issue(&good())?)?;
    let program = host.secured(Host::central_with, "--address=127.0.0.1")?;
    host.is_ready(10661).await?;
    // believes the server, and is not believed
    let stranger = Pem {
        authorities: first.certificate().to_owned(),
        ..second.issue(&good())?
    };
    let stranger = Identity::new(move || Ok(stranger.clone()));
    if host.add_switch(&stranger, "strange").is_ok() {
        bail!("a stranger was served");
    }

    host.certify(&second.issue(&good())?)?;
    let renewed = Identity::of_folder(host.path("tls"));
    assert_eq!(host.add_switch(&renewed, "renewed")?, names(["renewed"]));
    stop(program).await
}

#[tokio::test]
async fn ovn_controller_reaches_the_southbound_database_by_tls() -> Result<()> {
    let host = Host::new()?;
    host.certify(&authority()?.issue(&good())?)?;
    let _central = host.secured(Host::central_with, "--address=127.0.0.1")?;
    let remote = "--ovn-remote=ssl:127.0.0.1:6642";
    let vswitch = host.secured(Host::vswitch_with, remote)?;
    host.is_ready(10663).await?;
    stop(vswitch).await
}
