//! Loading policies and asking them.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

use crate::Usage;
use crate::cache::Cache;
use crate::compiler::ChildCompiler;
use crate::contract::{self, Violation};
use crate::digest::PolicyDigest;
use crate::error::{CallError, Fault, Function, LoadError, PolicyLabel};
use crate::store::{self, MAX_PARTS, Meter};
use crate::survey::{self, MAX_INSTANCES, Survey};
use crate::types::{PlanInput, PolicyInfo, RolloutPlan, Setting, Snapshot, Verdict};
use crate::v0_1::{self, Asked, Exports, INTERFACE, Mirrored};

/// What a policy may use, and how large it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fuel of a call, about one for each instruction; 10^9 if nothing else is said, a second or so.
    pub fuel: u64,
    /// Memory of a call in bytes; 64 MiB.
    pub memory_bytes: usize,
    /// Input of a call, in bytes of the policy's memory; 8 MiB. A full snapshot of nine groups has 70 KB.
    pub input_bytes: usize,
    /// Answer of a call, in bytes of the host's memory; 1 MiB. What a text or a list may have is in the contract.
    pub output_bytes: usize,
    /// Processor time of a call, to within a tenth of a second; 5 s. It is a belt: fuel ends a call first on all machines but the slowest.
    pub cpu_time: Duration,
    /// A component in bytes; 64 MiB. With an interpreter for Python it has 18 MB.
    pub component_bytes: usize,
    /// Functions of it; 25,000. Python's interpreter has 13,482.
    pub functions: usize,
    /// All functions of it in bytes; 16 MiB. Python's have 6.6 MB.
    pub code_bytes: usize,
    /// One of them in bytes; 1 MiB. The largest of Python's has 427 KB.
    pub function_bytes: usize,
    /// Branches of all functions times their locals, one more of each, by which compiling takes longer; 16,000,000.
    /// Python's interpreter has 5,318,279.
    pub weight: u64,
    /// The same of one function; 1,000,000. The most of Python's is 212,474.
    pub function_weight: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            fuel: 1_000_000_000,
            memory_bytes: 64 * MIB,
            input_bytes: 8 * MIB,
            output_bytes: MIB,
            cpu_time: Duration::from_secs(5),
            component_bytes: 64 * MIB,
            functions: 25_000,
            code_bytes: 16 * MIB,
            function_bytes: MIB,
            weight: 16_000_000,
            function_weight: 1_000_000,
        }
    }
}

/// Loads policies, and has what they share: the engine, the limits and the cache.
#[derive(Clone)]
pub struct Host {
    engine: Engine,
    limits: Arc<Limits>,
    cache: Option<Cache>,
    compiler: Option<ChildCompiler>,
}

impl Host {
    /// Makes a host. Without a cache each policy is compiled when it is loaded.
    ///
    /// # Panics
    ///
    /// If wasmtime cannot compile for this machine.
    #[must_use]
    pub fn new(limits: Limits, cache: Option<Cache>) -> Self {
        let engine = Engine::new(&pooled(&limits))
            // Address space may be short, as under `ulimit -v`; then each call asks for what it needs.
            .or_else(|_| Engine::new(&modest()))
            .expect("the settings are right for machines that are supported");
        store::start_ticking(&engine);
        Self { engine, limits: Arc::new(limits), cache, compiler: None }
    }

    /// Compiles in a process of its own from now on. Without it a component that is made to can take all time and memory of this
    /// process while it is loaded: then load those alone whose origin you know.
    #[must_use]
    pub fn compiling_in(self, compiler: ChildCompiler) -> Self {
        Self { compiler: Some(compiler), ..self }
    }

    pub(crate) fn compile_here(&self, bytes: &[u8]) -> wasmtime::Result<Component> {
        Component::from_binary(&self.engine, bytes)
    }

    fn compile(&self, bytes: &[u8]) -> Result<Component, LoadError> {
        match &self.compiler {
            Some(child) => child.compile(&self.engine, bytes),
            None => self.compile_here(bytes).map_err(LoadError::Invalid),
        }
    }

    /// Loads a policy from the bytes of its component, and asks it what it is.
    ///
    /// # Errors
    ///
    /// If the bytes are no component that exports a policy and imports nothing, or if it cannot describe itself.
    pub fn load(&self, component: &[u8]) -> Result<Policy, LoadError> {
        check_kind(component, &self.limits)?;
        let Survey { imports, exports } = survey::of(component, &self.limits)?;
        if !imports.is_empty() {
            return Err(LoadError::Imports(imports));
        }
        let digest = PolicyDigest::of(component);
        let (exports, origin) = self.checked(component, &digest, exports)?;
        let label = Arc::new(PolicyLabel { name: None, digest });
        let mut runner = Runner { exports, limits: self.limits.clone(), label };
        let info = runner.describe(&[], || Ok(()))?.value;
        runner.label = Arc::new(PolicyLabel { name: Some(info.name.clone()), digest });
        Ok(Policy { runner, info, origin })
    }

