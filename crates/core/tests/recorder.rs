//! Laws of the recorder.

use forecache_core::recorder::{MODULUS, Op, Recorder, keeps, threshold};
use proptest::collection::vec;
use proptest::prelude::*;

fn ops() -> impl Strategy<Value = Op> {
    (0..Op::ALL.len()).prop_map(|op| Op::ALL[op])
}

proptest! {
    /// What is offered is kept in order or dropped, and the sequence tells where.
    #[test]
    fn every_access_is_drained_or_dropped(
        capacity in 1_usize..20,
        batches in vec(vec((ops(), any::<u64>(), any::<i64>(), any::<(u64, [u8; 2])>(), any::<bool>()), 0..40), 1..5),
    ) {
        let mut recorder = Recorder::new(capacity);
        let (mut offered, mut drained, mut latest) = (0, 0, i64::MIN);
        for batch in batches {
            let kept = batch.len().min(capacity);
            for &(op, key, time, stored, hit) in &batch {
                recorder.record(op, key, time, stored, hit);
            }
            let rows = recorder.drain();
            let columns = rows.columns();
            recorder.reuse(rows);
            prop_assert_eq!(columns.rows, kept);
            prop_assert_eq!(columns.hit.len(), kept.div_ceil(8));
            for (at, &(op, key, time, (weight, context), hit)) in batch.iter().take(kept).enumerate() {
                let word = |column: &[u8]| u64::from_le_bytes(column[8 * at..8 * at + 8].try_into().expect("8 bytes"));
                latest = latest.max(time);
                prop_assert_eq!(word(&columns.key), key);
                prop_assert_eq!(word(&columns.time), latest as u64);
                prop_assert_eq!(word(&columns.size), weight.min((1 << 44) - 1));
                prop_assert_eq!(&columns.context[4 * at..4 * at + 4], [context[0], context[1], 0, 0]);
                prop_assert_eq!(word(&columns.sequence), offered + at as u64);
                prop_assert_eq!(columns.hit[at / 8] >> (at % 8) & 1 == 1, hit);
                prop_assert!(op == Op::Set || columns.op[at] == op as u8);
            }
            offered += batch.len() as u64;
            drained += kept as u64;
            prop_assert_eq!(recorder.dropped(), offered - drained);
        }
    }

    /// The smaller of two samples is part of the larger.
    #[test]
    fn samples_are_nested(key: u64, one in 0.0..=1.0, other in 0.0..=1.0) {
        let (less, more) = if one < other { (one, other) } else { (other, one) };
        prop_assert!(!keeps(key, threshold(less)) || keeps(key, threshold(more)));
        prop_assert!(keeps(key, threshold(1.0)));
        prop_assert!((1..=MODULUS).contains(&threshold(less)));
    }
}
