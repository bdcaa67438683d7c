//! `Proof`: the moment as of which all copies are current, told by one thread and read by many.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;

/// A moment of `now()`; minus infinity while nothing is proven.
#[pyclass(frozen, module = "forecache._core")]
pub struct Proof {
    bits: AtomicU64,
}

#[pymethods]
impl Proof {
    #[new]
    fn new() -> Self {
        Self { bits: AtomicU64::new(f64::NEG_INFINITY.to_bits()) }
    }

    /// From now on, copies that are here are current as of this moment. What ended was dropped before.
    fn tell(&self, at: f64) {
        self.bits.store(at.to_bits(), Ordering::Release);
    }

    /// The moment. Ask first, and look a copy up then: what is found is as new.
    #[getter]
    #[inline]
    pub fn at(&self) -> f64 {
        f64::from_bits(self.bits.load(Ordering::Acquire))
    }
}
