//! What a policy that learns tells of itself, as Python objects.

use forecache_core::context::HINT_NAMES;
use forecache_core::features::NAMES;
use forecache_core::learner::{Explanation, Learning};
use forecache_core::policy::Objective;
use forecache_core::school::{Lesson, NEVER};
use forecache_core::window::Stretch;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

/// The policy that decides while none is followed.
const LEARNED: &str = "learned";

pub fn objective(name: &str) -> PyResult<Objective> {
    match name {
        "objects" => Ok(Objective::Objects),
        "bytes" => Ok(Objective::Bytes),
        other => Err(PyValueError::new_err(format!("objective is '{other}'; expected 'objects' or 'bytes'"))),
    }
}

pub fn explanation<'py>(py: Python<'py>, found: &Explanation, learning: &Learning) -> PyResult<Bound<'py, PyDict>> {
    let features = PyDict::new(py);
    for (name, value) in NAMES.iter().chain(&HINT_NAMES).zip(found.row) {
        features.set_item(name, value)?;
    }
    let told = state(py, learning)?;
    told.set_item("resident", found.resident)?;
    told.set_item("age_accesses", found.age)?;
    told.set_item("reuse_capacities", found.reuse)?;
    told.set_item("reuse_accesses", found.reuse * found.entries as f32)?;
    told.set_item("score", found.score)?;
    told.set_item("features", features)?;
    Ok(told)
}

pub fn learning<'py>(py: Python<'py>, found: &Learning) -> PyResult<Bound<'py, PyDict>> {
    let hit_ratios = PyDict::new(py);
    for trial in &found.trials {
        hit_ratios.set_item(trial.name, trial.hit_ratio)?;
    }
    let quality = &found.quality;
    let calibration = quality.groups.iter().map(|group| (group.predicted, group.observed)).collect::<Vec<_>>();
    let calibration = PyTuple::new(py, calibration)?;
    let told = state(py, found)?;
    told.set_item("hit_ratios", hit_ratios)?;
    told.set_item("samples", found.samples)?;
    told.set_item("failed_fits", found.failures)?;
    told.set_item("fit_seconds", found.worked.as_secs_f64())?;
    told.set_item("memory_bytes", found.memory)?;
    told.set_item("judged_samples", quality.samples)?;
    told.set_item("concordance", quality.concordance)?;
    told.set_item("calibration", calibration)?;
    Ok(told)
}

/// Who decides, and with what.
fn state<'py>(py: Python<'py>, learning: &Learning) -> PyResult<Bound<'py, PyDict>> {
    let (prior, residual) = learning.trees;
    let told = PyDict::new(py);
    told.set_item("decides", learning.leader.unwrap_or(LEARNED))?;
    told.set_item("fits", learning.fits)?;
    told.set_item("prior_trees", prior)?;
    told.set_item("residual_trees", residual)?;
    Ok(told)
}

/// A timetable as Python sees it.
pub fn turns(timetable: &[Lesson]) -> Vec<(u64, Option<u64>)> {
    timetable.iter().map(|lesson| (lesson.begun, Some(lesson.used).filter(|&used| used != NEVER))).collect()
}

/// The same, back.
pub fn timetable(turns: Vec<(u64, Option<u64>)>) -> Vec<Lesson> {
    turns.into_iter().map(|(begun, used)| Lesson { begun, used: used.unwrap_or(NEVER) }).collect()
}

/// Recent accesses: rows and weights as bytes, of 4 bytes each, and what they stand for.
pub fn window<'py>(py: Python<'py>, view: &Stretch) -> PyResult<Bound<'py, PyDict>> {
    let told = PyDict::new(py);
    for (name, column) in [("rows", &view.rows), ("weights", &view.weights)] {
        let bytes: Vec<u8> = column.iter().flat_map(|value| value.to_ne_bytes()).collect();
        told.set_item(name, PyBytes::new(py, &bytes))?;
    }
    told.set_item("rate", view.rate)?;
    told.set_item("is_part", view.is_part)?;
    told.set_item("warm_up", view.warm_up)?;
    told.set_item("accesses", view.accesses)?;
    told.set_item("age", view.age)?;
    Ok(told)
}
