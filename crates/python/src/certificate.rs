//! `Certificate` and `Certified`: what is proven of an answer, made where a hit is answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::PyTraverseError;
use pyo3::PyVisit;
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple};

use crate::store::Object;

/// Where an answer came from, and how old it is at most.
///
/// The answer was the committed value at some moment not earlier than `max_age` seconds before the read began. That
/// is proven on one clock of this machine, which counts while the machine sleeps; clocks are never compared.
#[pyclass(frozen, get_all, module = "forecache")]
pub struct Certificate {
    tier: Py<PyString>,
    epoch: Py<PyString>,
    shard: u32,
    beacon: Option<i64>,
    max_age: Option<f64>,
}

#[pymethods]
impl Certificate {
    #[new]
    pub fn new(tier: Py<PyString>, epoch: Py<PyString>, shard: u32, beacon: Option<i64>, max_age: Option<f64>) -> Self {
        Self { tier, epoch, shard, beacon, max_age }
    }

    /// Whether an age is proven that a level allows; 'session' is about writes, and cannot be seen here.
    fn keeps(&self, level: &Bound<'_, PyAny>) -> PyResult<bool> {
        let kind = level.getattr("kind")?;
        let allowed: f64 = level.getattr("seconds")?.extract()?;
        let is_any = matches!(kind.cast::<PyString>()?.to_str()?, "eventual" | "session");
        Ok(is_any || self.max_age.is_some_and(|age| age <= allowed))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = other.py();
        match other.cast_exact::<Self>() {
            Ok(other) => self.parts(py)?.eq(other.get().parts(py)?),
            Err(_) => Ok(false),
        }
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.parts(py)?.hash()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let told = |value: Bound<'_, PyAny>| value.repr().map(|text| text.to_string());
        Ok(format!(
            "Certificate(tier={}, epoch={}, shard={}, beacon={}, max_age={})",
            told(self.tier.bind(py).clone().into_any())?,
            told(self.epoch.bind(py).clone().into_any())?,
            self.shard,
            told(self.beacon.into_pyobject(py)?.into_any())?,
            told(self.max_age.into_pyobject(py)?.into_any())?,
        ))
    }
}

impl Certificate {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        let (tier, epoch) = (self.tier.clone_ref(py), self.epoch.clone_ref(py));
        Self { tier, epoch, shard: self.shard, beacon: self.beacon, max_age: self.max_age }
    }

    fn parts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        (self.tier.bind(py), self.epoch.bind(py), self.shard, self.beacon, self.max_age).into_pyobject(py)
    }
}

/// An answer with its certificate: a pair.
#[pyclass(frozen, sequence, module = "forecache")]
pub struct Certified {
    #[pyo3(get)]
    row: Object,
    proven: Certificate,
    /// The same as an object, once somebody asked for it.
    certificate: PyOnceLock<Py<Certificate>>,
}

#[pymethods]
impl Certified {
    #[new]
    fn given(row: Object, certificate: &Bound<'_, Certificate>) -> Self {
        Self::new(row, certificate.get().clone_ref(certificate.py()))
    }

    #[getter]
    fn certificate<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, Certificate>> {
        Ok(self.certificate.get_or_try_init(py, || Py::new(py, self.proven.clone_ref(py)))?.bind(py))
    }

    #[classattr]
    fn __match_args__() -> (&'static str, &'static str) {
        ("row", "certificate")
    }

    #[allow(clippy::unused_self)] // what makes it a sequence
    fn __len__(&self) -> usize {
        2
    }

    fn __getitem__(&self, py: Python<'_>, index: isize) -> PyResult<Object> {
        match index {
            0 | -2 => Ok(self.row.clone_ref(py)),
            1 | -1 => Ok(self.certificate(py)?.clone().into_any().unbind()),
            _ => Err(PyIndexError::new_err(format!("index is {index}; expected 0 for the row, or 1"))),
        }
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = other.py();
        match other.cast_exact::<Self>() {
            Ok(other) => self.pair(py)?.eq(other.get().pair(py)?),
            Err(_) => Ok(false),
        }
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.pair(py)?.hash()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Certified(row={}, certificate={})", self.row.bind(py).repr()?, self.certificate(py)?.repr()?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.row)
    }
}

impl Certified {
    pub const fn new(row: Object, proven: Certificate) -> Self {
        Self { row, proven, certificate: PyOnceLock::new() }
    }

    fn pair<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        (self.row.bind(py), self.certificate(py)?).into_pyobject(py)
    }
}

/// What a certificate names: an epoch, and the number of what is surely contained in all copies of a shard.
type Name = (Py<PyString>, Option<i64>);

/// What certificates of copies name, by shards.
#[pyclass(frozen, module = "forecache._core")]
pub struct Standing {
    names: Mutex<Arc<[Name]>>,
}

#[pymethods]
impl Standing {
    #[new]
    #[pyo3(signature = (epoch, number, shards=1))]
    fn new(epoch: &Bound<'_, PyString>, number: Option<i64>, shards: u32) -> Self {
        Self { names: Mutex::new((0..shards).map(|_| (epoch.clone().unbind(), number)).collect()) }
    }

    /// From now on certificates of a shard's copies name these. What they stand for was applied before.
    #[pyo3(signature = (epoch, number, shard=0))]
    fn tell(&self, py: Python<'_>, epoch: Py<PyString>, number: Option<i64>, shard: usize) -> PyResult<()> {
        let mut names = self.lock();
        let mut next: Vec<Name> = names.iter().map(|(epoch, number)| (epoch.clone_ref(py), *number)).collect();
        let count = next.len();
        let name = next.get_mut(shard).ok_or_else(|| {
            PyIndexError::new_err(format!("shard is {shard}; expected one below {count}, the number of shards"))
        })?;
        *name = (epoch, number);
        let before = std::mem::replace(&mut *names, next.into());
        drop(names);
        drop(before); // not while it is locked
        Ok(())
    }

    /// Epoch and number of each shard. Ask first, and look a copy up then: it contains what is named.
    fn known<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.names().iter().map(|(epoch, number)| (epoch.bind(py), *number)))
    }
}

impl Standing {
    /// The same.
    #[inline]
    pub fn names(&self) -> Arc<[Name]> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<[Name]>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
