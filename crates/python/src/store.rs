//! `Store`: the native half of a cache. Python objects go in and out; every decision is the core's.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
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
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PySuper, PyType};
use pyo3::{PyTraverseError, PyVisit};

use crate::model::{begin_with, go_on, prior_of};
use crate::recorder::Recorder;
use crate::shortcuts::adopt;
use crate::{convert, insight};

mod entry;
mod operation;

pub use entry::Entry;

/// The methods that a subclass makes its own.
const ADOPTED: [&str; 3] = ["get", "set", "_read"];

pub type Object = Py<PyAny>;
type ObjectShard = Shard<Object, Object, Object>;
pub type ObjectDebris = Debris<Object, Object, Object>;

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
    /// Whether the policy, or the recorder, wants to know what kind of key it is told of.
    tells_contexts: bool,
    /// Largest total weight of the entries.
    #[pyo3(get)]
    capacity: u64,
}

#[pymethods]
impl Store {
    #[new]
    #[pyo3(signature = (capacity, policy, *, seed=0, shards=1, ttl=None, stale_ttl=0.0, jitter=0.0,
                        clock=None, weigher=None, listener=None, oracle=None,
                        objective="objects", in_background=false, recorder=None, model=None))]
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
        objective: &str,
        in_background: bool,
        recorder: Option<Py<Recorder>>,
        model: Option<&Bound<'_, PyBytes>>,
    ) -> PyResult<Self> {
        let prior = model.map(|model| prior_of(model.py(), model.as_bytes())).transpose()?;
        let oracle: Option<Arc<[Tick]>> = oracle.map(convert::column).transpose()?.map(Into::into);
        let setting = Setting { capacity, seed, objective: insight::objective(objective)? };
        let shards = Shards::new(shards, policy, &setting, oracle.as_ref());
        let mut shards = shards.map_err(|error| convert::error(&error))?;
        if let Some(prior) = prior {
            let begun = shards.iter().try_for_each(|mut shard| begin_with(&mut shard.store, &prior));
            begun.map_err(|error| convert::error(&error))?;
        }
        if in_background {
            shards = shards.learning_elsewhere();
        }
        let aging = Aging { ttl: ttl.map_or(FOREVER, convert::nanos), stale_ttl: convert::nanos(stale_ttl), jitter };
        let has_aged = AtomicBool::new(aging.ttl != FOREVER);
        let learns = shards.iter().next().is_some_and(|mut shard| shard.store.learner().is_some());
        let tells_contexts = learns || recorder.is_some();
        let started = Instant::now();
        Ok(Self { shards, aging, has_aged, started, clock, weigher, listener, recorder, tells_contexts, capacity })
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

    /// Predicted times from now until the next access of each key, in capacities; infinite where nothing is predicted.
    fn _foresee(&self, keys: Vec<Bound<'_, PyAny>>) -> PyResult<Vec<f32>> {
        let foresee = |key: Bound<'_, PyAny>| {
            let now = self.now(key.py())?;
            self.on_shard(&key, |shard, probe| shard.store.foresee(probe.id, now, |key| probe.is(key)))
        };
        keys.into_iter().map(foresee).collect()
    }

    /// What the first shard has learned, for another cache to go on with; None if that is nothing.
    fn _lore<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let mut shard = self.shards.iter().next().expect("there is a shard");
        shard.store.learner()?.lore().map(|lore| PyBytes::new(py, &lore))
    }

    /// Goes on with what another cache learned; to be called before the first access.
    fn _go_on(&self, py: Python<'_>, lore: &[u8]) -> PyResult<()> {
        self.shards.iter().try_for_each(|mut shard| go_on(py, &mut shard.store, lore))
    }

    /// How far the policy of a shard has learned; None for policies that do not.
    fn _learning<'py>(&self, py: Python<'py>, shard: usize) -> PyResult<Option<Bound<'py, PyDict>>> {
        let found = self.shards.iter().nth(shard).and_then(|mut shard| Some(shard.store.learner()?.learning()));
        found.map(|learning| insight::learning(py, &learning)).transpose()
    }

    /// From now on every part keeps recent accesses, in so many bytes all together.
    fn _watch(&self, bytes: usize) {
        let parts = self.shards.iter().count();
        self.shards.iter().for_each(|mut shard| shard.store.watch(bytes / parts));
    }

    /// Recent accesses of a part, if they are kept.
    fn _window<'py>(&self, py: Python<'py>, shard: usize) -> PyResult<Option<Bound<'py, PyDict>>> {
        let view = self.shards.iter().nth(shard).and_then(|shard| shard.store.recent());
        view.map(|view| insight::window(py, &view)).transpose()
    }

    /// The turns at which each lesson of the first shard began and counted; None in place of a turn that never came.
    fn _timetable(&self) -> Vec<(u64, Option<u64>)> {
        let mut shard = self.shards.iter().next().expect("there is a shard");
        shard.store.learner().map(|learner| insight::turns(learner.timetable())).unwrap_or_default()
    }

    /// Number of parts.
    #[getter]
    fn _shards(&self) -> usize {
        self.shards.iter().count()
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
