//! A multilayer perceptron on flat weights; the candidates of a batch go through each layer together.
//! Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", Nature 323, 1986; at eviction
//! after Song et al., "HALP: heuristic aided learned preference eviction policy", NSDI 2023.

use crate::features::{BATCH, CODES, Columns, FEATURES};
use crate::prior::rounded;

/// Most neurons of a layer, and layers: more would make an eviction wait.
pub const LIMITS: (usize, usize) = (1024, 8);

/// One number for each candidate of a batch.
pub(crate) type Lanes = [f32; BATCH];

/// One layer: outputs are weighted sums of the inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// One row of weights for each output.
    pub weights: Vec<f32>,
    /// What is added to each output.
    pub biases: Vec<f32>,
}

/// How rows become numbers, and the layers these go through; between layers what is negative becomes zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// What is taken off each feature, and what the rest is multiplied by; a feature that is a code counts as zero.
    pub scaling: [(f32, f32); FEATURES],
    /// Inputs after the features: 1 where the feature has the code, else 0.
    pub flags: Vec<(u8, u8)>,
    /// The layers; the last has one output, in octaves.
    pub layers: Vec<Layer>,
}

impl Network {
    /// The same, if the layers fit together.
    ///
    /// # Errors
    /// Says what does not.
    pub fn checked(self) -> Result<Self, &'static str> {
        let scaling = self.scaling.iter().flat_map(|&(mean, factor)| [mean, factor]);
        let weights = self.layers.iter().flat_map(|layer| layer.weights.iter().chain(&layer.biases).copied());
        if !scaling.chain(weights).all(f32::is_finite) {
            return Err("a weight of the network is not a finite number");
        }
        if self.flags.iter().any(|&(feature, _)| feature as usize >= FEATURES) {
            return Err("the network asks about a feature that does not exist");
        }
        let mut inputs = FEATURES + self.flags.len();
        for layer in &self.layers {
            let outputs = layer.biases.len();
            if inputs.max(outputs) > LIMITS.0 || layer.weights.len() != inputs * outputs {
                return Err("a layer of the network is too wide, or does not fit the one before");
            }
            inputs = outputs;
        }
        if inputs != 1 || !(1..=LIMITS.1).contains(&self.layers.len()) {
            return Err("the network has too many layers, or more or less than one output");
        }
        Ok(self)
    }

    /// Scores of a batch.
    #[inline]
    #[must_use]
    pub fn scores(&self, columns: &Columns) -> [i32; BATCH] {
        let mut values = self.inputs(columns);
        for (at, layer) in self.layers.iter().enumerate() {
            values = self.outputs(at, layer, &values);
        }
        rounded(values[0])
    }

    /// What comes into each layer, and what comes out of the last.
    pub(crate) fn values(&self, columns: &Columns) -> Vec<Vec<Lanes>> {
        let mut values = vec![self.inputs(columns)];
        for (at, layer) in self.layers.iter().enumerate() {
            values.push(self.outputs(at, layer, &values[at]));
        }
        values
    }

    /// What comes out of a layer; what is negative becomes zero before the next.
    fn outputs(&self, at: usize, layer: &Layer, inputs: &[Lanes]) -> Vec<Lanes> {
        let mut outputs = layer.sums(inputs);
        if at + 1 < self.layers.len() {
            outputs.iter_mut().flatten().for_each(|value| *value = value.max(0.0));
        }
        outputs
    }

    fn inputs(&self, columns: &Columns) -> Vec<Lanes> {
        let number = |(column, &(mean, factor)): (&[u8; BATCH], &(f32, f32))| {
            column.map(|value| if value < CODES { (f32::from(value) - mean) * factor } else { 0.0 })
        };
        let flag = |&(feature, code): &(u8, u8)| columns[feature as usize].map(|value| f32::from(value == code));
        columns.iter().zip(&self.scaling).map(number).chain(self.flags.iter().map(flag)).collect()
    }
}

impl Layer {
    fn sums(&self, inputs: &[Lanes]) -> Vec<Lanes> {
        let output = |(weights, &bias): (&[f32], &f32)| {
            let mut sums = [bias; BATCH];
            for (&weight, values) in weights.iter().zip(inputs) {
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
            }
            sums
        };
        self.weights.chunks_exact(inputs.len()).zip(&self.biases).map(output).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::chance::Chance;
    use crate::features::{Row, columns};

    /// A network of random weights.
    pub(crate) fn network(chance: &mut Chance) -> Network {
        let mut numbers = |count: usize| (0..count).map(|_| chance.draw() as f32 - 0.5).collect::<Vec<_>>();
        let widths = [FEATURES + 2, 7, 3, 1];
        let layers = widths.windows(2);
        let layers = layers.map(|pair| Layer { weights: numbers(pair[0] * pair[1]), biases: numbers(pair[1]) });
        Network { layers: layers.collect(), scaling: [(100.0, 0.02); FEATURES], flags: vec![(1, 255), (10, 253)] }
    }

    fn score(network: &Network, row: &Row) -> f32 {
        let number = |&value: &u8| if value < CODES { (f32::from(value) - 100.0) * 0.02 } else { 0.0 };
        let flags = network.flags.iter().map(|&(feature, code)| f32::from(row[feature as usize] == code));
        let mut values: Vec<f32> = row[..FEATURES].iter().map(number).chain(flags).collect();
        for (at, Layer { weights, biases }) in network.layers.iter().enumerate() {
            let dot = |weights: &[f32]| weights.iter().zip(&values).map(|(weight, value)| weight * value).sum::<f32>();
            let sums = weights.chunks(values.len()).zip(biases).map(|(weights, bias)| dot(weights) + bias);
            values = sums.map(|sum| if at + 1 < network.layers.len() { sum.max(0.0) } else { sum }).collect();
        }
        values[0]
    }

    #[test]
    fn a_batch_is_scored_as_its_rows_one_by_one() {
        let mut chance = Chance::new(1);
        for _ in 0..50 {
            let network = network(&mut chance).checked().expect("it fits");
            let rows: Vec<Row> = (0..BATCH).map(|_| std::array::from_fn(|_| chance.below(256) as u8)).collect();
            for (row, score_of_batch) in rows.iter().zip(network.scores(&columns(&rows))) {
                assert!((score(&network, row) * 256.0 - score_of_batch as f32).abs() < 0.51);
            }
        }
    }

    #[test]
    fn layers_that_do_not_fit_are_refused() {
        let network = network(&mut Chance::new(2));
        let broken = |change: fn(&mut Network)| {
            let mut network = network.clone();
            change(&mut network);
            network.checked().is_err()
        };
        assert!(!broken(|_| ()));
        assert!(broken(|network| _ = network.layers.pop()));
        assert!(broken(|network| network.layers.clear()));
        assert!(broken(|network| _ = network.layers[1].weights.pop()));
        assert!(broken(|network| network.layers[0].biases[0] = f32::NAN));
        assert!(broken(|network| network.scaling[3].1 = f32::INFINITY));
        assert!(broken(|network| network.flags[0].0 = 200));
    }
}
