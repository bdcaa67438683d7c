//! The clock that ages are measured on: it never goes back, and counts while the machine sleeps.

use pyo3::prelude::*;

/// Seconds of a clock that never goes back and counts while the machine sleeps, where the system has one.
#[pyfunction]
#[inline]
pub fn now() -> f64 {
    #[cfg(target_os = "linux")]
    return seconds_of(rustix::time::ClockId::Boottime);
    #[cfg(not(target_os = "linux"))]
    return since_start();
}

/// Seconds of a clock that is read in a quarter of the time, and is some milliseconds late.
#[inline]
pub fn coarse_now() -> f64 {
    #[cfg(target_os = "linux")]
    return seconds_of(rustix::time::ClockId::MonotonicCoarse);
    #[cfg(not(target_os = "linux"))]
    return since_start();
}

#[cfg(target_os = "linux")]
#[inline]
fn seconds_of(clock: rustix::time::ClockId) -> f64 {
    let time = rustix::time::clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

#[cfg(not(target_os = "linux"))]
fn since_start() -> f64 {
    use std::sync::OnceLock;
    use std::time::Instant;

    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}
