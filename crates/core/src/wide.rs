//! Work on many numbers, compiled once more for processors with wide registers and done so where this is one. Results are the
//! same, bit by bit.
#![allow(unsafe_code)] // see below

/// Whether this processor has registers of 32 bytes for whole numbers.
#[inline]
pub fn is_wide() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// What `work` returns, which has to be inlined.
#[inline(always)]
pub fn widely<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if is_wide() {
        // SAFETY: this processor was just found to have these instructions.
        return unsafe { avx2(work) };
    }
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}
