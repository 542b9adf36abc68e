//! A count and the exposure behind it. Without exposure a count says nothing.

/// Why figures are no count.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BadCount {
    /// A figure is infinite or no number.
    #[error("{0} is no finite number")]
    NotFinite(f64),
    /// A figure is below zero.
    #[error("{0} is below zero")]
    Negative(f64),
    /// Something happened to devices that were not there.
    #[error("{events} events without any exposure")]
    EventsWithoutExposure {
        /// The events.
        events: f64,
    },
}

/// Events and their exposure: devices with an event and device-hours, or devices hit and devices asked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    events: f64,
    exposure: f64,
}

impl Count {
    /// Nothing happened to nobody.
    pub const NONE: Self = Self { events: 0.0, exposure: 0.0 };

    /// Checks figures.
    ///
    /// # Errors
    ///
    /// If a figure is negative or not finite, or if there are events without exposure.
    pub fn new(events: f64, exposure: f64) -> Result<Self, BadCount> {
        for figure in [events, exposure] {
            if !figure.is_finite() {
                return Err(BadCount::NotFinite(figure));
            }
            if figure < 0.0 {
                return Err(BadCount::Negative(figure));
            }
        }
        if events > 0.0 && exposure <= 0.0 {
            return Err(BadCount::EventsWithoutExposure { events });
        }
        Ok(Self { events, exposure })
    }

    /// What was counted.
    #[must_use]
    pub fn events(&self) -> f64 {
        self.events
    }

    /// Device-hours, or devices asked.
    #[must_use]
    pub fn exposure(&self) -> f64 {
        self.exposure
    }

    /// Events per exposure; none if nothing was watched.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        (self.exposure > 0.0).then(|| self.events / self.exposure)
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: Self) -> Self {
        Self { events: self.events + other.events, exposure: self.exposure + other.exposure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_cannot_be_are_refused() {
        assert_eq!(Count::new(-1.0, 2.0), Err(BadCount::Negative(-1.0)));
        assert_eq!(Count::new(1.0, -2.0), Err(BadCount::Negative(-2.0)));
        assert!(matches!(Count::new(f64::NAN, 2.0), Err(BadCount::NotFinite(_))));
        assert!(matches!(Count::new(1.0, f64::INFINITY), Err(BadCount::NotFinite(_))));
        assert_eq!(Count::new(3.0, 0.0), Err(BadCount::EventsWithoutExposure { events: 3.0 }));
    }

    #[test]
    fn nothing_watched_is_no_rate() {
        assert_eq!(Count::NONE.rate(), None);
        assert_eq!(Count::new(10.0, 5000.0).map(|count| count.rate()), Ok(Some(0.002)));
    }
}
