//! The central part where it has several members, which start again what ends.

use anyhow::{Context, Result, bail, ensure};

use crate::{Database, Lab, fault::Part};

/// Whether a part belongs to members.
pub(super) fn have(lab: &Lab, part: &Part) -> bool {
    let is_central = database(part).is_ok() || *part == Part::Northd;
    is_central && !lab.members().is_empty()
}

/// Kills the server of a database where it leads, or northd wherever it runs.
pub(super) fn kill(lab: &Lab, part: &Part) -> Result<()> {
    if let Ok(database) = database(part) {
        return lab.leader(database)?.kill_server(database);
    }
    let killed = lab.members().iter().filter(|it| it.kill_northd().is_ok());
    ensure!(killed.count() > 0, "northd runs nowhere");
    Ok(())
}

/// Has the leader hand over to another.
pub(super) fn move_lead(lab: &Lab, part: &Part) -> Result<()> {
    let database = database(part)?;
    let leader = lab.leader(database);
    leader.context("there are no members")?.move_lead(database)
}

fn database(part: &Part) -> Result<Database> {
    Ok(match part {
        Part::Northbound => Database::Northbound,
        Part::Southbound => Database::Southbound,
        Part::ApiServer
        | Part::Etcd
        | Part::Northd
        | Part::Controller
        | Part::Daemon(_)
        | Part::OvnController(_)
        | Part::Vswitchd(_)
        | Part::NodeDatabase(_) => bail!("{part} is no raft cluster"),
    })
}
