//! LIRS: most of the capacity holds the entries with a low inter-reference recency, that is, few distinct keys
//! between their last two accesses; the others pass through a short queue, unless they come back in time.
//! Jiang & Zhang, "LIRS: An Efficient Low Inter-reference Recency Set Replacement Policy", SIGMETRICS 2002.

use hashbrown::HashTable;

use super::{Policy, Setting};
use crate::access::{Access, Slot};
use crate::list::{Links, List};
use crate::memory::count_memory;

/// One part in a hundred of the capacity is for entries of high inter-reference recency; section 3.3 of the paper.
const HIGH_SHARE: u64 = 100;
/// The stack, which remembers departed entries too, weighs at most this many capacities; the paper sets no bound.
const STACK_CAPACITIES: u64 = 2;

/// Index of a block.
type Node = Slot;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    /// LIR: resident, on the stack.
    Low,
    /// Resident HIR: on the queue.
    High,
    /// Non-resident HIR: on the stack, and on the list of the departed.
    Departed,
}

/// An entry, resident or remembered.
struct Block {
    id: u64,
    weight: u64,
    slot: Slot,
    status: Status,
    stacked: bool,
}

#[derive(Default)]
pub struct Lirs {
    blocks: Vec<Block>,
    vacant: Vec<Node>,
    node_of: Vec<Node>,
    /// The departed, by id.
    memory: HashTable<Node>,
    /// S of the paper, the most recent in front.
    stack: List,
    stack_links: Links,
    stack_weight: u64,
    stack_capacity: u64,
    /// Q of the paper: its oldest entry is the next to leave.
    queue: List,
    /// The departed, the one that left first at the back.
    departed: List,
    links: Links,
    low_weight: u64,
    low_capacity: u64,
    /// Whether the key on its way in was on the stack.
    returning: bool,
}

count_memory!(Lirs []: blocks, vacant, node_of, memory, stack_links, links);

impl Lirs {
    pub fn new(setting: &Setting) -> Self {
        Self {
            stack_capacity: setting.capacity.saturating_mul(STACK_CAPACITIES),
            low_capacity: setting.capacity - (setting.capacity / HIGH_SHARE).max(1),
            ..Self::default()
        }
    }

    fn block(&mut self, node: Node) -> &mut Block {
        &mut self.blocks[node as usize]
    }

    fn allocate(&mut self, block: Block) -> Node {
        if let Some(node) = self.vacant.pop() {
            *self.block(node) = block;
            return node;
        }
        self.blocks.push(block);
        Node::try_from(self.blocks.len() - 1).expect("fewer than 2^32 blocks")
    }

    fn stack(&mut self, node: Node) {
        if self.block(node).stacked {
            self.stack.move_to_front(&mut self.stack_links, node);
        } else {
            self.block(node).stacked = true;
            self.stack_weight += self.block(node).weight;
            self.stack.push_front(&mut self.stack_links, node);
        }
    }

    fn unstack(&mut self, node: Node) {
        self.block(node).stacked = false;
        self.stack_weight -= self.block(node).weight;
        self.stack.remove(&mut self.stack_links, node);
    }

    /// Stack pruning of the paper: nothing lies below the oldest low entry.
    fn prune(&mut self) {
        while let Some(bottom) = self.stack.back().filter(|&node| self.blocks[node as usize].status != Status::Low) {
            if self.block(bottom).status == Status::Departed { self.forget(bottom) } else { self.unstack(bottom) }
        }
    }

    fn promote(&mut self, node: Node) {
        self.block(node).status = Status::Low;
        self.low_weight += self.block(node).weight;
        self.stack(node);
        self.demote_to(self.low_capacity);
    }

    /// Queues the low entries at the bottom of the stack until those left weigh at most `most`.
    fn demote_to(&mut self, most: u64) {
        self.prune();
        while self.low_weight > most
            && let Some(bottom) = self.stack.back()
        {
            self.low_weight -= self.block(bottom).weight;
            self.unstack(bottom);
            self.block(bottom).status = Status::High;
            self.queue.push_front(&mut self.links, bottom);
            self.prune();
        }
    }

