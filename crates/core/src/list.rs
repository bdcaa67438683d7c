//! Doubly linked lists threaded through slots: several lists may share one table of links,
//! since a slot is on at most one of them.

use crate::access::Slot;
use crate::memory::count_memory;

const NIL: Slot = Slot::MAX;

#[derive(Clone, Copy)]
struct Link {
    newer: Slot,
    older: Slot,
}

/// The neighbours of every slot, whichever list it is on.
#[derive(Default)]
pub struct Links(Vec<Link>);

count_memory!(Links []: 0);

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
    /// The neighbour of `slot` towards the front of its list.
    pub fn newer(&self, slot: Slot) -> Option<Slot> {
        some(self.0[slot as usize].newer)
    }

    fn reach(&mut self, slot: Slot) {
        if slot as usize >= self.0.len() {
            self.0.resize(slot as usize + 1, Link { newer: NIL, older: NIL });
        }
    }

    fn at(&mut self, slot: Slot) -> &mut Link {
        &mut self.0[slot as usize]
    }
}

impl List {
    /// Number of slots on the list.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The oldest slot.
    pub fn back(&self) -> Option<Slot> {
        some(self.back)
    }

    /// Puts `slot`, which is on no list, at the front.
    pub fn push_front(&mut self, links: &mut Links, slot: Slot) {
        self.link(links, slot, Link { newer: NIL, older: self.front });
    }

    /// Puts `slot`, which is on no list, next to `older` on its newer side; at the back when `older` is `None`.
    pub fn push_newer_than(&mut self, links: &mut Links, older: Option<Slot>, slot: Slot) {
        let link = match older {
            Some(older) => Link { newer: links.at(older).newer, older },
            None => Link { newer: self.back, older: NIL },
        };
        self.link(links, slot, link);
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

    fn link(&mut self, links: &mut Links, slot: Slot, link: Link) {
        links.reach(slot);
        *links.at(slot) = link;
        match some(link.newer) {
            Some(newer) => links.at(newer).older = slot,
            None => self.front = slot,
        }
        match some(link.older) {
            Some(older) => links.at(older).newer = slot,
            None => self.back = slot,
        }
        self.len += 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn from_oldest(list: &List, links: &Links) -> Vec<Slot> {
        std::iter::successors(list.back(), |&slot| links.newer(slot)).collect()
    }

    #[test]
    fn keeps_order_whatever_is_pushed_moved_or_removed() {
        let (mut links, mut list) = (Links::default(), List::default());
        for slot in [4, 0, 2, 7] {
            list.push_front(&mut links, slot);
        }
        list.push_newer_than(&mut links, Some(0), 1);
        list.push_newer_than(&mut links, None, 3);
        list.push_newer_than(&mut links, Some(7), 9);
        assert_eq!(from_oldest(&list, &links), [3, 4, 0, 1, 2, 7, 9]);
        list.move_to_front(&mut links, 3);
        list.remove(&mut links, 1);
        assert_eq!(from_oldest(&list, &links), [4, 0, 2, 7, 9, 3]);
        assert_eq!((list.pop_back(&mut links), list.len()), (Some(4), 5));
    }

    #[test]
    fn two_lists_share_links_and_one_empties_to_nothing() {
        let (mut links, mut left, mut right) = (Links::default(), List::default(), List::default());
        left.push_newer_than(&mut links, None, 5);
        right.push_front(&mut links, 6);
        left.move_to_front(&mut links, 5);
        assert_eq!(left.pop_back(&mut links), Some(5));
        assert_eq!((left.back(), left.pop_back(&mut links), left.len()), (None, None, 0));
        assert_eq!(from_oldest(&right, &links), [6]);
    }
}
