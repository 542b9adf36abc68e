//! Decodes what QEMU has put into memory, and says how many instructions and how much stack that took.
//!
//! ```text
//! loop=N resolution=N            a loop of 2,000,000 instructions, as counted, and how finely is counted
//! instructions=N stack_bytes=N   of clearing the tables and decoding
//! ```
//!
//! The decoded image leaves through semihosting as `decoded.bin`.
#![no_std]
#![no_main]

mod board;
mod counter;
#[path = "../../device/src/stack.rs"]
mod stack;
mod tables;

use semihosting::{fs, println, process};
use whittle_delta::compact::CompactDecoder;
use whittle_delta::{DecodeError, Decoder};

use board::{Inputs, Outside};

/// How much a radio or a flash page delivers at a time.
const CHUNK_BYTES: usize = 256;

/// Entered by the boards' start-up code.
fn run() -> ! {
    counter::start();
    let start = counter::instructions();
    counter::loop_of_two(1_000_000);
    println!("loop={} resolution={}", counter::instructions() - start, counter::RESOLUTION);

    let mut inputs = Inputs::take();
    let stack = stack::Painted::new();
    let start = counter::instructions();
    let outcome = decode(&mut inputs);
    let instructions = counter::instructions() - start;
    if let Err(error) = outcome {
        println!("cannot decode: {error}");
        process::exit(1)
    }
    println!("instructions={instructions} stack_bytes={}", stack.used());
    if let Err(error) = fs::write(c"decoded.bin", inputs.images.decoded()) {
        println!("cannot hand out the image: {error}");
        process::exit(2);
    }
    process::exit(0)
}

#[inline(never)]
fn decode(inputs: &mut Inputs) -> Result<(), DecodeError<Outside>> {
    let memory = tables::lend(inputs.payload).ok_or(DecodeError::Corrupt)?;
    let mut decoder = CompactDecoder::new(inputs.sizes, memory);
    for mut chunk in inputs.payload.chunks(CHUNK_BYTES) {
        let _ = decoder.push(&mut chunk, &mut inputs.images)?;
    }
    decoder.finish(&mut inputs.images).map(|_| ())
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("panic: {info}");
    process::exit(101)
}
