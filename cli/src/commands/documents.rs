//! Which command prints which document under `--format json`.

use whittle_calculators::{savings as savings_formulas, stages as stages_formulas};

use super::{
    apply, approve, attach, base, build, bundle, calculated, config, demo, diff, export, flags, gc,
    init, inspect, keygen, keys, man, policy, pubkey, rollout, savings, schema, simulate, stage,
    verify,
};
use crate::printer::Failure;
use crate::schema::{Document, Printed};

/// Lists documents as `NAME: TYPE, of [COMMANDS];`. Nothing else can be printed.
macro_rules! documents {
    ($($name:literal: $result:ty, of $commands:expr;)+) => {
        $(impl Printed for $result {})+

        /// All of them, by their names.
        pub(crate) static DOCUMENTS: &[Document] =
            &[$(Document::of::<$result>($name, &$commands)),+];
    };
}

documents! {
    "apply": apply::AppliedView<'_>, of ["apply"];
    "approve": approve::Approved, of ["approve"];
    "attach": attach::Outcome, of ["attach", "build"];
    "base": base::Listing, of ["base add", "base ls", "base prune"];
    "build": build::Outcome<'_>, of ["build"];
    "bundle": bundle::Bundle, of ["bundle sign", "bundle verify"];
    "bundle-steps": bundle::Steps, of ["bundle steps"];
    "config": config::Shown<'_>, of ["config show"];
    "demo": demo::Demo, of ["demo"];
    "demo-fleet": demo::fleet::Fleet<'_>, of ["demo fleet"];
    "diff": diff::Comparison, of ["diff"];
    "explain": whittle_explain::Report, of ["explain"];
    "export-slsa": export::SlsaView, of ["export"];
    "export-suit": export::SuitView, of ["export"];
    "failure": Failure, of [];
    "flags-eval": flags::Evaluation, of ["flags eval"];
    "flags-show": flags::DocumentView, of ["flags show"];
    "flags-sign": flags::Signed, of ["flags sign"];
    "gc": gc::Outcome, of ["gc"];
    "init": init::Begun, of ["init"];
    "inspect-package": inspect::PackageView, of ["inspect"];
    "inspect-release": inspect::ReleaseView, of ["inspect"];
    "keygen": keygen::Generated, of ["keygen"];
    "keys": keys::FileView, of ["keys cosign", "keys revoke", "keys rotate", "keys show", "keys sign"];
    "man": man::Written, of ["man"];
    "policy-build": policy::build::Built, of ["policy build"];
    "policy-check": policy::check::Checked, of ["policy check"];
    "policy-list": policy::list::List, of ["policy list"];
    "policy-new": policy::new::Written, of ["policy new"];
    "policy-plan": policy::plan::Planned, of ["policy plan"];
    "policy-run": policy::run::Decided, of ["policy run"];
    "policy-show": policy::show::Shown, of ["policy show"];
    "policy-test": policy::test::Tested, of ["policy test"];
    "pubkey": pubkey::PublicKeyView, of ["pubkey"];
    "publish": whittle_publish::publish::Published, of ["publish"];
    "pull": whittle_publish::pull::Pulled, of ["pull"];
    "rollout-backtest": rollout::backtest::Backtested, of ["rollout backtest"];
    "rollout-drive": rollout::drive::Driven<'_>, of ["rollout drive"];
    "rollout-log": rollout::log::Shown<'_>, of ["rollout log"];
    "rollout-observe": rollout::observe::Observed, of ["rollout observe"];
    "rollout-plan": rollout::plan::Plan, of ["rollout plan"];
    "rollout-recordings": rollout::backtest::List, of ["rollout backtest"];
    "rollout-replay": rollout::replay::Replayed, of ["rollout replay"];
    "rollout-said": rollout::say::Said, of [
        "rollout advance",
        "rollout approve",
        "rollout cause",
        "rollout pause",
        "rollout recount",
        "rollout resume",
        "rollout rollback",
        "rollout stop",
    ];
    "rollout-start": rollout::start::Started, of ["rollout start"];
    "rollout-status": rollout::report::Report, of ["rollout status"];
    "rollout-tick": rollout::tick::Tick, of ["rollout tick"];
    "rollout-what-if": stages_formulas::Outcome, of ["rollout plan"];
    "rollout-what-if-presets": calculated::Presets<'_, stages_formulas::Inputs>, of ["rollout plan"];
    "savings": savings_formulas::Outcome, of ["savings"];
    "savings-differences": savings::Differences, of ["savings"];
    "savings-presets": calculated::Presets<'_, savings_formulas::Inputs>, of ["savings"];
    "schema": schema::List, of ["schema"];
    "simulate": simulate::Simulated, of ["simulate"];
    "simulate-scenarios": simulate::List, of ["simulate"];
    "stage-check": stage::Checked, of ["stage check"];
    "stage-sign": stage::Signed, of ["stage sign"];
    "verify": verify::Verified, of ["verify"];
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{Command, CommandFactory};

    use super::*;

    /// Commands whose output is for other programs, whatever the format is.
    const WITHOUT: [&str; 1] = ["completions"];

    #[test]
    fn each_command_has_a_document() {
        let mut left = vec![(String::new(), crate::Cli::command())];
        let mut commands = BTreeSet::from(WITHOUT.map(str::to_owned));
        while let Some((path, command)) = left.pop() {
            let below = |sub: &Command| (format!("{path} {}", sub.get_name()), sub.clone());
            let found: Vec<_> = command.get_subcommands().map(below).collect();
            // `demo` does something with and without a command below it.
            if !command.is_subcommand_required_set() {
                commands.insert(path.trim_start().to_owned());
            }
            left.extend(found);
        }
        let printing = DOCUMENTS.iter().flat_map(|document| document.commands).copied();
        let listed: BTreeSet<_> = printing.chain(WITHOUT).map(str::to_owned).collect();
        assert_eq!(listed, commands);
    }

    #[test]
    fn documents_have_names_of_their_own() {
        let names: Vec<_> = DOCUMENTS.iter().map(|document| document.name).collect();
        assert!(names.is_sorted_by(|one, other| one < other), "{names:?}");
    }
}
