//! What users write into VPCs becomes rows, and what they must mend is told, with a real API server.
#![cfg(test)]

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use api::{Subnet, Vpc};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use testkit::{Cluster, Lab, LabOptions, OvnVersion, lab, wait_for_event, wait_until};

const PATIENCE: Duration = Duration::from_mins(1);

/// A VPC `tenant` with a subnet, and a controller.
fn with_tenant(test: impl AsyncFnOnce(&Lab) -> Result<()> + Send + 'static) {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async move |lab| {
        let cluster = Cluster::start_without_daemons(lab).await?;
        create_vpc(lab, "tenant", json!({})).await?;
        let spec = json!({"vpc": "tenant", "cidrBlock": "10.40.0.0/16,fd40::/64"});
        let subnet = json!({
            "apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": {"name": "s"}, "spec": spec,
        });
        let subnets: Api<Subnet> = Api::all(lab.api_server()?.client()?);
        let subnet = serde_json::from_value(subnet)?;
        subnets.create(&PostParams::default(), &subnet).await?;
        wait_for_condition(lab, "tenant", ("Ready", "True", "")).await?;
        test(lab).await?;
        drop(cluster);
        Ok(())
    });
}

fn vpcs(lab: &Lab) -> Result<Api<Vpc>> {
    Ok(Api::all(lab.api_server()?.client()?))
}

async fn create_vpc(lab: &Lab, name: &str, spec: Value) -> Result<()> {
    let object = json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Vpc", "metadata": {"name": name}, "spec": spec,
    });
    let object = serde_json::from_value(object)?;
    vpcs(lab)?.create(&PostParams::default(), &object).await?;
    Ok(())
}

async fn edit(lab: &Lab, name: &str, spec: Value) -> Result<()> {
    let patch = Patch::Merge(json!({ "spec": spec }));
    let params = PatchParams::default();
    vpcs(lab)?.patch(name, &params, &patch).await?;
    Ok(())
}

async fn wait_for_condition(lab: &Lab, vpc: &str, wanted: (&str, &str, &str)) -> Result<()> {
    let (type_, status, words) = wanted;
    wait_until("the condition is met", PATIENCE, async || {
        let found = vpcs(lab)?.get(vpc).await?.status.context("no status")?;
        let found = found.conditions.into_iter().find(|it| it.type_ == type_);
        let found = found.context("there is no such condition")?;
        ensure!(
            found.status == status && found.message.contains(words),
            "it is {found:?}"
        );
        Ok(())
    })
    .await
}

/// `<prefix> <policy> <next hop>` of the router's routes, sorted.
fn routes(lab: &Lab, router: &str) -> Result<Vec<String>> {
    let uuids = lab.nbctl(["--bare", "get", "Logical_Router", router, "static_routes"])?;
    let uuids = uuids.trim_matches(['[', ']']).split(", ");
    let mut routes = Vec::new();
    for uuid in uuids.filter(|it| !it.is_empty()) {
        let columns = ["ip_prefix", "policy", "nexthop"];
        let get = ["get", "Logical_Router_Static_Route", uuid].into_iter();
        let words = lab.nbctl(get.chain(columns))?;
        let words: Vec<&str> = words.lines().map(|it| it.trim_matches('"')).collect();
        routes.push(words.join(" "));
    }
    routes.sort();
    Ok(routes)
}

async fn wait_for_routes(lab: &Lab, router: &str, wanted: &[&str]) -> Result<()> {
    wait_until("the routes are as declared", PATIENCE, async || {
        let found = routes(lab, router)?;
        ensure!(found == wanted, "there are {found:?}");
        Ok(())
    })
    .await
}

/// `<priority> <match> <action> [<next hops>]`, the words single-spaced.
async fn wait_for_policies(lab: &Lab, router: &str, wanted: &[&str]) -> Result<()> {
    wait_until("the policies are as declared", PATIENCE, async || {
        let found = lab.nbctl(["lr-policy-list", router])?;
        let lines = found.lines().skip(1);
        let lines = lines.map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "));
        let found: Vec<String> = lines.collect();
        ensure!(found == wanted, "there are {found:?}");
        Ok(())
    })
    .await
}

fn uuid_of_route(lab: &Lab, nexthop: &str) -> Result<String> {
    let nexthop = format!("nexthop=\"{nexthop}\"");
    let table = "Logical_Router_Static_Route";
    let found = lab.nbctl(["--bare", "--columns=_uuid", "find", table, &nexthop])?;
    ensure!(!found.is_empty(), "there is no route with {nexthop}");
    Ok(found)
}

