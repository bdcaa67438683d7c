//! Python objects as keys: equal only if of one type, so that `1`, `True`, `1.0` and `"1"` are four keys.

use std::cell::RefCell;
use std::collections::HashMap;

use forecache_core::access::spread;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString, PyTuple};

use crate::convert;
use crate::shortcuts::scalars_equal;

/// Comparisons of keys whose types are written in Python that one lookup makes at most, before it gives up.
const MOST_COMPARISONS: usize = 1000;

/// Depth of nested tuples that are compared natively.
pub const DEEPEST_TUPLE: usize = 8;

/// Whether two keys are the same, as far as that can be told without running Python code.
enum Verdict {
    Same,
    Different,
    AskPython,
}

/// What is known about a key's equality with others that only Python code can compare it with.
#[derive(Default)]
struct Comparisons {
    /// Results by the address of the other key, which is kept alive.
    made: HashMap<usize, (Py<PyAny>, bool)>,
    /// Keys that have yet to be compared.
    pending: Vec<Py<PyAny>>,
}

/// A key on its way to a table: the object, and its id.
pub struct Probe<'a, 'py> {
    pub object: &'a Bound<'py, PyAny>,
    pub id: u64,
    comparisons: RefCell<Option<Box<Comparisons>>>,
}

impl<'a, 'py> Probe<'a, 'py> {
    /// The probe for a key of which `id_of` gave the id.
    #[inline]
    pub fn new(object: &'a Bound<'py, PyAny>, id: u64) -> Self {
        Self { object, id, comparisons: RefCell::new(None) }
    }

    /// Whether `key` is this one. A key that only Python code can compare counts as different and is kept in mind
    /// for [`Self::settle`].
    #[inline]
    pub fn is(&self, key: &Py<PyAny>) -> bool {
        key.is(self.object) || self.equals(key)
    }

    /// Whether a lookup met keys that only Python code can compare.
    pub fn is_pending(&self) -> bool {
        self.comparisons.borrow().as_ref().is_some_and(|comparisons| !comparisons.pending.is_empty())
    }

    /// Compares the keys that were kept in mind.
    /// To be called without holding a lock: it may run any Python code.
    ///
    /// # Errors
    /// What a comparison raised, or that there were too many.
    pub fn settle(&self) -> PyResult<()> {
        let pending =
            self.comparisons.borrow_mut().as_mut().map(|comparisons| std::mem::take(&mut comparisons.pending));
        for key in pending.into_iter().flatten() {
            let equal = same_types(self.object, key.bind(self.object.py())) && self.object.eq(&key)?;
            let mut comparisons = self.comparisons.borrow_mut();
            let made = &mut comparisons.get_or_insert_with(Box::default).made;
            made.insert(key.as_ptr().addr(), (key, equal));
            if made.len() > MOST_COMPARISONS {
                let message =
                    "over 1000 keys of one hash; expected __hash__ of the key's type to tell its values apart";
                return Err(PyRuntimeError::new_err(message));
            }
        }
        Ok(())
    }

    #[inline(never)] // keeps its error paths out of the loop that looks for identical keys
    fn equals(&self, key: &Py<PyAny>) -> bool {
        let key = key.bind(self.object.py());
        match compare(self.object, key, DEEPEST_TUPLE) {
            Verdict::Same => true,
            Verdict::Different => false,
            Verdict::AskPython => self.remembers(key),
        }
    }

    fn remembers(&self, key: &Bound<'_, PyAny>) -> bool {
        let mut comparisons = self.comparisons.borrow_mut();
        let comparisons = comparisons.get_or_insert_with(Box::default);
        if let Some((_, equal)) = comparisons.made.get(&key.as_ptr().addr()) {
            return *equal;
        }
        comparisons.pending.push(key.clone().unbind());
        false
    }
}

/// The id of a key.
///
/// # Errors
/// The key is not hashable.
#[inline]
pub fn id_of(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    object.hash().map(|hash| spread(hash as u64)).map_err(|error| convert::unhashable(object, error))
}

/// Whether no comparison with this key can need Python code.
#[inline]
pub fn is_native(object: &Bound<'_, PyAny>) -> bool {
    is_scalar(object) || is_native_tuple(object, DEEPEST_TUPLE)
}

#[inline]
fn compare(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>, depth: usize) -> Verdict {
    if one.is(other) {
        return Verdict::Same;
    }
    if one.get_type_ptr() != other.get_type_ptr() {
        return Verdict::Different;
    }
    if is_scalar(one) {
        return if scalars_equal(one, other) { Verdict::Same } else { Verdict::Different };
    }
    match (one.cast_exact::<PyTuple>(), other.cast_exact::<PyTuple>()) {
        (Ok(one), Ok(other)) if depth > 0 => compare_tuples(one, other, depth - 1),
        _ => Verdict::AskPython,
    }
}

/// Tuples are different if any of their items are, and only Python can tell if only it can for one of the others.
fn compare_tuples(one: &Bound<'_, PyTuple>, other: &Bound<'_, PyTuple>, depth: usize) -> Verdict {
    if one.len() != other.len() {
        return Verdict::Different;
    }
    let mut verdict = Verdict::Same;
    for (mine, others) in one.iter_borrowed().zip(other.iter_borrowed()) {
        match compare(&mine, &others, depth) {
            Verdict::Same => {}
            Verdict::Different => return Verdict::Different,
            Verdict::AskPython => verdict = Verdict::AskPython,
        }
    }
    verdict
}

#[inline]
fn is_scalar(object: &Bound<'_, PyAny>) -> bool {
    object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyBytes>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
        || object.is_none()
}

/// Whether an object is a tuple of built-in scalars and such tuples, at most `depth` deep.
fn is_native_tuple(object: &Bound<'_, PyAny>, depth: usize) -> bool {
    depth > 0
        && object
            .cast_exact::<PyTuple>()
            .is_ok_and(|tuple| tuple.iter_borrowed().all(|item| is_scalar(&item) || is_native_tuple(&item, depth - 1)))
}

/// Whether two equal objects are of one type and, if tuples, their items too.
fn same_types(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> bool {
    one.get_type_ptr() == other.get_type_ptr()
        && match (one.cast_exact::<PyTuple>(), other.cast_exact::<PyTuple>()) {
            (Ok(one), Ok(other)) => one.iter().zip(other.iter()).all(|(mine, others)| same_types(&mine, &others)),
            _ => true,
        }
}
