//! How a program begins whose framework brings no start of its own.

#[cfg(target_arch = "arm")]
#[cortex_m_rt::entry]
fn main() -> ! {
    crate::run()
}

#[cfg(target_arch = "riscv32")]
#[riscv_rt::entry]
fn main() -> ! {
    crate::run()
}
