//! The core of forecache: a store within a budget, the policies that decide what leaves it, and the simulator
//! that replays traces through the same code. No Python, no I/O, no clock, no unseeded chance.

pub mod access;
mod apprentice;
pub mod boost;
pub mod chance;
mod chooser;
mod climber;
pub mod echo;
pub mod error;
pub mod features;
pub mod fingerprint;
pub mod flights;
mod ghost;
mod guard;
mod heap;
mod history;
pub mod learner;
pub mod line;
mod list;
pub mod policy;
pub mod predictor;
pub mod quality;
pub mod recorder;
pub mod removed;
mod segments;
mod shadow;
pub mod shards;
pub mod simulate;
mod sketch;
pub mod staleness;
pub mod stats;
pub mod store;
mod table;
mod tags;
pub mod traffic;
pub mod trainer;
mod weights;
