//! The formulas of money: all that it depends on, and what it comes to.

use super::{Base, Inputs};
use crate::formula::{Formula, Unit};
use crate::words::{number, percent, usd, usd_exactly};

/// The average delta, measured or estimated.
pub(super) fn delta(inputs: &Inputs) -> Formula {
    let head = ("delta_bytes", "a delta, on average");
    if inputs.bases.is_empty() {
        let terms = [
            ("full", number(inputs.full_bytes)),
            ("changed", percent(inputs.changed_percent)),
            ("overhead", percent(inputs.overhead_percent)),
        ];
        let value = inputs.full_bytes * inputs.changed_percent / 100.0
            * (1.0 + inputs.overhead_percent / 100.0);
        return Formula::new(head, Unit::Bytes, "{} × {} × (1 + {})", &terms, value);
    }
    let product =
        |base: &Base| format!("{} × {}", number(base.download_bytes), number(base.weight));
    let products = inputs.bases.iter().map(product).collect::<Vec<_>>().join(" + ");
    let terms =
        [("sum of (download × weight)", products), ("sum of weights", number(inputs.weights()))];
    let value = inputs.bases.iter().map(|base| base.download_bytes * base.weight).sum::<f64>()
        / inputs.weights();
    Formula::new(head, Unit::Bytes, "({}) / {}", &terms, value)
}

/// All that money depends on. Shares are fractions here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) devices: f64,
    pub(super) updates: f64,
    pub(super) full_bytes: f64,
    pub(super) delta_bytes: f64,
    pub(super) megabyte_bytes: f64,
    pub(super) usd_per_mb: f64,
    pub(super) retries: f64,
    pub(super) fallback: f64,
    pub(super) tooling_usd: f64,
}

impl Case {
    pub(super) fn of(inputs: &Inputs, delta_bytes: f64) -> Self {
        Self {
            devices: inputs.devices,
            updates: inputs.updates_per_year,
            full_bytes: inputs.full_bytes,
            delta_bytes,
            megabyte_bytes: inputs.megabyte.bytes(),
            usd_per_mb: inputs.usd_per_mb,
            retries: inputs.retry_percent / 100.0,
            fallback: inputs.fallback_percent / 100.0,
            tooling_usd: inputs.tooling_usd_per_year,
        }
    }

    pub(super) fn delta_ratio(&self) -> Formula {
        let terms = [("delta", number(self.delta_bytes)), ("full", number(self.full_bytes))];
        let head = ("delta_ratio", "a delta by the full image");
        Formula::new(head, Unit::Percent, "{} / {}", &terms, self.delta_bytes / self.full_bytes)
    }

    /// Some devices take a delta, the others the full image.
    pub(super) fn mixed_bytes(&self) -> Formula {
        let fallback = percent(self.fallback * 100.0);
        let terms = [
            ("no base", fallback.clone()),
            ("delta", number(self.delta_bytes)),
            ("no base", fallback),
            ("full", number(self.full_bytes)),
        ];
        let value = (1.0 - self.fallback) * self.delta_bytes + self.fallback * self.full_bytes;
        Formula::new(
            ("mixed_bytes", "a download, on average"),
            Unit::Bytes,
            "(1 - {}) × {} + {} × {}",
            &terms,
            value,
        )
    }

    /// What a device pays in a year for downloads of so many bytes.
    fn usd_per_device(&self, bytes: f64) -> f64 {
        self.updates * bytes / self.megabyte_bytes * (1.0 + self.retries) * self.usd_per_mb
    }

    fn yearly(&self, head: (&'static str, &'static str), (name, bytes): (&str, f64)) -> Formula {
        let terms = [
            ("devices", number(self.devices)),
            ("updates", number(self.updates)),
            (name, number(bytes)),
            ("megabyte", number(self.megabyte_bytes)),
            ("retries", percent(self.retries * 100.0)),
            ("price", usd_exactly(self.usd_per_mb)),
        ];
        Formula::new(
            head,
            Unit::Usd,
            "{} × {} × {} / {} × (1 + {}) × {}",
            &terms,
            self.devices * self.usd_per_device(bytes),
        )
    }

    pub(super) fn full_usd(&self) -> Formula {
        self.yearly(("full_usd", "full images, a year"), ("full", self.full_bytes))
    }

