//! Whole steps of the host side, on small images.

mod bundle;
mod firmware_files;
