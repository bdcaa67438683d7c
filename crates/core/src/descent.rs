//! Steps downhill: a network learns from rows, and goes on learning from the rows that come later.
//! Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", Nature 323, 1986; the size of
//! each step after Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1; the loss of Huber,
//! "Robust estimation of a location parameter", Annals of Mathematical Statistics 35(1), 1964.

use crate::chance::Chance;
use crate::features::{BATCH, Row, columns};
use crate::network::{Lanes, Layer, Network};

/// β₁, β₂ and ε of Adam, as its paper proposes.
const MEMORY: (f32, f32) = (0.9, 0.999);
const TINY: f32 = 1e-8;
/// Octaves beyond which an error pulls no harder.
const HARDEST: f32 = 2.0;

/// How to learn.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Times that each row is looked at.
    pub epochs: usize,
    /// Size of the first step; the last one is nearly zero.
    pub rate: f32,
}

/// What Adam remembers of one layer: means of the gradients and of their squares.
struct Memory {
    weights: Vec<(f32, f32)>,
    biases: Vec<(f32, f32)>,
}

/// The network after it has learned from rows and `targets`, which are octaves.
#[must_use]
pub fn descend(network: &Network, rows: &[Row], targets: &[f32], schedule: Schedule, chance: &mut Chance) -> Network {
    let mut network = network.clone();
    let nothing = |of: &[f32]| vec![(0.0, 0.0); of.len()];
    let mut memories: Vec<Memory> = (network.layers.iter())
        .map(|layer| Memory { weights: nothing(&layer.weights), biases: nothing(&layer.biases) })
        .collect();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let steps = schedule.epochs * rows.len().div_ceil(BATCH);
    let mut step = 0;
    for _ in 0..schedule.epochs {
        shuffle(&mut order, chance);
        for part in order.chunks(BATCH) {
            let gradients = gradients(&network, rows, targets, part);
            let rate = schedule.rate * (1.0 - step as f32 / steps as f32);
            step += 1;
            let late = |memory: f32| 1.0 - memory.powi(step);
            let rate = rate * late(MEMORY.1).sqrt() / late(MEMORY.0);
            for ((layer, memory), gradient) in network.layers.iter_mut().zip(&mut memories).zip(&gradients) {
                adapt(&mut layer.weights, &mut memory.weights, &gradient.weights, rate);
                adapt(&mut layer.biases, &mut memory.biases, &gradient.biases, rate);
            }
        }
    }
    network
}

/// Fisher & Yates.
fn shuffle(order: &mut [usize], chance: &mut Chance) {
    for at in (1..order.len()).rev() {
        order.swap(at, chance.below(at + 1));
    }
}

/// One step of Adam, on numbers of one kind.
fn adapt(numbers: &mut [f32], memory: &mut [(f32, f32)], gradients: &[f32], rate: f32) {
    for ((number, (mean, square)), &gradient) in numbers.iter_mut().zip(memory).zip(gradients) {
        *mean += (1.0 - MEMORY.0) * (gradient - *mean);
        *square += (1.0 - MEMORY.1) * (gradient * gradient - *square);
        *number -= rate * *mean / (square.sqrt() + TINY);
    }
}

/// By how much the mean loss of some rows, at most a batch, grows with each number of each layer.
fn gradients(network: &Network, rows: &[Row], targets: &[f32], part: &[usize]) -> Vec<Layer> {
    let chosen: Vec<Row> = part.iter().map(|&at| rows[at]).collect();
    let values = network.values(&columns(&chosen));
    let predicted = values.last().expect("there is an output")[0];
    let mut slopes = vec![[0.0; BATCH]];
    for (lane, &at) in part.iter().enumerate() {
        slopes[0][lane] = (predicted[lane] - targets[at]).clamp(-HARDEST, HARDEST) / part.len() as f32;
    }
    let mut gradients = Vec::with_capacity(network.layers.len());
    for (at, layer) in network.layers.iter().enumerate().rev() {
        let inputs = &values[at];
        gradients.push(Layer {
            weights: slopes.iter().flat_map(|slope| inputs.iter().map(|input| dot(slope, input))).collect(),
            biases: slopes.iter().map(|slope| slope.iter().sum()).collect(),
        });
        slopes = behind(layer, &slopes, inputs);
    }
    gradients.reverse();
    gradients
}

