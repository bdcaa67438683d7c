//! `WalHeader`: the header of `SQLite`'s WAL-index in shared memory, which every commit of any process changes.
//! Source: <https://sqlite.org/walformat.html>, section 2.1.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::clock::coarse_now;
use crate::shortcuts::shared_words;

/// Length of one copy of the header, in words of 8 bytes; two of them begin the file.
const WORDS: usize = 6;

/// What the header was when all changes were known, and until when that may be relied on.
struct Known {
    mark: [u64; WORDS],
    until: f64,
}

/// Two copies of the header, mapped into memory. Writers write the second one first, and we read in order.
#[pyclass(frozen, module = "forecache._core")]
pub struct WalHeader {
    memory: PyBuffer<u64>,
    known: Mutex<Option<Known>>,
}

#[pymethods]
impl WalHeader {
    #[new]
    fn new(words: &Bound<'_, PyAny>) -> PyResult<Self> {
        let header = Self { memory: PyBuffer::<u64>::get(words)?, known: Mutex::new(None) };
        match header.words() {
            Some(_) => Ok(header),
            None => Err(PyValueError::new_err("expected 96 bytes as 12 words: both copies of the header")),
        }
    }

    /// The header, 48 bytes; None while somebody writes it.
    fn mark<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let words = self.words()?;
        let (first, second) = words.split_at(WORDS);
        (first == second)
            .then(|| PyBytes::new(py, &first.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>()))
    }

    /// From now on the header counts as unchanged while it is `mark`, but for so many seconds at most.
    fn know(&self, mark: &[u8], seconds: f64) -> PyResult<()> {
        let words: Vec<u64> =
            mark.chunks(8).filter_map(|word| Some(u64::from_ne_bytes(word.try_into().ok()?))).collect();
        let Ok(mark) = words.try_into() else {
            return Err(PyValueError::new_err(format!("mark has {} bytes; expected 48", mark.len())));
        };
        *self.lock() = Some(Known { mark, until: coarse_now() + seconds });
        Ok(())
    }

    /// From now on the header counts as changed.
    fn forget(&self) {
        *self.lock() = None;
    }

    /// Whether nobody committed since the mark that is known was taken: all that was true then is true now.
    #[inline]
    pub fn is_unchanged(&self) -> bool {
        let known = self.lock();
        let (Some(Known { mark, until }), Some(words)) = (&*known, self.words()) else { return false };
        words[..WORDS] == *mark && words[WORDS..] == *mark && coarse_now() < *until
    }
}

impl WalHeader {
    #[inline]
    fn words(&self) -> Option<[u64; 2 * WORDS]> {
        shared_words(&self.memory)
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
