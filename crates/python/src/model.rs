//! `Predictor`: what the core can ask in place of its own prior; and the rows to learn one from.

use std::sync::Arc;

use forecache_core::boost::{Shape, boost};
use forecache_core::chance::Chance;
use forecache_core::dataset::{self, Example};
use forecache_core::error::Error;
use forecache_core::features::{BATCH, FEATURES, MISSING, Row, columns};
use forecache_core::model_file;
use forecache_core::network::{Layer, Network};
use forecache_core::policy::Setting;
use forecache_core::predictor::{Model, SCORE_ONE};
use forecache_core::prior::Prior;
use forecache_core::store::Store;
use forecache_core::trainer::target;
use forecache_core::trees::{LIMITS, Node, Trees};
use pyo3::buffer::{Element, PyBuffer};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert;
use crate::simulation::{Accesses, weights_of};

/// What predicts the time until the next access, in a form that the core asks at every eviction.
#[pyclass(frozen, module = "forecache._core")]
pub struct Predictor(Prior);

#[pymethods]
impl Predictor {
    /// The prior that is part of the package, and its metadata.
    #[staticmethod]
    fn shipped() -> (Self, &'static str) {
        (Self((*Model::shipped().prior).clone()), Model::shipped_metadata())
    }

    /// Oblivious trees, boosted to fit targets in octaves.
    #[staticmethod]
    #[pyo3(signature = (rows, targets, *, trees, depth, rate, ridge, share, seed=0))]
    #[allow(clippy::too_many_arguments)] // keyword arguments
    fn forest(
        py: Python<'_>,
        rows: &Bound<'_, PyAny>,
        targets: &Bound<'_, PyAny>,
        trees: usize,
        depth: usize,
        rate: f32,
        ridge: f32,
        share: f64,
        seed: u64,
    ) -> PyResult<Self> {
        let (rows, targets) = (rows_of(rows)?, values::<f32>(targets)?);
        let sound = rate.is_finite() && ridge.is_finite() && ridge >= 0.0 && targets.iter().all(|y| y.abs() < 1e4);
        if rows.len() != targets.len() || trees > LIMITS.0 || !(1..=8).contains(&depth) || !sound {
            return Err(PyValueError::new_err(
                "the forest cannot be grown; expected one finite target for each row, at most 4096 trees of depth 1 to 8, \
                 and a ridge of at least 0",
            ));
        }
        let how = Shape { trees, depth, rate, ridge, share };
        Ok(Self(py.detach(|| boost(&rows, &targets, &how, &mut Chance::new(seed))).into()))
    }

    /// Binary trees on flat arrays; a leaf is its own left and right child, and children come after their parents.
    #[staticmethod]
    fn trees(
        base: f32,
        roots: &Bound<'_, PyAny>,
        feature: &Bound<'_, PyAny>,
        threshold: &Bound<'_, PyAny>,
        left: &Bound<'_, PyAny>,
        right: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let (feature, threshold) = (values::<u8>(feature)?, values::<u8>(threshold)?);
        let (left, right, value) = (values::<u32>(left)?, values::<u32>(right)?, values::<f32>(value)?);
        let count = feature.len();
        if [threshold.len(), left.len(), right.len(), value.len()] != [count; 4] {
            return Err(PyValueError::new_err(
                "the arrays of the nodes differ in length; expected one entry for each node",
            ));
        }
        let node = |at: usize| Node {
            feature: feature[at],
            threshold: threshold[at],
            children: [left[at], right[at]],
            value: value[at],
        };
        let trees = Trees::new(base, values::<u32>(roots)?, (0..count).map(node).collect());
        trees.map(|trees| Self(Prior::Trees(trees))).map_err(PyValueError::new_err)
    }

    /// A multilayer perceptron: mean and factor of each feature, pairs of feature and code, weights and biases by layer.
    #[staticmethod]
    fn network(scaling: Vec<(f32, f32)>, flags: Vec<(u8, u8)>, layers: Vec<(Vec<f32>, Vec<f32>)>) -> PyResult<Self> {
        let scaling: [(f32, f32); FEATURES] = scaling
            .try_into()
            .map_err(|_| PyValueError::new_err(format!("expected the scaling of {FEATURES} features")))?;
        let layers = layers.into_iter().map(|(weights, biases)| Layer { weights, biases }).collect();
        let network = Network { scaling, flags, layers }.checked();
        network.map(|network| Self(Prior::Network(network))).map_err(PyValueError::new_err)
    }

