//! How everybody acts on a rollout.

use std::time::{Duration, Instant};

use whittle_rollout::policy::Policy;
use whittle_rollout::{
    BadTerms, Command, Difference, Entry, Input, Observation, Outcome, Refusal, Rollout, Terms,
    replay,
};

use crate::chain::Log;
use crate::error::StoreError;
use crate::name::RolloutName;
use crate::store::{Appended, Claim, Created, Store};

/// How often somebody else may be first before a session gives up.
const TRIES: usize = 16;

/// By how many seconds the clocks of two that act at once may differ. Who comes second then acts at the time of the first, because
/// time does not go backwards in a log.
const SKEW_S: u64 = 60;

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
        let build = terms.build.clone();
        let (_, entry) = Rollout::start(terms, at_s, &quarantined).map_err(SessionError::Terms)?;
        match store.create(&name, &entry)? {
            Created::Done => Self::open(store, name),
            // Somebody has put it there meanwhile.
            Created::Quarantined => Err(SessionError::Terms(BadTerms::Quarantined(build))),
        }
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

    /// Has what the rollout orders carried out by `follow` while nobody else does so; the log is read again before. As long as somebody
    /// else drives the fleet, `wait` is called with how long that has been.
    ///
    /// A connection that is lost takes the claim with it. Somebody else may have followed newer orders then, and older ones have come in
    /// between: if the log has grown meanwhile, they are followed once more.
    ///
    /// # Errors
    /// [`SessionError`], or what `follow` or `wait` returns.
    pub fn drive<T, E: From<SessionError>>(
        &mut self,
        mut wait: impl FnMut(Duration) -> Result<(), E>,
        mut follow: impl FnMut(&Rollout) -> Result<T, E>,
    ) -> Result<T, E> {
        let _ = self.claim(&mut wait)?;
        loop {
            let known = self.log.entries.len();
            let done = follow(&self.rollout)?;
            if self.claim(&mut wait)? == Claim::Held || self.log.entries.len() == known {
                return Ok(done);
            }
        }
    }

    /// Sees to it that nobody else drives the rollout's fleet while this session lives, and reads the log again.
    fn claim<E: From<SessionError>>(
        &mut self,
        wait: &mut impl FnMut(Duration) -> Result<(), E>,
    ) -> Result<Claim, E> {
        let since = Instant::now();
        loop {
            let claim = self.store.try_claim(&self.name).map_err(SessionError::from)?;
            if claim != Claim::Others {
                self.reload()?;
                return Ok(claim);
            }
            wait(since.elapsed())?;
        }
    }

    /// Takes figures; whether they counted is in the entry's outcome. Figures that have been counted already, all the same, are not
    /// counted again: who was cut off may say them once more.
    ///
    /// # Errors
    /// [`SessionError`]; nothing was written.
    pub fn observe(&mut self, at_s: u64, figures: &Observation) -> Result<Entry, SessionError> {
        for _ in 0..TRIES {
            if let Some(entry) = self.counted(figures) {
                return Ok(entry.clone());
            }
            if let Some(entry) =
                self.attempt(at_s, &|rollout, at_s| rollout.observe(at_s, figures.clone()))?
            {
                return Ok(entry);
            }
        }
        Err(SessionError::Crowded)
    }

    /// Whether these figures have been counted already.
    #[must_use]
    pub fn knows(&self, figures: &Observation) -> bool {
        self.counted(figures).is_some()
    }

    fn counted(&self, figures: &Observation) -> Option<&Entry> {
        let is_counted = |entry: &&Entry| {
            matches!(&entry.input, Input::Observe(known) if known == figures)
                && entry.outcome == Outcome::Counted
        };
        self.log.entries.iter().rev().find(is_counted)
    }

    /// Takes figures of what follows on those that were counted, unless somebody else has taken some since: none then.
    ///
    /// # Errors
    /// [`SessionError`]; nothing was written.
    pub fn observe_next(
        &mut self,
        at_s: u64,
        figures: &Observation,
    ) -> Result<Option<Entry>, SessionError> {
        for _ in 0..TRIES {
            if self.rollout.state().counted_until_s() != figures.from_s {
                return Ok(None);
            }
            if let Some(entry) =
                self.attempt(at_s, &|rollout, at_s| rollout.observe(at_s, figures.clone()))?
            {
                return Ok(Some(entry));
            }
        }
        Err(SessionError::Crowded)
    }

    /// Notes that figures should have come and did not: nothing goes on until some come.
    ///
    /// # Errors
    /// [`SessionError`]; nothing was written.
    pub fn miss(&mut self, at_s: u64, why: &str) -> Result<Entry, SessionError> {
        self.act(at_s, |rollout, at_s| rollout.miss(at_s, why))
    }

    /// Does what a person says. A person is heard even if the clock is behind that of whoever wrote the last entry: then at its time,
    /// so that nobody is kept from stopping a rollout.
    ///
    ///
    /// # Errors
    /// [`SessionError`]; nothing was written.
    pub fn command(
        &mut self,
        at_s: u64,
        by: &str,
        command: &Command,
    ) -> Result<Entry, SessionError> {
        for _ in 0..TRIES {
            let heard_s = at_s.max(self.rollout.state().now_s());
            let say = |rollout: &mut Rollout, at_s| rollout.command(at_s, by, command.clone());
            if let Some(entry) = self.attempt(heard_s, &say)? {
                return Ok(entry);
            }
        }
        Err(SessionError::Crowded)
    }

    /// Asks the policy, unless somebody else does so at the same time.
    ///
    /// # Errors
    /// [`SessionError`]; nothing was written.
    pub fn tick(&mut self, at_s: u64, policy: &dyn Policy) -> Result<Ticked, SessionError> {
        for _ in 0..TRIES {
            let known = self.log.entries.len();
            if let Some(entry) = self.attempt(at_s, &|rollout, at_s| rollout.tick(at_s, policy))? {
                return Ok(Ticked::Decided(Box::new(entry)));
            }
            let others = self.log.entries.iter().skip(known);
            if others.into_iter().any(|entry| matches!(entry.input, Input::Tick(_))) {
                return Ok(Ticked::ByAnother);
            }
        }
        Err(SessionError::Crowded)
    }

    fn act(
        &mut self,
        at_s: u64,
        act: impl Fn(&mut Rollout, u64) -> Result<Entry, Refusal>,
    ) -> Result<Entry, SessionError> {
        for _ in 0..TRIES {
            if let Some(entry) = self.attempt(at_s, &act)? {
                return Ok(entry);
            }
        }
        Err(SessionError::Crowded)
    }

    /// Acts once; none if somebody else was first, whose entry is known then.
    fn attempt(
        &mut self,
        at_s: u64,
        act: &dyn Fn(&mut Rollout, u64) -> Result<Entry, Refusal>,
    ) -> Result<Option<Entry>, SessionError> {
        let mut next = self.rollout.clone();
        let entry = act(&mut next, self.second(at_s))?;
        if self.append(&entry, next)? {
            return Ok(Some(entry));
        }
        self.reload()?;
        Ok(None)
    }

    /// Appends an entry, and takes over the rollout that it makes; whether nobody else was first.
    fn append(&mut self, entry: &Entry, next: Rollout) -> Result<bool, SessionError> {
        let is_new = next.state().is_quarantined() && !self.rollout.state().is_quarantined();
        let build = is_new.then(|| next.state().terms().build.as_str());
        match self.store.append(&self.name, self.log.head, entry, build)? {
            Appended::Conflict => Ok(false),
            Appended::Done(head) => {
                self.log.push(entry.clone(), head);
                self.rollout = next;
                Ok(true)
            }
        }
    }

    /// Reads what others have written; without an error all of it or nothing is taken over.
    fn reload(&mut self) -> Result<(), SessionError> {
        let mut log = self.log.clone();
        self.store.follow(&self.name, &mut log)?;
        self.rollout =
            replay(&log.entries, None).map_err(|bad| SessionError::Replay(bad.into()))?;
        self.log = log;
        Ok(())
    }

    /// When somebody acts who meant to at this time, but came second.
    fn second(&self, at_s: u64) -> u64 {
        let first_s = self.rollout.state().now_s();
        if first_s.saturating_sub(at_s) <= SKEW_S { at_s.max(first_s) } else { at_s }
    }
}
