//! A hint to the processor that something will be read soon, so that it is on its way from main memory meanwhile. Without
//! effect on anything but time, and nothing at all on processors for which Rust has no stable name of the instruction.
#![allow(unsafe_code)] // see below

/// Asks for the cache line of `it`.
#[inline(always)]
pub fn prefetch<T>(it: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction changes no value and faults at no address, and every such processor has it.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(it).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = it;
}
