//! The central part of three members, each on a host of its own: how they find each other, and what
//! happens when one or most of them are lost.
//!
//! ```text
//! LAB_STARTS=20 cargo test -p e2e --features slow-tests --test lab_raft on_empty_disks
//! ```
#![cfg(test)]

use std::{collections::BTreeSet, env, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams};
use testkit::{Database, Lab, LabOptions, Member, OvnVersion, lab, wait_until};

const PATIENCE: Duration = Duration::from_mins(1);
const MEMBERS: u8 = 3;
/// How often members start on empty disks, unless the environment says otherwise.
const STARTS: (&str, usize) = ("LAB_STARTS", 3);

#[test]
fn members_that_start_at_once_on_empty_disks_are_one_cluster() {
    lab::run(three(), async |lab| {
        let members: Vec<&Member> = lab.members().iter().collect();
        are_one_cluster(&members).await?;
        let starts = env::var(STARTS.0).map_or(Ok(STARTS.1), |text| text.parse())?;
        for _ in 1..starts {
            start_from_nothing(lab).await?;
            are_one_cluster(&members).await?;
        }
        Ok(())
    });
}

#[test]
fn a_member_whose_disk_was_wiped_or_whose_file_is_spoiled_joins_anew() {
    lab::run(three(), async |lab| {
        let members: Vec<&Member> = lab.members().iter().collect();
        let before = are_one_cluster(&members).await?;
        lab.nbctl(["ls-add", "kept"])?;

        let wiped = members[0];
        wiped.stop().await?;
        wiped.remove_files()?;
        wiped.start()?;
        ensure!(are_one_cluster(&members).await? == before, "it is another");

        let spoiled = members[1];
        spoiled.stop().await?;
        fs::write(spoiled.file(Database::Northbound), "no database")?;
        spoiled.start()?;
        ensure!(are_one_cluster(&members).await? == before, "it is another");
        ensure!(lab.nbctl(["ls-list"])?.contains("kept"), "content is gone");
        Ok(())
    });
}

#[test]
fn a_killed_leader_is_followed_by_another_within_seconds() {
    lab::run(three(), async |lab| {
        let members: Vec<&Member> = lab.members().iter().collect();
        let before = are_one_cluster(&members).await?;
        let leader = lab.leader(Database::Northbound)?;
        leader.kill();
        let others: Vec<&Member> = members
            .iter()
            .copied()
            .filter(|member| member.name() != leader.name())
            .collect();
        wait_until("another leads", Duration::from_secs(10), async || {
            let leads = |member: &&Member| member.leads(Database::Northbound);
            ensure!(others.iter().any(leads), "nobody leads");
            Ok(())
        })
        .await?;
        lab.nbctl(["--timeout=20", "--wait=sb", "ls-add", "new"])?;
        leader.start()?;
        ensure!(are_one_cluster(&members).await? == before, "it is another");
        Ok(())
    });
}

#[test]
fn a_member_on_a_new_node_takes_the_place_of_one_that_is_gone() {
    lab::run(three(), async |lab| {
        let api_server = lab.api_server()?;
        let members: Vec<&Member> = lab.members().iter().collect();
        let before = are_one_cluster(&members).await?;
        lab.nbctl(["ls-add", "kept"])?;

        members[0].kill();
        members[0].delete_pod(api_server).await?;
        let new = lab.new_member(MEMBERS)?;
        new.create_pod(api_server).await?;
        new.start()?;
        let now = [members[1], members[2], &new];
        ensure!(are_one_cluster(&now).await? == before, "it is another");
        Ok(())
    });
}

#[test]
fn a_lost_majority_is_a_new_generation_with_what_is_left() {
    lab::run(three(), async |lab| {
        let api_server = lab.api_server()?;
        let members: Vec<&Member> = lab.members().iter().collect();
        let before = are_one_cluster(&members).await?;
        lab.nbctl(["--wait=sb", "ls-add", "kept"])?;

        for member in &members[..2] {
            member.kill();
            member.delete_pod(api_server).await?;
        }
        let new = [lab.new_member(MEMBERS)?, lab.new_member(MEMBERS + 1)?];
        for member in &new {
            member.create_pod(api_server).await?;
            member.start()?;
        }
        let now = [members[2], &new[0], &new[1]];
        let after = are_one_cluster(&now).await?;
        ensure!(after.is_disjoint(&before), "{after:?} was there before");
        let remotes = now.map(|member| member.remote(Database::Northbound));
        let list = [format!("--db={}", remotes.join(",")), "ls-list".to_owned()];
        ensure!(lab.nbctl(list)?.contains("kept"), "content is gone");

        // one that comes back from before does not make a second cluster
        members[0].create_pod(api_server).await?;
        members[0].start()?;
        let now = [now.as_slice(), &[members[0]]].concat();
        ensure!(are_one_cluster(&now).await? == after, "it is another");
        Ok(())
    });
}

const fn three() -> LabOptions {
    LabOptions::on(OvnVersion::V25_03)
        .nodes(0)
        .central_members(MEMBERS)
}

/// Waits until these and no others are servers of one cluster of each database, which is the
/// recorded one; the ids of both clusters.
async fn are_one_cluster(members: &[&Member]) -> Result<BTreeSet<String>> {
    wait_until("they are one cluster", PATIENCE, async || {
        let mut clusters = BTreeSet::new();
        for database in Database::ALL {
            let ids: Result<BTreeSet<String>> = members
                .iter()
                .map(|member| member.cluster(database))
                .collect();
            let ids = ids?;
            ensure!(ids.len() == 1, "there are {ids:?}");
            clusters.extend(ids);
            for member in members {
                let status = member.status(database)?;
                let servers = status.lines().skip_while(|line| *line != "Servers:");
                let servers = servers.count() - 1;
                ensure!(servers == members.len(), "{}: {status}", member.name());
                ensure!(status.contains("Status: cluster member"), "{status}");
            }
            let leads = |member: &&&Member| member.leads(database);
            let leaders = members.iter().filter(leads).count();
            ensure!(leaders == 1, "{leaders} lead {database:?}");
        }
        Ok(clusters)
    })
    .await
}

/// Members as they are on nodes that were installed just now.
async fn start_from_nothing(lab: &Lab) -> Result<()> {
    let api_server = lab.api_server()?;
    for member in lab.members() {
        member.stop().await?;
        member.remove_files()?;
        member.delete_pod(api_server).await?;
    }
    let leases = Api::<Lease>::namespaced(api_server.client()?, "kube-system");
    let deleted = leases.delete("ovn-central", &DeleteParams::default()).await;
    deleted.context("the clusters were recorded")?;
    for member in lab.members() {
        member.create_pod(api_server).await?;
    }
    for member in lab.members() {
        member.start()?;
    }
    Ok(())
}
