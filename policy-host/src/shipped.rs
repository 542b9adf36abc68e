//! The policies that come with whittle.

/// A policy that comes with whittle.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// What it is called on the command line, and calls itself.
    pub name: &'static str,
    /// Its component.
    pub component: &'static [u8],
}

macro_rules! shipped {
    ($($name:literal),*) => {
        [$(Shipped {
            name: $name,
            component: include_bytes!(concat!("../../policies/dist/", $name, ".wasm")),
        }),*]
    };
}

/// All of them, by name.
pub const SHIPPED: [Shipped; 7] = shipped![
    "adaptive",
    "canary",
    "decision-tree",
    "declarative",
    "rings",
    "significance",
    "thermostat"
];

/// Finds one by its name.
#[must_use]
pub fn find(name: &str) -> Option<Shipped> {
    SHIPPED.into_iter().find(|shipped| shipped.name == name)
}
