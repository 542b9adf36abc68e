//! Whole steps of the host side, on small images.

mod firmware_files;
