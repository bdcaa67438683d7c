//! Python bindings: convert, release the GIL, map errors. Decides nothing.

use pyo3::prelude::*;

mod convert;
mod key;
mod simulation;
mod store;

/// The native core of forecache.
#[pymodule]
mod _core {
    use super::*;

    #[pymodule_export]
    use crate::simulation::{Accesses, Simulation};
    #[pymodule_export]
    use crate::store::{Entry, Store};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let policies: Vec<&str> = forecache_core::policy::POLICIES.iter().map(|(name, _)| *name).collect();
        module.add("POLICIES", pyo3::types::PyTuple::new(module.py(), policies)?)
    }
}
