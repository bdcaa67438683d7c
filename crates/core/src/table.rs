//! Entries in slots, found by id and key.

use hashbrown::HashTable;

use crate::access::Slot;
use crate::memory::count_memory;

/// What a slot holds.
pub struct Entry<K, V> {
    /// Hash of the key.
    pub id: u64,
    /// The key, compared in full on every lookup.
    pub key: K,
    /// The value.
    pub value: V,
}

/// From so many slots on, those that become empty are taken out of the index later.
const LARGE: usize = if cfg!(test) { 64 } else { 1 << 17 };
/// And then so many together: their places in the index are far apart in memory, and are waited for at once.
const LEAVING: usize = 16;

/// Entries in dense slots that are reused after their entry has left.
pub struct Table<K, V> {
    /// Slots by id; once more, by the ids that they had before, those that are leaving.
    index: HashTable<Slot>,
    entries: Vec<Option<Entry<K, V>>>,
    vacant: Vec<Slot>,
    /// Ids whose entry has left, and its slot, which may have another by now; no slot twice.
    leaving: Vec<(u64, Slot)>,
}

count_memory!(Table<K, V> [K, V]: index, entries, vacant);

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { index: HashTable::new(), entries: Vec::new(), vacant: Vec::new(), leaving: Vec::new() }
    }
}

impl<K, V> Table<K, V> {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.index.len() - self.leaving.len()
    }

    /// The slot of a key.
    #[inline]
    pub fn find(&self, id: u64, mut same: impl FnMut(&K) -> bool) -> Option<Slot> {
        let wanted = |&slot: &Slot| {
            let entry = self.entries[slot as usize].as_ref();
            entry.is_some_and(|entry| entry.id == id && same(&entry.key))
        };
        self.index.find(id, wanted).copied()
    }

    /// The entry in a slot that holds one.
    #[inline]
    pub fn at(&self, slot: Slot) -> &Entry<K, V> {
        self.entries[slot as usize].as_ref().expect("the index names full slots")
    }

    /// The same, to change.
    pub fn at_mut(&mut self, slot: Slot) -> &mut Entry<K, V> {
        self.entries[slot as usize].as_mut().expect("the index names full slots")
    }

    /// Whether `slot` holds an entry of that id.
    pub fn holds(&self, slot: Slot, id: u64) -> bool {
        self.entries[slot as usize].as_ref().is_some_and(|entry| entry.id == id)
    }

    /// Adds an entry whose key is absent.
    pub fn insert(&mut self, entry: Entry<K, V>) -> Slot {
        if !self.leaving.is_empty() && self.index.len() == self.index.capacity() {
            self.forget(); // to grow, it has to know the ids of all that are in it
        }
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.entries.push(None);
            Slot::try_from(self.entries.len() - 1).expect("fewer than 2^32 entries")
        });
        let id = entry.id;
        self.entries[slot as usize] = Some(entry);
        self.list(id, slot);
        slot
    }

    /// Adds a full slot to the index.
    #[inline]
    fn list(&mut self, id: u64, slot: Slot) {
        let entries = &self.entries;
        let id_of = |&slot: &Slot| entries[slot as usize].as_ref().expect("the index names full slots").id;
        self.index.insert_unique(id, slot, id_of);
    }

    /// Empties a slot that holds an entry.
    pub fn take(&mut self, slot: Slot) -> Entry<K, V> {
        if self.entries.len() >= LARGE {
            return self.take_first(slot);
        }
        let entry = self.empty(slot);
        strike(&mut self.index, entry.id, slot);
        entry
    }

    #[inline]
    fn empty(&mut self, slot: Slot) -> Entry<K, V> {
        self.vacant.push(slot);
        self.entries[slot as usize].take().expect("the index names full slots")
    }

    /// Empties a slot that is struck off the index later.
    #[inline(never)]
    fn take_first(&mut self, slot: Slot) -> Entry<K, V> {
        if self.leaving.len() == LEAVING || self.leaving.iter().any(|&(_, other)| other == slot) {
            self.forget();
        }
        let entry = self.empty(slot);
        self.leaving.push((entry.id, slot));
        entry
    }

    /// Strikes all that are leaving off the index.
    #[inline(never)]
    fn forget(&mut self) {
        let mut struck = Vec::new();
        for (id, slot) in self.leaving.drain(..) {
            strike(&mut self.index, id, slot);
            // A slot that is full again was there twice; what is left of it has to be where its new id leads to.
            if let Some(Entry { id: new, .. }) = &self.entries[slot as usize]
                && self.index.find(*new, |&other| other == slot).is_none()
            {
                strike(&mut self.index, id, slot);
                struck.push((*new, slot));
            }
        }
        for (id, slot) in struck {
            self.list(id, slot);
        }
    }

    /// All entries with their slots, in the order of the slots.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &Entry<K, V>)> {
        self.entries.iter().enumerate().filter_map(|(slot, entry)| Some((slot as Slot, entry.as_ref()?)))
    }
}

/// Takes a slot out of an index, where it is found by this id.
#[inline]
fn strike(index: &mut HashTable<Slot>, id: u64, slot: Slot) {
    index.find_entry(id, |&other| other == slot).expect("every entry is in the index").remove();
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::access::mix;
    use crate::chance::Chance;

    type Twin = HashMap<u64, Slot>;

    /// An id that shares its places in an index with many others.
    fn poor(key: u64) -> u64 {
        mix(key) & 0x8000_0000_0000_00f0
    }

    fn add(table: &mut Table<u64, u64>, twin: &mut Twin, key: u64) {
        let slot = table.insert(Entry { id: poor(key), key, value: key });
        assert!(twin.insert(key, slot).is_none() && table.at(slot).value == key);
    }

    /// So many keys are in a table, and then others come in their places, or they come back.
    fn change(count: u64, changes: u64) {
        let (mut table, mut twin, mut chance) = (Table::default(), Twin::new(), Chance::new(1));
        let mut keys: Vec<u64> = (0..count).collect();
        for &key in &keys {
            add(&mut table, &mut twin, key);
        }
        for new in count..count + changes {
            let most = 1 + chance.below(count as usize);
            let key = &mut keys[chance.below(most)]; // some places change often
            let slot = twin.remove(key).expect("it is there");
            assert_eq!(table.take(slot).key, *key);
            assert_eq!((table.find(poor(*key), |other| other == key), table.len()), (None, twin.len()));
            *key = if chance.bits() % 4 == 0 { *key } else { new };
            add(&mut table, &mut twin, *key);
            assert!(keys.iter().all(|key| table.find(poor(*key), |other| other == key) == twin.get(key).copied()));
        }
        assert_eq!((table.iter().count(), table.entries.len()), (keys.len(), keys.len()));
    }

    #[test]
    fn what_has_left_is_not_found_and_all_else_is_in_small_tables_and_in_large_ones() {
        for count in [1, 10, LARGE as u64 - 1, 100, 200] {
            change(count, 10_000);
        }
    }
}
