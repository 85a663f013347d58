//! The checks of the invariants, used on the product and on its broken variants alike.

use std::{collections::BTreeMap, fmt::Debug};

/// I1: the positions are 1..n, each once.
pub fn gapless(positions: &[i64]) -> Result<(), String> {
    for (expected, position) in (1..).zip(positions) {
        if *position != expected {
            return Err(format!("position {expected} is wanted, {position} is there"));
        }
    }
    Ok(())
}

/// I2: what was acknowledged is there, and nothing is there twice.
pub fn exactly_once<T: Ord + Debug>(acknowledged: &[T], stored: &[T]) -> Result<(), String> {
    let mut counts: BTreeMap<&T, usize> = BTreeMap::new();
    for item in stored {
        *counts.entry(item).or_default() += 1;
    }
    if let Some((item, count)) = counts.iter().find(|(_, count)| **count > 1) {
        return Err(format!("{item:?} is there {count} times"));
    }
    match acknowledged.iter().find(|item| !counts.contains_key(item)) {
        Some(item) => Err(format!("{item:?} was acknowledged and is not there")),
        None => Ok(()),
    }
}

/// I3: of N rivals exactly one came through.
pub fn one_winner(outcomes: &[bool]) -> Result<(), String> {
    match outcomes.iter().filter(|won| **won).count() {
        1 => Ok(()),
        n => Err(format!("{n} of {} rivals came through", outcomes.len())),
    }
}

/// I5: a reader saw all, in order.
pub fn all_in_order<T: Ord + Debug>(read: &[T], written: &[T]) -> Result<(), String> {
    if let Some(pair) = read.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(format!("{:?} came before {:?}", pair[0], pair[1]));
    }
    match written.iter().find(|item| !read.contains(item)) {
        Some(item) => Err(format!("{item:?} was never read")),
        None => Ok(()),
    }
}
