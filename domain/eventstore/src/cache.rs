//! A bounded map that forgets what was not used for long.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Two generations of entries: when the young one is full it becomes the old one, and the old one is dropped. A hit
/// brings an entry back into the young one. At most `capacity` entries, every operation in constant time.
pub struct Cache<K, V> {
    half: usize,
    generations: Mutex<Generations<K, V>>,
}

struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    /// An empty one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let generations = Mutex::new(Generations {
            young: HashMap::new(),
            old: HashMap::new(),
        });
        Self {
            half: (capacity / 2).max(1),
            generations,
        }
    }

    /// The value of a key, which is thereby used.
    pub fn get(&self, key: &K) -> Option<V> {
        let mut g = self.lock();
        if let Some(value) = g.young.get(key) {
            return Some(value.clone());
        }
        let value = g.old.remove(key)?;
        Self::put(&mut g, self.half, key.clone(), value.clone());
        Some(value)
    }

    /// Keeps a value, in the place of an earlier one.
    pub fn insert(&self, key: K, value: V) {
        let mut g = self.lock();
        g.old.remove(&key);
        Self::put(&mut g, self.half, key, value);
    }

    /// Forgets a key.
    pub fn remove(&self, key: &K) {
        let mut g = self.lock();
        g.young.remove(key);
        g.old.remove(key);
    }

    fn put(g: &mut Generations<K, V>, half: usize, key: K, value: V) {
        if g.young.len() >= half && !g.young.contains_key(&key) {
            g.old = std::mem::take(&mut g.young);
        }
        g.young.insert(key, value);
    }

    fn lock(&self) -> MutexGuard<'_, Generations<K, V>> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> std::fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("half", &self.half)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cache_forgets_what_was_not_used() {
        let cache = Cache::new(4);
        cache.insert(0, 'a');
        for key in 1..100 {
            cache.insert(key, 'b');
            assert_eq!(cache.get(&0), Some('a'), "used each time");
        }
        let kept = (0..100).filter(|key| cache.get(key).is_some()).count();
        assert!(kept <= 4, "{kept} entries");
        assert_eq!(cache.get(&50), None);
    }

    #[test]
    fn a_removed_entry_is_gone_from_both_generations() {
        let cache = Cache::new(2);
        cache.insert(1, 'a');
        cache.insert(2, 'b');
        cache.remove(&1);
        cache.remove(&2);
        assert_eq!((cache.get(&1), cache.get(&2)), (None, None));
    }
}
