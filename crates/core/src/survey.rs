//! Surveys: how often keys are asked for, roughly, from some of the accesses, so that a sample can look at more of the
//! keys that make much of the traffic. What is counted are places that keys share, by bits of their hash which do not
//! decide who is kept: a key is in the sample by chance, whatever the survey says of it.
//! Cost-optimal shares go with the square root of what a key adds to the variance (Neyman, J. Roy. Stat. Soc. 97(4),
//! 1934), which for a key with n accesses is n².

use crate::memory::Memory;

/// Levels of popularity; the highest are keys of which more accesses were seen than can be counted.
pub const LEVELS: usize = 16;
/// Places in which accesses are counted.
const PLACES: usize = 1 << 17;
/// More keys that a sample may look at, about.
const MORE_KEYS: f64 = 8_192.0;
/// Share of the accesses that are to be those of such keys, if possible.
const MOST_ACCESSES: f64 = 0.1;
/// Keys of each level to look at, if there are as many.
const FEWEST_KEYS: f64 = 8.0;
/// Levels that more are looked at of: one access that is seen is chance, two are some.
const POPULAR: usize = 2;

/// The level of popularity of every key.
pub struct Survey {
    /// By the lowest bits of a hash.
    levels: Box<[u8; PLACES]>,
    /// How many times as large the share of the keys is that is looked at.
    favours: [f64; LEVELS],
}

impl Memory for Survey {
    fn memory(&self) -> usize {
        PLACES
    }
}

impl Default for Survey {
    /// Of nothing: all keys are alike.
    fn default() -> Self {
        Self { levels: places(), favours: [1.0; LEVELS] }
    }
}

impl Survey {
    /// From some of so many accesses, to keys that hash like this, for a sample of a share of the keys.
    pub fn of(some: &[u64], accesses: u64, rate: f64, hash: impl Fn(u64) -> u64) -> Self {
        let mut counts = places();
        for &key in some {
            let count = &mut counts[hash(key) as usize % PLACES];
            *count = count.saturating_add(1);
        }
        let stride = accesses as f64 / some.len().max(1) as f64;
        let mut places = [0.0; LEVELS];
        for count in counts.iter_mut() {
            *count = level_of(*count);
            places[usize::from(*count)] += 1.0;
        }
        Self { favours: favours(&places, stride, rate), levels: counts }
    }

    /// The level of the keys with this hash.
    #[inline(always)]
    pub fn level(&self, hash: u64) -> usize {
        usize::from(self.levels[hash as usize % PLACES]) % LEVELS
    }

    /// How many times as large the share is that is kept of a level.
    pub fn favour(&self, level: usize) -> f64 {
        self.favours[level]
    }
}

/// Room for all places.
fn places() -> Box<[u8; PLACES]> {
    vec![0; PLACES].into_boxed_slice().try_into().expect("as many as there are places")
}

/// Two levels to each doubling of a count.
fn level_of(count: u8) -> u8 {
    match count {
        0..POPULAR_COUNT => count,
        u8::MAX => LEVELS as u8 - 1,
        _ => ((2.0 * f64::from(count).log2()) as u8).min(LEVELS as u8 - 2),
    }
}

/// Below it, every count is a level.
const POPULAR_COUNT: u8 = 3;

/// The least count of a level.
fn count_of(level: usize) -> f64 {
    if level < usize::from(POPULAR_COUNT) { level as f64 } else { 2f64.powf(level as f64 / 2.0) }
}

/// Grow with the square root of popularity, in relation to one for which neither too many keys more nor too many
/// accesses are looked at; but some keys are looked at of every level.
fn favours(places: &[f64; LEVELS], stride: f64, rate: f64) -> [f64; LEVELS] {
    let accesses: [f64; LEVELS] = std::array::from_fn(|level| places[level] * count_of(level) * stride);
    let by = |common: f64| {
        let mut favours = [1.0; LEVELS];
        for level in POPULAR..LEVELS {
            let root = ((count_of(level) - 1.0) * stride / common).sqrt();
            favours[level] = root.max(FEWEST_KEYS / (places[level].max(1.0) * rate)).clamp(1.0, 1.0 / rate);
        }
        favours
    };
    let sum = |favours: &[f64; LEVELS], of: &[f64; LEVELS]| -> f64 {
        of.iter().zip(favours).map(|(of, favour)| of * rate * (favour - 1.0)).sum()
    };
    let most = MOST_ACCESSES * accesses.iter().sum::<f64>();
    let (mut common, mut found) = (1.0, by(1.0));
    while (sum(&found, places) > MORE_KEYS || sum(&found, &accesses) > most) && common < 1e9 {
        common *= 2.0;
        found = by(common);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::mix;

    #[test]
    fn levels_grow_with_counts_and_begin_with_their_least() {
        assert!((0..u8::MAX).all(|count| level_of(count) <= level_of(count + 1)));
        assert_eq!((level_of(0), level_of(1), level_of(2), level_of(u8::MAX)), (0, 1, 2, 15));
        for level in 3..LEVELS - 1 {
            assert_eq!(usize::from(level_of(count_of(level).ceil() as u8)), level);
        }
    }

    #[test]
    fn popular_keys_are_favoured_and_the_others_are_not() {
        let keys: Vec<u64> = (0..40_000).map(|at| if at % 4 == 0 { at / 4 % 50 } else { at + 100 }).collect();
        let survey = Survey::of(&keys, keys.len() as u64, 0.01, mix);
        let favour = |key: u64| survey.favour(survey.level(mix(key)));
        assert!((0..50).all(|key| favour(key) > 10.0));
        let favoured = keys.iter().filter(|key| **key >= 50 && favour(**key) > 1.0).count();
        assert!(favoured < 3_000, "{favoured} of 30,000");
        assert!((Survey::default().favour(Survey::default().level(7)) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn however_many_are_popular_about_as_many_more_are_looked_at() {
        for accesses in [20_000u64, 2_000_000] {
            let keys: Vec<u64> = (0..accesses).map(|at| mix(at) % 30_000).collect();
            let survey = Survey::of(&keys, keys.len() as u64, 0.1, mix);
            let more: f64 = (0..30_000).map(|key| 0.1 * survey.favour(survey.level(mix(key))) - 0.1).sum();
            assert!(more < 1.2 * MORE_KEYS, "{more}");
        }
    }
}
