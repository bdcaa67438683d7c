//! Gradient boosting: each tree is fitted to what the trees before it left unexplained.
//! Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29(5), 2001;
//! histograms after Ke et al., "`LightGBM`", NIPS 2017; one question per level after Prokhorenkova et al., "`CatBoost`", `NeurIPS` 2018.

use crate::chance::Chance;
use crate::features::{Row, WIDTH};
use crate::predictor::{Forest, SCORE_ONE, Tree};

/// How to grow a forest.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Number of trees.
    pub trees: usize,
    /// Questions per tree, at most 8.
    pub depth: usize,
    /// Share of what is unexplained that a tree explains.
    pub rate: f32,
    /// Rows' worth of zeros in each leaf, against leaves that explain chance.
    pub ridge: f32,
    /// Share of the features that a tree may ask about.
    pub share: f64,
}

/// Number of rows and sum of their residuals in one integer, so that a histogram is one addition per row.
#[derive(Clone, Copy, Default)]
struct Bin(i64);

type Histogram = [Bin; 256];

impl Bin {
    const COUNT_BITS: u32 = 24;

    fn row(residual: f32) -> Self {
        Self((((residual * SCORE_ONE) as i64) << Self::COUNT_BITS) + 1)
    }

    #[inline]
    fn add(&mut self, other: Self) {
        self.0 += other.0;
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }

    fn count(self) -> f32 {
        (self.0 & ((1 << Self::COUNT_BITS) - 1)) as f32
    }

    fn sum(self) -> f32 {
        (self.0 >> Self::COUNT_BITS) as f32 / SCORE_ONE
    }

    /// How much of the squares a leaf of these rows explains.
    fn explained(self, ridge: f32) -> f32 {
        self.sum() * self.sum() / (self.count() + ridge)
    }
}

/// Fits `targets`, in octaves, by the sum of a constant and of trees.
#[must_use]
pub fn boost(rows: &[Row], targets: &[f32], shape: &Shape, chance: &mut Chance) -> Forest {
    let columns: Vec<Vec<u8>> = (0..WIDTH).map(|at| rows.iter().map(|row| row[at]).collect()).collect();
    let mean = targets.iter().map(|&target| f64::from(target)).sum::<f64>() / rows.len().max(1) as f64;
    let base = (mean as f32 * SCORE_ONE) as i32;
    let mut residuals: Vec<f32> = targets.iter().map(|target| target - base as f32 / SCORE_ONE).collect();
    let differs = |&at: &usize| columns[at].iter().any(|&value| value != columns[at][0]);
    let telling: Vec<usize> = (0..WIDTH).filter(differs).collect();
    let trees = (0..shape.trees).map(|_| grow(&columns, &telling, &mut residuals, shape, chance)).collect();
    Forest::new(base, trees)
}

/// The next tree; takes what it explains off the residuals.
fn grow(columns: &[Vec<u8>], telling: &[usize], residuals: &mut [f32], shape: &Shape, chance: &mut Chance) -> Tree {
    let asked: Vec<usize> = telling.iter().copied().filter(|_| chance.draw() < shape.share).collect();
    let rows: Vec<Bin> = residuals.iter().map(|&residual| Bin::row(residual)).collect();
    let mut leaves = vec![0u8; rows.len()];
    let mut histograms = vec![[Bin::default(); 256]; 1 << shape.depth];
    let mut questions = Vec::with_capacity(shape.depth);
    for level in 0..shape.depth {
        let histograms = &mut histograms[..1 << level];
        let mut best = (f32::MIN, 0, u8::MAX);
        for &feature in &asked {
            fill(histograms, &columns[feature], &leaves, &rows);
            let (explained, threshold) = split(histograms, shape.ridge);
            if explained > best.0 {
                best = (explained, feature, threshold);
            }
        }
        let (_, feature, threshold) = best;
        for (leaf, &value) in leaves.iter_mut().zip(&columns[feature]) {
            *leaf |= u8::from(value > threshold) << level;
        }
        questions.push((feature as u8, threshold));
    }
    let values = values(&leaves, &rows, shape);
    for (residual, &leaf) in residuals.iter_mut().zip(&leaves) {
        *residual -= f32::from(values[leaf as usize]) / SCORE_ONE;
    }
    Tree { questions, leaves: values }
}

