//! Files that say which function lies where in an image.

use whittle_explain::Program;

/// Any ELF file or map is refused, or describes stretches of the image it is said to be of that do not overlap.
///
/// The first two bytes give the length of the image, which follows them; behind it stands the file.
///
/// # Panics
/// If it is not.
pub fn program_file(data: &[u8]) {
    let Some(([low, high], rest)) = data.split_first_chunk() else { return };
    let (image, file) =
        rest.split_at(usize::from(u16::from_le_bytes([*low, *high])).min(rest.len()));
    let Ok(program) = Program::parse(file, image) else { return };
    let sections = program.sections().iter().map(|section| &section.range);
    let symbols = program.symbols().iter().map(|symbol| &symbol.range);
    for mut ranges in [sections.collect::<Vec<_>>(), symbols.collect()].map(Vec::into_iter) {
        let end = ranges.try_fold(0, |end, range| (range.start >= end).then_some(range.end));
        assert!(end.is_some_and(|end| end as usize <= image.len()), "a stretch is no part of it");
    }
}
