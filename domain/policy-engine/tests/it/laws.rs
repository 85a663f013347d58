//! What must hold for every snapshot and every action.

use policy_engine::{
    Action, Control, Decision, Index, Os, Outcome, PolicyRef, PolicyStatus, SettledBy, Snapshot, Step, normalise,
};
use proptest::prelude::*;

use crate::naive;
use crate::world::{self, Dice};

const SNAPSHOTS: u64 = 2_500;
const ACTIONS: usize = 10;

fn compile(snapshot: &Snapshot) -> Index {
    Index::compile(snapshot).expect("random worlds hold only what can be read")
}

fn names(policies: &[PolicyRef]) -> Vec<String> {
    policies.iter().map(|policy| policy.name.clone()).collect()
}

/// Goes through many random worlds with one snapshot and some actions each.
fn each_world(salt: u64, snapshots: u64, mut check: impl FnMut(&mut Dice, &Snapshot, &Index, &[Action])) {
    for seed in 0..snapshots {
        let mut dice = Dice::new(seed.wrapping_mul(0x1_0001).wrapping_add(salt));
        let snapshot = world::snapshot(&mut dice);
        let actions: Vec<Action> = (0..ACTIONS).map(|_| world::action(&mut dice)).collect();
        check(&mut dice, &snapshot, &compile(&snapshot), &actions);
    }
}

/// How much is asked: nothing, steps, everything. Steps compare as sets.
fn is_as_strict(new: &Decision, old: &Decision) -> bool {
    let rank = |decision: &Decision| match decision.outcome {
        Outcome::Allowed | Outcome::PassThrough => 0,
        Outcome::Required => 1,
        Outcome::BlockedOffline => 2,
        Outcome::Denied => 3,
    };
    let all_asked = new.outcome == Outcome::Denied || old.steps.iter().all(|step: &Step| new.steps.contains(step));
    rank(new) >= rank(old) && all_asked
}

#[test]
fn the_index_answers_as_the_plain_rules_do() {
    let mut outcomes = std::collections::BTreeMap::<&str, usize>::new();
    each_world(1, SNAPSHOTS, |_, snapshot, index, actions| {
        for action in actions {
            let decision = index.decide(action);
            let indexed = naive::Answer {
                outcome: decision.outcome,
                steps: decision.steps.to_vec(),
                matched: names(&decision.matched),
                monitored: names(&decision.monitored),
                superseded: names(&decision.superseded),
                would_have: decision.would_have.map(|would| (would.outcome, would.steps.to_vec())),
            };
            assert_eq!(indexed, naive::decide(snapshot, action), "{action:#?}\n{snapshot:#?}");
            *outcomes.entry(decision.outcome.as_str()).or_default() += 1;
        }
    });
    // The worlds are worth something only if every outcome is common in them.
    assert_eq!(outcomes.len(), 5, "{outcomes:?}");
    assert!(outcomes.values().all(|count| *count > 500), "{outcomes:?}");
}

#[test]
fn a_session_answers_as_the_whole_index_does() {
    each_world(2, 500, |_, _, index, actions| {
        for action in actions {
            let session = index.session(&action.user, &action.machine);
            assert_eq!(session.decide(action), Some(index.decide(action)));
            let other = actions.iter().find(|other| other.user != action.user);
            assert_eq!(other.and_then(|other| session.decide(other)), None);
        }
    });
}

#[test]
fn the_explanation_finds_the_same_matches_without_the_tables() {
    each_world(3, 500, |_, _, index, actions| {
        for action in actions {
            let explanation = index.explain(action);
            let found = |status: fn(PolicyStatus) -> bool| -> Vec<String> {
                let considered = explanation.considered.iter();
                let matched = considered
                    .filter(|policy| policy.matched && status(policy.status))
                    .filter(|policy| policy.effect != Some(policy_engine::Effect::Superseded));
                matched.map(|policy| policy.policy.name.clone()).collect()
            };
            assert_eq!(
                found(|status| status == PolicyStatus::Enforce),
                names(&explanation.decision.matched)
            );
            assert_eq!(
                found(PolicyStatus::is_monitored),
                names(&explanation.decision.monitored)
            );
            assert!(
                explanation
                    .considered
                    .iter()
                    .all(|policy| policy.matched == policy.excluded_by.is_none())
            );
        }
    });
}

#[test]
fn an_enforced_policy_that_is_no_exception_never_loosens_what_enforced_policies_settled() {
    each_world(4, SNAPSHOTS, |dice, snapshot, index, actions| {
        let mut larger = snapshot.clone();
        let mut added = world::policy(dice, "added".into());
        (added.document.status, added.document.exception) = (PolicyStatus::Enforce, false);
        let at = dice.roll(larger.policies.len() + 1);
        larger.policies.insert(at, added);
        let larger = compile(&larger);
        for action in actions {
            let (old, new) = (index.decide(action), larger.decide(action));
            // The baseline is what answers where nothing enforced does; a first policy takes its place.
            if old.settled_by != SettledBy::Baseline {
                assert!(is_as_strict(&new, &old), "{old:#?}\n{new:#?}");
            }
        }
    });
}

