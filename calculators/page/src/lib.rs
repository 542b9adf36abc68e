//! The calculators for a page: text in, text out, by three functions that WebAssembly exports.
//!
//! ```text
//! page: at = question(bytes); writes that many bytes there; answer() of them are at answer_at()
//! ```
//!
//! Rust follows no pointer that the page hands in: it only says where its own buffers lie.

use std::cell::RefCell;

#[derive(Default)]
struct Buffers {
    question: Vec<u8>,
    answer: String,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// Makes room for a question of so many bytes of JSON, and returns where.
#[allow(unsafe_code, reason = "exported by its name, of which there is no other")]
#[unsafe(no_mangle)]
pub extern "C" fn question(bytes: usize) -> *mut u8 {
    BUFFERS.with_borrow_mut(|buffers| {
        buffers.question = vec![0; bytes];
        buffers.question.as_mut_ptr()
    })
}

/// Answers the question, and returns how many bytes of JSON the answer has.
#[allow(unsafe_code, reason = "exported by its name, of which there is no other")]
#[unsafe(no_mangle)]
pub extern "C" fn answer() -> usize {
    BUFFERS.with_borrow_mut(|buffers| {
        let question = String::from_utf8_lossy(&buffers.question);
        buffers.answer = whittle_calculators::answer(&question);
        buffers.answer.len()
    })
}

/// Returns where the answer is.
#[allow(unsafe_code, reason = "exported by its name, of which there is no other")]
#[unsafe(no_mangle)]
pub extern "C" fn answer_at() -> *const u8 {
    BUFFERS.with_borrow(|buffers| buffers.answer.as_ptr())
}