/// In Kube-OVN deleting one of two next hops deletes both, and routes of IPv6 never exist.
#[test]
fn changing_one_next_hop_of_two_leaves_the_others_row_alone_and_ipv6_is_a_family_like_the_other() {
    with_tenant(async |lab| {
        let to = |cidr: &str, nexthop: &str| json!({"cidr": cidr, "nextHopIP": nexthop});
        let kept = [
            to("0.0.0.0/0", "10.40.0.253"),
            to("fd41::/64", "fd40::fe"),
            to("10.41.0.7", "10.40.0.253"),
        ];
        let with = |changing| {
            let routes = [&kept[..], &[changing]].concat();
            json!({ "staticRoutes": routes })
        };
        edit(lab, "tenant", with(to("0.0.0.0/0", "10.40.0.254"))).await?;
        let mut wanted = [
            "0.0.0.0/0 dst-ip 10.40.0.253",
            "0.0.0.0/0 dst-ip 10.40.0.254",
            "10.41.0.7 dst-ip 10.40.0.253",
            "fd41::/64 dst-ip fd40::fe",
        ];
        wait_for_routes(lab, "tenant", &wanted).await?;
        let before = [
            uuid_of_route(lab, "10.40.0.253")?,
            uuid_of_route(lab, "fd40::fe")?,
        ];
        edit(lab, "tenant", with(to("0.0.0.0/0", "10.40.0.252"))).await?;
        wanted[..2].copy_from_slice(&[
            "0.0.0.0/0 dst-ip 10.40.0.252",
            "0.0.0.0/0 dst-ip 10.40.0.253",
        ]);
        wait_for_routes(lab, "tenant", &wanted).await?;
        let after = [
            uuid_of_route(lab, "10.40.0.253")?,
            uuid_of_route(lab, "fd40::fe")?,
        ];
        assert_eq!(before, after);
        edit(lab, "tenant", json!({"staticRoutes": null})).await?;
        wait_for_routes(lab, "tenant", &[]).await
    });
}

/// In Kube-OVN they are taken out of the spec.
#[test]
fn routes_of_the_default_vpc_stay_in_its_spec_and_stand_beside_its_own() {
    with_tenant(async |lab| {
        let route = json!({"cidr": "192.0.2.0/24", "nextHopIP": "10.16.0.254"});
        edit(lab, "ovn-cluster", json!({"staticRoutes": [route]})).await?;
        let own = "0.0.0.0/0 dst-ip 100.64.0.1";
        let both = [own, "192.0.2.0/24 dst-ip 10.16.0.254"];
        wait_for_routes(lab, "ovn-cluster", &both).await?;
        wait_for_condition(lab, "ovn-cluster", ("Ready", "True", "")).await?;
        let spec = vpcs(lab)?.get("ovn-cluster").await?.spec;
        assert_eq!(spec.static_routes.len(), 1);
        edit(lab, "ovn-cluster", json!({"staticRoutes": null})).await?;
        wait_for_routes(lab, "ovn-cluster", &[own]).await
    });
}

#[test]
fn policies_and_links_are_rows_and_go_with_their_entries() {
    with_tenant(async |lab| {
        let link =
            |remote: &str, address: &str| json!([{"remoteVpc": remote, "localConnectIP": address}]);
        let policies = json!([
            {"priority": 20, "match": "ip4.src == 10.40.0.7", "action": "drop"},
            {"priority": 10, "match": "ip4.src == 10.40.0.0/16", "action": "reroute",
             "nextHopIP": "10.40.0.254"},
        ]);
        // without a route OVN drops packets before it looks at policies, which a condition says
        let spec = json!({
            "staticRoutes": [{"cidr": "0.0.0.0/0", "nextHopIP": "10.40.0.254"}],
            "policyRoutes": policies,
            "vpcPeerings": link("b", "169.254.0.1/30"),
        });
        edit(lab, "tenant", spec).await?;
        create_vpc(
            lab,
            "b",
            json!({"vpcPeerings": link("tenant", "169.254.0.2/30")}),
        )
        .await?;
        let wanted = [
            "20 ip4.src == 10.40.0.7 drop",
            "10 ip4.src == 10.40.0.0/16 reroute 10.40.0.254",
        ];
        wait_for_policies(lab, "tenant", &wanted).await?;
        let port = |port: &str| {
            let get = ["get", "Logical_Router_Port", port, "networks", "peer"];
            lab.nbctl(get)
        };
        wait_until("both ends are there", PATIENCE, async || {
            let ends = [port("tenant-b")?, port("b-tenant")?];
            let wanted = [
                "[\"169.254.0.1/30\"]\nb-tenant",
                "[\"169.254.0.2/30\"]\ntenant-b",
            ];
            ensure!(ends == wanted, "there are {ends:?}");
            Ok(())
        })
        .await?;
        wait_for_condition(lab, "tenant", ("Ready", "True", "")).await?;

        edit(lab, "b", json!({"vpcPeerings": null})).await?;
        wait_for_condition(lab, "tenant", ("Error", "True", "does not name this one")).await?;
        wait_until("both ends are gone", PATIENCE, async || {
            let found = [port("tenant-b"), port("b-tenant")];
            ensure!(found.iter().all(Result::is_err), "there are {found:?}");
            Ok(())
        })
        .await?;
        edit(
            lab,
            "tenant",
            json!({"policyRoutes": null, "vpcPeerings": null}),
        )
        .await?;
        wait_for_policies(lab, "tenant", &[]).await?;
        wait_for_condition(lab, "tenant", ("Error", "False", "")).await
    });
}

