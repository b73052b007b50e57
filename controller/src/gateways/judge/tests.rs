use model::Sharing;
use proptest::prelude::*;

use super::*;

const SETTLING: Duration = Duration::from_secs(2);
const NEARLY_SETTLED: Duration = Duration::from_millis(1900);
const STEP: Duration = Duration::from_millis(100);

/// A story of three nodes or more, told in steps.
struct Story {
    judge: Judge,
    gateways: Gateways,
    now: Instant,
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn names(texts: &[&str]) -> BTreeSet<NodeName> {
    texts.iter().map(|text| name(text)).collect()
}

fn set(members: &BTreeSet<NodeName>) -> GatewaySet {
    GatewaySet::new(Sharing::All, members.iter().cloned()).unwrap()
}

impl Story {
    /// One set, of which all are ready.
    fn of(members: &[&str]) -> Self {
        Self::after(members, &[])
    }

    /// A new leader, whose predecessor had taken these out.
    fn after(members: &[&str], lost: &[&str]) -> Self {
        let now = Instant::now();
        let ready = names(members);
        Self {
            judge: Judge::new(now, SETTLING, names(lost)),
            gateways: Gateways {
                sets: [set(&ready)].into(),
                ready,
                host: None,
            },
            now,
        }
    }

    /// The observer sees these nodes: silent, with `!` before the name.
    fn report(&mut self, observer: Observer, seen: &[&str]) {
        let sights = seen.iter().map(|text| {
            let silent = text.strip_prefix('!');
            let before = self.judge.reports.get(&observer);
            let before = before.and_then(|it| it.sights.get(&name(silent.unwrap_or(text))));
            let same = before.filter(|it| it.answers == silent.is_none());
            let sight = Sight {
                answers: silent.is_none(),
                since: same.map_or(self.now, |it| it.since),
                round_trip: None,
            };
            (name(silent.unwrap_or(text)), sight)
        });
        let sights = sights.collect();
        self.judge.hear(observer, sights, self.now);
    }

    fn daemon(&mut self, node: &str, seen: &[&str]) {
        self.report(Observer::Daemon(name(node)), seen);
    }

    fn judge(&mut self) -> BTreeSet<NodeName> {
        self.judge.judge(self.now, &self.gateways)
    }

