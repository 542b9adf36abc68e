//! What has been measured so far, by group and metric, and what the tests say to it.

use std::collections::VecDeque;
use std::sync::OnceLock;

use crate::observation::{
    CellObservation, MetricObservation, NOTHING, Observation, count, readings, sum,
};
use crate::policy::types::{Bucket, Metric, MetricKind, Reference, Seconds, Signal, Tally};
use crate::statistics::{
    BaselineTest, Count, Gain, Interval, MeanTest, Mixture, RatioGain, RatioSequence, RatioTest,
};
use crate::terms::{MetricTerms, Terms};

/// The level of the intervals that policies and people see.
const INTERVAL_ALPHA: f64 = 0.05;

/// A group: the fleet, or the devices that share the value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupEvidence {
    pub(crate) label: String,
    /// Places of its cells in the terms.
    pub(crate) cells: Vec<usize>,
    /// In the order of the terms.
    pub(crate) metrics: Vec<MetricEvidence>,
}

/// What was measured of a metric in a group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MetricEvidence {
    baseline: Tally,
    control: Tally,
    treated: Tally,
    current: Tally,
    /// Newest first; each with its number, counted from the start of the rollout.
    recent: VecDeque<Gathered>,
    test: Test,
    said: Said,
    /// When figures of new firmware were last compared: with anything, and with old firmware.
    compared_s: Option<u64>,
    controlled_s: Option<u64>,
    /// When the newest figures of new firmware were taken.
    pub(crate) seen_s: Option<u64>,
}

/// What the test says, once somebody has asked: it is much to work out, of some metrics nobody asks, and of the others more often than it
/// changes.
#[derive(Clone, Debug, Default)]
struct Said(OnceLock<Option<Signal>>);

/// It follows from the rest of the evidence, whether it has been worked out or not.
impl PartialEq for Said {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Gathered {
    number: u64,
    treated: Tally,
    control: Tally,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Ratio(Box<RatioEvidence>),
    Mean(Box<MeanTest>),
}

/// Against control as long as there is one, and against the time before where there is none.
#[derive(Clone, Debug, PartialEq)]
struct RatioEvidence {
    test: RatioTest,
    sequence: RatioSequence,
    before: BaselineTest,
}

impl Test {
    /// A test to begin with; `baselines` are those of the group's cells.
    fn new(metric: &MetricTerms, baselines: &[Tally]) -> Self {
        match metric.kind {
            MetricKind::Mean => Self::Mean(Box::new(mean_test(metric))),
            MetricKind::Rate | MetricKind::Proportion => {
                let before: Vec<_> = baselines.iter().map(|tally| count(metric, tally)).collect();
                let before = BaselineTest::new(&before, metric.tolerated_baseline, metric.alarm);
                Self::Ratio(Box::new(RatioEvidence {
                    test: ratio_test(metric),
                    sequence: RatioSequence::default(),
                    before: if is_turned(metric) { before.where_fewer_are_worse() } else { before },
                }))
            }
        }
    }

    /// Forgets what new firmware has shown.
    fn begin_anew(&mut self, metric: &MetricTerms) {
        match self {
            Self::Mean(test) => **test = mean_test(metric),
            Self::Ratio(evidence) => {
                evidence.test = ratio_test(metric);
                evidence.sequence = RatioSequence::default();
                evidence.before.begin_anew();
            }
        }
    }
}

fn mean_test(metric: &MetricTerms) -> MeanTest {
    MeanTest::new(metric.tolerated, metric.alarm)
}

fn ratio_test(metric: &MetricTerms) -> RatioTest {
    RatioTest::new(metric.tolerated, metric.alarm)
}

/// What figures of a metric tell about a ratio: the same for all groups that their cell belongs to.
#[derive(Default)]
pub(crate) struct Gained {
    test: RatioGain,
    sequence: Gain,
}

/// The same of each metric of each cell; `fleet` is any group, and `mixtures` are those of the cells at `places`.
pub(crate) fn gained(
    observation: &Observation,
    places: &[usize],
    terms: &Terms,
    fleet: &GroupEvidence,
    mixtures: &mut [Mixture],
) -> Vec<Vec<Gained>> {
    let of_metric = |seen: &MetricObservation, mixture: &mut Mixture| {
        let known = terms.metrics.iter().zip(&fleet.metrics);
        let known = known.into_iter().find(|(metric, _)| metric.name == seen.name);
        let Some((metric, MetricEvidence { test: Test::Ratio(evidence), .. })) = known else {
            return Gained::default();
        };
        let (treated, control) = (count(metric, &seen.treated), count(metric, &seen.control));
        let (one, other) = in_order(metric, treated, control);
        Gained { test: evidence.test.gain_of(one, other), sequence: Gain::of(one, other, mixture) }
    };
    let of_cell = |(cell, place): (&CellObservation, &usize)| {
        let mixture = &mut mixtures[*place];
        cell.metrics.iter().map(|seen| of_metric(seen, mixture)).collect()
    };
    observation.cells.iter().zip(places).map(of_cell).collect()
}

impl GroupEvidence {
    /// No evidence yet, for each group of the terms.
    pub(crate) fn of_all(terms: &Terms) -> Vec<Self> {
        let labels_of: Vec<_> =
            terms.cells.iter().map(|cell| cell.labels(&terms.split_by)).collect();
        let groups = terms.labels().into_iter();
        groups
            .map(|label| {
                let is_in = |place: &usize| labels_of[*place].contains(&label);
                let cells: Vec<_> = (0..terms.cells.len()).filter(is_in).collect();
                let metrics =
                    terms.metrics.iter().map(|metric| MetricEvidence::new(metric, terms, &cells));
                Self { metrics: metrics.collect(), label, cells }
            })
            .collect()
    }

