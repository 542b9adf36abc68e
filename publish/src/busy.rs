//! Keeps publishing and removing apart: whoever publishes relies on objects that are there already, which nobody may remove then.
//!
//! Both say that they are at work by an object, and look for the other one's only after that; so of two who begin at the same
//! time at least one sees the other, and gives way. Any number may publish at once. Whoever was killed leaves its object behind,
//! which is forgotten by its age, on the store's own clock. Whoever publishes for long sets its own anew before that; and sets it anew
//! before it relies on what it has found, so that nobody who took it for killed has removed that since.
//!
//! ```text
//! busy/gc                  somebody removes
//! busy/publish-<digits>    somebody publishes
//! ```

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use whittle_release::image::hex;

use crate::layout::BUSY;
use crate::store::{Condition, Lifetime, Store, Written};
use crate::{Error, Result};

const GC: &str = "gc";
const PUBLISH: &str = "publish-";

/// Largest mark; those of ours are 16 digits.
const MAX_MARK_BYTES: usize = 1024;

/// How long somebody may remove; one that has been at it for longer was killed.
const GC_S: u64 = 3600;

/// When a removal stops by itself: well before others take it for killed.
const GC_STOPS: Duration = Duration::from_secs(GC_S * 3 / 4);

/// How long somebody who publishes never counts as killed.
const PUBLISH_S: u64 = 900;

/// When a mark of somebody who publishes is set anew: long before it counts as one of somebody who was killed.
const RENEW_AFTER: Duration = Duration::from_secs(PUBLISH_S / 5);

/// Says that somebody publishes, until it is dropped.
pub(crate) struct Publishing<'a> {
    mark: Mark<'a>,
    /// When the mark was last set.
    set: Mutex<Instant>,
}

impl<'a> Publishing<'a> {
    pub(crate) fn begin(store: &'a Store) -> Result<Self> {
        let key = format!("{BUSY}{PUBLISH}{}", random()?);
        let set = Mutex::new(Instant::now());
        let mark = Mark::set(store, key.clone(), Condition::Always)?.ok_or(Error::Absent(key))?;
        let this = Self { mark, set };
        this.give_way(this.mark.since_s)?;
        Ok(this)
    }

    /// Sets the mark anew if it has got old. Of several threads one does.
    ///
    /// # Errors
    /// [`Error::GcRunning`] if somebody removes by now, who must have taken this one for killed.
    pub(crate) fn keep_up(&self) -> Result<()> {
        let Ok(mut set) = self.set.try_lock() else { return Ok(()) };
        if set.elapsed() < RENEW_AFTER {
            return Ok(());
        }
        self.set_anew(&mut set)
    }

    /// Sets the mark anew, whether or not it is still there: what is in the store from then on stays.
    ///
    /// # Errors
    /// As [`Self::keep_up`].
    pub(crate) fn renew(&self) -> Result<()> {
        self.set_anew(&mut self.set.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the mark may have been taken for one of somebody who was killed, since it was last set.
    pub(crate) fn may_have_lapsed(&self) -> bool {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        set.elapsed() > Duration::from_secs(PUBLISH_S / 2)
    }

    fn set_anew(&self, set: &mut Instant) -> Result<()> {
        let now = Instant::now();
        self.give_way(self.mark.set_again()?)?;
        *set = now;
        Ok(())
    }

    /// Looks whether somebody removes, as of now by the store's clock.
    fn give_way(&self, now_s: u64) -> Result<()> {
        let gc = self.mark.store.stat(&format!("{BUSY}{GC}"))?;
        let age_s = gc.map(|gc| now_s.saturating_sub(gc.modified_s));
        match age_s.filter(|age_s| *age_s < GC_S) {
            Some(age_s) => Err(Error::GcRunning(age_s)),
            None => Ok(()),
        }
    }
}

/// Says that somebody removes, until it is dropped.
pub(crate) struct Removing<'a> {
    mark: Mark<'a>,
    since: Instant,
}

impl<'a> Removing<'a> {
    /// `killed_after_s` is the age from which on somebody who publishes counts as killed, unless it is very short.
    pub(crate) fn begin(store: &'a Store, killed_after_s: u64) -> Result<Self> {
        let key = format!("{BUSY}{GC}");
        let mark = match Mark::set(store, key.clone(), Condition::Absent)? {
            Some(mark) => mark,
            None => Self::take_over(store, key)?,
        };
        let this = Self { mark, since: Instant::now() };
        for other in store.list(BUSY)? {
            let age_s = this.now_s().saturating_sub(other.modified_s);
            let publishes =
                other.key.strip_prefix(BUSY).is_some_and(|name| name.starts_with(PUBLISH));
            if publishes && age_s < killed_after_s.max(PUBLISH_S) {
                return Err(Error::Publishing(age_s));
            }
            if publishes {
                store.remove(&other.key)?;
            }
        }
        Ok(this)
    }

