//! `Accesses` and `Simulation`: traces replayed through the core, with the GIL released.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forecache_core::parts::{PARTS, Part};
use forecache_core::policy::Setting;
use forecache_core::simulate::{self, Weights};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::model::prior_of;
use crate::{convert, insight};

/// The columns of a trace that decide hits, with what can be known ahead: who comes back, and when.
#[pyclass(frozen, module = "forecache._core")]
pub struct Accesses(Arc<simulate::Accesses>);

#[pymethods]
impl Accesses {
    #[new]
    #[pyo3(signature = (keys, sizes=None, contexts=None))]
    fn new(
        py: Python<'_>,
        keys: &Bound<'_, PyAny>,
        sizes: Option<&Bound<'_, PyAny>>,
        contexts: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let keys = convert::column(keys)?;
        let sizes = sizes.map(convert::column).transpose()?;
        if sizes.as_ref().is_some_and(|sizes| sizes.len() != keys.len()) {
            return Err(PyValueError::new_err("keys and sizes differ in length; expected one size for each key"));
        }
        let contexts = contexts.map(convert::short_column).transpose()?;
        if contexts.as_ref().is_some_and(|contexts| contexts.len() != keys.len()) {
            let message = "keys and contexts differ in length; expected one context for each key";
            return Err(PyValueError::new_err(message));
        }
        let contexts = contexts.map(|contexts| contexts.into_iter().map(u16::to_le_bytes).collect());
        Ok(Self(Arc::new(py.detach(|| {
            let accesses = simulate::Accesses::new(keys, sizes);
            if let Some(contexts) = contexts { accesses.with_contexts(contexts) } else { accesses }
        }))))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// Number of distinct keys.
    #[getter]
    fn unique(&self) -> usize {
        self.0.unique()
    }

    /// Bytes of the distinct keys, each at its first size.
    #[getter]
    fn unique_bytes(&self) -> u64 {
        self.0.unique_bytes()
    }
}

/// One policy at one capacity over one trace.
#[pyclass(frozen, module = "forecache._core")]
pub struct Simulation(Mutex<simulate::Simulation>);

#[pymethods]
impl Simulation {
    #[new]
    #[pyo3(signature = (accesses, policy, capacity, *, weights="unit", seed=0, objective="objects", model=None,
                        timetable=None, without=None, aside=false))]
    #[allow(clippy::too_many_arguments)] // keyword arguments of a constructor
    fn new(
        py: Python<'_>,
        accesses: &Accesses,
        policy: &str,
        capacity: u64,
        weights: &str,
        seed: u64,
        objective: &str,
        model: Option<&[u8]>,
        timetable: Option<Vec<(u64, Option<u64>)>>,
        without: Option<Vec<String>>,
        aside: bool,
    ) -> PyResult<Self> {
        let setting = Setting { capacity, seed, objective: insight::objective(objective)? };
        let simulation = simulate::Simulation::new(Arc::clone(&accesses.0), policy, &setting, weights_of(weights)?);
        let mut simulation = simulation.map_err(|error| convert::error(&error))?;
        if let Some(model) = model {
            let prior = prior_of(py, model)?;
            simulation.student().map_err(|error| convert::error(&error))?.begin_with(prior);
        }
        if let Some(turns) = timetable {
            let student = simulation.student().map_err(|error| convert::error(&error))?;
            student.learn_as_before(insight::timetable(turns));
        }
        if aside {
            simulation.student().map_err(|error| convert::error(&error))?.learn_aside();
        }
        for name in without.into_iter().flatten() {
            simulation.student().map_err(|error| convert::error(&error))?.leave_out(part(&name)?);
        }
        Ok(Self(Mutex::new(simulation)))
    }

    /// Replays the next `steps` accesses; returns accesses, hits, bytes and hit bytes so far.
    fn run(&self, py: Python<'_>, steps: usize) -> (u64, u64, u64, u64) {
        let counts = py.detach(|| self.lock().run(steps));
        (counts.accesses, counts.hits, counts.bytes, counts.hit_bytes)
    }

    /// Replays the next `steps` accesses; returns a byte for each, 1 where it hit.
    fn run_hits<'py>(&self, py: Python<'py>, steps: usize) -> Bound<'py, PyBytes> {
        let hits: Vec<u8> = py.detach(|| self.lock().hits(steps).into_iter().map(u8::from).collect());
        PyBytes::new(py, &hits)
    }
}

/// A part of the learned policy, by name.
fn part(name: &str) -> PyResult<Part> {
    let found = PARTS.iter().find(|(known, _)| *known == name);
    found.map(|&(_, part)| part).ok_or_else(|| {
        let known = PARTS.map(|(name, _)| name).join(", ");
        PyValueError::new_err(format!("the learned policy has no part '{name}' to leave out; expected one of {known}"))
    })
}

/// What entries weigh, by name.
pub fn weights_of(name: &str) -> PyResult<Weights> {
    match name {
        "unit" => Ok(Weights::Unit),
        "size" => Ok(Weights::Size),
        other => Err(PyValueError::new_err(format!("weights is '{other}'; expected 'unit' or 'size'"))),
    }
}

impl Accesses {
    /// The core's accesses.
    pub fn shared(&self) -> &Arc<simulate::Accesses> {
        &self.0
    }
}

impl Simulation {
    fn lock(&self) -> MutexGuard<'_, simulate::Simulation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
