"""1 % of the fleet, 10 %, then everybody; a pause if crashes become more frequent than `crash-limit` allows.

The types are those of `wit/policy.wit`, in the classes that
`componentize-py -d wit -w rollout-policy bindings .` writes for editors to read.
"""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.policy import (
    Decision_Advance,
    Decision_Complete,
    Decision_Hold,
    Decision_Pause,
    Fallback_RollBack,
    MetricKind,
    MetricNeed,
    PauseOrder,
    PolicyInfo,
    Reason,
    RollbackOrder,
    RolloutPlan,
    SettingSpec,
    Severity,
    Stage,
    Value_Number,
    Verdict,
)

CRASH_LIMIT = SettingSpec(
    key="crash-limit",
    help="Pause if crashes are more frequent than this many times the baseline.",
    unit="x baseline",
    default=Value_Number(2.0),
    min=1.0,
    max=100.0,
)

# Fewer crashes than this are chance.
FEWEST_CRASHES = 3

HOUR = 3600


class Policy(exports.Policy):
    def describe(self, settings):
        crashes = MetricNeed(
            name="crashes",
            kind=MetricKind.RATE,
            unit="crashes per device-hour",
            help="Pauses the rollout.",
            required=True,
        )
        return PolicyInfo(
            name="first-policy",
            version="0.1.0",
            summary="1 % of the fleet, 10 %, then everybody; pauses on crashes.",
            settings=[CRASH_LIMIT],
            metrics=[crashes],
            buckets=0,
            bucket_length=0,
            split_by=[],
            extra=[],
        )

    def plan(self, input):
        stages = [
            stage("first", 0.01, 24 * HOUR),
            stage("second", 0.1, 48 * HOUR),
            stage("all", 1.0, 168 * HOUR),
        ]
        return RolloutPlan(stages=stages, hold_back=0.0, reasons=[], extra=[])

    def evaluate(self, now):
        if now.paused is not None:
            return verdict(Decision_Hold(), reason("paused", "a person decides"))
        if not now.groups:
            # The user reads this sentence; in `plan` it says what must be changed.
            raise Err("there is no group in the snapshot")
        crashes = next((m for m in now.groups[0].metrics if m.name == "crashes"), None)
        observed, baseline = crashes and value(crashes.current), crashes and value(crashes.baseline)
        if observed is None or baseline is None:
            return verdict(Decision_Hold(), reason("no-data", "crashes were not measured"))
        limit = number(now.settings, CRASH_LIMIT) * baseline

        def about(code, text):
            return reason(code, text, "crashes", "fleet", observed, limit)

        if observed > limit and crashes.current.count >= FEWEST_CRASHES:
            pause = PauseOrder(
                severity=Severity.HIGH,
                decide_within=24 * HOUR,
                otherwise=Fallback_RollBack(RollbackOrder(groups=[], quarantine=True)),
                more_telemetry=True,
            )
            return verdict(Decision_Pause(pause), about("crashes", "crashes are above their limit"))
        this = now.stages[now.stage_index]
        if now.full_for is None or now.full_for < this.min_time:
            return verdict(Decision_Hold(), about("watching", "the stage is not over"))
        following = [this] if now.share_limit < this.share else now.stages[now.stage_index + 1 :]
        decision = Decision_Advance(following[0].share) if following else Decision_Complete()
        return verdict(decision, about("healthy", "crashes are within their limit"))


def stage(name, share, min_time):
    return Stage(
        name=name,
        share=share,
        max_devices=None,
        among=None,
        min_time=min_time,
        max_time=None,
        pace=None,
        needs_approval=False,
    )


def reason(code, text, metric=None, group=None, observed=None, limit=None):
    return Reason(code, text, metric, group, observed, limit)


def verdict(decision, why):
    return Verdict(decision, [why], again_in=None, feature_flags=[], memo="", extra=[])


def value(tally):
    """What a tally says; None if nothing was measured."""
    return tally.count / tally.exposure if tally.exposure > 0 else None


def number(settings, spec):
    given = (setting.value for setting in settings if setting.key == spec.key)
    return next(given, spec.default).value
