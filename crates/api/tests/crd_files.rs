//! The definitions in `deploy/crds` are those of this crate.

#![cfg(test)]

macro_rules! committed {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../../deploy/crds/", $name)))),+]
    };
}

const COMMITTED: [(&str, &str); 8] = committed![
    "ippools.yaml",
    "ips.yaml",
    "provider-networks.yaml",
    "subnets.yaml",
    "vips.yaml",
    "vlans.yaml",
    "vpc-nat-gateways.yaml",
    "vpcs.yaml",
];

#[test]
fn the_committed_definitions_are_the_generated_ones() {
    let generated = api::crd_files().unwrap();
    let names = |files: &[(String, String)]| -> Vec<_> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    let committed = COMMITTED.map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(names(&committed), names(&generated));
    for ((name, committed), (_, generated)) in committed.iter().zip(&generated) {
        assert!(
            committed == generated,
            "deploy/crds/{name} is out of date; run `cargo xtask codegen`"
        );
    }
}
