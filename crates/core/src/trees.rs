//! Binary decision trees of any shape, as other libraries grow them, on flat arrays: the candidates of a batch walk
//! down together, level by level; who has arrived at a leaf stays there.
//! Asadi, Lin & de Vries, "Runtime optimizations for tree-based machine learning models", TKDE 26(9), 2014.

use crate::features::{BATCH, Columns, FEATURES};
use crate::prior::rounded;

/// Most trees, and levels of a tree: more would make an eviction wait.
pub const LIMITS: (usize, usize) = (4096, 64);

/// A question with two answers, or a leaf: a node whose children are itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Node {
    /// Whether this feature
    pub feature: u8,
    /// is above this threshold.
    pub threshold: u8,
    /// Where to go when it is not, and when it is.
    pub children: [u32; 2],
    /// What a leaf adds, in octaves.
    pub value: f32,
}

/// The sum of a constant and of trees.
#[derive(Clone, Debug, PartialEq)]
pub struct Trees {
    base: f32,
    nodes: Vec<Node>,
    roots: Vec<u32>,
    /// Levels of each tree.
    depths: Vec<u8>,
}

impl Trees {
    /// Trees that start at `roots`; children come after their parents in `nodes`.
    ///
    /// # Errors
    /// Says which of these rules is broken.
    pub fn new(base: f32, roots: Vec<u32>, nodes: Vec<Node>) -> Result<Self, &'static str> {
        if !base.is_finite() || nodes.iter().any(|node| !node.value.is_finite()) {
            return Err("a value of a tree is not a finite number");
        }
        if nodes.iter().any(|node| node.feature as usize >= FEATURES) {
            return Err("a tree asks about a feature that does not exist");
        }
        if roots.len() > LIMITS.0 || roots.iter().any(|&root| root as usize >= nodes.len()) {
            return Err("too many trees, or a tree that starts nowhere");
        }
        let levels = levels(&nodes)?;
        let depths = roots.iter().map(|&root| levels[root as usize]).collect();
        Ok(Self { base, nodes, roots, depths })
    }

    /// Scores of a batch.
    #[inline]
    #[must_use]
    pub fn scores(&self, columns: &Columns) -> [i32; BATCH] {
        let mut sums = [self.base; BATCH];
        for (&root, &depth) in self.roots.iter().zip(&self.depths) {
            let mut places = [root; BATCH];
            for _ in 0..depth {
                for (lane, place) in places.iter_mut().enumerate() {
                    let node = &self.nodes[*place as usize];
                    *place = node.children[usize::from(columns[node.feature as usize][lane] > node.threshold)];
                }
            }
            for (sum, place) in sums.iter_mut().zip(places) {
                *sum += self.nodes[place as usize].value;
            }
        }
        rounded(sums)
    }

    /// The constant.
    #[must_use]
    pub fn base(&self) -> f32 {
        self.base
    }

    /// Where the trees start.
    #[must_use]
    pub fn roots(&self) -> &[u32] {
        &self.roots
    }

    /// All nodes of all trees.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}

/// Questions from each node to its farthest leaf.
fn levels(nodes: &[Node]) -> Result<Vec<u8>, &'static str> {
    let mut levels = vec![0u8; nodes.len()];
    for (at, node) in nodes.iter().enumerate().rev() {
        if node.children == [at as u32; 2] {
            continue;
        }
        for child in node.children.map(|child| child as usize) {
            let below = *levels.get(child).filter(|_| child > at).ok_or("a node of a tree has a child before it")?;
            levels[at] = levels[at].max(below + 1);
        }
        if levels[at] as usize > LIMITS.1 {
            return Err("a tree is too deep");
        }
    }
    Ok(levels)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::chance::Chance;
    use crate::features::{Row, columns};

    /// Trees of random shape.
    pub(crate) fn trees(chance: &mut Chance) -> Trees {
        let (mut nodes, mut roots): (Vec<Node>, Vec<u32>) = (Vec::new(), Vec::new());
        for _ in 0..12 {
            let root = nodes.len();
            let size = 2 * chance.below(20) + 1;
            roots.push(root as u32);
            for at in 0..size {
                let inner = 2 * at + 2 < size;
                let children =
                    [2 * at + 1, 2 * at + 2].map(|child| if inner { root + child } else { root + at } as u32);
                let (feature, threshold) = (chance.below(FEATURES) as u8, chance.below(256) as u8);
                nodes.push(Node { feature, threshold, children, value: chance.draw() as f32 * 4.0 - 2.0 });
            }
        }
        Trees::new(0.25, roots, nodes).expect("made by the rules")
    }

    /// The sum for one row, tree by tree.
    fn score(trees: &Trees, row: &Row) -> f32 {
        let walk = |&root: &u32| {
            let mut at = root as usize;
            while trees.nodes[at].children[0] as usize != at {
                let Node { feature, threshold, children, .. } = trees.nodes[at];
                at = children[usize::from(row[feature as usize] > threshold)] as usize;
            }
            trees.nodes[at].value
        };
        trees.base + trees.roots.iter().map(walk).sum::<f32>()
    }

    #[test]
    fn a_batch_is_scored_as_its_rows_one_by_one() {
        let mut chance = Chance::new(1);
        for _ in 0..50 {
            let trees = trees(&mut chance);
            let rows: Vec<Row> = (0..BATCH).map(|_| std::array::from_fn(|_| chance.below(256) as u8)).collect();
            for (row, score_of_batch) in rows.iter().zip(trees.scores(&columns(&rows))) {
                assert!((score(&trees, row) * 256.0 - score_of_batch as f32).abs() < 0.51);
            }
        }
    }

    #[test]
    fn nodes_that_lead_back_or_nowhere_are_refused() {
        let leaf = |at: u32| Node { feature: 0, threshold: 0, children: [at; 2], value: 1.0 };
        let question = |left, right| Node { feature: 0, threshold: 9, children: [left, right], value: 0.0 };
        assert!(Trees::new(0.0, vec![0], vec![question(1, 2), leaf(1), leaf(2)]).is_ok());
        assert!(Trees::new(0.0, vec![0], vec![question(0, 1), leaf(1)]).is_err());
        assert!(Trees::new(0.0, vec![0], vec![question(1, 7), leaf(1)]).is_err());
        assert!(Trees::new(0.0, vec![3], vec![leaf(0)]).is_err());
        assert!(Trees::new(f32::NAN, vec![0], vec![leaf(0)]).is_err());
        let chain = |length: u32| (0..length).map(|at| question(at + 1, at + 1)).chain([leaf(length)]).collect();
        assert!(Trees::new(0.0, vec![0], chain(64)).is_ok());
        assert!(Trees::new(0.0, vec![0], chain(65)).is_err());
        assert!(Trees::new(0.0, vec![0], chain(1000)).is_err());
    }
}
