//! Whole updates on an emulated Cortex-M4 and RV32.
mod rig;
#[path = "../../../examples/device/src/layout.rs"]
mod layout;
use rig::{Firmware, Rig, Second};

#[test]
fn x() {
    for f in [Firmware::for_cortex_m4(), Firmware::for_rv32()] {
        for s in [Second::Works, Second::Crashes, Second::Hangs, Second::Ill, Second::Slow] {
            println!("{s:?} delta {} full {}", f.two[&s].delta.len(), f.two[&s].full.len());
            let t = std::time::Instant::now();
            println!("{:#?} {:?}", Rig::new(f).offering(s).day(), t.elapsed());
        }
    }
}