    /// Takes an observation, whose parts belong to the cells at `places`.
    pub(crate) fn add(
        &mut self,
        observation: &Observation,
        places: &[usize],
        gained: &[Vec<Gained>],
        terms: &Terms,
        started_s: u64,
    ) {
        let mut tested = vec![false; self.metrics.len()];
        for ((cell, place), gained) in observation.cells.iter().zip(places).zip(gained) {
            let Some(stratum) = self.cells.iter().position(|own| own == place) else { continue };
            for (metric, gained) in cell.metrics.iter().zip(gained) {
                let mut known = terms.metrics.iter().zip(&mut self.metrics).zip(&mut tested);
                let Some(((terms_of, evidence), tested)) =
                    known.find(|((terms, _), _)| terms.name == metric.name)
                else {
                    continue;
                };
                *tested |= evidence.test(terms_of, stratum, metric, gained, observation.until_s);
                let length_s = u64::from(terms.bucket_length);
                let number =
                    (observation.until_s - 1).saturating_sub(started_s).checked_div(length_s);
                let buckets = terms.buckets_of(terms_of);
                evidence.gather(&metric.treated, &metric.control, number, buckets);
                if metric.treated.exposure > 0.0 {
                    evidence.seen_s = Some(observation.until_s);
                }
            }
        }
        for (evidence, _) in self.metrics.iter_mut().zip(tested).filter(|(_, tested)| *tested) {
            evidence.said = Said::default();
        }
    }

    /// Begins all tests anew. What was measured stays.
    pub(crate) fn begin_anew(&mut self, terms: &Terms) {
        for (metric, evidence) in terms.metrics.iter().zip(&mut self.metrics) {
            evidence.test.begin_anew(metric);
            evidence.said = Said::default();
        }
    }

    /// Begins what is counted since a stage or a pause began.
    pub(crate) fn begin_current(&mut self) {
        self.metrics.iter_mut().for_each(|metric| metric.current = NOTHING);
    }
}

impl MetricEvidence {
    fn new(metric: &MetricTerms, terms: &Terms, cells: &[usize]) -> Self {
        let baselines: Vec<_> = cells
            .iter()
            .map(|place| {
                terms.cells[*place].baselines.get(&metric.name).copied().unwrap_or(NOTHING)
            })
            .collect();
        Self {
            baseline: baselines.iter().fold(NOTHING, sum),
            control: NOTHING,
            treated: NOTHING,
            current: NOTHING,
            recent: VecDeque::new(),
            test: Test::new(metric, &baselines),
            said: Said::default(),
            compared_s: None,
            controlled_s: None,
            seen_s: None,
        }
    }

    /// Tests figures, and returns whether that may have changed what the test says.
    fn test(
        &mut self,
        terms: &MetricTerms,
        stratum: usize,
        seen: &MetricObservation,
        gained: &Gained,
        until_s: u64,
    ) -> bool {
        let MetricObservation { treated, control, .. } = seen;
        let was_against = self.against();
        let learns = match &mut self.test {
            Test::Mean(test) => {
                let sides = (readings(terms, treated), readings(terms, control));
                if let (Ok(treated), Ok(control)) = sides {
                    let (one, other) = in_order(terms, treated, control);
                    test.add(one, other)
                } else {
                    false
                }
            }
            Test::Ratio(evidence) => {
                let (treated, control) = (count(terms, treated), count(terms, control));
                self.compared_s = Some(until_s);
                if control.exposure() > 0.0 {
                    self.controlled_s = Some(until_s);
                    evidence.sequence.gain(&gained.sequence);
                    evidence.test.gain(&gained.test)
                } else {
                    if treated.exposure() > 0.0 {
                        evidence.before.add(stratum, treated);
                    }
                    true
                }
            }
        };
        learns || self.against() != was_against
    }

    fn gather(&mut self, treated: &Tally, control: &Tally, number: Option<u64>, buckets: u32) {
        self.treated = sum(self.treated, treated);
        self.control = sum(self.control, control);
        self.current = sum(self.current, treated);
        let Some(number) = number else { return };
        // Without gaps: stretches of which nothing is known are empty buckets.
        let oldest = number.saturating_sub(u64::from(buckets));
        let mut next = self.recent.front().map_or(number, |newest| (newest.number + 1).max(oldest));
        while next <= number {
            self.recent.push_front(Gathered { number: next, treated: NOTHING, control: NOTHING });
            next += 1;
        }
        self.recent.truncate(usize::try_from(buckets).unwrap_or(usize::MAX));
        if let Some(bucket) = self.recent.iter_mut().find(|bucket| bucket.number == number) {
            bucket.treated = sum(bucket.treated, treated);
            bucket.control = sum(bucket.control, control);
        }
    }

