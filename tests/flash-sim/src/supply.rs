//! The power supply that the regions of a device share: it counts, cuts, and remembers the story.

use std::cell::{RefCell, RefMut};
use std::fmt::Write as _;
use std::rc::Rc;

/// What is left of the word or sector at which the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The step has not begun.
    Nothing,
    /// The first half is done.
    Prefix,
    /// All but the last byte of a word, or the last word of a sector, is done.
    AllButLast,
    /// Any subset of the bits has changed.
    RandomBits,
    /// Any subset of the bits has changed, and the others read differently each time.
    Unstable,
    /// All bits have changed, but one of them reads differently each time.
    Weak,
    /// The step is done, but the power is gone before anybody learns.
    Done,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Nothing,
        Self::Prefix,
        Self::AllButLast,
        Self::RandomBits,
        Self::Unstable,
        Self::Weak,
        Self::Done,
    ];

    /// Whether what is left reads the same each time.
    #[must_use]
    pub fn is_stable(self) -> bool {
        !matches!(self, Self::Unstable | Self::Weak)
    }
}

/// A power cut to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// How many steps (words written, sectors erased) still succeed.
    pub step: u64,
    /// What is left of the step behind them.
    pub outcome: Outcome,
}

/// What becomes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Done,
    Torn(Outcome),
    NoPower,
}

/// One supply for all regions of a device; a clone is the same supply.
#[derive(Clone, Debug)]
pub struct Supply(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    steps: u64,
    cut: Option<Cut>,
    down: bool,
    random: Random,
    story: Option<String>,
}

impl Default for Supply {
    fn default() -> Self {
        Self::new()
    }
}

impl Supply {
    /// A supply that does not fail until it is told to.
    #[must_use]
    pub fn new() -> Self {
        let random = Random::new(0);
        Self(Rc::new(RefCell::new(State { steps: 0, cut: None, down: false, random, story: None })))
    }

    /// A supply that also writes down what happens, at some cost.
    #[must_use]
    pub fn telling() -> Self {
        let supply = Self::new();
        supply.state().story = Some(String::new());
        supply
    }

    /// Cuts the power `cut.step` steps from now; `seed` decides what is left to chance.
    pub fn arm(&self, cut: Cut, seed: u64) {
        let mut state = self.state();
        state.cut = Some(Cut { step: state.steps + cut.step, ..cut });
        state.random = Random::new(seed);
    }

    /// Brings the power back; a cut that has not come is forgotten.
    pub fn restore(&self) {
        let mut state = self.state();
        state.cut = None;
        state.down = false;
        state.tell("", "power is back");
    }

    /// Whether the power is gone.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.0.borrow().down
    }

    /// How many steps there were: words written and sectors erased.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.0.borrow().steps
    }

    /// Adds a line to the story, such as what the device believes now.
    pub fn note(&self, text: &str) {
        self.state().tell("", text);
    }

    /// What happened, a line for each access and note; empty unless made by [`Self::telling`].
    #[must_use]
    pub fn story(&self) -> String {
        self.0.borrow().story.clone().unwrap_or_default()
    }

    pub(crate) fn step(&self) -> Step {
        let mut state = self.state();
        if state.down {
            return Step::NoPower;
        }
        let number = state.steps;
        state.steps += 1;
        match state.cut {
            Some(Cut { step, outcome }) if step == number => {
                state.down = true;
                Step::Torn(outcome)
            }
            _ => Step::Done,
        }
    }

    pub(crate) fn tell(&self, who: &str, line: impl FnOnce() -> String) {
        let mut state = self.state();
        if state.story.is_some() {
            let line = line();
            state.tell(who, &line);
        }
    }

    pub(crate) fn random(&self) -> RefMut<'_, Random> {
        RefMut::map(self.state(), |state| &mut state.random)
    }

    fn state(&self) -> RefMut<'_, State> {
        self.0.borrow_mut()
    }
}

impl State {
    fn tell(&mut self, who: &str, line: &str) {
        let step = self.steps;
        if let Some(story) = &mut self.story {
            writeln!(story, "{step:>6}  {who:<8}  {line}").expect("a string takes all");
        }
    }
}

/// A small generator (xorshift64*, Vigna 2016): what is left to chance must be the same in every run.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()[0]
    }
}
