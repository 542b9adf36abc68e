use clap::Command;
use clap_complete::Shell;

use crate::error::Result;
use crate::printer::Printer;

/// Write the completions of a shell to standard output.
///
/// For Bash: `whittle completions bash > ~/.local/share/bash-completion/completions/whittle`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose completions.
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(args: &Args, mut whole: Command, printer: &Printer) -> Result {
    let mut script = vec![];
    let name = whole.get_name().to_owned();
    clap_complete::generate(args.shell, &mut whole, name, &mut script);
    printer.bytes(&script)
}