    /// What a policy sees of it.
    pub(crate) fn metric(
        &self,
        metric: &MetricTerms,
        terms: &Terms,
        started_s: u64,
        at_s: u64,
    ) -> Metric {
        Metric {
            name: metric.name.clone(),
            kind: metric.kind,
            higher_is_worse: metric.higher_is_worse,
            age: seconds(
                self.seen_s
                    .map_or(at_s.saturating_sub(started_s), |seen_s| at_s.saturating_sub(seen_s)),
            ),
            baseline: self.baseline,
            control: self.control,
            treated: self.treated,
            current: self.current,
            signal: self.signal(metric),
            recent: self.buckets(terms, at_s.saturating_sub(started_s)),
        }
    }

    fn buckets(&self, terms: &Terms, elapsed_s: u64) -> Vec<Bucket> {
        let length_s = u64::from(terms.bucket_length);
        let bucket = |gathered: &Gathered| {
            let begin_s = gathered.number * length_s;
            let end_s = begin_s + length_s;
            Bucket {
                age: seconds(elapsed_s.saturating_sub(end_s)),
                length: seconds(end_s.min(elapsed_s).saturating_sub(begin_s).max(1)),
                treated: gathered.treated,
                control: gathered.control,
            }
        };
        self.recent.iter().map(bucket).collect()
    }

    /// What the test says.
    pub(crate) fn signal(&self, terms: &MetricTerms) -> Option<Signal> {
        *self.said.0.get_or_init(|| self.judge(terms))
    }

    fn judge(&self, terms: &MetricTerms) -> Option<Signal> {
        let of = |against,
                  ratio: Option<f64>,
                  Interval { low, high },
                  tolerated,
                  logs: [f64; 2]| {
            let ratio = ratio.filter(|ratio| ratio.is_finite())?;
            let [log_e_worse, log_e_fine] = logs;
            let alarm = terms.alarm;
            Some(Signal { against, ratio, low, high, tolerated, log_e_worse, alarm, log_e_fine })
        };
        match &self.test {
            Test::Mean(test) => {
                let logs = [test.log_e_worse(), test.log_e_fine()];
                of(
                    Reference::Control,
                    test.ratio(),
                    test.interval(INTERVAL_ALPHA),
                    terms.tolerated,
                    logs,
                )
            }
            Test::Ratio(evidence) => match self.against() {
                Reference::Control => {
                    let RatioEvidence { test, sequence, .. } = &**evidence;
                    let logs = [test.log_e_worse(), test.log_e_fine()];
                    let interval = sequence.interval(INTERVAL_ALPHA);
                    of(Reference::Control, test.ratio(), interval, terms.tolerated, logs)
                }
                Reference::Baseline => {
                    let before = &evidence.before;
                    let logs = [before.log_e_worse(), before.log_e_fine()];
                    let interval = before.interval(INTERVAL_ALPHA);
                    of(
                        Reference::Baseline,
                        before.ratio(),
                        interval,
                        terms.tolerated_baseline,
                        logs,
                    )
                }
            },
        }
    }

    /// What the newest figures were compared with. If any part of the group has old firmware left, that counts.
    fn against(&self) -> Reference {
        let is_controlled = self.controlled_s == self.compared_s;
        if is_controlled { Reference::Control } else { Reference::Baseline }
    }

    /// Events that are expected on new firmware if it is as good as the old one, and its exposure as a multiple of that of
    /// old firmware.
    pub(crate) fn expected(&self, terms: &MetricTerms) -> (f64, f64) {
        let (control, baseline) = (count(terms, &self.control), count(terms, &self.baseline));
        let reference = if control.exposure() > 0.0 { control } else { baseline };
        let exposure = self.treated.exposure;
        (per_exposure(reference) * exposure, exposure / reference.exposure())
    }
}

/// One event more than were counted: that there was none does not mean that there can be none.
fn per_exposure(reference: Count) -> f64 {
    if reference.exposure() > 0.0 { (reference.events() + 1.0) / reference.exposure() } else { 0.0 }
}

/// Whether less is worse and there is nothing to count instead.
fn is_turned(terms: &MetricTerms) -> bool {
    !terms.higher_is_worse && terms.kind != MetricKind::Proportion
}

/// Where less is worse and there is nothing to count instead, the sides change places.
fn in_order<T>(terms: &MetricTerms, treated: T, control: T) -> (T, T) {
    if is_turned(terms) { (control, treated) } else { (treated, control) }
}

/// Seconds as policies see them.
pub(crate) fn seconds(length_s: u64) -> Seconds {
    Seconds::try_from(length_s).unwrap_or(Seconds::MAX)
}
