//! Python values to the core's words, and back.

use std::num::NonZeroU64;

use forecache_core::access::{Nanos, spread};
use forecache_core::error::Error;
use forecache_core::model_file::Fault;
use forecache_core::staleness::FOREVER;
use forecache_core::store::Tag;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyString};

/// Seconds to nanoseconds; infinity is for ever.
pub fn nanos(seconds: f64) -> Nanos {
    (seconds * 1e9) as Nanos
}

/// Nanoseconds to seconds.
pub fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}

/// A duration as users write it: seconds, a string such as "5m", or a timedelta.
pub fn duration(value: &Bound<'_, PyAny>) -> PyResult<Nanos> {
    parse(value, "parse_duration")
}

/// The same, but never 0.
pub fn ttl(value: &Bound<'_, PyAny>) -> PyResult<Nanos> {
    parse(value, "parse_ttl")
}

fn parse(value: &Bound<'_, PyAny>, parser: &str) -> PyResult<Nanos> {
    if let Ok(seconds) = value.cast_exact::<PyFloat>() {
        let seconds = seconds.value();
        if seconds > 0.0 {
            return Ok(if seconds.is_finite() { nanos(seconds) } else { FOREVER });
        }
    }
    let parsed = value.py().import("forecache.units")?.getattr(parser)?.call1((value,))?;
    Ok(nanos(parsed.extract()?))
}

/// The weight of an entry, which `source` names in the error.
pub fn weight(weight: &Bound<'_, PyAny>, source: &str) -> PyResult<NonZeroU64> {
    weight.extract().map_err(|_| match weight.repr() {
        Ok(weight) => PyValueError::new_err(format!("{source} {weight}; expected a whole number from 1 to 2**64 - 1")),
        Err(error) => error,
    })
}

/// The hash of a tag.
pub fn tag(tag: &Bound<'_, PyAny>) -> PyResult<Tag> {
    if tag.is_instance_of::<PyString>() {
        return Ok(spread(tag.hash()? as u64));
    }
    Err(PyTypeError::new_err(format!("tag {} is no str; expected a str such as 'user:7'", tag.repr()?)))
}

/// The hashes of several tags.
pub fn tags(tags: Option<&Bound<'_, PyAny>>) -> PyResult<Box<[Tag]>> {
    let Some(tags) = tags else { return Ok(Box::default()) };
    if tags.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err(format!("tags is the str {0}; expected several, as in [{0}]", tags.repr()?)));
    }
    tags.try_iter()?.map(|item| tag(&item?)).collect()
}

/// A column of a trace: any contiguous buffer of unsigned 64-bit integers.
pub fn column(values: &Bound<'_, PyAny>) -> PyResult<Vec<u64>> {
    if values.len()? == 0 {
        return Ok(Vec::new()); // the pointer of an empty buffer need not be aligned
    }
    PyBuffer::<u64>::get(values)?.to_vec(values.py())
}

/// A column of a trace: any contiguous buffer of unsigned 16-bit integers.
pub fn short_column(values: &Bound<'_, PyAny>) -> PyResult<Vec<u16>> {
    if values.len()? == 0 {
        return Ok(Vec::new());
    }
    PyBuffer::<u16>::get(values)?.to_vec(values.py())
}

/// The core's errors are about arguments.
pub fn error(error: &Error) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The error of a model file.
#[cold]
pub fn model_error(py: Python<'_>, fault: &Fault) -> PyErr {
    translated(py, "ModelError", fault.to_string()).unwrap_or_else(|error| error)
}

fn translated(py: Python<'_>, name: &str, message: String) -> PyResult<PyErr> {
    Ok(PyErr::from_value(py.import("forecache.errors")?.getattr(name)?.call1((message,))?))
}

/// The error of a key that cannot be hashed; what the key's own `__hash__` raises is not touched.
#[cold]
pub fn unhashable(key: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let py = key.py();
    if !error.is_instance_of::<PyTypeError>(py) {
        return error;
    }
    let message = format!(
        "a key of type {} cannot be hashed; expected a str, int, bytes, a tuple of such, or any hashable object: \
         make a key of the parts that matter, such as (name, id)",
        key.get_type()
    );
    match translated(py, "KeyTypeError", message) {
        Ok(translated) => {
            translated.set_cause(py, Some(error));
            translated
        }
        Err(failed) => failed,
    }
}
