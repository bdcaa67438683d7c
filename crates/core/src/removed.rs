//! What left a store, handed to the caller so that values are dropped after the lock is released.

use crate::stats::Cause;

/// An entry that left the store, or never entered it.
pub struct Removed<K, V> {
    /// Its key.
    pub key: K,
    /// Its value.
    pub value: V,
    /// Why.
    pub cause: Cause,
}

/// Removed entries in order. The first needs no allocation, since most writes remove at most one.
pub struct Removals<K, V> {
    first: Option<Removed<K, V>>,
    rest: Vec<Removed<K, V>>,
}

impl<K, V> Default for Removals<K, V> {
    fn default() -> Self {
        Self { first: None, rest: Vec::new() }
    }
}

impl<K, V> Removals<K, V> {
    /// Adds one at the end.
    pub fn push(&mut self, removed: Removed<K, V>) {
        match self.first {
            None => self.first = Some(removed),
            Some(_) => self.rest.push(removed),
        }
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Removed<K, V>> {
        self.first.iter().chain(&self.rest)
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.first = None;
        self.rest.clear();
    }
}

impl<K, V> IntoIterator for Removals<K, V> {
    type Item = Removed<K, V>;
    type IntoIter = std::iter::Chain<std::option::IntoIter<Self::Item>, std::vec::IntoIter<Self::Item>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}
