//! Which records of an endpoint are stored: the highest number and the gaps below it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ActionRecorded, ActivityCommand, ActivityError, ActivityEvent, NumbersReused};
use crate::{Noun, aggregate::aggregate};

/// The most ranges of missing numbers that are remembered.
pub const GAPS_MAX: usize = 1_000;

/// The records of one endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    highest: u64,
    /// First missing number → last missing number.
    gaps: BTreeMap<u64, u64>,
    /// How many records came under numbers that others had.
    reused: u64,
}

aggregate!(Activity, "activity", ActivityCommand, ActivityEvent, ActivityError);

impl Activity {
    /// The highest number that is stored; 0 where there is none.
    #[must_use]
    pub const fn highest(&self) -> u64 {
        self.highest
    }

    /// The ranges of missing numbers below it, first and last of each.
    pub fn gaps(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.gaps.iter().map(|(from, to)| (*from, *to))
    }

    /// Whether the record of this number is stored.
    #[must_use]
    pub fn has(&self, seq: u64) -> bool {
        seq <= self.highest && self.gaps.range(..=seq).next_back().is_none_or(|(_, to)| *to < seq)
    }

    fn note(&mut self, seq: u64) {
        if seq > self.highest {
            if seq > self.highest + 1 {
                self.gaps.insert(self.highest + 1, seq - 1);
            }
            self.highest = seq;
            return;
        }
        let gap = self.gaps.range(..=seq).next_back().map(|(from, to)| (*from, *to));
        if let Some((from, to)) = gap.filter(|(_, to)| *to >= seq) {
            self.gaps.remove(&from);
            if from < seq {
                self.gaps.insert(from, seq - 1);
            }
            if seq < to {
                self.gaps.insert(seq + 1, to);
            }
        }
    }

    fn fold(&mut self, event: ActivityEvent) {
        match event {
            ActivityEvent::ActionRecorded(ActionRecorded { seq, .. }) => self.note(seq),
            ActivityEvent::NumbersReused(e) => self.reused += u64::from(e.records),
        }
    }
}

impl Noun for Activity {
    fn decide(&self, command: ActivityCommand) -> Result<Vec<ActivityEvent>, ActivityError> {
        let ActivityCommand::RecordActions { known, records } = command;
        if *known != *self {
            return Err(ActivityError::Moved);
        }
        let mut after = self.clone();
        let mut events = Vec::new();
        let mut reused: Option<NumbersReused> = None;
        for record in records {
            let seq = record.seq;
            if seq == 0 || seq >= 1 << 53 {
                return Err(ActivityError::SeqOutOfRange);
            }
            if record.reuses.is_some() {
                let reused = reused.get_or_insert(NumbersReused {
                    endpoint: record.endpoint,
                    first: seq,
                    last: seq,
                    records: 0,
                });
                reused.first = reused.first.min(seq);
                reused.last = reused.last.max(seq);
                reused.records += 1;
            } else if after.has(seq) {
                continue;
            }
            after.note(seq);
            if after.gaps.len() > GAPS_MAX {
                return Err(ActivityError::TooManyGaps { limit: GAPS_MAX });
            }
            events.push(record.into());
        }
        events.extend(reused.map(ActivityEvent::from));
        Ok(events)
    }
}
