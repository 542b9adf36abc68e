//! Writes the C bindings of the contract into a directory: `c-bindings WIT DIRECTORY`. They are the same for every policy in C.

use std::error::Error;
use std::path::PathBuf;

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

fn main() -> Result<(), Box<dyn Error>> {
    let mut paths = std::env::args_os().skip(1).map(PathBuf::from);
    let (wit, directory) = paths.next().zip(paths.next()).ok_or("wanted: WIT DIRECTORY")?;
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(&wit)?;
    let world = resolve.select_world(&[package], Some("rollout-policy"))?;
    let options = wit_bindgen_c::Opts {
        // Functions are called by their names alone.
        rename: vec![("whittle:rollout-policy/policy@0.1.0".to_owned(), "policy".to_owned())],
        // `whittle policy build` knows the types.
        no_object_file: true,
        ..Default::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    std::fs::create_dir_all(&directory)?;
    for (name, bytes) in files.iter() {
        std::fs::write(directory.join(name), bytes)?;
    }
    Ok(())
}
