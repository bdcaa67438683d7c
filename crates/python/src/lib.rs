//! Python bindings: convert, release the GIL, map errors. Decides nothing.

use pyo3::prelude::*;

mod certificate;
mod clock;
mod context;
mod convert;
mod copies;
mod curve;
mod insight;
mod key;
mod model;
mod proof;
mod reader;
mod recorder;
mod shortcuts;
mod simulation;
mod store;
mod wal;

/// The native core of forecache.
#[pymodule]
mod _core {
    use forecache_core::features::{CODES, NAMES};
    use forecache_core::policy::POLICIES;
    use forecache_core::recorder::{MODULUS, Op};
    use forecache_core::trainer::HORIZON;
    use pyo3::prelude::*;
    use pyo3::types::PyTuple;

    #[pymodule_export]
    use crate::certificate::{Certificate, Certified, Standing};
    #[pymodule_export]
    use crate::clock::now;
    #[pymodule_export]
    use crate::context::context;
    #[pymodule_export]
    use crate::copies::{Copy, CopyReader};
    #[pymodule_export]
    use crate::curve::{Curve, sampled};
    #[pymodule_export]
    use crate::model::{Predictor, targets, training_rows};
    #[pymodule_export]
    use crate::proof::Proof;
    #[pymodule_export]
    use crate::reader::Reader;
    #[pymodule_export]
    use crate::recorder::Recorder;
    #[pymodule_export]
    use crate::simulation::{Accesses, Simulation};
    #[pymodule_export]
    use crate::store::{Entry, Store};
    #[pymodule_export]
    use crate::wal::WalHeader;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let names = |oracle: bool| {
            let wanted = POLICIES.iter().filter(move |known| known.needs_oracle == oracle);
            PyTuple::new(module.py(), wanted.map(|known| known.name).collect::<Vec<_>>())
        };
        module.add("FEATURES", PyTuple::new(module.py(), NAMES)?)?;
        module.add("FEATURE_CODES", CODES)?;
        module.add("HORIZON", HORIZON)?;
        module.add("POLICIES", names(false)?)?;
        module.add("OFFLINE_POLICIES", names(true)?)?;
        module.add("MODULUS", MODULUS)?;
        module.add("OPS", PyTuple::new(module.py(), Op::ALL.map(Op::name))?)
    }
}
