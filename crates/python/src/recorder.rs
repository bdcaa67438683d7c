//! `Recorder`: what a store writes its accesses to, and a log drains.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use forecache_core::access::mix;
use forecache_core::context::{Context, NO_CONTEXT};
use forecache_core::fingerprint::{Fingerprints, Kind};
use forecache_core::recorder::{self, Op, keeps, threshold};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::key::{DEEPEST_TUPLE, id_of};
use crate::store::{Object, ObjectDebris};

/// Recent accesses, in a buffer of fixed length.
///
/// Its lock is only ever held by threads that hold the GIL, so that none holds it at a fork.
#[pyclass(frozen, module = "forecache._core")]
pub struct Recorder {
    fingerprints: Fingerprints,
    threshold: u64,
    recent: Mutex<recorder::Recorder>,
    unrecordable: AtomicU64,
    is_open: AtomicBool,
    /// Called after the first access, and whenever half of the buffer is full.
    wake: Option<Object>,
    clock: Option<Object>,
}

/// Where a key is found in a recorded store.
pub struct Address<'a> {
    pub id: u64,
    /// Whether no comparison with this key can need Python code.
    pub is_native: bool,
    /// How to record an access, if the key is kept.
    pub note: Option<Note<'a>>,
}

/// One access that is to be recorded.
pub struct Note<'a> {
    recorder: &'a Recorder,
    key: u64,
    time: i64,
}

impl Note<'_> {
    /// Records it; true when the recorder has to be woken, once no lock is held.
    #[must_use]
    #[inline]
    pub fn record(&self, op: Op, weight: u64, hit: bool) -> bool {
        self.record_store(op, weight, hit, NO_CONTEXT)
    }

    /// The same, of an access that brings a value, and so tells what kind of key it is.
    #[must_use]
    #[inline]
    pub fn record_store(&self, op: Op, weight: u64, hit: bool, context: Context) -> bool {
        self.recorder.lock().record(op, self.key, self.time, (weight, context), hit)
    }
}

#[pymethods]
impl Recorder {
    #[new]
    #[pyo3(signature = (capacity, sample, secret, *, wake=None, clock=None))]
    fn new(
        capacity: usize,
        sample: f64,
        secret: [u8; 16],
        wake: Option<Object>,
        clock: Option<Object>,
    ) -> PyResult<Self> {
        if capacity < 2 || !(sample > 0.0 && sample <= 1.0) {
            let message = format!("capacity is {capacity}, sample is {sample}; expected at least 2, and within (0, 1]");
            return Err(PyValueError::new_err(message));
        }
        Ok(Self {
            fingerprints: Fingerprints::new(&secret),
            threshold: threshold(sample),
            recent: Mutex::new(recorder::Recorder::new(capacity)),
            unrecordable: AtomicU64::new(0),
            is_open: AtomicBool::new(true),
            wake,
            clock,
        })
    }

    /// Takes what was recorded: the number of accesses, the times of the first and the last, and the columns.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<(usize, (i64, i64), Bound<'py, PyDict>)> {
        let rows = self.lock().drain();
        let columns = py.detach(|| rows.columns());
        self.lock().reuse(rows);
        let bytes = PyDict::new(py);
        for (name, column) in [
            ("time", &columns.time),
            ("key", &columns.key),
            ("size", &columns.size),
            ("context", &columns.context),
            ("op", &columns.op),
            ("hit", &columns.hit),
            ("sequence", &columns.sequence),
        ] {
            bytes.set_item(name, PyBytes::new(py, column))?;
        }
        Ok((columns.rows, columns.span, bytes))
    }

    /// The 64 bits that stand for a key in the log; None if it cannot be recorded.
    #[pyo3(signature = (key, /))]
    fn fingerprint(&self, key: &Bound<'_, PyAny>) -> Option<u64> {
        self.print(key, DEEPEST_TUPLE)
    }

    /// The sample holds the keys whose fingerprint modulo `MODULUS` is below this.
    #[getter]
    fn threshold(&self) -> u64 {
        self.threshold
    }

    /// Begins anew: after a fork, what was recorded is the parent's to write.
    fn reset(&self) {
        self.unrecordable.store(0, Ordering::Relaxed);
        self.lock().reset();
    }

    /// Records nothing from now on; what was recorded can still be drained.
    fn close(&self) {
        self.is_open.store(false, Ordering::Relaxed);
    }

    /// Accesses that wait to be drained.
    #[getter]
    fn pending(&self) -> usize {
        self.lock().len()
    }

    /// Accesses that found no room.
    #[getter]
    fn dropped(&self) -> u64 {
        self.lock().dropped()
    }

    /// Accesses to keys that have no fingerprint.
    #[getter]
    fn unrecordable(&self) -> u64 {
        self.unrecordable.load(Ordering::Relaxed)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        [&self.wake, &self.clock].into_iter().flatten().try_for_each(|callable| visit.call(callable))
    }
}

