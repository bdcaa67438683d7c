//! `Copy` and `CopyReader`: rows of a database as this process keeps them, and the shortest way to one that is
//! known to be current, or young enough.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use forecache_core::staleness::Freshness;
use forecache_core::store::Accept;
use pyo3::PyTraverseError;
use pyo3::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::certificate::{Certificate, Certified, Standing};
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
    /// What certificates name; without it, this reader makes none.
    standing: Option<Py<Standing>>,
    max_age: f64,
    hits: AtomicU64,
    /// Of so many hits one is sampled; none if it is 0.
    every: u64,
    /// The number of the hit that is sampled next.
    next: AtomicU64,
    /// Keys of hits that were sampled, until somebody takes them.
    sampled: Mutex<Vec<Object>>,
}

/// Sampled keys that are kept while nobody takes them.
const MOST_SAMPLED: usize = 16;

/// A copy that is good enough, and as of when it is surely current.
struct Current<'py> {
    copy: Bound<'py, Copy>,
    as_of: f64,
    age: f64,
}

#[pymethods]
impl CopyReader {
    #[new]
    #[allow(clippy::too_many_arguments)] // all but three are named
    #[pyo3(signature = (store, table, missing, *, header=None, proof=None, standing=None, max_age=0.0, every=0))]
    fn new(
        store: Py<Store>,
        table: Py<PyString>,
        missing: Object,
        header: Option<Py<WalHeader>>,
        proof: Option<Py<Proof>>,
        standing: Option<Py<Standing>>,
        max_age: f64,
        every: u64,
    ) -> Self {
        let (hits, next) = (AtomicU64::new(0), AtomicU64::new(every.checked_sub(1).unwrap_or(u64::MAX)));
        let sampled = Mutex::default();
        Self { store, table, missing, header, proof, standing, max_age, hits, every, next, sampled }
    }

    /// The row of a key if a copy is here and good enough, else `missing`.
    #[pyo3(signature = (key, /))]
    fn read(&self, key: &Bound<'_, PyAny>) -> PyResult<Object> {
        match self.current(key, self.max_age)? {
            Some(current) => current.copy.get().give(key.py()),
            None => Ok(self.missing.clone_ref(key.py())),
        }
    }

    /// The same with a certificate, as `Certified`; `max_age` in place of the usual one.
    #[pyo3(signature = (key, max_age=None, /))]
    fn certify(&self, key: &Bound<'_, PyAny>, max_age: Option<f64>) -> PyResult<Object> {
        let py = key.py();
        let Some(standing) = &self.standing else { return Ok(self.missing.clone_ref(py)) };
        let (epoch, number) = standing.get().known(py); // before the lookup: what is found contains it
        let Some(current) = self.current(key, max_age.unwrap_or(self.max_age))? else {
            return Ok(self.missing.clone_ref(py));
        };
        let copy = current.copy.get();
        let certificate = if current.as_of.is_infinite() {
            Certificate::new(intern!(py, "shared").clone().unbind(), epoch, 0, None, None)
        } else {
            let number = match copy.stamp {
                // numbers of changes, which stamps are, and beacons are not
                Some(stamp) if self.proof.is_none() => Some(number.map_or(stamp - 1, |number| number.max(stamp - 1))),
                _ => number,
            };
            Certificate::new(intern!(py, "process").clone().unbind(), epoch, 0, number, Some(current.age))
        };
        Ok(Py::new(py, Certified::new(copy.give(py)?, certificate))?.into_any())
    }

    /// Keys of hits that were sampled since this was asked last.
    fn take_sampled(&self) -> Vec<Object> {
        std::mem::take(&mut *self.sampled.lock().unwrap_or_else(PoisonError::into_inner))
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

impl CopyReader {
    #[inline(always)] // the path of every hit
    fn current<'py>(&self, key: &Bound<'py, PyAny>, max_age: f64) -> PyResult<Option<Current<'py>>> {
        let py = key.py();
        if let Some(header) = &self.header {
            if !header.get().is_unchanged() {
                return Ok(None); // asked before the lookup: what is found then is as new
            }
        }
        let proven_at = self.proof.as_ref().map_or(f64::NEG_INFINITY, |proof| proof.get().at()); // the same
        if !is_native(key) {
            id_of(key)?; // so that an error names the key, not the pair
        }
        let pair = PyTuple::new(py, [self.table.bind(py).as_any(), key])?;
        let Some((found, Freshness::Fresh)) = self.store.get().look_up(&pair, Accept::Fresh)? else {
            return Ok(None);
        };
        let copy = found.into_bound(py).cast_into_exact::<Copy>()?;
        let (mut as_of, mut age) = (copy.get().read_at.max(proven_at), 0.0);
        if self.header.is_none() {
            age = (now() - as_of).max(0.0);
            if age > max_age {
                return Ok(None);
            }
        } else {
            as_of = 0.0; // current as of now
        }
        let number = self.hits.fetch_add(1, Ordering::Relaxed);
        if number >= self.next.load(Ordering::Relaxed) {
            self.sample(key, number);
        }
        Ok(Some(Current { copy, as_of, age }))
    }

    /// Keeps a key for an audit, and chooses the next hit: somewhere in as many again, so that no rhythm of readers
    /// hides a key.
    #[cold]
    fn sample(&self, key: &Bound<'_, PyAny>, number: u64) {
        let mixed = (number ^ (number >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.next.store(number + 1 + (mixed >> 20) % (2 * self.every - 1), Ordering::Relaxed);
        let mut sampled = self.sampled.lock().unwrap_or_else(PoisonError::into_inner);
        if sampled.len() < MOST_SAMPLED {
            sampled.push(key.clone().unbind());
        }
    }
}
