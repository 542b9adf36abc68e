//! What a panic leads to: the firmware decides.

unsafe extern "C" {
    /// The firmware's; it should reset the chip.
    fn whittle_on_panic();
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: a function without arguments; what it does is the firmware's matter.
    unsafe { whittle_on_panic() };
    loop {
        core::hint::spin_loop();
    }
}
