//! A fleet of virtual devices, from a faulty release to the one that mends it.

mod fleet;
