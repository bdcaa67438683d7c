//! What the learned policy takes from whoever brings it a prior, or learns from what it saw.

use std::sync::Arc;

use super::Learned;
use crate::context::Habits;
use crate::diary::{Diary, Noted, Student};
use crate::guard::Guard;
use crate::model_file::{Fault, corrects, decode};
use crate::parts::Part;
use crate::predictor::Model;
use crate::prior::Prior;
use crate::school::{self, School};

impl Student for Learned {
    fn begin_with(&mut self, prior: Prior) {
        self.model = Arc::new(Model::new(prior));
    }

    fn go_on(&mut self, lore: &[u8]) -> Result<(), Fault> {
        let (residual, told) = decode(lore)?;
        let prior = Arc::clone(&self.model.prior);
        let habits = told.strip_prefix(&corrects(&prior)).and_then(Habits::from_text);
        match (residual, habits) {
            (Prior::Forest(residual), Some(habits)) => {
                self.model = Arc::new(Model { prior, residual });
                self.history.contexts.install(habits);
                self.trainer.postpone();
                Ok(())
            }
            _ => Err(Fault::Content("it corrects another model than the one in use")),
        }
    }

    fn learn_as_before(&mut self, timetable: Vec<school::Lesson>) {
        self.school = School::as_before(timetable);
    }

    fn leave_out(&mut self, part: Part) {
        match part {
            Part::Training => self.school = School::closed(),
            Part::Imputation => self.trainer.trust_no_model(),
            Part::Ghosts => self.history.forget_ghosts(),
            Part::Guard => {
                self.is_guarded = false;
                self.guard.iter_mut().for_each(Guard::look_away);
            }
        }
    }

    fn learn_aside(&mut self) {
        self.school = School::aside();
    }

    fn keep_diary(&mut self, most: usize) {
        self.diary = Some(Diary::new(most, self.setting.seed));
    }

    fn take_diary(&mut self) -> Vec<Noted> {
        self.diary.take().map(Diary::into_noted).unwrap_or_default()
    }
}
