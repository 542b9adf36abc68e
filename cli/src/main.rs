//! The `whittle` command; everything it does is in the library, so that tests run the same code.

/// A rehearsal makes and drops thousands of small values for each look; the allocators of C libraries, musl's above all, take longer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    whittle_cli::main()
}
