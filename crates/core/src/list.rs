//! Doubly linked lists threaded through slots: several lists may share one table of links,
//! since a slot is on at most one of them.

use crate::access::Slot;

const NIL: Slot = Slot::MAX;

#[derive(Clone, Copy)]
struct Link {
    newer: Slot,
    older: Slot,
}

/// The neighbours of every slot, whichever list it is on.
#[derive(Default)]
pub struct Links(Vec<Link>);

/// A list from front (newest) to back (oldest).
pub struct List {
    front: Slot,
    back: Slot,
    len: usize,
}

impl Default for List {
    fn default() -> Self {
        Self { front: NIL, back: NIL, len: 0 }
    }
}

fn some(slot: Slot) -> Option<Slot> {
    (slot != NIL).then_some(slot)
}

impl Links {
    fn at(&mut self, slot: Slot) -> &mut Link {
        &mut self.0[slot as usize]
    }
}

impl List {
    /// Number of slots on the list.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The newest slot.
    pub fn front(&self) -> Option<Slot> {
        some(self.front)
    }

    /// The oldest slot.
    pub fn back(&self) -> Option<Slot> {
        some(self.back)
    }

    /// The neighbour of `slot` towards the front.
    pub fn newer(&self, links: &Links, slot: Slot) -> Option<Slot> {
        some(links.0[slot as usize].newer)
    }

    /// Puts `slot`, which is on no list, at the front.
    pub fn push_front(&mut self, links: &mut Links, slot: Slot) {
        let index = slot as usize;
        if index >= links.0.len() {
            links.0.resize(index + 1, Link { newer: NIL, older: NIL });
        }
        links.0[index] = Link { newer: NIL, older: self.front };
        match some(self.front) {
            Some(front) => links.at(front).newer = slot,
            None => self.back = slot,
        }
        self.front = slot;
        self.len += 1;
    }

    /// Takes `slot`, which is on this list, off it.
    pub fn remove(&mut self, links: &mut Links, slot: Slot) {
        let Link { newer, older } = *links.at(slot);
        match some(newer) {
            Some(newer) => links.at(newer).older = older,
            None => self.front = older,
        }
        match some(older) {
            Some(older) => links.at(older).newer = newer,
            None => self.back = newer,
        }
        self.len -= 1;
    }

    /// Moves `slot`, which is on this list, to its front.
    #[inline]
    pub fn move_to_front(&mut self, links: &mut Links, slot: Slot) {
        if self.front == slot {
            return;
        }
        let Link { newer, older } = *links.at(slot);
        links.at(newer).older = older;
        match some(older) {
            Some(older) => links.at(older).newer = newer,
            None => self.back = newer,
        }
        *links.at(slot) = Link { newer: NIL, older: self.front };
        links.at(self.front).newer = slot;
        self.front = slot;
    }

    /// Takes the oldest slot off the list.
    pub fn pop_back(&mut self, links: &mut Links) -> Option<Slot> {
        let slot = self.back()?;
        self.remove(links, slot);
        Some(slot)
    }
}
