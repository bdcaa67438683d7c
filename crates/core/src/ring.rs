//! A ring of rows in bounded memory: the newest ones take the place of the oldest. Each has a weight, which takes memory only
//! once there is one that is not 1.

use crate::memory::count_memory;

/// Rows in the order in which they came, and their weights.
pub struct Ring {
    rows: Vec<u32>,
    /// Empty while each is 1.
    weights: Vec<u32>,
    bytes: usize,
    most: usize,
    /// Where the oldest row is.
    oldest: usize,
}

count_memory!(Ring []: rows, weights);

impl Ring {
    /// An empty one of at most so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { rows: Vec::new(), weights: Vec::new(), bytes, most: room(bytes, 1), oldest: 0 }
    }

    /// Rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Rows there may be.
    pub fn most(&self) -> usize {
        self.most
    }

    /// The newest row.
    pub fn newest(&self) -> Option<u32> {
        self.rows.get(self.last()?).copied()
    }

    /// Adds a row; true when older ones went for it.
    #[inline]
    pub fn push(&mut self, row: u32, weight: u64) -> bool {
        let is_full = self.rows.len() == self.most;
        if is_full {
            self.rows[self.oldest] = row;
            self.oldest = if self.oldest + 1 == self.most { 0 } else { self.oldest + 1 };
        } else {
            grow(&mut self.rows, row, self.most);
            if !self.weights.is_empty() {
                grow(&mut self.weights, 1, self.most);
            }
        }
        self.weigh(weight) | is_full
    }

    /// Sets the weight of the newest row, 0 if it is not known yet; true when older rows went for it.
    #[inline]
    pub fn weigh(&mut self, weight: u64) -> bool {
        if self.weights.is_empty() && weight <= 1 {
            return false;
        }
        let went = self.weights.is_empty() && self.widen();
        if let Some(last) = self.last() {
            self.weights[last] = u32::try_from(weight).unwrap_or(u32::MAX);
        }
        went
    }

    /// Keeps the rows that are to be kept, and tells how many were before each, and in all.
    pub fn retain(&mut self, keeps: impl Fn(u32) -> bool) -> Vec<u64> {
        self.straighten();
        let mut before = Vec::with_capacity(self.rows.len() + 1);
        let mut kept = 0;
        for &row in &self.rows {
            before.push(kept);
            kept += u64::from(keeps(row));
        }
        before.push(kept);
        let mut rows = self.rows.iter();
        self.weights.retain(|_| rows.next().is_some_and(|&row| keeps(row)));
        self.rows.retain(|&row| keeps(row));
        before
    }

    /// The rows, oldest first, and their weights; none if each is 1.
    pub fn columns(&self) -> (Vec<u32>, Vec<u32>) {
        let order = |column: &[u32]| {
            let (new, old) = column.split_at(self.oldest.min(column.len()));
            [old, new].concat()
        };
        (order(&self.rows), order(&self.weights))
    }

    /// Where the newest row is.
    fn last(&self) -> Option<usize> {
        self.oldest.checked_sub(1).or_else(|| self.rows.len().checked_sub(1))
    }

    /// Makes room for weights; true when rows went for it.
    #[cold]
    fn widen(&mut self) -> bool {
        self.straighten();
        self.most = room(self.bytes, 2);
        let spare = self.rows.len().saturating_sub(self.most);
        self.rows.drain(..spare);
        self.rows.shrink_to(self.most);
        self.weights = vec![1; self.rows.len()];
        spare > 0
    }

    /// Brings the oldest row to the beginning.
    fn straighten(&mut self) {
        self.rows.rotate_left(self.oldest);
        if !self.weights.is_empty() {
            self.weights.rotate_left(self.oldest);
        }
        self.oldest = 0;
    }
}

/// Rows of so many columns that there is room for.
fn room(bytes: usize, columns: usize) -> usize {
    (bytes / (columns * size_of::<u32>())).max(1)
}

/// Appends, with room for at most so many rows.
fn grow(column: &mut Vec<u32>, value: u32, most: usize) {
    if column.len() == column.capacity() {
        column.reserve_exact(column.len().max(64).min(most - column.len()));
    }
    column.push(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(rows: u32) -> Ring {
        let mut ring = Ring::new(100 * size_of::<u32>());
        for row in 0..rows {
            assert_eq!(ring.push(row, 1), row >= 100);
            assert_eq!(ring.newest(), Some(row));
        }
        ring
    }

    #[test]
    fn it_holds_the_newest_rows_in_order() {
        for rows in [0, 1, 99, 100, 101, 250, 300] {
            let expected: Vec<u32> = (rows - rows.min(100)..rows).collect();
            assert_eq!(filled(rows).columns(), (expected, vec![]));
        }
        assert!(filled(1_000).rows.capacity() <= 100);
    }

    #[test]
    fn weights_take_half_of_the_room_from_the_first_on_that_is_not_one() {
        let mut ring = filled(130);
        assert!(!ring.weigh(0) && ring.weigh(7));
        assert_eq!((ring.len(), ring.most()), (50, 50));
        ring.push(200, 9);
        let (rows, weights) = ring.columns();
        assert_eq!(rows, (81..130).chain([200]).collect::<Vec<_>>());
        assert_eq!(weights[47..], [1, 7, 9]);
        assert!(ring.rows.capacity() + ring.weights.capacity() <= 100);
    }

    #[test]
    fn what_is_kept_stays_in_order_with_its_weight() {
        let mut ring = filled(30);
        ring.weigh(5);
        for row in 30..70 {
            ring.push(row, u64::from(row));
        }
        let before = ring.retain(|row| row % 10 == 9);
        assert_eq!(ring.columns(), (vec![29, 39, 49, 59, 69], vec![5, 39, 49, 59, 69]));
        assert_eq!((before[0], before[9], before[10], before[50]), (0, 0, 1, 5));
    }
}