#[test]
fn wrong_entries_are_conditions_and_events_and_their_neighbours_are_rows() {
    with_tenant(async |lab| {
        let spec = json!({
            "staticRoutes": [
                {"cidr": "10.41.0.0/16", "nextHopIP": "10.40.0.9"},
                {"cidr": "10.41.0.0/16", "nextHopIP": "10.40.0.9"},
                {"cidr": "10.42.0.0/16", "nextHopIP": "203.0.113.1"},
            ],
            "policyRoutes": [
                {"priority": 0, "match": "ip4", "action": "drop"},
                {"priority": 9, "match": "ip6.src == fd40::7", "action": "drop"},
            ],
            "vpcPeerings": [{"remoteVpc": "nobody", "localConnectIP": "169.254.0.1/30"}],
        });
        edit(lab, "tenant", spec).await?;
        for words in [
            "spec.staticRoutes[1] is `10.41.0.0/16 via 10.40.0.9`: spec.staticRoutes[0] says it",
            "spec.staticRoutes[2].nextHopIP is `203.0.113.1`: no subnet and no peering",
            "spec.policyRoutes[0].priority is `0`: write 1 to 32767",
            "spec.vpcPeerings[0].remoteVpc is `nobody`: there is no such VPC",
        ] {
            wait_for_condition(lab, "tenant", ("Error", "True", words)).await?;
            wait_for_event(lab, "ValidateVpcFailed", &[words]).await?;
        }
        wait_for_routes(lab, "tenant", &["10.41.0.0/16 dst-ip 10.40.0.9"]).await?;
        wait_for_policies(lab, "tenant", &["9 ip6.src == fd40::7 drop"]).await?;
        let standby = vpcs(lab)?
            .get("tenant")
            .await?
            .status
            .context("no status")?;
        assert!(standby.standby, "subnets can be connected all the same");
        Ok(())
    });
}

#[test]
fn r24_routes_of_kube_ovn_become_ours_and_others_in_the_router_stay() {
    with_tenant(async |lab| {
        let add = ["--policy=src-ip", "lr-route-add", "tenant"];
        lab.nbctl(add.into_iter().chain(["10.40.0.7", "10.40.0.254"]))?;
        lab.nbctl(add.into_iter().chain(["10.40.0.8", "10.40.0.254"]))?;
        lab.nbctl(["lr-route-add", "tenant", "10.41.0.0/16", "10.40.0.253"])?;
        lab.nbctl(["lr-route-add", "tenant", "10.42.0.0/16", "10.40.0.252"])?;
        let learned = uuid_of_route(lab, "10.40.0.252")?;
        let route = "Logical_Router_Static_Route";
        lab.nbctl(["set", route, &learned, "external_ids:ic-learned-route=x"])?;
        let before = uuid_of_route(lab, "10.40.0.253")?;
        let routes = json!([
            {"cidr": "10.40.0.7", "nextHopIP": "10.40.0.254", "policy": "policySrc"},
            {"cidr": "10.41.0.0/16", "nextHopIP": "10.40.0.253"},
        ]);
        edit(lab, "tenant", json!({"staticRoutes": routes})).await?;
        let wanted = [
            "0.0.0.0/0 dst-ip 10.40.0.254",
            "10.40.0.8 src-ip 10.40.0.254",
            "10.41.0.0/16 dst-ip 10.40.0.253",
            "10.42.0.0/16 dst-ip 10.40.0.252",
        ];
        // one that was never said of which policy it is prints as an empty set
        wait_until("the routes are adopted", PATIENCE, async || {
            let found = self::routes(lab, "tenant")?;
            let found: Vec<_> = found.iter().map(|it| it.replace("[]", "dst-ip")).collect();
            ensure!(found == wanted, "there are {found:?}");
            Ok(())
        })
        .await?;
        assert_eq!(uuid_of_route(lab, "10.40.0.253")?, before);
        let owner = lab.nbctl(["get", route, &before, "external_ids:kube-ovn-owner"])?;
        assert_eq!(owner.trim_matches('"'), "vpc/tenant");
        let policies = lab.nbctl(["lr-policy-list", "tenant"])?;
        assert!(policies.contains("ip4.src == 10.40.0.7"), "{policies}");
        Ok(())
    });
}
