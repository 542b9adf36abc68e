// 1 % of the fleet, 10 %, then everybody; a pause if crashes become more frequent than the setting `crash-limit` allows.
// The types are those of `wit/policy.wit`: names in camelCase, variants as `{ tag, val }`, enums as strings.

const CRASH_LIMIT = {
  key: "crash-limit",
  help: "Pause if crashes are more frequent than this many times the baseline.",
  unit: "x baseline",
  default: { tag: "number", val: 2 },
  min: 1,
  max: 100,
};

// Fewer crashes than this are chance.
const FEWEST_CRASHES = 3;

const HOUR = 3600;

export const policy = {
  describe(settings) {
    return {
      name: "first-policy",
      version: "0.1.0",
      summary: "1 % of the fleet, 10 %, then everybody; pauses on crashes.",
      settings: [CRASH_LIMIT],
      metrics: [
        {
          name: "crashes",
          kind: "rate",
          unit: "crashes per device-hour",
          help: "Pauses the rollout.",
          required: true,
        },
      ],
      buckets: 0,
      bucketLength: 0,
      splitBy: [],
      extra: [],
    };
  },

  // `throw "a sentence"` tells the user what to change, here and in `evaluate`.
  plan(input) {
    const stage = (name, share, minTime) => ({ name, share, minTime, needsApproval: false });
    return {
      stages: [
        stage("first", 0.01, 24 * HOUR),
        stage("second", 0.1, 48 * HOUR),
        stage("all", 1, 168 * HOUR),
      ],
      holdBack: 0,
      reasons: [],
      extra: [],
    };
  },

  evaluate(now) {
    if (now.paused) {
      return verdict({ tag: "hold" }, { code: "paused", text: "a person decides" });
    }
    const crashes = now.groups[0].metrics.find((metric) => metric.name === "crashes");
    const [observed, baseline] = [value(crashes?.current), value(crashes?.baseline)];
    if (observed === undefined || baseline === undefined) {
      return verdict({ tag: "hold" }, { code: "no-data", text: "crashes were not measured" });
    }
    const limit = number(now.settings, CRASH_LIMIT) * baseline;
    const about = { metric: "crashes", group: "fleet", observed, limit };
    if (observed > limit && crashes.current.count >= FEWEST_CRASHES) {
      const pause = {
        severity: "high",
        decideWithin: 24 * HOUR,
        otherwise: { tag: "roll-back", val: { groups: [], quarantine: true } },
        moreTelemetry: true,
      };
      const reason = { code: "crashes", text: "crashes are above their limit", ...about };
      return verdict({ tag: "pause", val: pause }, reason);
    }
    const stage = now.stages[now.stageIndex];
    if (now.fullFor === undefined || now.fullFor < stage.minTime) {
      return verdict({ tag: "hold" }, { code: "watching", text: "the stage is not over", ...about });
    }
    const next = now.shareLimit < stage.share ? stage : now.stages[now.stageIndex + 1];
    const decision = next ? { tag: "advance", val: next.share } : { tag: "complete" };
    return verdict(decision, { code: "healthy", text: "crashes are within their limit", ...about });
  },
};

function verdict(decision, reason) {
  return { decision, reasons: [reason], featureFlags: [], memo: "", extra: [] };
}

// What a tally says; undefined if nothing was measured.
function value(tally) {
  return tally && tally.exposure > 0 ? tally.count / tally.exposure : undefined;
}

function number(settings, spec) {
  const setting = settings.find((setting) => setting.key === spec.key);
  return (setting ? setting.value : spec.default).val;
}
