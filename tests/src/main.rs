//! The `whittle` command, for the tests of this package.

fn main() -> std::process::ExitCode {
    whittle_cli::main()
}
