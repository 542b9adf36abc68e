//! What can be told from the bytes of a component before a compiler sees them: what it imports and exports, and whether
//! it is too much to compile or to instantiate.
//!
//! - A function takes time to compile that grows with its branches times its locals, since each local may have another
//!   value after each branch. An interpreter for Python has 13,500 functions of 6.6 MB in all; the largest has 427 KB, and
//!   the weightiest 212,000 branches times locals. Twelve times that takes 2 s.
//! - A component may hold others and instantiate each of them twice; forty of them in one another are two kilobytes, and
//!   2^40 instances.

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentTypeRef, FunctionBody, Instance, Operator, Parser, Payload,
};

use crate::Limits;
use crate::error::LoadError;
use crate::store::{MAX_PARTS, MAX_TABLE_ELEMENTS};

/// Instances of modules and components, all that are within it counted; one in Python has 40.
pub(crate) const MAX_INSTANCES: u32 = 256;

/// Components within one another; one in JavaScript has 4.
const MAX_DEPTH: u64 = 16;

/// Globals of all modules; one in Python has some hundreds.
const MAX_GLOBALS: u64 = 20_000;

/// Bytes of a page of memory, unless a memory says otherwise.
const PAGE_BYTES: u64 = 1 << 16;

/// What a component imports and exports.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// Surveys a component, whole: what this does not understand is not compiled.
///
/// # Errors
/// [`LoadError::TooMuch`]; [`LoadError::PassesComponents`]; [`LoadError::Invalid`], though not all that is invalid is found here.
pub(crate) fn of(component: &[u8], limits: &Limits) -> Result<Survey, LoadError> {
    let mut surveyor = Surveyor {
        limits,
        survey: Survey::default(),
        functions: 0,
        globals: 0,
        code_bytes: 0,
        weight: 0,
        frames: vec![],
    };
    for payload in Parser::new(0).parse_all(component) {
        surveyor.see(payload.map_err(invalid)?)?;
    }
    Ok(surveyor.survey)
}

fn invalid(error: BinaryReaderError) -> LoadError {
    LoadError::Invalid(error.into())
}

/// An index is that of nothing.
fn unknown() -> LoadError {
    LoadError::Invalid(wasmtime::Error::msg("unknown module or component"))
}

/// What an instance of a module or a component is made of.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    instances: u64,
    memories: u64,
    tables: u64,
}

impl Cost {
    fn add(&mut self, other: Self) {
        self.instances = self.instances.saturating_add(other.instances);
        self.memories = self.memories.saturating_add(other.memories);
        self.tables = self.tables.saturating_add(other.tables);
    }

    fn check(self) -> Result<(), LoadError> {
        at_most("instances of modules and components", self.instances, MAX_INSTANCES.into())?;
        at_most("memories", self.memories, MAX_PARTS.into())?;
        at_most("tables", self.tables, MAX_PARTS.into())
    }
}

/// A module or component that is being read.
#[derive(Default)]
struct Frame {
    is_module: bool,
    /// What each instance of it is made of.
    cost: Cost,
    /// The same of each module and component that it knows, in the order of their indices.
    modules: Vec<Cost>,
    components: Vec<Cost>,
}

struct Surveyor<'a> {
    limits: &'a Limits,
    survey: Survey,
    functions: u64,
    globals: u64,
    code_bytes: u64,
    weight: u64,
    /// From the whole component to what is read now.
    frames: Vec<Frame>,
}

