//! How everybody acts on a rollout.

use whittle_rollout::policy::Policy;
use whittle_rollout::{
    BadTerms, Command, Difference, Entry, Input, Observation, Refusal, Rollout, Terms, replay,
};

use crate::chain::Log;
use crate::error::StoreError;
use crate::name::RolloutName;
use crate::store::{Appended, Store};

/// How often somebody else may be first before a session gives up.
const TRIES: usize = 16;

/// A rollout of a store, as far as its log was read.
pub struct Session {
    store: Box<dyn Store>,
    name: RolloutName,
    log: Log,
    rollout: Rollout,
}

/// Why a session did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The store says no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rollout does not start.
    #[error("the rollout does not start")]
    Terms(#[source] BadTerms),
    /// What is in the log is not what the engine makes of it.
    #[error(transparent)]
    Replay(Box<Difference>),
    /// It makes no sense now.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Others are always first.
    #[error("others have written to the rollout {TRIES} times meanwhile; try again")]
    Crowded,
}

/// What became of a tick.
#[derive(Clone, Debug, PartialEq)]
pub enum Ticked {
    /// It was decided by this entry.
    Decided(Box<Entry>),
    /// Somebody else has decided at the same time.
    ByAnother,
}

impl Session {
    /// Starts a rollout, unless its build is quarantined.
    ///
    /// # Errors
    /// [`SessionError`]; nothing was started.
    pub fn start(
        mut store: Box<dyn Store>,
        name: RolloutName,
        terms: Terms,
        at_s: u64,
    ) -> Result<Self, SessionError> {
        let quarantined = store.quarantined()?;
        let (_, entry) = Rollout::start(terms, at_s, &quarantined).map_err(SessionError::Terms)?;
        store.create(&name, &entry)?;
        Self::open(store, name)
    }

    /// Opens a rollout: each decision in its log is computed once more.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn open(mut store: Box<dyn Store>, name: RolloutName) -> Result<Self, SessionError> {
        let log = store.read(&name)?;
        let rollout = replay(&log.entries, None).map_err(|bad| SessionError::Replay(bad.into()))?;
        Ok(Self { store, name, log, rollout })
    }

    /// The rollout as it is now, as far as this session knows.
    #[must_use]
    pub fn rollout(&self) -> &Rollout {
        &self.rollout
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Sees to it that nobody else drives the rollout's fleet while this session lives, and reads the log again: what the rollout
    /// orders then is for this session alone to carry out. Tells whether nobody else does; ask again a little later if so.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn try_claim(&mut self) -> Result<bool, SessionError> {
        let is_mine = self.store.try_claim(&self.name)?;
        if is_mine {
            self.reload()?;
        }
        Ok(is_mine)
    }

    /// Takes figures; whether they counted is in the entry's outcome.
    ///
    /// # Errors
    /// [`SessionError`]; nothing was written.
    pub fn observe(&mut self, at_s: u64, figures: &Observation) -> Result<Entry, SessionError> {
        self.act(|rollout| rollout.observe(at_s, figures.clone()))
    }

    /// Does what a person says.
    ///
    /// # Errors
    /// [`SessionError`]; nothing was written.
    pub fn command(
        &mut self,
        at_s: u64,
        by: &str,
        command: &Command,
    ) -> Result<Entry, SessionError> {
        self.act(|rollout| rollout.command(at_s, by, command.clone()))
    }

    /// Asks the policy, unless somebody else does so at the same time.
    ///
    /// # Errors
    /// [`SessionError`]; nothing was written.
    pub fn tick(&mut self, at_s: u64, policy: &dyn Policy) -> Result<Ticked, SessionError> {
        for _ in 0..TRIES {
            let mut next = self.rollout.clone();
            let entry = next.tick(at_s, policy)?;
            if self.append(&entry, next)? {
                return Ok(Ticked::Decided(Box::new(entry)));
            }
            let known = self.log.entries.len();
            self.reload()?;
            let others = self.log.entries.iter().skip(known);
            if others.into_iter().any(|entry| matches!(entry.input, Input::Tick(_))) {
                return Ok(Ticked::ByAnother);
            }
        }
        Err(SessionError::Crowded)
    }

    fn act(
        &mut self,
        act: impl Fn(&mut Rollout) -> Result<Entry, Refusal>,
    ) -> Result<Entry, SessionError> {
        for _ in 0..TRIES {
            let mut next = self.rollout.clone();
            let entry = act(&mut next)?;
            if self.append(&entry, next)? {
                return Ok(entry);
            }
            self.reload()?;
        }
        Err(SessionError::Crowded)
    }

    /// Appends an entry, and takes over the rollout that it makes; whether nobody else was first.
    fn append(&mut self, entry: &Entry, next: Rollout) -> Result<bool, SessionError> {
        let is_new = next.state().is_quarantined() && !self.rollout.state().is_quarantined();
        let build = is_new.then(|| next.state().terms().build.as_str());
        match self.store.append(&self.name, entry, build)? {
            Appended::Conflict => Ok(false),
            Appended::Done => {
                self.log = self.store.read(&self.name)?;
                self.rollout = next;
                Ok(true)
            }
        }
    }

    fn reload(&mut self) -> Result<(), SessionError> {
        self.log = self.store.read(&self.name)?;
        self.rollout =
            replay(&self.log.entries, None).map_err(|bad| SessionError::Replay(bad.into()))?;
        Ok(())
    }
}