/// How the loss grows with what came into a layer; not at all where it was cut off at zero.
fn behind(layer: &Layer, slopes: &[Lanes], inputs: &[Lanes]) -> Vec<Lanes> {
    let mut behind = vec![[0.0; BATCH]; inputs.len()];
    for (weights, slope) in layer.weights.chunks_exact(inputs.len()).zip(slopes) {
        for ((sums, &weight), input) in behind.iter_mut().zip(weights).zip(inputs) {
            for ((sum, slope), input) in sums.iter_mut().zip(slope).zip(input) {
                *sum += if *input > 0.0 { weight * slope } else { 0.0 };
            }
        }
    }
    behind
}

fn dot(left: &Lanes, right: &Lanes) -> f32 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::WIDTH;
    use crate::network::tests::network;

    fn rows(count: usize, chance: &mut Chance) -> Vec<Row> {
        (0..count).map(|_| std::array::from_fn(|_| chance.below(256) as u8)).collect()
    }

    fn loss(network: &Network, rows: &[Row], targets: &[f32]) -> f64 {
        let of = |(row, &target): (&Row, &f32)| {
            let error = f64::from(network.values(&columns(&[*row])).last().expect("an output")[0][0] - target);
            let most = f64::from(HARDEST);
            if error.abs() < most { error * error / 2.0 } else { most * (error.abs() - most / 2.0) }
        };
        rows.iter().zip(targets).map(of).sum::<f64>() / rows.len() as f64
    }

    #[test]
    fn gradients_are_the_slopes_of_the_loss() {
        let mut chance = Chance::new(1);
        let network = network(&mut chance);
        let (rows, targets) = (rows(BATCH - 3, &mut chance), vec![0.3; BATCH - 3]);
        let all: Vec<usize> = (0..rows.len()).collect();
        let found = gradients(&network, &rows, &targets, &all);
        for (at, gradient) in found.iter().enumerate() {
            for number in [0, gradient.weights.len() / 2, gradient.weights.len() - 1] {
                let moved = |by: f32| {
                    let mut network = network.clone();
                    network.layers[at].weights[number] += by;
                    loss(&network, &rows, &targets)
                };
                let slope = (moved(1e-3) - moved(-1e-3)) / 2e-3;
                assert!(
                    (slope - f64::from(gradient.weights[number])).abs() < 1e-3 + 0.02 * slope.abs(),
                    "{at} {number}"
                );
            }
        }
    }

    #[test]
    fn what_can_be_learned_is_learned_and_the_same_each_time() {
        let mut chance = Chance::new(2);
        let (before, rows) = (network(&mut chance), rows(3000, &mut chance));
        let targets: Vec<f32> = rows.iter().map(|row| f32::from(row[0].min(200)) / 50.0 - 2.0).collect();
        let schedule = Schedule { epochs: 5, rate: 0.01 };
        let after = descend(&before, &rows, &targets, schedule, &mut Chance::new(3));
        assert!(loss(&after, &rows, &targets) < 0.1 * loss(&before, &rows, &targets));
        assert_eq!(after, descend(&before, &rows, &targets, schedule, &mut Chance::new(3)));
        assert!(after.checked().is_ok());
    }

    #[test]
    fn nothing_is_learned_from_nothing() {
        let before = network(&mut Chance::new(4));
        let schedule = Schedule { epochs: 3, rate: 0.01 };
        assert_eq!(descend(&before, &[], &[], schedule, &mut Chance::new(5)), before);
        let same = descend(&before, &[[0; WIDTH]], &[0.0], Schedule { epochs: 0, ..schedule }, &mut Chance::new(5));
        assert_eq!(same, before);
    }
}