#[test]
fn a_deny_more_never_loosens_anything() {
    each_world(5, SNAPSHOTS, |dice, snapshot, index, actions| {
        let mut larger = snapshot.clone();
        let mut added = world::policy(dice, "added".into());
        (added.document.status, added.document.exception) = (PolicyStatus::Enforce, false);
        added.document.controls = vec![Control::Deny];
        larger.policies.push(added);
        let larger = compile(&larger);
        for action in actions {
            let (old, new) = (index.decide(action), larger.decide(action));
            assert!(is_as_strict(&new, &old), "{old:#?}\n{new:#?}");
        }
    });
}

#[test]
fn the_order_of_policies_never_matters() {
    each_world(6, 1_000, |dice, snapshot, index, actions| {
        let mut shuffled = snapshot.clone();
        for i in (1..shuffled.policies.len()).rev() {
            shuffled.policies.swap(i, dice.roll(i + 1));
        }
        let shuffled = compile(&shuffled);
        for action in actions {
            let sorted = |mut decision: Decision| {
                for list in [&mut decision.matched, &mut decision.monitored, &mut decision.superseded] {
                    list.sort_by(|a, b| a.id.cmp(&b.id));
                }
                decision
            };
            assert_eq!(sorted(shuffled.decide(action)), sorted(index.decide(action)));
        }
    });
}

#[test]
fn policies_that_are_not_enforced_never_change_an_outcome() {
    each_world(7, 1_000, |_, snapshot, index, actions| {
        let mut enforced = snapshot.clone();
        enforced
            .policies
            .retain(|policy| policy.document.status == PolicyStatus::Enforce);
        let enforced = compile(&enforced);
        for action in actions {
            let (all, only) = (index.decide(action), enforced.decide(action));
            assert_eq!(
                (all.outcome, all.steps, all.matched),
                (only.outcome, only.steps, only.matched)
            );
            assert_eq!(only.would_have, None);
        }
    });
}

#[test]
fn documents_survive_being_written_and_read() {
    each_world(8, 300, |_, snapshot, index, actions| {
        let text = serde_json::to_string(snapshot).expect("writable");
        assert_eq!(&serde_json::from_str::<Snapshot>(&text).expect("readable"), snapshot);
        for action in actions {
            let text = serde_json::to_string(action).expect("writable");
            assert_eq!(&serde_json::from_str::<Action>(&text).expect("readable"), action);
            let explanation = index.explain(action);
            let text = serde_json::to_string(&explanation).expect("writable");
            assert_eq!(
                serde_json::from_str::<policy_engine::Explanation>(&text).expect("readable"),
                explanation
            );
        }
    });
}

/// Texts out of what paths are made of, so that prefixes, roots and dots meet in every way.
fn pathlike() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "\\", "/", ".", "..", "?", " ", "C:", "UNC", "a", "b.", "é", "e\u{301}", "\\\\", "x y", "{home}", "*",
    ]);
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn normalising_twice_is_normalising_once(path in prop_oneof![pathlike(), any::<String>()]) {
        for os in Os::ALL {
            let once = normalise(os, &path);
            prop_assert_eq!(normalise(os, &once), once.clone(), "{:?}", os);
        }
    }

    #[test]
    fn a_normalised_path_holds_no_way_up(path in pathlike()) {
        for os in Os::ALL {
            let separator = if os == Os::Windows { '\\' } else { '/' };
            prop_assert!(normalise(os, &path).split(separator).all(|part| part != "." && part != ".."));
        }
    }

    #[test]
    fn no_text_makes_the_engine_panic(
        seed in any::<u64>(), subject in prop_oneof![pathlike(), any::<String>()], entry in prop_oneof![pathlike(), any::<String>()],
        value in prop_oneof![pathlike(), any::<String>()],
    ) {
        let mut dice = Dice::new(seed);
        let mut snapshot = world::snapshot(&mut dice);
        let mut action = world::action(&mut dice);
        for policy in &mut snapshot.policies {
            let document = &mut policy.document;
            document.applications.iter_mut().for_each(|slot| *slot = format!("path:{entry}"));
            document.files.iter_mut().chain(&mut document.commands).for_each(|slot| slot.clone_from(&entry));
        }
        if let Some(application) = &mut action.application {
            application.path.clone_from(&subject);
        }
        action.file = action.file.map(|_| subject.clone());
        action.command_line = action.command_line.map(|_| subject.clone());
        action.variables.values_mut().for_each(|slot| slot.clone_from(&value));
        if let Ok(index) = Index::compile(&snapshot) {
            let decision = index.explain(&action).decision;
            if action.subject().is_some() && ![&subject, &entry, &value].iter().any(|text| text.contains(['\u{fdd0}', '\u{fdd1}', '\u{fdd2}'])) {
                let answer = naive::decide(&snapshot, &action);
                prop_assert_eq!(names(&decision.matched), answer.matched);
                prop_assert_eq!(decision.outcome, answer.outcome);
            }
        }
        for policy in &snapshot.policies {
            let _ = policy_engine::validate::policy(&policy.document, &std::collections::BTreeMap::new());
        }
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in any::<String>()) {
        let _ = policy_engine::cases::run(&text);
        let _ = policy_engine::import::parse_native(&text);
        let _ = policy_engine::keeper::import(&text);
        let _ = text.parse::<policy_engine::LocalTime>();
    }
}
