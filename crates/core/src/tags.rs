//! Which entries carry which tag. A tag is known by its hash: two tags that collide are invalidated together,
//! which costs a reload and never serves anything old.

use std::collections::HashMap;

use crate::access::Slot;

/// Hash of a tag, well mixed.
pub type Tag = u64;

/// Tags of slots, and slots of tags; empty and free of charge while no entry is tagged.
#[derive(Default)]
pub struct Tags {
    slots: HashMap<Tag, Vec<Slot>>,
    /// For each tagged slot its tags, and where it stands in the list of each.
    tags: HashMap<Slot, Box<[(Tag, u32)]>>,
}

impl Tags {
    /// Gives `slot`, which has none, its tags.
    pub fn attach(&mut self, slot: Slot, tags: &[Tag]) {
        if tags.is_empty() {
            return;
        }
        let mut distinct = tags.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let places = distinct.into_iter().map(|tag| {
            let slots = self.slots.entry(tag).or_default();
            slots.push(slot);
            (tag, slots.len() as u32 - 1)
        });
        self.tags.insert(slot, places.collect());
    }

    /// Takes all tags off `slot`.
    pub fn detach(&mut self, slot: Slot) {
        if self.tags.is_empty() {
            return;
        }
        let Some(places) = self.tags.remove(&slot) else { return };
        for &(tag, at) in &places {
            let slots = self.slots.get_mut(&tag).expect("a tag in use has its slots");
            slots.swap_remove(at as usize);
            match slots.get(at as usize) {
                Some(moved) => {
                    let places = self.tags.get_mut(moved).expect("a slot of a tag has tags");
                    places.iter_mut().find(|(other, _)| *other == tag).expect("both ways").1 = at;
                }
                None if slots.is_empty() => _ = self.slots.remove(&tag),
                None => {}
            }
        }
    }

    /// Some slot that carries `tag`.
    pub fn any(&self, tag: Tag) -> Option<Slot> {
        self.slots.get(&tag)?.last().copied()
    }
}