/// Counts the rows of each leaf by their value of a feature.
fn fill(histograms: &mut [Histogram], column: &[u8], leaves: &[u8], rows: &[Bin]) {
    histograms.fill([Bin::default(); 256]);
    let mask = histograms.len() - 1;
    let bins = histograms.as_flattened_mut();
    for ((&value, &leaf), &row) in column.iter().zip(leaves).zip(rows) {
        bins[((leaf as usize & mask) << 8) | value as usize].add(row);
    }
}

/// The threshold that explains most, asked in all leaves at once, and how much that is.
fn split(histograms: &[Histogram], ridge: f32) -> (f32, u8) {
    let mut explained = [0f32; 255];
    for histogram in histograms {
        let mut all = Bin::default();
        for &bin in histogram {
            all.add(bin);
        }
        let mut below = Bin::default();
        let mut now = all.explained(ridge);
        for (explained, &bin) in explained.iter_mut().zip(histogram) {
            if bin.0 != 0 {
                below.add(bin);
                now = below.explained(ridge) + all.without(below).explained(ridge);
            }
            *explained += now;
        }
    }
    let mut best = (f32::MIN, u8::MAX);
    for (threshold, &explained) in explained.iter().enumerate() {
        if explained > best.0 {
            best = (explained, threshold as u8);
        }
    }
    best
}

fn values(leaves: &[u8], rows: &[Bin], shape: &Shape) -> Vec<i16> {
    let mut bins = vec![Bin::default(); 1 << shape.depth];
    for (&leaf, &row) in leaves.iter().zip(rows) {
        bins[leaf as usize].add(row);
    }
    let value = |bin: &Bin| shape.rate * bin.sum() / (bin.count() + shape.ridge) * SCORE_ONE;
    bins.iter().map(|bin| value(bin).round() as i16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::columns;

    #[test]
    fn a_known_function_is_recovered() {
        let mut chance = Chance::new(3);
        let rows: Vec<Row> = (0..4000).map(|_| std::array::from_fn(|_| chance.below(256) as u8)).collect();
        let truth = |row: &Row| f32::from(row[2]) / 64.0 + if row[5] > 100 && row[7] > 50 { 2.0 } else { 0.0 };
        let targets: Vec<f32> = rows.iter().map(truth).collect();
        let shape = Shape { trees: 60, depth: 4, rate: 0.3, ridge: 1.0, share: 1.0 };
        let forest = boost(&rows, &targets, &shape, &mut chance);
        let error: f32 = rows
            .chunks(16)
            .flat_map(|rows| forest.scores(&columns(rows)).into_iter().zip(rows).collect::<Vec<_>>())
            .map(|(score, row)| (score as f32 / SCORE_ONE - truth(row)).powi(2))
            .sum::<f32>()
            / rows.len() as f32;
        assert!(error < 0.02, "mean squared error {error}");
    }

    #[test]
    fn the_same_rows_and_chance_give_the_same_forest() {
        let rows: Vec<Row> = (0..500u32).map(|at| std::array::from_fn(|f| (at * (f as u32 + 7) % 251) as u8)).collect();
        let targets: Vec<f32> = (0..500u16).map(|at| f32::from(at % 17)).collect();
        let shape = Shape { trees: 5, depth: 5, rate: 0.2, ridge: 50.0, share: 0.8 };
        let fit = || boost(&rows, &targets, &shape, &mut Chance::new(4));
        assert_eq!(fit(), fit());
    }
}
