//! Operations on a store: find the shard of a key, compare, lock, act, record, and report what left. No Python code
//! runs while a shard is locked.

use std::num::NonZeroU64;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use forecache_core::access::Nanos;
use forecache_core::context::NO_CONTEXT;
use forecache_core::recorder::Op;
use forecache_core::staleness::{Aging, FOREVER, Freshness, Lifetime};
use forecache_core::store::{Accept, Arrival};
use pyo3::prelude::*;

use super::{Object, ObjectDebris, ObjectShard, Store};
use crate::context::context_of;
use crate::convert;
use crate::key::{Probe, id_of, is_native};
use crate::recorder::{Address, Note};

impl Store {
    #[inline(always)] // the path of every hit
    pub fn look_up(&self, key: &Bound<'_, PyAny>, accept: Accept) -> PyResult<Option<(Object, Freshness)>> {
        if self.recorder.is_some() {
            return self.look_up_and_record(key, accept);
        }
        let now = self.now(key.py())?;
        self.on_shard_of(key, id_of(key)?, |shard, probe| {
            let found = shard.store.get(probe.id, now, accept, |key| probe.is(key));
            found.map(|(value, freshness)| (value.clone_ref(key.py()), freshness))
        })
    }

    #[inline(never)] // its length would slow down lookups that are not recorded
    fn look_up_and_record(&self, key: &Bound<'_, PyAny>, accept: Accept) -> PyResult<Option<(Object, Freshness)>> {
        let now = self.now(key.py())?;
        self.on_noted_shard(key, |shard, probe, note| {
            let found = shard.store.get_weighed(probe.id, now, accept, |key| probe.is(key));
            let (weight, hit) = found.map_or((1, false), |(_, _, weight)| (weight, true));
            let due = note.is_some_and(|note| note.record(Op::Get, weight, hit));
            (found.map(|(value, freshness, _)| (value.clone_ref(key.py()), freshness)), due)
        })
    }

    /// Weighs a value, lets `place` put it into its shard, and reports what left.
    #[inline]
    #[allow(clippy::too_many_arguments)] // those of `set`, and what is done with them
    pub(super) fn store(
        &self,
        op: Op,
        key: &Bound<'_, PyAny>,
        value: Object,
        aging: Aging,
        tags: Option<&Bound<'_, PyAny>>,
        weight: Option<&Bound<'_, PyAny>>,
        place: impl FnOnce(&mut ObjectShard, Arrival<Object, Object>, Nanos, &Probe<'_, '_>, &mut ObjectDebris) -> bool,
    ) -> PyResult<bool> {
        let py = key.py();
        let weight = self.weigh(key, &value, weight)?;
        let tags = convert::tags(tags)?;
        if aging.ttl != FOREVER {
            self.has_aged.store(true, Ordering::Relaxed);
        }
        let now = self.now(py)?;
        let mut debris = ObjectDebris::default();
        let context = if self.tells_contexts { context_of(key) } else { NO_CONTEXT };
        let stayed = self.on_noted_shard(key, |shard, probe, note| {
            let due = note.is_some_and(|note| {
                let was_there = shard.store.peek(probe.id, now, |key| probe.is(key)).is_some();
                note.record_store(op, weight.get(), was_there, context)
            });
            let (id, key) = (probe.id, key.clone().unbind());
            let arrival = Arrival { id, key, value, weight, lifetime: Lifetime::IMMORTAL, tags, context };
            (place(shard, arrival, now, probe, &mut debris), due)
        })?;
        self.report(py, debris);
        Ok(stayed)
    }

    #[inline]
    pub(super) fn id_of(&self, key: &Bound<'_, PyAny>) -> PyResult<u64> {
        self.recorder.as_ref().map_or_else(|| id_of(key), |recorder| recorder.get().id_of(key))
    }

    /// Runs `act` on the locked shard of a key.
    #[inline]
    pub(super) fn on_shard<R>(
        &self,
        key: &Bound<'_, PyAny>,
        act: impl FnOnce(&mut ObjectShard, &Probe<'_, '_>) -> R,
    ) -> PyResult<R> {
        self.on_shard_of(key, self.id_of(key)?, act)
    }