    /// The resident block leaves the cache; what is on the stack stays there.
    fn depart(&mut self, node: Node) {
        if !self.block(node).stacked {
            self.vacant.push(node);
            return;
        }
        self.block(node).status = Status::Departed;
        self.departed.push_front(&mut self.links, node);
        let blocks = &self.blocks;
        self.memory.insert_unique(blocks[node as usize].id, node, |&node| blocks[node as usize].id);
    }

    /// Forgets a departed block.
    fn forget(&mut self, node: Node) {
        let id = self.block(node).id;
        self.memory.find_entry(id, |&other| other == node).expect("the departed are remembered").remove();
        self.departed.remove(&mut self.links, node);
        self.unstack(node);
        self.vacant.push(node);
    }

    fn bound_stack(&mut self) {
        while self.stack_weight > self.stack_capacity
            && let Some(first) = self.departed.back()
        {
            self.forget(first);
        }
    }

    fn reweigh(&mut self, node: Node, weight: u64) {
        let block = &mut self.blocks[node as usize];
        let before = std::mem::replace(&mut block.weight, weight);
        if block.stacked {
            self.stack_weight = self.stack_weight - before + weight;
        }
        if block.status == Status::Low {
            self.low_weight = self.low_weight - before + weight;
        }
    }
}

impl Policy for Lirs {
    fn miss(&mut self, access: &Access) {
        let found = self.memory.find(access.id, |&node| self.blocks[node as usize].id == access.id).copied();
        self.returning = found.is_some();
        if let Some(node) = found {
            self.forget(node);
        }
    }

    fn insert(&mut self, slot: Slot, access: &Access) {
        let Access { id, weight, .. } = *access;
        let node = self.allocate(Block { id, weight, slot, status: Status::High, stacked: false });
        self.node_of.resize(self.node_of.len().max(slot as usize + 1), 0);
        self.node_of[slot as usize] = node;
        if self.returning || self.low_weight + weight <= self.low_capacity {
            self.promote(node);
        } else {
            self.stack(node);
            self.queue.push_front(&mut self.links, node);
        }
        self.bound_stack();
    }

    fn hit(&mut self, slot: Slot, access: &Access) {
        let node = self.node_of[slot as usize];
        self.reweigh(node, access.weight);
        let Block { status, stacked, .. } = *self.block(node);
        if status == Status::High && stacked {
            self.queue.remove(&mut self.links, node);
            self.promote(node);
        } else {
            self.stack(node);
            if status == Status::High {
                self.queue.move_to_front(&mut self.links, node);
            }
            self.demote_to(self.low_capacity);
        }
        self.bound_stack();
    }

    fn evict(&mut self, _incoming: &Access) -> Option<Slot> {
        if self.queue.len() == 0 {
            self.demote_to(self.low_weight.saturating_sub(1));
        }
        let node = self.queue.pop_back(&mut self.links)?;
        self.depart(node);
        Some(self.block(node).slot)
    }

    fn remove(&mut self, slot: Slot) {
        let node = self.node_of[slot as usize];
        let Block { status, stacked, weight, .. } = *self.block(node);
        if status == Status::Low {
            self.low_weight -= weight;
        } else {
            self.queue.remove(&mut self.links, node);
        }
        if stacked {
            self.unstack(node);
        }
        self.vacant.push(node);
        self.prune();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::NEVER;
    use crate::context::NO_CONTEXT;

    fn access(id: u64, weight: u64) -> Access {
        Access { id, tick: 0, weight, next: NEVER, context: NO_CONTEXT }
    }

    #[test]
    fn the_stack_is_bounded_however_many_keys_pass_by() {
        let mut policy = Lirs::new(&Setting::new(10, 0));
        for id in 0..10 {
            policy.insert(id as Slot, &access(id, 1));
        }
        for id in 10..1000 {
            policy.miss(&access(id, 1));
            let slot = policy.evict(&access(id, 1)).expect("full");
            policy.insert(slot, &access(id, 1));
            assert!(policy.stack_weight <= 20 && policy.blocks.len() <= 22);
        }
    }

    #[test]
    fn a_low_entry_leaves_when_it_is_all_there_is() {
        let mut policy = Lirs::new(&Setting::new(10, 0));
        policy.insert(0, &access(0, 9));
        policy.miss(&access(1, 5));
        assert_eq!(policy.evict(&access(1, 5)), Some(0));
        assert_eq!(policy.evict(&access(1, 5)), None);
    }
}