    /// Takes a component out of the cache, or compiles it; keeps it there if it is a policy.
    fn checked(
        &self,
        bytes: &[u8],
        digest: &PolicyDigest,
        exports: Vec<String>,
    ) -> Result<(Exports, Origin), LoadError> {
        let wrong = |exports, source| LoadError::WrongWorld { wanted: INTERFACE, exports, source };
        let kept = self.cache.as_ref().and_then(|cache| cache.load(&self.engine, digest));
        let (component, origin) = match kept {
            Some(component) => (component, Origin::Cache),
            None if !exports.iter().any(|name| may_be_ours(name)) => {
                return Err(wrong(exports, None));
            }
            None => (self.compile(bytes)?, Origin::Compiled),
        };
        let instance =
            Linker::new(&self.engine).instantiate_pre(&component).map_err(LoadError::Invalid)?;
        let store = store::new(&self.engine, &self.limits);
        let policy = Exports::of(instance, store).map_err(|why| wrong(exports, Some(why)))?;
        if let Some(cache) = self.cache.as_ref().filter(|_| origin == Origin::Compiled) {
            // A directory that cannot be written to costs time at the next start, and nothing else.
            let _ = cache.store(&self.engine, digest, &component);
        }
        Ok((policy, origin))
    }
}

/// Whether wasmtime may find the interface under this name: it takes a later patch for the one that it looks for.
fn may_be_ours(export: &str) -> bool {
    let line = INTERFACE.rsplit_once('.').map_or(INTERFACE, |(line, _)| line);
    export.strip_prefix(line).is_some_and(|patch| patch.starts_with('.'))
}

/// Calls at once, for which there is room that is used again.
const CALLS_AT_ONCE: u32 = 64;

/// Bytes of a memory that are zeroed rather than given back.
const KEPT_BYTES: usize = 4 << 20;

/// How wasmtime compiles and runs: so that answers and fuel do not depend on the machine.
fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .consume_fuel(true)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true);
    config
}

/// The same where address space is short: a memory takes what it has, and no more.
fn modest() -> Config {
    let mut config = config();
    config.memory_reservation(0).memory_guard_size(0).memory_reservation_for_growth(0);
    config
}

/// The same, with room for calls that is made once and used again, zeroed: a call is a third quicker.
fn pooled(limits: &Limits) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(CALLS_AT_ONCE)
        .total_core_instances(CALLS_AT_ONCE * MAX_INSTANCES)
        .total_memories(CALLS_AT_ONCE * MAX_PARTS)
        .total_tables(CALLS_AT_ONCE * MAX_PARTS)
        .max_core_instances_per_component(MAX_INSTANCES)
        .max_memories_per_component(MAX_PARTS)
        .max_memories_per_module(MAX_PARTS)
        .max_tables_per_component(MAX_PARTS)
        .max_tables_per_module(MAX_PARTS)
        // More than all functions and globals that the survey lets pass.
        .max_core_instance_size(4 << 20)
        .table_elements(store::MAX_TABLE_ELEMENTS)
        .max_memory_size(limits.memory_bytes)
        .linear_memory_keep_resident(KEPT_BYTES)
        .table_keep_resident(KEPT_BYTES)
        .pagemap_scan(wasmtime::Enabled::Auto);
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// Tells components from everything else by their first eight bytes, so that each has an error of its own.
fn check_kind(bytes: &[u8], limits: &Limits) -> Result<(), LoadError> {
    const MAGIC: &[u8] = b"\0asm";
    const CORE_LAYER: &[u8] = &[1, 0, 0, 0];
    if bytes.len() > limits.component_bytes {
        return Err(LoadError::TooLarge { got: bytes.len(), limit: limits.component_bytes });
    }
    match bytes.strip_prefix(MAGIC) {
        None => Err(LoadError::NotWasm),
        Some(rest) if rest.starts_with(CORE_LAYER) => Err(LoadError::CoreModule),
        Some(_) => Ok(()),
    }
}

/// Where the machine code of a policy came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was compiled just now.
    Compiled,
    /// It was in the cache.
    Cache,
}

/// An answer that is within the contract, and what it took.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Answer<T> {
    /// The answer.
    pub value: T,
    /// What the call used.
    pub usage: Usage,
}

/// A policy that can be asked.
pub struct Policy {
    runner: Runner,
    info: PolicyInfo,
    origin: Origin,
}

impl Policy {
    /// Digest of the component.
    #[must_use]
    pub fn digest(&self) -> PolicyDigest {
        self.runner.label.digest
    }

    /// What the policy said of itself without any settings.
    #[must_use]
    pub fn info(&self) -> &PolicyInfo {
        &self.info
    }

