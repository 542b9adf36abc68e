// 1 % of the fleet, 10 %, then everybody; a pause if crashes become more frequent than `crash-limit` allows.
// The types are those of `wit/policy.wit`, as `bindings/rollout_policy.h` has them. The whole answer is freed by the
// bindings: lists and texts in it are allocated, which `text` and `list` do.

#include <stdlib.h>
#include <string.h>

#include "bindings/rollout_policy.h"

#define HOUR 3600
// Fewer crashes than this are chance.
#define FEWEST_CRASHES 3

static const char CRASH_LIMIT[] = "crash-limit";
static const double CRASH_LIMIT_DEFAULT = 2;

static rollout_policy_string_t text(const char *s)
{
    rollout_policy_string_t copy;
    rollout_policy_string_dup(&copy, s);
    return copy;
}

static bool is(rollout_policy_string_t s, const char *wanted)
{
    return s.len == strlen(wanted) && memcmp(s.ptr, wanted, s.len) == 0;
}

// Room for a list, all zeros: no options, empty texts.
static void *list(size_t count, size_t size)
{
    void *room = calloc(count, size);
    if (!room) {
        abort();
    }
    return room;
}

void exports_policy_describe(exports_policy_list_setting_t *settings, exports_policy_policy_info_t *info)
{
    exports_policy_list_setting_free(settings);
    *info = (exports_policy_policy_info_t){
        .name = text("first-policy"),
        .version = text("0.1.0"),
        .summary = text("1 % of the fleet, 10 %, then everybody; pauses on crashes."),
    };
    info->settings.len = 1;
    info->settings.ptr = list(1, sizeof *info->settings.ptr);
    info->settings.ptr[0] = (exports_policy_setting_spec_t){
        .key = text(CRASH_LIMIT),
        .help = text("Pause if crashes are more frequent than this many times the baseline."),
        .unit = text("x baseline"),
        .default_ = { .tag = EXPORTS_POLICY_VALUE_NUMBER, .val.number = CRASH_LIMIT_DEFAULT },
        .min = 1,
        .max = 100,
    };
    info->metrics.len = 1;
    info->metrics.ptr = list(1, sizeof *info->metrics.ptr);
    info->metrics.ptr[0] = (exports_policy_metric_need_t){
        .name = text("crashes"),
        .kind = EXPORTS_POLICY_METRIC_KIND_RATE,
        .unit = text("crashes per device-hour"),
        .help = text("Pauses the rollout."),
        .required = true,
    };
}

// Returns false with a sentence in `*error` if the user must change something.
bool exports_policy_plan(exports_policy_plan_input_t *input, exports_policy_rollout_plan_t *plan,
                         rollout_policy_string_t *error)
{
    static const struct {
        const char *name;
        double share;
        uint32_t hours;
    } stages[] = { { "first", 0.01, 24 }, { "second", 0.1, 48 }, { "all", 1, 168 } };
    const size_t count = sizeof stages / sizeof stages[0];

    (void)error;
    exports_policy_plan_input_free(input);
    *plan = (exports_policy_rollout_plan_t){ 0 };
    plan->stages.len = count;
    plan->stages.ptr = list(count, sizeof *plan->stages.ptr);
    for (size_t i = 0; i < count; i++) {
        plan->stages.ptr[i].name = text(stages[i].name);
        plan->stages.ptr[i].share = stages[i].share;
        plan->stages.ptr[i].min_time = stages[i].hours * HOUR;
    }
    return true;
}

static double number(const exports_policy_list_setting_t *settings, const char *key, double otherwise)
{
    for (size_t i = 0; i < settings->len; i++) {
        if (is(settings->ptr[i].key, key)) {
            return settings->ptr[i].value.val.number;
        }
    }
    return otherwise;
}

static const exports_policy_metric_t *find_metric(const exports_policy_group_t *group, const char *name)
{
    for (size_t i = 0; i < group->metrics.len; i++) {
        if (is(group->metrics.ptr[i].name, name)) {
            return &group->metrics.ptr[i];
        }
    }
    return NULL;
}

// A verdict to hold, with one reason; the caller adds to both.
static exports_policy_reason_t *hold(exports_policy_verdict_t *verdict, const char *code, const char *why)
{
    *verdict = (exports_policy_verdict_t){ .decision.tag = EXPORTS_POLICY_DECISION_HOLD };
    verdict->reasons.len = 1;
    verdict->reasons.ptr = list(1, sizeof *verdict->reasons.ptr);
    verdict->reasons.ptr[0].code = text(code);
    verdict->reasons.ptr[0].text = text(why);
    return verdict->reasons.ptr;
}

static void decide(const exports_policy_snapshot_t *now, exports_policy_verdict_t *verdict)
{
    if (now->paused.is_some) {
        hold(verdict, "paused", "a person decides");
        return;
    }
    const exports_policy_metric_t *crashes = find_metric(&now->groups.ptr[0], "crashes");
    if (!crashes || !(crashes->current.exposure > 0) || !(crashes->baseline.exposure > 0)) {
        hold(verdict, "no-data", "crashes were not measured");
        return;
    }
    const double observed = crashes->current.count / crashes->current.exposure;
    const double baseline = crashes->baseline.count / crashes->baseline.exposure;
    const double limit = number(&now->settings, CRASH_LIMIT, CRASH_LIMIT_DEFAULT) * baseline;
    const exports_policy_stage_t *stage = &now->stages.ptr[now->stage_index];
    exports_policy_reason_t *reason;
    if (observed > limit && crashes->current.count >= FEWEST_CRASHES) {
        reason = hold(verdict, "crashes", "crashes are above their limit");
        verdict->decision.tag = EXPORTS_POLICY_DECISION_PAUSE;
        verdict->decision.val.pause = (exports_policy_pause_order_t){
            .severity = EXPORTS_POLICY_SEVERITY_HIGH,
            .decide_within = 24 * HOUR,
            .otherwise = { .tag = EXPORTS_POLICY_FALLBACK_ROLL_BACK, .val.roll_back.quarantine = true },
            .more_telemetry = true,
        };
    } else if (!now->full_for.is_some || now->full_for.val < stage->min_time) {
        reason = hold(verdict, "watching", "the stage is not over");
    } else {
        reason = hold(verdict, "healthy", "crashes are within their limit");
        const bool is_last = now->stage_index + 1 == now->stages.len;
        if (now->share_limit >= stage->share && is_last) {
            verdict->decision.tag = EXPORTS_POLICY_DECISION_COMPLETE;
        } else {
            verdict->decision.tag = EXPORTS_POLICY_DECISION_ADVANCE;
            verdict->decision.val.advance =
                now->share_limit < stage->share ? stage->share : stage[1].share;
        }
    }
    reason->metric = (rollout_policy_option_string_t){ true, text("crashes") };
    reason->group = (rollout_policy_option_string_t){ true, text("fleet") };
    reason->observed = (rollout_policy_option_f64_t){ true, observed };
    reason->limit = (rollout_policy_option_f64_t){ true, limit };
}

bool exports_policy_evaluate(exports_policy_snapshot_t *now, exports_policy_verdict_t *verdict,
                             rollout_policy_string_t *error)
{
    (void)error;
    decide(now, verdict);
    exports_policy_snapshot_free(now);
    return true;
}