impl Recorder {
    /// The id of a key in a recorded store. It is made of the fingerprint, so that a replay of the log finds the same
    /// collisions in the policy's sketches.
    pub fn id_of(&self, key: &Bound<'_, PyAny>) -> PyResult<u64> {
        self.print(key, DEEPEST_TUPLE).map_or_else(|| id_of(key), |print| Ok(mix(print)))
    }

    /// Where a key is found, and how to record an access to it if it is to be recorded.
    #[inline(always)] // the path of every hit that is recorded
    pub fn address(&self, key: &Bound<'_, PyAny>) -> PyResult<Address<'_>> {
        let Some(print) = self.print(key, DEEPEST_TUPLE) else { return self.unrecordable_address(key) };
        let note = if keeps(print, self.threshold) { self.note(key.py(), print)? } else { None };
        Ok(Address { id: mix(print), is_native: true, note })
    }

    #[cold]
    fn unrecordable_address(&self, key: &Bound<'_, PyAny>) -> PyResult<Address<'_>> {
        let id = id_of(key)?;
        self.unrecordable.fetch_add(1, Ordering::Relaxed);
        Ok(Address { id, is_native: false, note: None })
    }

    /// Records what was removed at one stroke: each key, be it loaded yet or not, or that it was all of them.
    pub fn record_sweep(&self, py: Python<'_>, op: Op, debris: &ObjectDebris) -> PyResult<()> {
        if op == Op::Clear {
            let note = self.note(py, 0)?;
            self.wake_if(note.is_some_and(|note| note.record(op, 1, true)), py);
            return Ok(());
        }
        let entries = debris.entries.iter().map(|removed| &removed.key);
        for key in entries.chain(debris.flights.iter().map(|(key, _)| key)) {
            let Address { note, .. } = self.address(key.bind(py))?;
            self.wake_if(note.is_some_and(|note| note.record(op, 1, true)), py);
        }
        Ok(())
    }

    /// Wakes whoever drains the recorder. To be called without holding a lock: it runs Python code.
    #[inline]
    pub fn wake_if(&self, due: bool, py: Python<'_>) {
        if due && let Some(wake) = &self.wake {
            wake.call0(py).map_or_else(|error| error.write_unraisable(py, Some(wake.bind(py))), drop);
        }
    }

    #[inline]
    fn note(&self, py: Python<'_>, key: u64) -> PyResult<Option<Note<'_>>> {
        if !self.is_open.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let time = match &self.clock {
            None => milliseconds(),
            Some(clock) => ask(clock, py)?,
        };
        Ok(Some(Note { recorder: self, key, time }))
    }

    /// The fingerprint of a key; none if it cannot be recorded.
    #[inline] // of the kinds that most keys are
    fn print(&self, key: &Bound<'_, PyAny>, depth: usize) -> Option<u64> {
        if let Ok(text) = key.cast_exact::<PyString>() {
            return Some(self.fingerprints.of(Kind::Text, text.to_str().ok()?.as_bytes()));
        }
        if let Ok(number) = key.cast_exact::<PyInt>() {
            return self.print_integer(number);
        }
        self.print_other(key, depth)
    }

    #[inline(never)]
    fn print_other(&self, key: &Bound<'_, PyAny>, depth: usize) -> Option<u64> {
        let prints = &self.fingerprints;
        if let Ok(parts) = key.cast_exact::<PyTuple>() {
            let deeper = depth.checked_sub(1)?;
            return prints.tuple(parts.iter_borrowed().map(|part| self.print(&part, deeper)));
        }
        if let Ok(bytes) = key.cast_exact::<PyBytes>() {
            return Some(prints.of(Kind::Bytes, bytes.as_bytes()));
        }
        if let Ok(number) = key.cast_exact::<PyFloat>() {
            return prints.float(number.value());
        }
        if let Ok(truth) = key.cast_exact::<PyBool>() {
            return Some(prints.of(Kind::Truth, &[u8::from(truth.is_true())]));
        }
        key.is_none().then(|| prints.of(Kind::Nothing, &[]))
    }

    #[inline(never)]
    fn print_integer(&self, number: &Bound<'_, PyInt>) -> Option<u64> {
        if let Ok(number) = number.extract::<i64>() {
            return Some(self.fingerprints.of(Kind::Integer, &number.to_le_bytes()));
        }
        let hexadecimal = number.call_method1("__format__", ("x",)).ok()?.extract::<String>().ok()?;
        Some(self.fingerprints.of(Kind::Integer, hexadecimal.as_bytes()))
    }

    fn lock(&self) -> MutexGuard<'_, recorder::Recorder> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds since the epoch, of a clock written in Python.
#[cold]
fn ask(clock: &Object, py: Python<'_>) -> PyResult<i64> {
    Ok((clock.call0(py)?.extract::<f64>(py)? * 1e3) as i64)
}

/// Milliseconds since the epoch, as of the kernel's last tick: a few milliseconds late, for a tenth of the time that
/// an exact clock may take.
#[cfg(target_os = "linux")]
fn milliseconds() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

/// Milliseconds since the epoch.
#[cfg(not(target_os = "linux"))]
fn milliseconds() -> i64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| elapsed.as_millis() as i64)
}