    /// Takes the place of one that was killed.
    fn take_over(store: &'a Store, key: String) -> Result<Mark<'a>> {
        let (Some(before), Some(entry)) = (store.get(&key, MAX_MARK_BYTES)?, store.stat(&key)?)
        else {
            // It has just ended.
            return Err(Error::GcRunning(0));
        };
        // Only a new object tells the store's time.
        let clock = format!("{BUSY}clock-{}", random()?);
        let now = Mark::set(store, clock, Condition::Always)?.map_or(0, |clock| clock.since_s);
        let age_s = now.saturating_sub(entry.modified_s);
        if age_s < GC_S {
            return Err(Error::GcRunning(age_s));
        }
        let mark = Mark::set(store, key, Condition::Unchanged(&before.tag))?;
        mark.ok_or(Error::GcRunning(0))
    }

    /// When it began, by the store's clock.
    pub(crate) fn now_s(&self) -> u64 {
        self.mark.since_s
    }

    /// Whether it must stop, before others take it for killed.
    pub(crate) fn is_out_of_time(&self) -> bool {
        self.since.elapsed() > GC_STOPS
    }
}

fn random() -> Result<String> {
    let mut number = [0; 8];
    getrandom::fill(&mut number).map_err(Error::NoRandomness)?;
    Ok(hex(&number))
}

/// An object that is removed when it is dropped.
struct Mark<'a> {
    store: &'a Store,
    key: String,
    since_s: u64,
}

impl<'a> Mark<'a> {
    /// None if the condition does not hold.
    fn set(store: &'a Store, key: String, condition: Condition<'_>) -> Result<Option<Self>> {
        // Bytes of its own, so that two of them are told apart by their tags.
        let bytes = random()?;
        if store.put(&key, bytes.as_bytes(), condition, Lifetime::UntilTheNext)? == Written::Not {
            return Ok(None);
        }
        let mut this = Self { store, key, since_s: 0 };
        this.since_s = this.written_s()?;
        Ok(Some(this))
    }

    /// Writes it again; returns when, by the store's clock.
    fn set_again(&self) -> Result<u64> {
        let bytes = random()?;
        self.store.put(&self.key, bytes.as_bytes(), Condition::Always, Lifetime::UntilTheNext)?;
        self.written_s()
    }

    fn written_s(&self) -> Result<u64> {
        let entry = self.store.stat(&self.key)?.ok_or_else(|| Error::Absent(self.key.clone()))?;
        Ok(entry.modified_s)
    }
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        // Where that fails, it is forgotten by its age.
        let _ = self.store.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::time::SystemTime;

    #[test]
    fn a_mark_is_set_anew_before_it_is_old() {
        let room = tempfile::tempdir().expect("there is room");
        let store = Store::open(&room.path().display().to_string(), []).expect("opens");
        let publishing = Publishing::begin(&store).expect("begins");
        let path = room.path().join(&publishing.mark.key);
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        let age =
            || File::options().write(true).open(&path).and_then(|file| file.set_modified(hour_ago));
        let is_old = || path.metadata().expect("there").modified().expect("told") == hour_ago;
        age().expect("set");
        publishing.keep_up().expect("nobody removes");
        assert!(is_old(), "it was set just now");
        *publishing.set.lock().expect("no panic") -= RENEW_AFTER;
        publishing.keep_up().expect("nobody removes");
        assert!(!is_old());
        age().expect("set");
        assert!(Removing::begin(&store, 0).is_ok(), "it is taken for killed");
        publishing.renew().expect("nobody removes any more");
        assert!(matches!(Removing::begin(&store, 0), Err(Error::Publishing(_))));
        drop(publishing);
        assert!(!path.exists());
    }
}
