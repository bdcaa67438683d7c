//! `Copy` and `CopyReader`: rows of a database as this process keeps them, and the shortest way to one that is
//! known to be current, or young enough.

use std::sync::atomic::{AtomicU64, Ordering};

use forecache_core::staleness::Freshness;
use forecache_core::store::Accept;
use pyo3::PyTraverseError;
use pyo3::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::clock::now;
use crate::key::{id_of, is_native};
use crate::proof::Proof;
use crate::store::{Object, Store};
use crate::wal::WalHeader;

/// A row as it was read from the database; None if there was none.
#[pyclass(frozen, get_all, module = "forecache._core")]
pub struct Copy {
    row: Object,
    read_at: f64,
    stamp: Option<i64>,
}

#[pymethods]
impl Copy {
    #[new]
    fn new(row: Object, read_at: f64, stamp: Option<i64>) -> Self {
        Self { row, read_at, stamp }
    }

    /// The row, for somebody to keep: a dict is copied, as he may change it.
    fn give(&self, py: Python<'_>) -> PyResult<Object> {
        match self.row.bind(py).cast_exact::<PyDict>() {
            Ok(row) => Ok(row.copy()?.into_any().unbind()),
            Err(_) => Ok(self.row.clone_ref(py)),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.row)
    }
}

/// Reads the copies of one table's rows.
#[pyclass(frozen, module = "forecache._core")]
pub struct CopyReader {
    store: Py<Store>,
    table: Py<PyString>,
    missing: Object,
    /// What proves that all copies are current; without one, only their age counts.
    header: Option<Py<WalHeader>>,
    /// As of when all copies are current, so that their age counts from then.
    proof: Option<Py<Proof>>,
    max_age: f64,
    hits: AtomicU64,
}

#[pymethods]
impl CopyReader {
    #[new]
    #[pyo3(signature = (store, table, missing, *, header=None, proof=None, max_age=0.0))]
    fn new(
        store: Py<Store>,
        table: Py<PyString>,
        missing: Object,
        header: Option<Py<WalHeader>>,
        proof: Option<Py<Proof>>,
        max_age: f64,
    ) -> Self {
        Self { store, table, missing, header, proof, max_age, hits: AtomicU64::new(0) }
    }

    /// The row of a key if a copy is here and good enough, else `missing`.
    #[pyo3(signature = (key, /))]
    fn read(&self, key: &Bound<'_, PyAny>) -> PyResult<Object> {
        let py = key.py();
        if let Some(header) = &self.header {
            if !header.get().is_unchanged() {
                return Ok(self.missing.clone_ref(py)); // asked before the lookup: what is found then is as new
            }
        }
        let proven_at = self.proof.as_ref().map_or(f64::NEG_INFINITY, |proof| proof.get().at()); // the same
        if !is_native(key) {
            id_of(key)?; // so that an error names the key, not the pair
        }
        let pair = PyTuple::new(py, [self.table.bind(py).as_any(), key])?;
        let Some((found, Freshness::Fresh)) = self.store.get().look_up(&pair, Accept::Fresh)? else {
            return Ok(self.missing.clone_ref(py));
        };
        let copy = found.bind(py).cast_exact::<Copy>()?.get();
        if self.header.is_none() && now() - copy.read_at.max(proven_at) > self.max_age {
            return Ok(self.missing.clone_ref(py));
        }
        self.hits.fetch_add(1, Ordering::Relaxed);
        copy.give(py)
    }

    /// Reads that were answered.
    #[getter]
    fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.store)
    }
}
