//! Receives a package in chunks, as a radio would deliver it, and installs it into an emulated flash slot.
//!
//! QEMU puts the base image, the package and a parameter block into memory; the installed image leaves through
//! semihosting. Everything between is what real firmware does: lend buffers, name the trusted key, feed, finish.
#![no_std]
#![no_main]

mod board;
mod flash;
#[cfg(feature = "zstd")]
mod heap;
#[path = "../../device/src/stack.rs"]
mod stack;

use semihosting::{fs, println, process};
use whittle_patcher_nostd::{
    Buffers, Device, PackageChecker, PatchError, Patcher, PublicKey, Slots, Status, TrustedKeys,
    compact,
};

use board::Inputs;
use flash::EmulatedFlash;

/// RAM that this firmware has for decoding: as much as its heap, or what the `compact` codec takes.
const DECODER_RAM_BYTES: u32 = if cfg!(feature = "zstd") { 512 * 1024 } else { 32 * 1024 };

/// Block and page buffers: static, so that their cost shows in the link map.
static mut BLOCK: [u8; 4096] = [0; 4096];
static mut PAGE: [u8; 256] = [0; 256];
static mut TABLES: compact::MediumTables = compact::MediumTables::NEW;

/// Entered by the boards' start-up code.
fn run() -> ! {
    #[cfg(feature = "zstd")]
    heap::init();
    let stack = stack::Painted::new();
    let outcome = update();
    println!("stack_bytes={}", stack.used());
    match outcome {
        Ok(size) => {
            println!("outcome=installed target_bytes={size}");
            process::exit(0)
        }
        Err(error) => {
            println!("outcome=refused writes={} error={error}", flash::writes());
            process::exit(1)
        }
    }
}

#[inline(never)]
fn update() -> Result<u32, PatchError> {
    let inputs = Inputs::find();
    let keys: [PublicKey; 1] = [inputs.key];
    let device = Device {
        product: "thermostat",
        hardware_revision: 1,
        security_counter: inputs.security_counter,
        decoder_ram_bytes: DECODER_RAM_BYTES,
    };
    // SAFETY: one core, no interrupts, and this function runs once.
    #[allow(static_mut_refs)]
    let (block, page, tables) = unsafe { (&mut BLOCK, &mut PAGE, &mut TABLES) };
    let mut base = EmulatedFlash::base(inputs.base);
    let mut target = EmulatedFlash::slot(board::target_slot());

    // The package is already stored, so it is checked to its last byte before the first write.
    let mut checker = PackageChecker::new(&device, TrustedKeys(&keys), block);
    for mut chunk in inputs.package.chunks(inputs.chunk_len) {
        if checker.push(&mut chunk, &mut base, target.len())? == Status::Done {
            break;
        }
    }
    checker.finish()?;

    let mut slots = Slots { base: &mut base, target: &mut target };
    let mut patcher = Patcher::new(
        &device,
        TrustedKeys(&keys),
        Buffers { block, page, compact: Some(tables.lend()) },
    );
    for mut chunk in inputs.package.chunks(inputs.chunk_len) {
        if patcher.push(&mut chunk, &mut slots)? == Status::Done {
            break;
        }
    }
    let installed = patcher.finish(&mut slots)?;
    let size = installed.manifest.target_size;
    if let Err(error) = fs::write(c"installed.bin", target.image(size)) {
        println!("cannot hand out the image: {error}");
        process::exit(2);
    }
    Ok(size)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("panic: {info}");
    process::exit(101)
}
