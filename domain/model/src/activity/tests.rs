//! given/when/then: exactly once, in whatever order batches come, with gaps remembered.

use formats::{ActivityId, EndpointId, PersonId, Timestamp};
use policy_engine::Outcome;
use proptest::prelude::*;

use super::*;
use crate::{Noun, Personal};

fn record(seq: u64) -> ActionRecorded {
    ActionRecorded {
        endpoint: EndpointId::default(),
        person: PersonId::default(),
        activity: ActivityId::default(),
        seq,
        at: Timestamp::from_millis(1),
        skew_ms: 0,
        input: Personal::erased(),
        decision: RecordedDecision {
            outcome: Outcome::Allowed,
            steps: Vec::new(),
            matched: Vec::new(),
            engine: "test".into(),
        },
        snapshot: CitedSnapshot {
            epoch: 1,
            version: 1,
            sha256: String::new(),
        },
        grant: None,
        result: None,
        mfa_proof: None,
        reuses: None,
    }
}

fn command(state: &Activity, records: Vec<ActionRecorded>) -> ActivityCommand {
    ActivityCommand::RecordActions {
        known: Box::new(state.clone()),
        records,
    }
}

/// The numbers of the events that a batch adds, applied to the state.
fn take(state: &mut Activity, batch: &[u64]) -> Result<Vec<u64>, ActivityError> {
    let records = batch.iter().map(|seq| record(*seq)).collect();
    let events = state.decide(command(state, records))?;
    let mut taken = Vec::new();
    for event in events {
        if let ActivityEvent::ActionRecorded(e) = &event {
            taken.push(e.seq);
        }
        cqrs_es::Aggregate::apply(state, event);
    }
    Ok(taken)
}

#[test]
fn a_batch_sent_again_stores_nothing_twice_and_a_gap_is_remembered() {
    let mut state = Activity::default();
    assert_eq!(take(&mut state, &[1, 2, 5]), Ok(vec![1, 2, 5]));
    assert_eq!(take(&mut state, &[1, 2, 5]), Ok(vec![]));
    assert_eq!(state.gaps().collect::<Vec<_>>(), [(3, 4)]);
    assert_eq!(take(&mut state, &[4]), Ok(vec![4]));
    assert_eq!(state.gaps().collect::<Vec<_>>(), [(3, 3)]);
    assert_eq!(state.highest(), 5);
}

#[test]
fn numbers_begin_at_one() {
    assert_eq!(take(&mut Activity::default(), &[0]), Err(ActivityError::SeqOutOfRange));
}

#[test]
fn the_gaps_that_are_remembered_are_finite() {
    let far: Vec<u64> = (1..=1_001).map(|n| n * 2).collect();
    assert_eq!(
        take(&mut Activity::default(), &far),
        Err(ActivityError::TooManyGaps { limit: GAPS_MAX })
    );
}

#[test]
fn a_record_under_a_number_that_another_has_is_stored_beside_it_and_told() {
    let mut state = Activity::default();
    take(&mut state, &[1, 2, 3]).unwrap();
    let other = |seq| ActionRecorded {
        reuses: Some(ActivityId::default()),
        ..record(seq)
    };
    let events = state
        .decide(command(&state, vec![other(2), other(3), record(4)]))
        .unwrap();
    let told = NumbersReused {
        endpoint: EndpointId::default(),
        first: 2,
        last: 3,
        records: 2,
    };
    assert_eq!(
        events,
        [other(2).into(), other(3).into(), record(4).into(), told.into()]
    );
    let known = Box::new(state.clone());
    for event in events {
        cqrs_es::Aggregate::apply(&mut state, event);
    }
    assert_eq!(state.highest(), 4);
    // What was looked up for an earlier state counts no more: sent twice at once, it is stored once.
    let records = vec![other(2)];
    assert_eq!(
        state.decide(ActivityCommand::RecordActions { known, records }),
        Err(ActivityError::Moved)
    );
}

proptest! {
    #[test]
    fn whatever_the_order_each_number_is_stored_once(batches in prop::collection::vec(prop::collection::vec(1u64..60, 0..20), 0..12)) {
        let mut state = Activity::default();
        let mut stored = Vec::new();
        for batch in &batches {
            stored.extend(take(&mut state, batch).unwrap());
        }
        let mut wanted: Vec<u64> = batches.concat();
        wanted.sort_unstable();
        wanted.dedup();
        stored.sort_unstable();
        prop_assert_eq!(&stored, &wanted);
        for seq in 1..60 {
            prop_assert_eq!(state.has(seq), wanted.contains(&seq), "seq {}", seq);
        }
    }
}