    /// The same reports for a while; who carries nothing then.
    fn go_on(&mut self, time: Duration, reports: &[(&str, &[&str])]) -> BTreeSet<NodeName> {
        let end = self.now + time;
        loop {
            for (observer, seen) in reports {
                match *observer {
                    "leader" => self.report(Observer::Leader, seen),
                    node => self.daemon(node, seen),
                }
            }
            let out = self.judge();
            if self.now >= end {
                return out;
            }
            self.now += STEP;
        }
    }
}

#[test]
fn a_node_that_most_do_not_hear_is_out_at_once() {
    let mut story = Story::of(&["n1", "n2", "n3"]);
    let well: &[(&str, &[&str])] = &[
        ("n1", &["n2", "n3"]),
        ("n2", &["n1", "n3"]),
        ("n3", &["n1", "n2"]),
    ];
    assert_eq!(story.go_on(Duration::from_secs(3), well), names(&[]));
    story.daemon("n1", &["!n2", "n3"]);
    assert_eq!(story.judge(), names(&[]), "n3 hears it");
    story.daemon("n3", &["n1", "!n2"]);
    assert_eq!(story.judge(), names(&["n2"]));
}

#[test]
fn one_observer_alone_takes_nobody_out() {
    let mut story = Story::of(&["n1", "n2"]);
    let out = story.go_on(Duration::from_mins(1), &[("n1", &["!n2"])]);
    assert_eq!(out, names(&[]));
    // two voices of one host are one
    story.gateways.host = Some(name("n1"));
    let both: &[(&str, &[&str])] = &[("n1", &["!n2"]), ("leader", &["!n2"])];
    assert_eq!(story.go_on(Duration::from_mins(1), both), names(&[]));
    story.gateways.host = Some(name("n9"));
    assert_eq!(story.go_on(STEP, both), names(&["n2"]));
}

#[test]
fn a_leader_without_a_way_to_the_others_has_no_voice() {
    let mut story = Story::of(&["n1", "n2", "n3"]);
    let reports: &[(&str, &[&str])] = &[("n1", &["!n2"]), ("leader", &["!n1", "!n2", "!n3"])];
    assert_eq!(story.go_on(Duration::from_mins(1), reports), names(&[]));
}

#[test]
fn a_node_that_answers_again_is_back_after_it_has_settled() {
    let mut story = Story::of(&["n1", "n2", "n3"]);
    let lost: &[(&str, &[&str])] = &[("n1", &["!n2", "n3"]), ("n3", &["n1", "!n2"])];
    let back: &[(&str, &[&str])] = &[("n1", &["n2", "n3"]), ("n3", &["n1", "n2"])];
    assert_eq!(story.go_on(Duration::from_secs(1), lost), names(&["n2"]));
    assert_eq!(story.go_on(NEARLY_SETTLED, back), names(&["n2"]));
    // one more loss, and the time begins anew
    assert_eq!(story.go_on(STEP, lost), names(&["n2"]));
    story.now += STEP;
    assert_eq!(story.go_on(NEARLY_SETTLED, back), names(&["n2"]));
    assert_eq!(story.go_on(STEP, back), names(&[]));
}

#[test]
fn who_is_cut_off_is_out_and_takes_nobody_with_it() {
    let mut story = Story::of(&["n1", "n2", "n3"]);
    story.gateways.host = Some(name("n1"));
    let reports: &[(&str, &[&str])] = &[
        ("n1", &["!n2", "!n3"]),
        ("leader", &["!n2", "!n3"]),
        ("n2", &["!n1", "n3"]),
        ("n3", &["!n1", "n2"]),
    ];
    assert_eq!(story.go_on(Duration::from_mins(1), reports), names(&["n1"]));
}

#[test]
fn when_nobody_hears_anybody_one_goes_on() {
    let mut story = Story::of(&["n1", "n2", "n3"]);
    let reports: &[(&str, &[&str])] = &[
        ("n1", &["!n2", "!n3"]),
        ("n2", &["!n1", "!n3"]),
        ("n3", &["!n1", "!n2"]),
    ];
    assert_eq!(story.go_on(Duration::from_mins(1), reports).len(), 2);
    // the last that is ready, whatever kubelet says of the others
    story.gateways.ready = names(&["n2"]);
    let out = story.go_on(Duration::from_secs(1), reports);
    assert!(!out.contains(&name("n2")), "{out:?}");
}

#[test]
fn a_silent_observer_leaves_the_others_to_decide() {
    let mut story = Story::of(&["n1", "n2", "n3", "n4"]);
    story.daemon("n1", &["!n2"]);
    story.daemon("n3", &["n2"]);
    story.daemon("n4", &["n2"]);
    assert_eq!(story.judge(), names(&[]));
    story.now += FRESH;
    story.daemon("n1", &["!n2"]);
    story.daemon("n3", &["!n2"]);
    assert_eq!(story.judge(), names(&["n2"]));
    story.now += FRESH;
    assert_eq!(story.judge(), names(&["n2"]), "nobody knows better");
    story.now += REMEMBERED;
    assert_eq!(story.judge(), names(&[]), "nobody knows anything");
}

#[test]
fn a_successor_changes_nothing_before_it_has_listened_and_then_at_once() {
    let mut story = Story::after(&["n1", "n2", "n3", "n4"], &["n4"]);
    assert_eq!(story.judge(), names(&["n4"]), "what its predecessor knew");
    // the first to speak are those that are cut off themselves
    story.daemon("n1", &["!n2", "!n3", "!n4"]);
    story.daemon("n4", &["n1", "!n2", "!n3"]);
    assert_eq!(story.judge(), names(&["n4"]));
    story.now += GATHERING / 2;
    let since = story.now - SETTLING;
    for node in ["n1", "n2", "n3", "n4"] {
        story.daemon(node, &["n1", "!n2", "n3", "n4"]);
        for sight in story
            .judge
            .reports
            .values_mut()
            .flat_map(|it| it.sights.values_mut())
        {
            sight.since = since;
        }
    }
    // n4 has returned meanwhile, n2 was lost
    assert_eq!(story.judge(), names(&["n2"]));
}

/// What one observer says of each of five nodes: nothing, that it answers, that it is silent.
fn opinions() -> impl Strategy<Value = Vec<Vec<Option<bool>>>> {
    let opinion = prop_oneof![Just(None), Just(Some(true)), Just(Some(false))];
    prop::collection::vec(prop::collection::vec(opinion, 5), 6)
}

fn gateways() -> impl Strategy<Value = Gateways> {
    let node = || "[a-e]".prop_map(|text| name(&text));
    let sets = prop::collection::vec(prop::collection::btree_set(node(), 1..5), 1..4);
    let ready = prop::collection::btree_set(node(), 0..6);
    (sets, ready, prop::option::of(node())).prop_map(|(sets, ready, host)| Gateways {
        sets: sets.iter().map(set).collect(),
        ready,
        host,
    })
}

fn reports(opinions: &[Vec<Option<bool>>], now: Instant) -> Vec<(Observer, Sights)> {
    let nodes = ["a", "b", "c", "d", "e"];
    let observers = nodes.map(|it| Observer::Daemon(name(it)));
    let observers = observers.into_iter().chain([Observer::Leader]);
    let sights = opinions.iter().map(|said| {
        let said = nodes.iter().zip(said);
        let said = said.filter_map(|(node, answers)| {
            let sight = Sight {
                answers: (*answers)?,
                since: now - SETTLING,
                round_trip: None,
            };
            Some((name(node), sight))
        });
        said.collect()
    });
    observers.zip(sights).collect()
}

proptest! {
    #[test]
    fn probes_alone_never_empty_a_set(
        gateways in gateways(),
        story in prop::collection::vec((opinions(), 0_u32..8), 1..12),
        lost in prop::collection::btree_set("[a-e]".prop_map(|it| name(&it)), 0..5),
    ) {
        let mut now = Instant::now();
        let mut judge = Judge::new(now, SETTLING, lost);
        for (opinions, steps) in story {
            for (observer, sights) in reports(&opinions, now) {
                judge.hear(observer, sights, now);
            }
            now += STEP * steps;
            let out = judge.judge(now, &gateways);
            for set in &gateways.sets {
                let mut ready = set.members().filter(|it| gateways.ready.contains(it)).peekable();
                let is_emptied = ready.peek().is_some() && ready.all(|it| out.contains(it));
                prop_assert!(!is_emptied, "{set} without {out:?}");
            }
        }
    }

    #[test]
    fn the_order_of_reports_makes_no_difference(
        gateways in gateways(),
        opinions in opinions(),
        order in Just((0..6).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let now = Instant::now();
        let judged = |order: &[usize]| {
            let mut judge = Judge::new(now - GATHERING, SETTLING, BTreeSet::new());
            let reports = reports(&opinions, now);
            for (observer, sights) in order.iter().map(|it| reports[*it].clone()) {
                judge.hear(observer, sights, now);
            }
            judge.judge(now, &gateways)
        };
        prop_assert_eq!(judged(&[0, 1, 2, 3, 4, 5]), judged(&order));
    }

    #[test]
    fn a_node_that_at_least_half_hear_is_never_taken_out(
        gateways in gateways(),
        opinions in opinions(),
    ) {
        let now = Instant::now();
        let mut judge = Judge::new(now - GATHERING, SETTLING, BTreeSet::new());
        for (observer, sights) in reports(&opinions, now) {
            judge.hear(observer, sights, now);
        }
        for node in judge.judge(now, &gateways) {
            let votes = judge.votes(&node, now, gateways.host.as_ref());
            prop_assert!(votes.all >= 2 && votes.silent * 2 > votes.all, "{node}: {votes:?}");
        }
    }
}
