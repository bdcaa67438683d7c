//! What the learned policy tells of itself.

use super::Learned;
use crate::access::Slot;
use crate::features::columns;
use crate::guard::Guard;
use crate::learner::{Explanation, Learner, Learning};
use crate::memory::Memory;
use crate::model_file::{corrects, encode};
use crate::predictor::{Model, SCORE_ONE, octaves_to_capacities};
use crate::prior::Prior;
use crate::school::Lesson;
use crate::trainer::HORIZON;

impl Learner for Learned {
    fn explain(&self, id: u64, slot: Option<Slot>) -> Option<Explanation> {
        let line = self.history.line(id, slot)?;
        let row = self.history.view().row(line);
        let predicted = self.model.scores(&columns(&[row]))[0];
        let cost = self.chooser.manner().cost(line);
        Some(Explanation {
            resident: slot.is_some(),
            age: self.history.now.wrapping_sub(line.last),
            reuse: octaves_to_capacities(predicted as f32 / SCORE_ONE).min(HORIZON as f32),
            entries: self.history.scale.entries,
            score: (predicted + cost) as f32 / SCORE_ONE,
            row,
        })
    }

    fn timetable(&self) -> &[Lesson] {
        self.school.timetable()
    }

    fn lore(&self) -> Option<Vec<u8>> {
        let Model { prior, residual } = &*self.model;
        let is_fixed = !matches!(**prior, Prior::Network(_));
        let forest = Some(residual).filter(|residual| is_fixed && !residual.trees.is_empty())?;
        Some(encode(&forest.clone().into(), &(corrects(prior) + &self.history.contexts.habits().to_text())))
    }

    fn learning(&self) -> Learning {
        let (failures, worked) =
            self.school.apprentice().map(|apprentice| (apprentice.failed, apprentice.worked)).unwrap_or_default();
        Learning {
            leader: self.guard.as_ref().and_then(Guard::leader),
            trials: self.guard.as_ref().map(Guard::trials).unwrap_or_default(),
            samples: self.trainer.samples(),
            fits: self.fits,
            failures,
            worked,
            trees: (self.model.prior.trees(), self.model.residual.trees.len()),
            memory: self.memory(),
            quality: self.quality.clone(),
        }
    }
}
