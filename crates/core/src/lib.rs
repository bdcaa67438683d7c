//! The core of forecache: a store within a budget, the policies that decide what leaves it, and the simulator
//! that replays traces through the same code. No Python, no I/O, no clock, no unseeded chance.

pub mod access;
pub mod chance;
mod climber;
pub mod error;
pub mod fingerprint;
pub mod flights;
mod ghost;
mod heap;
mod list;
pub mod policy;
pub mod recorder;
pub mod removed;
mod segments;
pub mod shards;
pub mod simulate;
mod sketch;
pub mod staleness;
pub mod stats;
pub mod store;
mod table;
mod tags;
mod weights;
