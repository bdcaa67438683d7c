//! `Entry`: what users see of one entry.

use pyo3::prelude::*;

use super::Object;

/// What a cache keeps about one key; times are seconds of the cache's clock.
#[pyclass(frozen, get_all, module = "forecache")]
pub struct Entry {
    pub value: Object,
    pub weight: u64,
    pub stored_at: Option<f64>,
    pub fresh_until: Option<f64>,
    pub expires_at: Option<f64>,
}

#[pymethods]
impl Entry {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let moment = |at: Option<f64>| at.map_or("None".to_owned(), |at| format!("{at:.3}"));
        Ok(format!(
            "Entry(value={}, weight={}, stored_at={}, fresh_until={}, expires_at={})",
            self.value.bind(py).repr()?,
            self.weight,
            moment(self.stored_at),
            moment(self.fresh_until),
            moment(self.expires_at)
        ))
    }
}