    /// The predictor in a model file, and its metadata.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<(Self, String)> {
        let (prior, metadata) = model_file::decode(data).map_err(|fault| convert::model_error(py, &fault))?;
        Ok((Self(prior), metadata))
    }

    /// The model file of the predictor.
    fn to_bytes<'py>(&self, py: Python<'py>, metadata: &str) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &model_file::encode(&self.0, metadata))
    }

    /// Its form.
    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    /// Predictions for rows, in octaves: 32-bit floating numbers, as bytes.
    fn scores<'py>(&self, py: Python<'py>, rows: &Bound<'_, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let rows = rows_of(rows)?;
        let scores = |batch: &[Row]| {
            let scores = self.0.scores(&columns(batch));
            scores.into_iter().take(batch.len()).map(|score| score as f32 / SCORE_ONE).collect::<Vec<_>>()
        };
        let scores: Vec<f32> = py.detach(|| rows.chunks(BATCH).flat_map(scores).collect());
        Ok(PyBytes::new(py, &bytes(scores, f32::to_ne_bytes)))
    }
}

/// The samples that a learned policy takes on a trace, at most so many: rows of features, positions in the trace, waits
/// until the next access (2^64 − 1 where there is none) and capacities in entries; each as bytes.
#[pyfunction]
#[pyo3(signature = (accesses, capacity, *, weights="unit", seed=0, most=None, policy="learned", model=None))]
#[allow(clippy::too_many_arguments)] // keyword arguments
pub fn training_rows<'py>(
    py: Python<'py>,
    accesses: &Accesses,
    capacity: u64,
    weights: &str,
    seed: u64,
    most: Option<usize>,
    policy: &str,
    model: Option<&[u8]>,
) -> PyResult<[Bound<'py, PyBytes>; 4]> {
    let (prior, weights) = (model.map(|model| prior_of(py, model)).transpose()?, weights_of(weights)?);
    let (accesses, setting) = (Arc::clone(accesses.shared()), Setting::new(capacity, seed));
    let most = most.unwrap_or(usize::MAX);
    let found = py.detach(|| dataset::examples(&accesses, policy, &setting, weights, prior, most));
    let found = found.map_err(|error| convert::error(&error))?;
    let column = |of: fn(&Example) -> u64| PyBytes::new(py, &bytes(found.iter().map(of), u64::to_ne_bytes));
    let rows: Vec<u8> = found.iter().flat_map(|example| example.row.into_iter().take(FEATURES)).collect();
    Ok([
        PyBytes::new(py, &rows),
        column(|example| example.position),
        column(|example| example.wait),
        column(|example| u64::from(example.entries)),
    ])
}

/// What is to be predicted of waits, for capacities in entries: octaves, as 32-bit floating numbers in bytes.
#[pyfunction]
pub fn targets<'py>(
    py: Python<'py>,
    waits: &Bound<'_, PyAny>,
    entries: &Bound<'_, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let (waits, entries) = (convert::column(waits)?, convert::column(entries)?);
    let pairs = waits.into_iter().zip(entries);
    let targets = pairs.map(|(wait, entries)| target(wait as f32, entries.clamp(1, u64::from(u32::MAX)) as u32));
    Ok(PyBytes::new(py, &bytes(targets, f32::to_ne_bytes)))
}

/// The prior in a model file.
pub fn prior_of(py: Python<'_>, model: &[u8]) -> PyResult<Prior> {
    model_file::decode(model).map(|(prior, _)| prior).map_err(|fault| convert::model_error(py, &fault))
}

/// Lets a store predict with a prior.
pub fn begin_with<K, V>(store: &mut Store<K, V>, prior: &Prior) -> Result<(), Error> {
    store.student()?.begin_with(prior.clone());
    Ok(())
}

/// Lets a store go on with what another learned.
pub fn go_on<K, V>(py: Python<'_>, store: &mut Store<K, V>, lore: &[u8]) -> PyResult<()> {
    let student = store.student().map_err(|error| convert::error(&error))?;
    student.go_on(lore).map_err(|fault| convert::model_error(py, &fault))
}

fn bytes<T, const N: usize>(values: impl IntoIterator<Item = T>, to_bytes: fn(T) -> [u8; N]) -> Vec<u8> {
    values.into_iter().flat_map(to_bytes).collect()
}

fn values<T: Element>(values: &Bound<'_, PyAny>) -> PyResult<Vec<T>> {
    if values.len()? == 0 {
        return Ok(Vec::new()); // the pointer of an empty buffer need not be aligned
    }
    PyBuffer::<T>::get(values)?.to_vec(values.py())
}

fn rows_of(rows: &Bound<'_, PyAny>) -> PyResult<Vec<Row>> {
    let rows = values::<u8>(rows)?;
    if rows.len() % FEATURES == 0 {
        let row = |row: &[u8]| std::array::from_fn(|at| row.get(at).copied().unwrap_or(MISSING));
        return Ok(rows.chunks_exact(FEATURES).map(row).collect());
    }
    Err(PyValueError::new_err(format!("the rows do not fit; expected {FEATURES} bytes for each")))
}
