//! What a delta gathers where a row's next state follows from its present one: the changes of each row, in order.

use std::collections::BTreeMap;

/// The changes of a batch, by row.
#[derive(Debug)]
pub(crate) struct Touched<K, C>(BTreeMap<K, Vec<C>>);

impl<K: Ord + Clone, C> Default for Touched<K, C> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// What a flush has to write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settled<K, R> {
    /// Rows as they are now.
    pub(crate) rows: Vec<R>,
    /// Rows that are gone.
    pub(crate) gone: Vec<K>,
}

impl<K: Ord + Clone, C> Touched<K, C> {
    /// One more change of a row.
    pub(crate) fn push(&mut self, key: K, change: C) {
        self.0.entry(key).or_default().push(change);
    }

    /// Whether nothing was changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rows that have to be read before.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.keys()
    }

    /// Carries the changes out on the rows that were read.
    pub(crate) fn settle<R>(
        self,
        read: impl IntoIterator<Item = R>,
        key: impl Fn(&R) -> K,
        apply: impl Fn(&mut Option<R>, C),
    ) -> Settled<K, R> {
        let mut before: BTreeMap<K, R> = read.into_iter().map(|row| (key(&row), row)).collect();
        let mut settled = Settled {
            rows: Vec::new(),
            gone: Vec::new(),
        };
        for (key, changes) in self.0 {
            let mut row = before.remove(&key);
            let stored = row.is_some();
            changes.into_iter().for_each(|change| apply(&mut row, change));
            match row {
                Some(row) => settled.rows.push(row),
                None if stored => settled.gone.push(key),
                None => {}
            }
        }
        settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_carried_out_in_order_and_only_stored_rows_are_said_to_be_gone() {
        let mut touched = Touched::default();
        for (key, change) in [
            ("kept", Some(1)),
            ("kept", Some(2)),
            ("dropped", None),
            ("passing", Some(3)),
            ("passing", None),
        ] {
            touched.push(key, change);
        }
        let settled = touched.settle(
            [("kept", 0), ("dropped", 0)],
            |row| row.0,
            |row, change| *row = change.map(|n| (row.map_or("new", |row| row.0), n)),
        );
        assert_eq!(
            settled,
            Settled {
                rows: vec![("kept", 2)],
                gone: vec!["dropped"]
            }
        );
    }
}