    pub(super) fn data_usd(&self) -> Formula {
        self.yearly(
            ("data_usd", "downloads with deltas, a year"),
            ("download", self.mixed_bytes().value),
        )
    }

    pub(super) fn delta_usd(&self) -> Formula {
        let data = self.data_usd();
        let terms = [("downloads", data.text), ("tools", usd(self.tooling_usd))];
        Formula::new(
            ("delta_usd", "deltas with their tools, a year"),
            Unit::Usd,
            "{} + {}",
            &terms,
            data.value + self.tooling_usd,
        )
    }

    pub(super) fn net_usd(&self) -> Formula {
        let (full, delta) = (self.full_usd(), self.delta_usd());
        let terms = [("full images", full.text), ("deltas with tools", delta.text)];
        Formula::new(
            ("net_usd", "saved, a year"),
            Unit::Usd,
            "{} - {}",
            &terms,
            full.value - delta.value,
        )
    }

    pub(super) fn bandwidth_reduction(&self) -> Formula {
        let mixed = self.mixed_bytes().value;
        let terms = [("download", number(mixed)), ("full", number(self.full_bytes))];
        let head = ("bandwidth_reduction", "bytes saved");
        Formula::new(head, Unit::Percent, "1 - {} / {}", &terms, 1.0 - mixed / self.full_bytes)
    }

    pub(super) fn cost_reduction(&self) -> Option<Formula> {
        self.net_by(("cost_reduction", "money saved"), ("full images", &self.full_usd()))
    }

    pub(super) fn roi_on_spend(&self) -> Option<Formula> {
        self.net_by(
            ("roi_on_spend", "return on all that is spent with deltas"),
            ("deltas with tools", &self.delta_usd()),
        )
    }

    pub(super) fn roi_on_tooling(&self) -> Option<Formula> {
        if self.tooling_usd <= 0.0 {
            return None;
        }
        let net = self.net_usd();
        let terms = [("saved", net.text), ("tools", usd(self.tooling_usd))];
        if_finite(Formula::new(
            ("roi_on_tooling", "return on the tools"),
            Unit::Percent,
            "{} / {}",
            &terms,
            net.value / self.tooling_usd,
        ))
    }

    fn net_by(
        &self,
        head: (&'static str, &'static str),
        (name, by): (&str, &Formula),
    ) -> Option<Formula> {
        if by.value <= 0.0 {
            return None;
        }
        let net = self.net_usd();
        let terms = [("saved", net.text), (name, by.text.clone())];
        if_finite(Formula::new(head, Unit::Percent, "{} / {}", &terms, net.value / by.value))
    }

    pub(super) fn break_even_devices(&self) -> Option<Formula> {
        let (full, mixed) =
            (self.usd_per_device(self.full_bytes), self.usd_per_device(self.mixed_bytes().value));
        if full <= mixed {
            return None;
        }
        let terms = [
            ("tools", usd(self.tooling_usd)),
            ("full images per device", usd_exactly(full)),
            ("downloads with deltas per device", usd_exactly(mixed)),
        ];
        let head = ("break_even_devices", "break-even");
        if_finite(Formula::new(
            head,
            Unit::Devices,
            "{} / ({} - {})",
            &terms,
            self.tooling_usd / (full - mixed),
        ))
    }

    pub(super) fn floor_devices(&self) -> Option<Formula> {
        let full = self.usd_per_device(self.full_bytes);
        if full <= 0.0 || self.fallback >= 1.0 {
            return None;
        }
        let terms = [
            ("tools", usd(self.tooling_usd)),
            ("no base", percent(self.fallback * 100.0)),
            ("full images per device", usd_exactly(full)),
        ];
        let head = ("floor_devices", "break-even if deltas had no bytes");
        if_finite(Formula::new(
            head,
            Unit::Devices,
            "{} / ((1 - {}) × {})",
            &terms,
            self.tooling_usd / ((1.0 - self.fallback) * full),
        ))
    }

    pub(super) fn net(self) -> f64 {
        self.net_usd().value
    }
}

/// Next to nothing in a divisor makes a figure that is none.
fn if_finite(formula: Formula) -> Option<Formula> {
    Some(formula).filter(|formula| formula.value.is_finite())
}
