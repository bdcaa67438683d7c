//! `Curve` and `Sampling`: the miss ratio curve of LRU, and spatial samples of traces, with the GIL released.

use std::sync::{Mutex, MutexGuard, PoisonError};

use forecache_core::{curve, sampling};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert;

/// What LRU would hit at every capacity, from the reuse distances of all keys or of a sample.
#[pyclass(frozen, module = "forecache._core")]
pub struct Curve(Mutex<curve::Curve>);

#[pymethods]
impl Curve {
    #[new]
    #[pyo3(signature = (*, rate=1.0, most=None, share=1.0, seed=0))]
    fn new(rate: f64, most: Option<usize>, share: f64, seed: u64) -> PyResult<Self> {
        let within = |value: f64| value > 0.0 && value <= 1.0;
        if !within(rate) || !within(share) || most == Some(0) {
            let message =
                format!("rate is {rate}, share is {share}; expected both within (0, 1], and at least one key");
            return Err(PyValueError::new_err(message));
        }
        Ok(Self(Mutex::new(curve::Curve::new(sampling::Sampling::new(rate, seed), most, share))))
    }

    /// Looks at some of the accesses that will be fed, so many in all: more is looked at of keys that are asked for often.
    fn survey(&self, py: Python<'_>, some: &Bound<'_, PyAny>, accesses: u64) -> PyResult<()> {
        let some = convert::column(some)?;
        if self.lock().accesses() > 0 || accesses < some.len() as u64 {
            let message =
                format!("a survey of {} accesses among {accesses}; expected it before any is fed", some.len());
            return Err(PyValueError::new_err(message));
        }
        py.detach(|| self.lock().survey(&some, accesses));
        Ok(())
    }

    /// The next accesses in order, and the weight of each; without, every key weighs 1.
    #[pyo3(signature = (keys, weights=None))]
    fn feed(&self, py: Python<'_>, keys: &Bound<'_, PyAny>, weights: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let keys = convert::column(keys)?;
        let weights = weights.map(convert::column).transpose()?;
        if weights.as_ref().is_some_and(|weights| weights.len() != keys.len()) {
            return Err(PyValueError::new_err("keys and weights differ in length; expected one weight for each key"));
        }
        py.detach(|| self.lock().feed(&keys, weights.as_deref()));
        Ok(())
    }

    /// Hits at each of these capacities, which must grow, and the standard error of each.
    #[allow(clippy::needless_pass_by_value)] // a list, converted
    fn hits(&self, py: Python<'_>, capacities: Vec<u64>) -> PyResult<(Vec<f64>, Vec<f64>)> {
        if !capacities.is_sorted() {
            return Err(PyValueError::new_err("capacities are not in order; expected them to grow"));
        }
        let told = py.detach(|| self.lock().hits(&capacities));
        Ok((told.hits, told.errors))
    }

    /// Accesses fed.
    #[getter]
    fn accesses(&self) -> u64 {
        self.lock().accesses()
    }

    /// Those among them that were to kept keys.
    #[getter]
    fn kept(&self) -> u64 {
        self.lock().kept()
    }

    /// Distinct keys that are kept.
    #[getter]
    fn keys(&self) -> usize {
        self.lock().keys()
    }

    /// Share of the keys that is kept by now.
    #[getter]
    fn rate(&self) -> f64 {
        self.lock().rate()
    }
}

impl Curve {
    fn lock(&self) -> MutexGuard<'_, curve::Curve> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Positions of the accesses to the keys of a spatial sample: 64-bit integers, as bytes.
#[pyfunction]
#[pyo3(signature = (keys, rate, seed=0))]
pub fn sampled<'py>(py: Python<'py>, keys: &Bound<'_, PyAny>, rate: f64, seed: u64) -> PyResult<Bound<'py, PyBytes>> {
    let keys = convert::column(keys)?;
    let positions = py.detach(|| {
        let positions = sampling::Sampling::new(rate, seed).positions(&keys);
        positions.iter().flat_map(|at| at.to_le_bytes()).collect::<Vec<u8>>()
    });
    Ok(PyBytes::new(py, &positions))
}
