use std::path::Path;

use anyhow::{Context, Result};
use object::{Object, ObjectSection, SectionFlags, SectionKind};

use super::{firmware, print_table, row};
use crate::bare_device;

/// Firmware that is measured: target, features, and the name of its figures.
const BUILDS: [(&str, &str, &str); 4] = [
    ("thumbv7em-none-eabi", "", "thumbv7em"),
    ("thumbv7em-none-eabi", "zstd", "thumbv7em_zstd"),
    ("riscv32imc-unknown-none-elf", "", "riscv32imc"),
    ("riscv32imc-unknown-none-elf", "zstd", "riscv32imc_zstd"),
];

/// Programs of the device that updates itself, and the names of their figures; each prints what it does in words.
const DEVICE: [(&str, &str, &str); 4] = [
    ("thumbv7em-none-eabi", "boot-loader", "boot_loader_thumbv7em"),
    ("thumbv7em-none-eabi", "application", "application_thumbv7em"),
    ("riscv32imc-unknown-none-elf", "boot-loader", "boot_loader_riscv32imc"),
    ("riscv32imc-unknown-none-elf", "application", "application_riscv32imc"),
];

/// Targets that the `compact` decoder alone is weighed for, and the names of its figures.
const ALONE: [(&str, &str); 3] = [
    ("thumbv7em-none-eabi", "thumbv7em"),
    ("thumbv6m-none-eabi", "thumbv6m"),
    ("riscv32imc-unknown-none-elf", "riscv32imc"),
];

pub(crate) fn run() -> Result<()> {
    let mut figures = whole_firmware()?;
    println!();
    figures.extend(device()?);
    println!();
    figures.extend(bare_device()?);
    println!();
    figures.extend(decoder_alone()?);
    println!("{}", figures.join(" "));
    Ok(())
}

/// The example firmware, with everything that a device needs.
fn whole_firmware() -> Result<Vec<String>> {
    let mut rows = vec![row([&"target", &"features", &"flash bytes", &"static RAM bytes"])];
    let mut figures = Vec::new();
    for (target, features, name) in BUILDS {
        let elf = firmware::build("receiver", target, features)?.join("receiver");
        let (flash, ram) = of(&elf)?;
        rows.push(row([&target, &if features.is_empty() { "-" } else { features }, &flash, &ram]));
        figures.push(format!("{name}_flash_bytes={flash} {name}_ram_bytes={ram}"));
    }
    print_table(&rows);
    Ok(figures)
}

/// The boot loader and the application of the device that updates itself.
fn device() -> Result<Vec<String>> {
    let mut rows = vec![row([&"target", &"program", &"flash bytes", &"static RAM bytes"])];
    let mut figures = Vec::new();
    for (target, program, name) in DEVICE {
        let elf = firmware::build("device", target, "")?.join(program);
        let (flash, ram) = of(&elf)?;
        rows.push(row([&target, &program, &flash, &ram]));
        figures.push(format!("{name}_flash_bytes={flash} {name}_ram_bytes={ram}"));
    }
    print_table(&rows);
    Ok(figures)
}

/// What a device with two slots needs of whittle, without anything around it.
fn bare_device() -> Result<Vec<String>> {
    let mut rows = vec![row([&"program", &"flash bytes", &"static RAM bytes"])];
    let mut figures = Vec::new();
    for (name, features) in bare_device::WEIGHED {
        let (flash, ram) = bare_device::weigh(features)?;
        rows.push(row([&name, &flash, &ram]));
        figures.push(format!("{}_flash_bytes={flash}", name.replace('-', "_")));
    }
    print_table(&rows);
    Ok(figures)
}

/// The `compact` decoder with the trait through which it reaches the images, less the same firmware without it.
fn decoder_alone() -> Result<Vec<String>> {
    let mut rows =
        vec![row([&"target", &"with decoder", &"without", &"compact decoder's flash bytes"])];
    let mut figures = Vec::new();
    for (target, name) in ALONE {
        let elfs = firmware::build("decode-bench", target, "")?;
        let (with, _) = of(&elfs.join("decoder-alone"))?;
        let (without, _) = of(&elfs.join("start-up-alone"))?;
        let alone = with.saturating_sub(without);
        rows.push(row([&target, &with, &without, &alone]));
        figures.push(format!("compact_decoder_{name}_flash_bytes={alone}"));
    }
    print_table(&rows);
    Ok(figures)
}

/// Bytes that stand in flash, and bytes of RAM that are taken before `main` runs.
pub(crate) fn of(elf: &Path) -> Result<(u64, u64)> {
    let elf = std::fs::read(elf).with_context(|| format!("cannot read `{}`", elf.display()))?;
    let file = object::File::parse(&*elf)?;
    let (mut flash, mut ram) = (0, 0);
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
        if !sh_flags.contains(object::elf::SHF_ALLOC) {
            continue;
        }
        let is_data = sh_flags.contains(object::elf::SHF_WRITE);
        let has_bytes = section.kind() != SectionKind::UninitializedData;
        // The linker scripts' heap and stack sections mark what is left of the RAM.
        if matches!(section.name(), Ok(".heap" | ".stack")) {
            continue;
        }
        if has_bytes {
            flash += section.size();
        }
        if is_data {
            ram += section.size();
        }
    }
    Ok((flash, ram))
}
