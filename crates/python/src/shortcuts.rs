//! The three things this crate does behind PyO3's back, because PyO3 has no safe words for them and every hit pays
//! for them. Measurements: docs/decisions/0004-shortcuts-around-pyo3.md

#![allow(unsafe_code)] // each block says why it is sound

use std::ffi::CString;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::buffer::PyBuffer;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// Whether two built-in scalars of one type are equal, which runs no Python code and cannot fail.
#[inline]
pub fn scalars_equal(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> bool {
    // SAFETY: both are valid objects, and whoever holds a `Bound` is attached to the interpreter.
    unsafe { ffi::PyObject_RichCompareBool(one.as_ptr(), other.as_ptr(), ffi::Py_EQ) == 1 }
}

/// The first words of memory that other processes write meanwhile, read in order; None if there are fewer.
#[inline]
pub fn shared_words<const N: usize>(memory: &PyBuffer<u64>) -> Option<[u64; N]> {
    let words = memory.as_slice_ptr().filter(|words| words.len() >= N)?.cast::<u64>();
    // SAFETY: the buffer is exported to us, so its memory stays where it is, and is as long as was just checked; PyO3
    // has checked that it is aligned. Whoever writes to it meanwhile does so in whole words or in ways that the caller
    // has to detect; a load of a word that is atomic cannot tear it.
    Some(std::array::from_fn(|at| unsafe { AtomicU64::from_ptr(words.as_ptr().add(at)).load(Ordering::Acquire) }))
}

/// Gives `class` a descriptor of its own for the native method that `bound`, taken from an instance of `base`, is
/// bound to; unless the class has another method of that name. CPython takes the short way into a native method only
/// for instances of the very class that its descriptor names, not for those of a subclass written in Python.
pub fn adopt(class: &Bound<'_, PyType>, base: &Bound<'_, PyType>, bound: &Bound<'_, PyAny>) -> PyResult<()> {
    let name: String = bound.getattr("__name__")?.extract()?;
    let resolved = class.getattr(&*name)?;
    if resolved.get_type().is(base.getattr(&*name)?.get_type())
        && resolved.getattr("__objclass__")?.cast::<PyType>()?.is_subclass(base)?
    {
        class.setattr(&*name, describe(class, bound, &name)?)?;
    }
    Ok(())
}

fn describe<'py>(class: &Bound<'py, PyType>, bound: &Bound<'py, PyAny>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let signature: String = bound.getattr("__text_signature__")?.extract()?;
    let documentation: String = bound.getattr("__doc__")?.extract()?;
    let documentation = CString::new(format!("{name}{signature}\n--\n\n{documentation}"))?;
    // SAFETY: `bound` is a method made by PyO3, hence a PyCFunction. Its C function and flags belong together, and
    // the function trusts its receiver to be an instance of the base class: the new descriptor makes sure that it is
    // one of the subclass. Descriptors borrow their definition for ever, so it is leaked, once for each class.
    unsafe {
        let function = ffi::PyCFunction_GetFunction(bound.as_ptr()).ok_or_else(|| PyErr::fetch(class.py()))?;
        let definition = Box::leak(Box::new(ffi::PyMethodDef {
            ml_name: CString::new(name)?.into_raw(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunction: function },
            ml_flags: ffi::PyCFunction_GetFlags(bound.as_ptr()),
            ml_doc: documentation.into_raw(),
        }));
        Bound::from_owned_ptr_or_err(class.py(), ffi::PyDescr_NewMethod(class.as_type_ptr(), definition))
    }
}
