//! The `whittle` command; everything it does is in the library, so that tests run the same code.

fn main() -> std::process::ExitCode {
    whittle_cli::main()
}
