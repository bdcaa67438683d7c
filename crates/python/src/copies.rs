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
    shard: u32,
}

#[pymethods]
impl Copy {
    #[new]
    #[pyo3(signature = (row, read_at, stamp, shard=0))]
    const fn new(row: Object, read_at: f64, stamp: Option<i64>, shard: u32) -> Self {
        Self { row, read_at, stamp, shard }
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
    /// Until when copies that are looked up are what the database shows.
    grant: Option<Py<Proof>>,
    /// What certificates name; without it, this reader makes none.
    standing: Option<Py<Standing>>,
    /// Seconds; below 0 for copies that are what the database shows.
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

/// A copy that is good enough, and its age at most; None if that is unknown.
struct Current<'py> {
    copy: Bound<'py, Copy>,
    age: Option<f64>,
}

#[pymethods]
impl CopyReader {
    #[new]
    #[allow(clippy::too_many_arguments)] // all but three are named
    #[pyo3(signature = (store, table, missing, *, header=None, proof=None, grant=None, standing=None, max_age=0.0, every=0))]
    fn new(
        store: Py<Store>,
        table: Py<PyString>,
        missing: Object,
        header: Option<Py<WalHeader>>,
        proof: Option<Py<Proof>>,
        grant: Option<Py<Proof>>,
        standing: Option<Py<Standing>>,
        max_age: f64,
        every: u64,
    ) -> Self {
        let (hits, next) = (AtomicU64::new(0), AtomicU64::new(every.checked_sub(1).unwrap_or(u64::MAX)));
        let sampled = Mutex::default();
        Self { store, table, missing, header, proof, grant, standing, max_age, hits, every, next, sampled }
    }

    /// The row of a key if a copy is here and good enough, else `missing`; `max_age` in place of the usual one.
    #[pyo3(signature = (key, max_age=None, /))]
    fn read(&self, key: &Bound<'_, PyAny>, max_age: Option<f64>) -> PyResult<Object> {
        match self.current(key, max_age.unwrap_or(self.max_age))? {
            Some(current) => current.copy.get().give(key.py()),
            None => Ok(self.missing.clone_ref(key.py())),
        }
    }

    /// The same with a certificate, as `Certified`.
    #[pyo3(signature = (key, max_age=None, /))]
    fn certify(&self, key: &Bound<'_, PyAny>, max_age: Option<f64>) -> PyResult<Object> {
        let py = key.py();
        let Some(standing) = &self.standing else { return Ok(self.missing.clone_ref(py)) };
        let names = standing.get().names(); // before the lookup: what is found contains it
        let Some(current) = self.current(key, max_age.unwrap_or(self.max_age))? else {
            return Ok(self.missing.clone_ref(py));
        };
        let copy = current.copy.get();
        let Some((epoch, number)) = names.get(copy.shard as usize) else { return Ok(self.missing.clone_ref(py)) };
        let (epoch, number) = (epoch.clone_ref(py), *number);
        let (tier, number) = match (current.age, copy.stamp) {
            (None, _) => (intern!(py, "shared"), None),
            // numbers of changes, which stamps are, and beacons are not
            (_, Some(stamp)) if self.proof.is_none() => {
                (intern!(py, "process"), Some(number.map_or(stamp - 1, |number| number.max(stamp - 1))))
            }
            _ => (intern!(py, "process"), number),
        };
        let certificate = Certificate::new(tier.clone().unbind(), epoch, copy.shard, number, current.age);
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
        let is_current = self.is_current(max_age); // asked before the lookup: what is found then is as new
        if !is_current && (self.header.is_some() || max_age < 0.0) {
            return Ok(None);
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
        let age = if is_current { 0.0 } else { (now() - copy.get().read_at.max(proven_at)).max(0.0) };
        if !is_current && age > max_age {
            return Ok(None);
        }
        let number = self.hits.fetch_add(1, Ordering::Relaxed);
        if number >= self.next.load(Ordering::Relaxed) {
            self.sample(key, number);
        }
        Ok(Some(Current { copy, age: age.is_finite().then_some(age) }))
    }

    /// Whether copies that are looked up after this call are what the database shows at a moment that is now.
    #[inline(always)]
    fn is_current(&self, max_age: f64) -> bool {
        match (&self.header, &self.grant) {
            (Some(header), _) => header.get().is_unchanged(),
            (None, Some(grant)) => max_age < 0.0 && now() <= grant.get().at(),
            (None, None) => false,
        }
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
