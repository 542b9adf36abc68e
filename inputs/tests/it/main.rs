//! Files that real tools made, files that mean no good, and laws.

mod goldens;
mod hostile;
mod laws;
mod support;
mod uf2;
