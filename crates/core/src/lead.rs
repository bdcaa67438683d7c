//! Who is ahead in a trial of two policies on the same accesses, and whether chance would do as much.

/// What one has won over another: sums that fade.
#[derive(Clone, Copy, Default)]
pub struct Lead {
    /// Hits more, or weight of hits.
    pub hits: f32,
    /// Accesses that only one of them hit.
    disagreements: f32,
}

impl Lead {
    /// Notes an access, which is worth so much, and how much of the past remains.
    pub fn note(&mut self, one: bool, other: bool, worth: f32, keep: f32) {
        let difference = worth * f32::from(i8::from(one) - i8::from(other));
        self.hits = self.hits * keep + difference;
        self.disagreements = self.disagreements * keep + difference * difference;
    }

    /// What chance alone would make of as many disagreements.
    pub fn deviation(self) -> f32 {
        self.disagreements.sqrt()
    }
}