    /// The same, for an access that is to be recorded; `act` also tells whether the recorder has to be woken.
    #[inline(always)] // the path of every hit that is recorded
    pub(super) fn on_noted_shard<R>(
        &self,
        key: &Bound<'_, PyAny>,
        act: impl FnOnce(&mut ObjectShard, &Probe<'_, '_>, Option<&Note<'_>>) -> (R, bool),
    ) -> PyResult<R> {
        let Some(recorder) = self.recorder.as_ref().map(Py::get) else {
            return self.on_shard_of(key, id_of(key)?, |shard, probe| act(shard, probe, None).0);
        };
        let Address { id, is_native, note } = recorder.address(key)?;
        let probe = Probe::new(key, id);
        let mut shard = if is_native { self.shards.of(id) } else { self.lock(&probe)? };
        let (result, due) = act(&mut shard, &probe, note.as_ref());
        drop(shard);
        recorder.wake_if(due, key.py());
        Ok(result)
    }

    /// Runs `act` on the locked shard of a key whose id is known. No Python code runs meanwhile: comparisons that
    /// need it are made before.
    #[inline(always)] // the path of every hit
    fn on_shard_of<R>(
        &self,
        key: &Bound<'_, PyAny>,
        id: u64,
        act: impl FnOnce(&mut ObjectShard, &Probe<'_, '_>) -> R,
    ) -> PyResult<R> {
        let probe = Probe::new(key, id);
        let mut shard = self.lock(&probe)?;
        Ok(act(&mut shard, &probe))
    }

    /// Locks the shard of a key.
    #[inline(always)]
    fn lock(&self, probe: &Probe<'_, '_>) -> PyResult<MutexGuard<'_, ObjectShard>> {
        if is_native(probe.object) { Ok(self.shards.of(probe.id)) } else { self.compare_first(probe) }
    }

    /// Locks the shard of a key, once every comparison that needs Python code has been made.
    #[cold]
    fn compare_first(&self, probe: &Probe<'_, '_>) -> PyResult<MutexGuard<'_, ObjectShard>> {
        loop {
            let shard = self.shards.of(probe.id);
            shard.store.peek(probe.id, 0, |key| probe.is(key));
            shard.flights.find(probe.id, |key| probe.is(key));
            if !probe.is_pending() {
                return Ok(shard);
            }
            drop(shard);
            probe.settle()?;
        }
    }

    pub(super) fn sweep_shards(
        &self,
        py: Python<'_>,
        op: Op,
        mut remove: impl FnMut(&mut ObjectShard, &mut ObjectDebris) -> usize,
    ) -> PyResult<usize> {
        let mut debris = ObjectDebris::default();
        let removed = self.shards.iter().map(|mut shard| remove(&mut shard, &mut debris)).sum();
        if let Some(recorder) = &self.recorder {
            recorder.get().record_sweep(py, op, &debris)?;
        }
        self.report(py, debris);
        Ok(removed)
    }

    pub(super) fn aging_of(
        &self,
        ttl: Option<&Bound<'_, PyAny>>,
        stale_ttl: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Aging> {
        Ok(Aging {
            ttl: ttl.map_or(Ok(self.aging.ttl), convert::ttl)?,
            stale_ttl: stale_ttl.map_or(Ok(self.aging.stale_ttl), convert::duration)?,
            jitter: self.aging.jitter,
        })
    }

    #[inline(always)]
    pub(super) fn now(&self, py: Python<'_>) -> PyResult<Nanos> {
        if self.has_aged.load(Ordering::Relaxed) { self.read_clock(py) } else { Ok(0) }
    }

    #[cold]
    fn read_clock(&self, py: Python<'_>) -> PyResult<Nanos> {
        match &self.clock {
            None => Ok(self.started.elapsed().as_nanos() as Nanos),
            Some(clock) => Ok(convert::nanos(clock.call0(py)?.extract(py)?)),
        }
    }

    #[inline]
    fn weigh(&self, key: &Bound<'_, PyAny>, value: &Object, weight: Option<&Bound<'_, PyAny>>) -> PyResult<NonZeroU64> {
        match (weight, &self.weigher) {
            (Some(weight), _) => convert::weight(weight, "weight is"),
            (None, None) => Ok(NonZeroU64::MIN),
            (None, Some(weigher)) => {
                convert::weight(&weigher.bind(key.py()).call1((key, value))?, "the weigher returned")
            }
        }
    }

    /// Tells the listener what left; what remains of it is dropped here, after all locks are released.
    #[inline]
    pub(super) fn report(&self, py: Python<'_>, debris: ObjectDebris) {
        let Some(listener) = &self.listener else { return };
        for removed in debris.entries {
            let arguments = (removed.key, removed.value, removed.cause.name());
            if let Err(error) = listener.call1(py, arguments) {
                error.write_unraisable(py, Some(listener.bind(py)));
            }
        }
    }
}