impl Surveyor<'_> {
    fn see(&mut self, payload: Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::Version { encoding, .. } => {
                let is_module = encoding == wasmparser::Encoding::Module;
                let cost = Cost { instances: 1, ..Cost::default() };
                self.frames.push(Frame { is_module, cost, ..Frame::default() });
                at_most("components within one another", self.frames.len() as u64, MAX_DEPTH)?;
            }
            Payload::End(_) => self.end(),
            Payload::CodeSectionStart { count, .. } => {
                self.functions = self.functions.saturating_add(count.into());
                at_most("functions", self.functions, self.limits.functions as u64)?;
            }
            Payload::CodeSectionEntry(body) => self.function(&body)?,
            Payload::MemorySection(section) => self.memories(section)?,
            Payload::GlobalSection(section) => {
                self.globals = self.globals.saturating_add(section.count().into());
                at_most("globals", self.globals, MAX_GLOBALS)?;
            }
            Payload::TableSection(section) => self.tables(section)?,
            Payload::InstanceSection(section) => {
                for instance in section {
                    if let Instance::Instantiate { module_index, .. } = instance.map_err(invalid)? {
                        let cost = self.known(0, module_index, |frame| &frame.modules)?;
                        self.instantiate(cost)?;
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    if let ComponentInstance::Instantiate { component_index, .. } =
                        instance.map_err(invalid)?
                    {
                        let cost = self.known(0, component_index, |frame| &frame.components)?;
                        self.instantiate(cost)?;
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    self.alias(&alias.map_err(invalid)?)?;
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import.map_err(invalid)?;
                    self.import(import.name.name, import.ty)?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export.map_err(invalid)?;
                    self.export(export.name.name, export.kind, export.index)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn memories(&mut self, section: wasmparser::MemorySectionReader<'_>) -> Result<(), LoadError> {
        for memory in section {
            let memory = memory.map_err(invalid)?;
            let page = memory.page_size_log2.map_or(PAGE_BYTES, |log2| 1 << log2.min(16));
            let bytes = memory.initial.saturating_mul(page);
            at_most("bytes of memory to begin with", bytes, self.limits.memory_bytes as u64)?;
            self.here()?.cost.memories += 1;
        }
        Ok(())
    }

    fn tables(&mut self, section: wasmparser::TableSectionReader<'_>) -> Result<(), LoadError> {
        for table in section {
            let elements = table.map_err(invalid)?.ty.initial;
            at_most("elements of tables to begin with", elements, MAX_TABLE_ELEMENTS as u64)?;
            self.here()?.cost.tables += 1;
        }
        Ok(())
    }

    fn here(&mut self) -> Result<&mut Frame, LoadError> {
        self.frames.last_mut().ok_or_else(unknown)
    }

    /// What a module or component costs that is known here, or so many components further out.
    fn known(&self, out: u32, index: u32, of: fn(&Frame) -> &Vec<Cost>) -> Result<Cost, LoadError> {
        let out = usize::try_from(out).map_err(|_| unknown())?;
        let frame = self.frames.iter().rev().nth(out).ok_or_else(unknown)?;
        let index = usize::try_from(index).map_err(|_| unknown())?;
        of(frame).get(index).copied().ok_or_else(unknown)
    }

    fn instantiate(&mut self, cost: Cost) -> Result<(), LoadError> {
        let frame = self.here()?;
        frame.cost.add(cost);
        frame.cost.check()
    }

    fn end(&mut self) {
        let Some(ended) = self.frames.pop() else { return };
        if let Some(outer) = self.frames.last_mut() {
            let known = if ended.is_module { &mut outer.modules } else { &mut outer.components };
            known.push(ended.cost);
        }
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) -> Result<(), LoadError> {
        match *alias {
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, count, index } => {
                let cost = self.known(count, index, |frame| &frame.modules)?;
                self.here()?.modules.push(cost);
            }
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                let cost = self.known(count, index, |frame| &frame.components)?;
                self.here()?.components.push(cost);
            }
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Module | ComponentExternalKind::Component,
                ..
            } => return Err(LoadError::PassesComponents),
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, name: &str, what: ComponentTypeRef) -> Result<(), LoadError> {
        let is_code = matches!(what, ComponentTypeRef::Module(_) | ComponentTypeRef::Component(_));
        if self.frames.len() == 1 {
            self.survey.imports.push(name.to_owned());
        } else if is_code {
            return Err(LoadError::PassesComponents);
        }
        Ok(())
    }

    /// What is exported has an index of its own from then on.
    fn export(
        &mut self,
        name: &str,
        kind: ComponentExternalKind,
        index: u32,
    ) -> Result<(), LoadError> {
        if self.frames.len() == 1 {
            self.survey.exports.push(name.to_owned());
        }
        match kind {
            ComponentExternalKind::Module => {
                let cost = self.known(0, index, |frame| &frame.modules)?;
                self.here()?.modules.push(cost);
            }
            ComponentExternalKind::Component => {
                let cost = self.known(0, index, |frame| &frame.components)?;
                self.here()?.components.push(cost);
            }
            _ => {}
        }
        Ok(())
    }

    fn function(&mut self, body: &FunctionBody<'_>) -> Result<(), LoadError> {
        let bytes = body.range().len() as u64;
        at_most("bytes of a function", bytes, self.limits.function_bytes as u64)?;
        self.code_bytes = self.code_bytes.saturating_add(bytes);
        at_most("bytes of functions", self.code_bytes, self.limits.code_bytes as u64)?;
        let weight = weight(body)?;
        at_most("branches times locals of a function", weight, self.limits.function_weight)?;
        self.weight = self.weight.saturating_add(weight);
        at_most("branches times locals of all functions", self.weight, self.limits.weight)
    }
}

/// Branches of a function times its locals, one more of each.
fn weight(body: &FunctionBody<'_>) -> Result<u64, LoadError> {
    let mut locals = 0_u64;
    for group in body.get_locals_reader().map_err(invalid)? {
        locals = locals.saturating_add(group.map_err(invalid)?.0.into());
    }
    let mut branches = 0_u64;
    let mut operators = body.get_operators_reader().map_err(invalid)?;
    while !operators.eof() {
        branches += match operators.read().map_err(invalid)? {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Else
            | Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::Return
            | Operator::Call { .. }
            | Operator::CallIndirect { .. } => 1,
            Operator::BrTable { targets } => u64::from(targets.len()) + 1,
            _ => 0,
        };
    }
    Ok((locals + 1).saturating_mul(branches + 1))
}

fn at_most(what: &'static str, got: u64, limit: u64) -> Result<(), LoadError> {
    if got > limit {
        return Err(LoadError::TooMuch { what, got, limit });
    }
    Ok(())
}
