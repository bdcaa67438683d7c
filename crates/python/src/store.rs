//! `Store`: the native half of a cache. Python objects go in and out; every decision is the core's.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use forecache_core::access::{Nanos, Tick};
use forecache_core::policy::{POLICIES, Setting};
use forecache_core::recorder::Op;
use forecache_core::shards::{Debris, Shard, Shards};
use forecache_core::staleness::{Aging, FOREVER, Freshness, Lifetime};
use forecache_core::stats::Cause;
use forecache_core::store::{Accept, Arrival, Glimpse};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PySuper, PyType};
use pyo3::{PyTraverseError, PyVisit};

use crate::key::{Probe, id_of, is_native};
use crate::recorder::{Address, Note, Recorder};
use crate::shortcuts::adopt;
use crate::{convert, insight};

/// The methods that a subclass makes its own.
const ADOPTED: [&str; 3] = ["get", "set", "_read"];

pub type Object = Py<PyAny>;
type ObjectShard = Shard<Object, Object, Object>;
pub type ObjectDebris = Debris<Object, Object, Object>;

/// What a cache keeps about one key; times are seconds of the cache's clock.
#[pyclass(frozen, get_all, module = "forecache")]
pub struct Entry {
    value: Object,
    weight: u64,
    stored_at: Option<f64>,
    fresh_until: Option<f64>,
    expires_at: Option<f64>,
}

#[pymethods]
impl Entry {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let moment = |at: Option<f64>| at.map_or("None".to_owned(), |at| format!("{at:.3}"));
        Ok(format!(
            "Entry(value={}, weight={}, stored_at={}, fresh_until={}, expires_at={})",
            self.value.bind(py).repr()?,
            self.weight,
            moment(self.stored_at),
            moment(self.fresh_until),
            moment(self.expires_at)
        ))
    }
}

/// A bounded table of Python objects.
#[pyclass(frozen, subclass, weakref, module = "forecache._core")]
pub struct Store {
    shards: Shards<Object, Object, Object>,
    aging: Aging,
    /// Whether any value was ever given a lifetime; until then no call reads the clock.
    has_aged: AtomicBool,
    started: Instant,
    clock: Option<Object>,
    weigher: Option<Object>,
    listener: Option<Object>,
    recorder: Option<Py<Recorder>>,
    /// Largest total weight of the entries.
    #[pyo3(get)]
    capacity: u64,
}