    /// Where its machine code came from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Checks settings against those that the policy has, before it is asked anything.
    ///
    /// # Errors
    ///
    /// The first that is unknown, of another type, out of its range or given twice.
    pub fn check_settings(&self, settings: &[Setting]) -> Result<(), Violation> {
        contract::check_settings(settings, &self.info)
    }

    /// Asks what the policy is and what it wants under these settings.
    ///
    /// # Errors
    ///
    /// If it gives no answer that counts, or a setting is none of its own.
    pub fn describe(&self, settings: &[Setting]) -> Result<Answer<PolicyInfo>, CallError> {
        self.runner.describe(settings, || contract::check_settings(settings, &self.info))
    }

    /// Asks for the stages of a rollout.
    ///
    /// # Errors
    ///
    /// If it gives no answer that counts, or says itself what must be changed ([`Fault::Refused`]).
    pub fn plan(&self, input: &PlanInput) -> Result<Answer<RolloutPlan>, CallError> {
        self.runner.call(
            Function::Plan,
            input,
            || contract::check_plan_input(input, &self.info),
            |store| self.runner.exports.plan(store),
            v0_1::call,
            |plan| contract::check_plan(plan, input),
        )
    }

    /// Asks what happens next.
    ///
    /// # Errors
    ///
    /// If it gives no answer that counts, or says itself what is wrong with the input ([`Fault::Refused`]).
    pub fn evaluate(&self, now: &Snapshot) -> Result<Answer<Verdict>, CallError> {
        self.runner.call(
            Function::Evaluate,
            now,
            || contract::check_snapshot(now, &self.info),
            |store| self.runner.exports.evaluate(store),
            v0_1::call,
            |verdict| contract::check_verdict(verdict, now),
        )
    }
}

/// Makes calls, each in a fresh instance.
struct Runner {
    exports: Exports,
    limits: Arc<Limits>,
    label: Arc<PolicyLabel>,
}

impl Runner {
    fn describe(
        &self,
        settings: &[Setting],
        check: impl FnOnce() -> Result<(), Violation>,
    ) -> Result<Answer<PolicyInfo>, CallError> {
        self.call(
            Function::Describe,
            &settings.to_vec(),
            check,
            |store| self.exports.instantiate(store),
            |policy, store, settings| v0_1::describe(policy, store, &settings),
            contract::check_info,
        )
    }

    /// Makes an instance, and waits while all room is in use: that others call is no fault of the policy.
    fn instantiate<T>(
        &self,
        make: impl Fn(&mut Store<Meter>) -> wasmtime::Result<T>,
    ) -> (Store<Meter>, wasmtime::Result<T>) {
        loop {
            let mut store = store::new(self.exports.engine(), &self.limits);
            match make(&mut store) {
                Err(error) if error.is::<wasmtime::PoolConcurrencyLimitError>() => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                instance => return (store, instance),
            }
        }
    }

    /// Calls a function under all limits, and checks what goes in and what comes out.
    fn call<I: Mirrored, O: Mirrored, T>(
        &self,
        function: Function,
        input: &I,
        check_input: impl FnOnce() -> Result<(), Violation>,
        make: impl Fn(&mut Store<Meter>) -> wasmtime::Result<T>,
        ask: impl FnOnce(&T, &mut Store<Meter>, I::Wit) -> Asked<O>,
        check_answer: impl FnOnce(&O) -> Result<(), Violation>,
    ) -> Result<Answer<O>, CallError> {
        let fail = |usage, fault| CallError { policy: self.label.clone(), function, usage, fault };
        let (got, limit) = (input.bytes(), self.limits.input_bytes);
        if got > limit {
            return Err(fail(Usage::default(), Fault::InputTooLarge { got, limit }));
        }
        check_input().map_err(|violation| fail(Usage::default(), Fault::Input(violation)))?;

        let (mut store, instance) = self.instantiate(make);
        let answer = instance
            .map_err(|error| store::fault(&error, &self.limits, Fault::Host))
            .and_then(|instance| {
                let asked = ask(&instance, &mut store, input.to_wit());
                asked.map_err(|error| store::fault(&error, &self.limits, Fault::Malformed))
            });
        let usage = store::usage(&store, &self.limits);
        let value = answer
            .and_then(|answer| match answer {
                Ok(wit) => Ok(O::from_wit(wit)),
                Err(text) => Err(refusal(text)),
            })
            .and_then(|value| check_answer(&value).map(|()| value).map_err(Fault::Contract))
            .map_err(|fault| fail(usage, fault))?;
        Ok(Answer { value, usage })
    }
}

fn refusal(text: String) -> Fault {
    match contract::check_refusal(&text) {
        Ok(()) => Fault::Refused(text),
        Err(violation) => Fault::Contract(violation),
    }
}
