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

/// Entries in dense slots that are reused after their entry has left.
pub struct Table<K, V> {
    index: HashTable<Slot>,
    entries: Vec<Option<Entry<K, V>>>,
    vacant: Vec<Slot>,
}

count_memory!(Table<K, V> [K, V]: index, entries, vacant);

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { index: HashTable::new(), entries: Vec::new(), vacant: Vec::new() }
    }
}

impl<K, V> Table<K, V> {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// The slot of a key.
    #[inline]
    pub fn find(&self, id: u64, mut same: impl FnMut(&K) -> bool) -> Option<Slot> {
        let wanted = |&slot: &Slot| {
            let entry = self.at(slot);
            entry.id == id && same(&entry.key)
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
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.entries.push(None);
            Slot::try_from(self.entries.len() - 1).expect("fewer than 2^32 entries")
        });
        let id = entry.id;
        self.entries[slot as usize] = Some(entry);
        let entries = &self.entries;
        let id_of = |&slot: &Slot| entries[slot as usize].as_ref().expect("the index names full slots").id;
        self.index.insert_unique(id, slot, id_of);
        slot
    }

    /// Empties a slot that holds an entry.
    pub fn take(&mut self, slot: Slot) -> Entry<K, V> {
        let entry = self.entries[slot as usize].take().expect("the index names full slots");
        self.index.find_entry(entry.id, |&other| other == slot).expect("every entry is in the index").remove();
        self.vacant.push(slot);
        entry
    }

    /// All entries with their slots, in the order of the slots.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &Entry<K, V>)> {
        self.entries.iter().enumerate().filter_map(|(slot, entry)| Some((slot as Slot, entry.as_ref()?)))
    }
}