#[pymethods]
impl Store {
    #[new]
    #[pyo3(signature = (capacity, policy, *, seed=0, shards=1, ttl=None, stale_ttl=0.0, jitter=0.0,
                        clock=None, weigher=None, listener=None, oracle=None, recorder=None,
                        objective="objects"))]
    #[allow(clippy::too_many_arguments)] // keyword arguments of a constructor
    fn new(
        capacity: u64,
        policy: &str,
        seed: u64,
        shards: usize,
        ttl: Option<f64>,
        stale_ttl: f64,
        jitter: f64,
        clock: Option<Object>,
        weigher: Option<Object>,
        listener: Option<Object>,
        oracle: Option<&Bound<'_, PyAny>>,
        recorder: Option<Py<Recorder>>,
        objective: &str,
    ) -> PyResult<Self> {
        let oracle: Option<Arc<[Tick]>> = oracle.map(convert::column).transpose()?.map(Into::into);
        let setting = Setting { capacity, seed, objective: insight::objective(objective)? };
        let shards = Shards::new(shards, policy, &setting, oracle.as_ref());
        let shards = shards.map_err(|error| convert::error(&error))?.learning_elsewhere();
        let aging = Aging { ttl: ttl.map_or(FOREVER, convert::nanos), stale_ttl: convert::nanos(stale_ttl), jitter };
        let has_aged = AtomicBool::new(aging.ttl != FOREVER);
        Ok(Self { shards, aging, has_aged, started: Instant::now(), clock, weigher, listener, recorder, capacity })
    }

    /// Makes the methods that are called most as fast in a subclass as here.
    #[classmethod]
    #[pyo3(signature = (**arguments))]
    fn __init_subclass__(class: &Bound<'_, PyType>, arguments: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        let (py, base) = (class.py(), class.py().get_type::<Self>());
        PySuper::new(&base, class)?.call_method("__init_subclass__", (), arguments)?;
        let some = base.call1((1, POLICIES[0].name))?;
        ADOPTED.iter().try_for_each(|&method| adopt(class, &base, &some.getattr(PyString::intern(py, method))?))
    }

    /// The value of a fresh entry, else `default`.
    #[pyo3(signature = (key, default=None, /))]
    fn get(&self, key: &Bound<'_, PyAny>, default: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Object>> {
        let found = self.look_up(key, Accept::Fresh)?;
        Ok(found.map(|(value, _)| value).or_else(|| default.map(|default| default.clone().unbind())))
    }

    /// The values of the keys that have a fresh one.
    #[pyo3(signature = (keys, /))]
    fn get_many<'py>(&self, keys: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let found = PyDict::new(keys.py());
        for key in keys.try_iter()? {
            let key = key?;
            if let Some((value, _)) = self.look_up(&key, Accept::Fresh)? {
                found.set_item(key, value)?;
            }
        }
        Ok(found)
    }

    /// The value of an entry that is fresh; `due` for one that may be served while a refresh runs; else `missing`.
    #[pyo3(signature = (key, missing, due, /))]
    fn _read(&self, key: &Bound<'_, PyAny>, missing: Object, due: Object) -> PyResult<Object> {
        Ok(match self.look_up(key, Accept::Stale)? {
            Some((value, Freshness::Fresh)) => value,
            Some(_) => due,
            None => missing,
        })
    }

    /// What is kept about a key, or None; counts nothing and changes nothing.
    #[pyo3(signature = (key, /))]
    fn peek(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Entry>> {
        let now = self.now(key.py())?;
        self.on_shard(key, |shard, probe| {
            let Glimpse { value, weight, lifetime } = shard.store.peek(probe.id, now, |key| probe.is(key))?;
            let ages = lifetime != Lifetime::IMMORTAL;
            let moment = |at: Nanos| (ages && at != FOREVER).then(|| convert::seconds(at));
            Some(Entry {
                value: value.clone_ref(key.py()),
                weight,
                stored_at: moment(lifetime.stored_at),
                fresh_until: moment(lifetime.fresh_until),
                expires_at: moment(lifetime.expires_at),
            })
        })
    }

    /// Stores a value; true when it stayed.
    #[pyo3(signature = (key, value, *, ttl=None, stale_ttl=None, tags=None, weight=None))]
    fn set(
        &self,
        key: &Bound<'_, PyAny>,
        value: Object,
        ttl: Option<&Bound<'_, PyAny>>,
        stale_ttl: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
        weight: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let aging = self.aging_of(ttl, stale_ttl)?;
        self.store(Op::Set, key, value, aging, tags, weight, |shard, arrival, now, probe, debris| {
            let lifetime = aging.lifetime(now, 0, || shard.store.chance().draw());
            shard.put(Arrival { lifetime, ..arrival }, now, |key| probe.is(key), debris)
        })
    }

    /// Removes a key; true when it was there.
    #[pyo3(signature = (key, /))]
    fn delete(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let now = self.now(key.py())?;
        let mut debris = Debris::default();
        let was_there = self.on_noted_shard(key, |shard, probe, note| {
            let was_there = shard.remove(probe.id, now, |key| probe.is(key), &mut debris);
            let had_any = was_there || !debris.flights.is_empty();
            (was_there, note.is_some_and(|note| note.record(Op::Delete, 1, had_any)))
        })?;
        self.report(key.py(), debris);
        Ok(was_there)
    }

    /// Removes all entries that carry a tag, and says how many.
    #[pyo3(signature = (tag, /))]
    fn invalidate_tag(&self, tag: &Bound<'_, PyAny>) -> PyResult<usize> {
        let (py, tag) = (tag.py(), convert::tag(tag)?);
        self.sweep_shards(py, Op::Delete, |shard, debris| shard.remove_tag(tag, debris))
    }

    /// Removes everything.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        let clear = |shard: &mut ObjectShard, debris: &mut ObjectDebris| {
            shard.clear(debris);
            0
        };
        self.sweep_shards(py, Op::Clear, clear).map(drop)
    }

    /// Begins the load of a key, or returns the ticket of the one in flight.
    #[pyo3(signature = (key, ticket, tags=None))]
    fn _begin(
        &self,
        key: &Bound<'_, PyAny>,
        ticket: Object,
        tags: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Object>> {
        let tags = convert::tags(tags)?;
        self.on_shard(key, |shard, probe| {
            if let Some(flying) = shard.flights.find(probe.id, |key| probe.is(key)) {
                return Some(flying.clone_ref(key.py()));
            }
            shard.flights.begin(probe.id, key.clone().unbind(), ticket, tags);
            None
        })
    }

    /// Ends a load with the value it produced; false when an invalidation came first, and nothing was stored.
    #[pyo3(signature = (key, ticket, value, load_seconds, *, ttl=None, stale_ttl=None, tags=None))]
    #[allow(clippy::too_many_arguments)] // keyword arguments
    fn _land(
        &self,
        key: &Bound<'_, PyAny>,
        ticket: &Bound<'_, PyAny>,
        value: Object,
        load_seconds: f64,
        ttl: Option<&Bound<'_, PyAny>>,
        stale_ttl: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let aging = self.aging_of(ttl, stale_ttl)?;
        self.store(Op::Load, key, value, aging, tags, None, |shard, arrival, now, probe, debris| {
            let load_time = convert::nanos(load_seconds);
            let lifetime = aging.lifetime(now, load_time, || shard.store.chance().draw());
            shard.land(Arrival { lifetime, ..arrival }, now, |flying| flying.is(ticket), |key| probe.is(key), debris)
        })
    }

    /// Ends a load that produced nothing to store; false when it was cancelled before.
    fn _abandon(&self, key: &Bound<'_, PyAny>, ticket: &Bound<'_, PyAny>) -> PyResult<bool> {
        let id = self.id_of(key)?;
        let mut dropped = Vec::new();
        Ok(self.shards.of(id).flights.end(id, |flying| flying.is(ticket), &mut dropped))
    }

    /// Forgets all loads in flight: after a fork, those who ran them are gone.
    fn _ground(&self) {
        let mut dropped = Vec::new();
        self.shards.iter().for_each(|mut shard| shard.flights.cancel_all(&mut dropped));
    }

    /// hits, stale, misses, and one count for each cause of removal.
    fn _counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.shards.stats();
        let counts = PyDict::new(py);
        counts.set_item("hits", stats.hits)?;
        counts.set_item("stale", stats.stale)?;
        counts.set_item("misses", stats.misses)?;
        for (cause, count) in Cause::ALL.iter().zip(stats.removed) {
            counts.set_item(cause.name(), count)?;
        }
        Ok(counts)
    }

    /// What a policy that learns believes of a key; None for other policies and for keys it does not know.
    #[pyo3(signature = (key, /))]
    fn _explain<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let now = self.now(key.py())?;
        let found = self.on_shard(key, |shard, probe| {
            let found = shard.store.explain(probe.id, now, |key| probe.is(key))?;
            Some((found, shard.store.learner()?.learning()))
        })?;
        found.map(|(found, learning)| insight::explanation(key.py(), &found, &learning)).transpose()
    }

    /// How far the policy of a shard has learned; None for policies that do not.
    fn _learning<'py>(&self, py: Python<'py>, shard: usize) -> PyResult<Option<Bound<'py, PyDict>>> {
        let found = self.shards.iter().nth(shard).and_then(|shard| Some(shard.store.learner()?.learning()));
        found.map(|learning| insight::learning(py, &learning)).transpose()
    }

    /// All keys and values that are fresh, as a list of pairs.
    fn _snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let now = self.now(py)?;
        let mut pairs: Vec<(Object, Object)> = Vec::new();
        for shard in self.shards.iter() {
            pairs.extend(shard.store.iter(now).map(|entry| (entry.key.clone_ref(py), entry.value.clone_ref(py))));
        }
        PyList::new(py, pairs)
    }

    /// Total weight of the entries; never above `capacity`.
    #[getter]
    fn weight(&self) -> u64 {
        self.shards.iter().map(|shard| shard.store.used()).sum()
    }

    fn __len__(&self) -> usize {
        self.shards.iter().map(|shard| shard.store.len()).sum()
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let now = self.now(key.py())?;
        self.on_shard(key, |shard, probe| {
            let found = shard.store.peek(probe.id, now, |key| probe.is(key));
            found.is_some_and(|glimpse| now < glimpse.lifetime.fresh_until)
        })
    }

    fn __getitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<Object> {
        match self.look_up(key, Accept::Fresh)? {
            Some((value, _)) => Ok(value),
            None => Err(PyKeyError::new_err(key.clone().unbind())),
        }
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: Object) -> PyResult<()> {
        let aging = self.aging;
        self.store(Op::Set, key, value, aging, None, None, |shard, arrival, now, probe, debris| {
            let lifetime = aging.lifetime(now, 0, || shard.store.chance().draw());
            shard.put(Arrival { lifetime, ..arrival }, now, |key| probe.is(key), debris)
        })?;
        Ok(())
    }

    fn __delitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.delete(key)? { Ok(()) } else { Err(PyKeyError::new_err(key.clone().unbind())) }
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let now = self.now(py)?;
        let mut keys: Vec<Object> = Vec::new();
        for shard in self.shards.iter() {
            keys.extend(shard.store.iter(now).map(|entry| entry.key.clone_ref(py)));
        }
        Ok(PyList::new(py, keys)?.try_iter()?.into_any())
    }

    #[classmethod]
    fn __class_getitem__<'py>(class: &Bound<'py, PyType>, item: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        class.py().import("types")?.getattr("GenericAlias")?.call1((class, item))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for shard in self.shards.iter_free() {
            for entry in shard.store.iter(0) {
                visit.call(&entry.key)?;
                visit.call(&entry.value)?;
            }
            for (key, ticket) in shard.flights.iter() {
                visit.call(key)?;
                visit.call(ticket)?;
            }
        }
        visit.call(&self.recorder)?;
        for callable in [&self.clock, &self.weigher, &self.listener].into_iter().flatten() {
            visit.call(callable)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let mut debris = Debris::default();
        self.shards.iter_free().for_each(|mut shard| shard.clear(&mut debris));
    }
}

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
    fn store(
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
        let mut debris = Debris::default();
        let stayed = self.on_noted_shard(key, |shard, probe, note| {
            let due = note.is_some_and(|note| {
                let was_there = shard.store.peek(probe.id, now, |key| probe.is(key)).is_some();
                note.record(op, weight.get(), was_there)
            });
            let (id, key) = (probe.id, key.clone().unbind());
            let arrival = Arrival { id, key, value, weight, lifetime: Lifetime::IMMORTAL, tags };
            (place(shard, arrival, now, probe, &mut debris), due)
        })?;
        self.report(py, debris);
        Ok(stayed)
    }

    #[inline]
    fn id_of(&self, key: &Bound<'_, PyAny>) -> PyResult<u64> {
        self.recorder.as_ref().map_or_else(|| id_of(key), |recorder| recorder.get().id_of(key))
    }

    /// Runs `act` on the locked shard of a key.
    #[inline]
    fn on_shard<R>(
        &self,
        key: &Bound<'_, PyAny>,
        act: impl FnOnce(&mut ObjectShard, &Probe<'_, '_>) -> R,
    ) -> PyResult<R> {
        self.on_shard_of(key, self.id_of(key)?, act)
    }

    /// The same, for an access that is to be recorded; `act` also tells whether the recorder has to be woken.
    #[inline]
    fn on_noted_shard<R>(
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

    fn sweep_shards(
        &self,
        py: Python<'_>,
        op: Op,
        mut remove: impl FnMut(&mut ObjectShard, &mut ObjectDebris) -> usize,
    ) -> PyResult<usize> {
        let mut debris = Debris::default();
        let removed = self.shards.iter().map(|mut shard| remove(&mut shard, &mut debris)).sum();
        if let Some(recorder) = &self.recorder {
            recorder.get().record_sweep(py, op, &debris)?;
        }
        self.report(py, debris);
        Ok(removed)
    }

    fn aging_of(&self, ttl: Option<&Bound<'_, PyAny>>, stale_ttl: Option<&Bound<'_, PyAny>>) -> PyResult<Aging> {
        Ok(Aging {
            ttl: ttl.map_or(Ok(self.aging.ttl), convert::ttl)?,
            stale_ttl: stale_ttl.map_or(Ok(self.aging.stale_ttl), convert::duration)?,
            jitter: self.aging.jitter,
        })
    }

    #[inline(always)]
    fn now(&self, py: Python<'_>) -> PyResult<Nanos> {
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
    fn report(&self, py: Python<'_>, debris: ObjectDebris) {
        let Some(listener) = &self.listener else { return };
        for removed in debris.entries {
            let arguments = (removed.key, removed.value, removed.cause.name());
            if let Err(error) = listener.call1(py, arguments) {
                error.write_unraisable(py, Some(listener.bind(py)));
            }
        }
    }
}
