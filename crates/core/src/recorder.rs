//! The recorder: recent accesses in a buffer of fixed length. Full means drop and count, never wait.
//! Keys are sampled by their fingerprint, so that each kept key has its complete history.
//! Waldspurger et al., "Efficient MRC Construction with SHARDS", FAST 2015, section 3.

use crate::context::Context;

/// Fingerprints are sampled by their remainder modulo this; a power of two.
pub const MODULUS: u64 = 1 << 24;

/// Misses whose load is awaited, at most; those beyond it take the place of earlier ones.
const AWAITED: usize = 1024;

/// Weights above this are recorded as this.
const LARGEST: u64 = (1 << 44) - 1;

/// What an access did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A lookup.
    Get,
    /// A value was written that no lookup had asked for.
    Set,
    /// A value was stored that a lookup had missed: no access of its own.
    Load,
    /// A key was removed, by itself or by its tag.
    Delete,
    /// Everything was removed; the key says nothing.
    Clear,
}

impl Op {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Get, Self::Set, Self::Load, Self::Delete, Self::Clear];

    /// The word in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Load => "load",
            Self::Delete => "delete",
            Self::Clear => "clear",
        }
    }
}

/// One recorded access. Rows stay together until they are drained: recording one touches one cache line, not six.
#[derive(Clone, Copy)]
struct Row {
    key: u64,
    time: i64,
    /// Weight, context, op and hit flag in one word.
    what: u64,
}

impl Row {
    const fn weight(self) -> u64 {
        self.what >> 20
    }

    const fn context(self) -> u16 {
        (self.what >> 4) as u16
    }

    const fn op(self) -> u8 {
        (self.what >> 1) as u8 & 7
    }

    const fn hit(self) -> bool {
        self.what & 1 == 1
    }
}

/// Drained accesses, one column each, little-endian; they are successive in the recorder's sequence.
#[derive(Default)]
pub struct Columns {
    /// Number of accesses.
    pub rows: usize,
    /// Times of the first and the last access, in milliseconds; times do not fall in between.
    pub span: (i64, i64),
    /// 8 bytes each: milliseconds since the epoch.
    pub time: Vec<u8>,
    /// 8 bytes each: fingerprints of the keys.
    pub key: Vec<u8>,
    /// 8 bytes each: weights, 1 where unknown.
    pub size: Vec<u8>,
    /// 4 bytes each: contexts of what was stored; 0 of other accesses.
    pub context: Vec<u8>,
    /// 1 byte each: numbers of the ops.
    pub op: Vec<u8>,
    /// 1 bit each, from the lowest on: whether the key was there.
    pub hit: Vec<u8>,
    /// 8 bytes each: positions in the recorder's sequence, in which what was dropped leaves gaps.
    pub sequence: Vec<u8>,
}

/// Rows taken from a recorder, to be turned into columns without holding it up.
#[derive(Default)]
pub struct Rows {
    first: u64,
    rows: Vec<Row>,
}

impl Rows {
    /// Their columns.
    #[must_use]
    pub fn columns(&self) -> Columns {
        let rows = &self.rows;
        let words = |word: fn(&Row) -> u64| bytes(rows.iter().map(word));
        let bits = |group: &[Row]| group.iter().rev().fold(0, |bits, row| bits << 1 | u8::from(row.hit()));
        let end = |row: Option<&Row>| row.map_or(0, |row| row.time);
        Columns {
            rows: rows.len(),
            span: (end(rows.first()), end(rows.last())),
            time: words(|row| row.time as u64),
            key: words(|row| row.key),
            size: words(|row| row.weight()),
            context: rows.iter().flat_map(|row| u32::from(row.context()).to_le_bytes()).collect(),
            op: rows.iter().map(|row| row.op()).collect(),
            hit: rows.chunks(8).map(bits).collect(),
            sequence: bytes((0..rows.len()).map(|at| self.first + at as u64)),
        }
    }
}

fn bytes(words: impl ExactSizeIterator<Item = u64>) -> Vec<u8> {
    let mut bytes = vec![0; words.len() * 8];
    bytes.chunks_exact_mut(8).zip(words).for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_le_bytes()));
    bytes
}

/// Recent accesses to the kept keys, in order.
pub struct Recorder {
    rows: Vec<Row>,
    capacity: usize,
    spare: Vec<Row>,
    awaited: Box<[u64; AWAITED]>,
    /// Position of the first row in the sequence of accesses; what is dropped comes after the last one.
    first: u64,
    sequence: u64,
    latest: i64,
    dropped: u64,
}

impl Recorder {
    /// An empty recorder of at most `capacity` accesses.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            rows: Vec::with_capacity(capacity),
            capacity,
            spare: Vec::new(),
            awaited: Box::new([0; AWAITED]),
            first: 0,
            sequence: 0,
            latest: i64::MIN,
            dropped: 0,
        }
    }

    /// Accesses that found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Accesses that wait to be drained.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Records an access; true when it is the first of all, or fills half of the buffer. `time` is milliseconds since the
    /// epoch; a clock that went back is taken to have stood still. A set that follows a miss of its key is a load.
    pub fn record(&mut self, op: Op, key: u64, time: i64, (weight, context): (u64, Context), hit: bool) -> bool {
        let op = self.settle(op, key, hit);
        self.sequence += 1;
        if self.rows.len() == self.capacity {
            self.dropped += 1;
            return false;
        }
        self.latest = self.latest.max(time);
        let context = u64::from(u16::from_le_bytes(context));
        let what = weight.min(LARGEST) << 20 | context << 4 | (op as u64) << 1 | u64::from(hit);
        self.rows.push(Row { key, time: self.latest, what });
        self.sequence == 1 || self.rows.len() == self.capacity.div_ceil(2)
    }

    /// Takes what was recorded. Give it back once it is used, so that its memory is used again.
    pub fn drain(&mut self) -> Rows {
        if self.spare.capacity() < self.capacity {
            self.spare.reserve_exact(self.capacity);
        }
        let rows = std::mem::replace(&mut self.rows, std::mem::take(&mut self.spare));
        Rows { first: std::mem::replace(&mut self.first, self.sequence), rows }
    }

    /// Takes drained rows back.
    pub fn reuse(&mut self, drained: Rows) {
        self.spare = drained.rows;
        self.spare.clear();
    }

    /// Begins anew, as after a fork.
    pub fn reset(&mut self) {
        self.rows.clear();
        self.awaited.fill(0);
        (self.first, self.sequence, self.dropped) = (0, 0, 0);
    }

    /// Keeps in mind which keys were missed, and what an op is in the light of it.
    fn settle(&mut self, op: Op, key: u64, hit: bool) -> Op {
        let awaited = &mut self.awaited[(key >> 54) as usize];
        match op {
            Op::Get if !hit => *awaited = key,
            Op::Set | Op::Load | Op::Delete if *awaited == key => {
                *awaited = 0;
                return if op == Op::Delete { op } else { Op::Load };
            }
            _ => {}
        }
        op
    }
}

/// How many of `MODULUS` remainders are kept at a sampling rate in (0, 1].
#[must_use]
pub fn threshold(sample: f64) -> u64 {
    ((sample * MODULUS as f64).round() as u64).clamp(1, MODULUS)
}

/// Whether a key is among those kept below `threshold`.
#[must_use]
#[inline]
pub const fn keeps(key: u64, threshold: u64) -> bool {
    key % MODULUS < threshold
}
