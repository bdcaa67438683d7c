//! What kind of thing a key names, as far as its looks tell: the first item of a tuple, or the prefix of a text; and
//! of those that go on, the first two. A key as a whole is no kind.

use forecache_core::context::{Context, NO_CONTEXT, kind};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyString, PyTuple};

/// What parts of a text are divided by.
const SEPARATORS: &[u8] = b":/|.#?";
/// Bytes of a text that are looked at.
const LONGEST: usize = 64;

/// The context of a key as one number, a byte for each view: what a trace holds of it. 0 where its looks tell nothing.
#[pyfunction]
#[pyo3(signature = (key, /))]
pub fn context(key: &Bound<'_, PyAny>) -> u16 {
    u16::from_le_bytes(context_of(key))
}

/// The context of a key, which depends on nothing else.
pub fn context_of(key: &Bound<'_, PyAny>) -> Context {
    if let Ok(parts) = key.cast_exact::<PyTuple>() {
        return of_tuple(parts);
    }
    if let Ok(text) = key.cast_exact::<PyString>() {
        return text.to_str().map_or(NO_CONTEXT, |text| of_text(text.as_bytes()));
    }
    key.cast_exact::<PyBytes>().map_or(NO_CONTEXT, |bytes| of_text(bytes.as_bytes()))
}

fn of_tuple(parts: &Bound<'_, PyTuple>) -> Context {
    let part = |at: usize| if at + 1 < parts.len() { parts.get_item(at).map_or(0, |part| of_part(&part)) } else { 0 };
    [part(0), part(1)]
}

/// The kind of one item of a tuple; 0 when it is neither text nor a number.
fn of_part(part: &Bound<'_, PyAny>) -> u8 {
    if let Ok(text) = part.cast_exact::<PyString>() {
        return text.to_str().map_or(0, |text| kind(text.as_bytes()));
    }
    if let Ok(bytes) = part.cast_exact::<PyBytes>() {
        return kind(bytes.as_bytes());
    }
    let number = part.cast_exact::<PyInt>().ok().and_then(|number| number.extract::<i64>().ok());
    number.map_or(0, |number| kind(&number.to_le_bytes()))
}

/// Up to the first separator and up to the second, each only if something follows; or up to a number, as in `user_17`.
fn of_text(text: &[u8]) -> Context {
    let text = &text[..text.len().min(LONGEST)];
    let is_separator = |byte: &u8| SEPARATORS.contains(byte);
    let end_of_part = |from: usize| {
        let start = from + text[from..].iter().position(|byte| !is_separator(byte))?;
        let end = start + text[start..].iter().position(is_separator)?;
        text[end..].iter().any(|byte| !is_separator(byte)).then_some(end)
    };
    match end_of_part(0) {
        Some(first) => [kind(&text[..first]), end_of_part(first).map_or(0, |second| kind(&text[..second]))],
        None => [before_number(text).map_or(0, kind), 0],
    }
}

/// What comes before `_` or `-` and a digit, if it has no digit itself.
fn before_number(text: &[u8]) -> Option<&[u8]> {
    let digit = text.iter().position(u8::is_ascii_digit)?;
    let before = digit.checked_sub(1)?;
    (before > 0 && matches!(text[before], b'_' | b'-')).then(|| &text[..before])
}
