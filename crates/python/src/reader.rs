//! `Reader`: one function's view of a store, with counts of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use forecache_core::staleness::Freshness;
use forecache_core::store::Accept;
use pyo3::prelude::*;

use crate::store::{Object, Store};

/// Reads a store, and counts what it found.
#[pyclass(frozen, module = "forecache._core")]
pub struct Reader {
    store: Py<Store>,
    missing: Object,
    due: Object,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[pymethods]
impl Reader {
    #[new]
    fn new(store: Py<Store>, missing: Object, due: Object) -> Self {
        Self { store, missing, due, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// The value of an entry that is fresh; `due` for one that may be served while a refresh runs; else `missing`.
    #[pyo3(signature = (key, /))]
    fn read(&self, key: &Bound<'_, PyAny>) -> PyResult<Object> {
        let found = self.store.get().look_up(key, Accept::Stale)?;
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(match found {
            Some((value, Freshness::Fresh)) => value,
            Some(_) => self.due.clone_ref(key.py()),
            None => self.missing.clone_ref(key.py()),
        })
    }

    /// Begins both counts anew.
    fn reset(&self) {
        self.hits.store(0, Ordering::Relaxed);
        self.misses.store(0, Ordering::Relaxed);
    }

    /// Reads that found something.
    #[getter]
    fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Reads that found nothing.
    #[getter]
    fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.store)
    }
}
