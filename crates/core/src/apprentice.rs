//! Learning that nobody waits for: each fit runs on a thread of its own, and whoever asked for it looks now and then
//! whether it is done. Rest is part of the work: all caches of a process together train on a tenth of one core.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// How long an apprentice rests, in durations of his work; nobody else starts meanwhile.
const REST: u32 = 9;

/// The process in which an apprentice is at work, or 0. After a fork it names the parent: the child is free.
static AT_WORK: AtomicU32 = AtomicU32::new(0);

/// The right to work, which one apprentice of a process has at a time.
struct Permit;

impl Permit {
    fn is_free() -> bool {
        AT_WORK.load(Ordering::Relaxed) != process::id()
    }

    fn take() -> Option<Self> {
        let (holder, process) = (AT_WORK.load(Ordering::Relaxed), process::id());
        let is_taken = holder != process
            && AT_WORK.compare_exchange(holder, process, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        is_taken.then_some(Self)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        AT_WORK.store(0, Ordering::Relaxed);
    }
}

/// What was made, and how long that took.
type Piece<T> = (T, Duration);

/// Work that was given away; the worker's share of the desk is gone when there is nothing more to come.
struct Errand<T> {
    desk: Arc<OnceLock<Piece<T>>>,
    process: u32,
}

/// Makes things of type `T` elsewhere, one at a time.
pub struct Apprentice<T> {
    errand: Option<Errand<T>>,
    /// Pieces that were fetched.
    pub done: u64,
    /// Times nothing came of it: the work panicked, or no thread could be had.
    pub failed: u64,
    /// Time spent on what was fetched.
    pub worked: Duration,
}

impl<T> Default for Apprentice<T> {
    fn default() -> Self {
        Self { errand: None, done: 0, failed: 0, worked: Duration::ZERO }
    }
}

impl<T: Send + Sync + 'static> Apprentice<T> {
    /// What has been made since the last time; never waits.
    pub fn fetch(&mut self) -> Option<T> {
        let Errand { desk, .. } = self.errand.take_if(|errand| Arc::strong_count(&errand.desk) == 1)?;
        let Some((piece, took)) = Arc::into_inner(desk).and_then(OnceLock::into_inner) else {
            self.failed += 1;
            return None;
        };
        self.done += 1;
        self.worked += took;
        Some(piece)
    }

    /// Whether work can be given to him: none is under way in this process, nor lately was.
    pub fn is_free(&mut self) -> bool {
        self.errand.take_if(|errand| errand.process != process::id()); // it stayed behind, in the parent process
        self.errand.is_none() && Permit::is_free()
    }

    /// Has `work` done, if he is free.
    pub fn start(&mut self, work: impl FnOnce() -> T + Send + 'static) {
        let Some(permit) = Permit::take() else { return };
        let desk = Arc::new(OnceLock::new());
        let worker = Arc::clone(&desk);
        let job = move || {
            let _permit = permit;
            thread::sleep(REST * finish(work, worker));
        };
        match thread::Builder::new().name("forecache-learn".to_owned()).spawn(job) {
            Ok(_) => self.errand = Some(Errand { desk, process: process::id() }),
            Err(_) => self.failed += 1,
        }
    }
}

/// Does the work, lays the result on the desk and leaves it; returns how long that took.
fn finish<T>(work: impl FnOnce() -> T, desk: Arc<OnceLock<Piece<T>>>) -> Duration {
    let start = Instant::now();
    let piece = work();
    let took = start.elapsed();
    let _ = desk.set((piece, took));
    drop(desk);
    took
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;

    /// One permit for a process means one test at a time.
    static TURN: Mutex<()> = Mutex::new(());

    fn turn() -> MutexGuard<'static, ()> {
        TURN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn until(mut happened: impl FnMut() -> bool) {
        let start = Instant::now();
        while !happened() {
            assert!(start.elapsed() < Duration::from_secs(60), "it never happened");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn start<T: Send + Sync + 'static>(apprentice: &mut Apprentice<T>, work: impl FnOnce() -> T + Send + 'static) {
        until(|| apprentice.is_free());
        apprentice.start(work);
        assert!(apprentice.errand.is_some());
    }

    #[test]
    fn what_was_made_is_fetched_once_and_nobody_waits_for_it() {
        let _turn = turn();
        let (mut apprentice, go) = (Apprentice::default(), Arc::new(AtomicBool::new(false)));
        let told = Arc::clone(&go);
        start(&mut apprentice, move || {
            until(|| told.load(Ordering::Relaxed));
            7
        });
        assert_eq!(apprentice.fetch(), None);
        assert!(!apprentice.is_free() && !Apprentice::<i32>::default().is_free(), "one at a time");
        go.store(true, Ordering::Relaxed);
        let mut made = None;
        until(|| {
            made = apprentice.fetch();
            made.is_some()
        });
        assert_eq!((made, apprentice.fetch()), (Some(7), None));
        assert_eq!((apprentice.done, apprentice.failed), (1, 0));
    }

    #[test]
    fn work_that_panics_is_counted_and_the_next_is_done() {
        let _turn = turn();
        let mut apprentice = Apprentice::default();
        start(&mut apprentice, || panic!("a test of panics"));
        until(|| apprentice.fetch().is_none() && apprentice.failed == 1);
        start(&mut apprentice, || 8);
        until(|| apprentice.fetch() == Some(8));
    }

    #[test]
    fn he_rests_nine_times_as_long_as_he_worked() {
        let _turn = turn();
        let mut apprentice = Apprentice::default();
        start(&mut apprentice, || thread::sleep(Duration::from_millis(20)));
        until(|| apprentice.fetch().is_some());
        let start = Instant::now();
        until(|| apprentice.is_free());
        assert!(start.elapsed() > Duration::from_millis(150));
        assert!(apprentice.worked >= Duration::from_millis(20));
    }

    #[test]
    fn work_that_stayed_in_another_process_is_forgotten() {
        let _turn = turn();
        let mut apprentice = Apprentice::<i32>::default();
        until(Permit::is_free);
        apprentice.errand = Some(Errand { desk: Arc::new(OnceLock::new()), process: process::id() + 1 });
        let _parents = apprentice.errand.as_ref().map(|errand| Arc::clone(&errand.desk));
        AT_WORK.store(process::id() + 1, Ordering::Relaxed);
        assert!(apprentice.fetch().is_none() && apprentice.is_free());
        start(&mut apprentice, || 9);
        until(|| apprentice.fetch() == Some(9));
    }

    #[test]
    fn who_asked_may_leave_before_it_is_done() {
        let _turn = turn();
        let done = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&done);
        let mut apprentice = Apprentice::default();
        start(&mut apprentice, move || told.store(true, Ordering::Relaxed));
        drop(apprentice);
        until(|| done.load(Ordering::Relaxed));
    }
}
