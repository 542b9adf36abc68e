//! A manifest processor, as the draft's abstract machine describes one, over components in memory.

use std::collections::BTreeMap;
use std::path::Path;

use whittle_export::suit::{Command, ComponentId, Manifest, Parameters, Sequence, Uuid};
use whittle_release::apply::{Expectations, apply};
use whittle_release::{Image, Sha256Digest};

use crate::support::keys;

/// Why a procedure ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A condition does not hold.
    Condition,
    /// A directive cannot be carried out.
    Directive,
}

/// A device that processes manifests.
pub(crate) struct Processor<'a> {
    pub(crate) vendor: Uuid,
    pub(crate) classes: Vec<Uuid>,
    /// Where URIs lead.
    pub(crate) server: &'a Path,
    /// What components hold, by their names.
    pub(crate) stored: BTreeMap<ComponentId, Vec<u8>>,
    /// What was fetched.
    pub(crate) fetched: Vec<String>,
    /// What was invoked.
    pub(crate) invoked: Vec<ComponentId>,
}

/// A manifest while it is carried out.
struct Run<'p, 'a> {
    device: &'p mut Processor<'a>,
    components: &'p [ComponentId],
    parameters: BTreeMap<u32, Parameters>,
    current: Option<u32>,
}

impl<'a> Processor<'a> {
    pub(crate) fn new(server: &'a Path, vendor: Uuid, classes: &[Uuid]) -> Self {
        let (stored, fetched, invoked) = Default::default();
        Self { vendor, classes: classes.to_vec(), server, stored, fetched, invoked }
    }

    /// Carries out the update procedure, then the invocation procedure.
    pub(crate) fn process(&mut self, manifest: &Manifest) -> Result<(), Failure> {
        let severable = [&manifest.payload_fetch, &manifest.install];
        let severable = severable.map(|member| member.as_ref().and_then(|member| member.content()));
        let update = [severable[0], severable[1], manifest.validate.as_ref()];
        let invocation =
            [manifest.validate.as_ref(), manifest.load.as_ref(), manifest.invoke.as_ref()];
        for procedure in [update, invocation] {
            let mut run = Run {
                device: self,
                components: &manifest.components,
                parameters: BTreeMap::new(),
                current: None,
            };
            for sequence in procedure.into_iter().flatten() {
                run.sequence(&manifest.shared)?;
                run.sequence(sequence)?;
            }
        }
        Ok(())
    }
}

impl Run<'_, '_> {
    fn sequence(&mut self, sequence: &Sequence) -> Result<(), Failure> {
        let first = sequence.0.first();
        assert!(
            matches!(first, Some(Command::SetComponent(_))),
            "where there are several components, sequences begin with one"
        );
        sequence.0.iter().try_for_each(|command| self.command(command))
    }

    fn command(&mut self, command: &Command) -> Result<(), Failure> {
        match command {
            Command::SetComponent(number) => self.current = Some(*number),
            Command::Override(parameters) => self.set(parameters.clone()),
            Command::CheckVendor => {
                let vendor = self.parameters().vendor_id.expect("was set");
                condition(vendor == self.device.vendor)?;
            }
            Command::CheckClass => {
                let class = self.parameters().class_id.expect("was set");
                condition(self.device.classes.contains(&class))?;
            }
            Command::CheckImage => {
                let wanted = self.parameters().image_digest.expect("was set");
                let id = self.id();
                let found = self.device.stored.get(&id).map(|bytes| Sha256Digest::of(bytes));
                condition(found == Some(wanted))?;
            }
            Command::TryEach(sequences) => return self.try_each(sequences),
            Command::Fetch => return self.fetch(),
            Command::Copy => return self.copy(),
            Command::Invoke => self.device.invoked.push(self.id()),
        }
        Ok(())
    }

    fn try_each(&mut self, sequences: &[Sequence]) -> Result<(), Failure> {
        for sequence in sequences {
            match self.sequence(sequence) {
                Err(Failure::Condition) => {}
                ended => return ended,
            }
        }
        Err(Failure::Condition)
    }

    fn fetch(&mut self) -> Result<(), Failure> {
        let Parameters { uri, image_size, .. } = self.parameters().clone();
        let uri = uri.expect("was set");
        let bytes = std::fs::read(self.device.server.join(&uri)).map_err(|_| Failure::Directive)?;
        assert_eq!(Some(bytes.len() as u64), image_size, "the size is that of the package");
        self.device.fetched.push(uri);
        self.device.stored.insert(self.id(), bytes);
        Ok(())
    }

    /// A copy from where packages are is what the patcher does.
    fn copy(&mut self) -> Result<(), Failure> {
        let source = self.parameters().source_component.expect("was set") as usize;
        let source = &self.components[source];
        let bytes = self.device.stored.get(source).ok_or(Failure::Directive)?.clone();
        let bytes = if source.0[1] == b"package" { self.patch(&bytes)? } else { bytes };
        self.device.stored.insert(self.id(), bytes);
        Ok(())
    }

    fn patch(&self, package: &[u8]) -> Result<Vec<u8>, Failure> {
        let running = ComponentId(vec![self.id().0[0].clone(), b"running".to_vec()]);
        let base = self.device.stored.get(&running).cloned();
        let base = base.map(|bytes| Image::new(bytes).expect("small"));
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), package).expect("writes");
        let applied = apply(file.path(), base.as_ref(), &keys(), Expectations::default());
        applied.map(|applied| applied.image.bytes().to_vec()).map_err(|_| Failure::Directive)
    }

    fn set(&mut self, new: Parameters) {
        let old = self.parameters.entry(self.current.expect("was set")).or_default();
        *old = Parameters {
            vendor_id: new.vendor_id.or(old.vendor_id),
            class_id: new.class_id.or(old.class_id),
            image_digest: new.image_digest.or(old.image_digest),
            image_size: new.image_size.or(old.image_size),
            uri: new.uri.or(old.uri.take()),
            source_component: new.source_component.or(old.source_component),
        };
    }

    fn parameters(&mut self) -> &Parameters {
        self.parameters.entry(self.current.expect("was set")).or_default()
    }

    fn id(&self) -> ComponentId {
        self.components[self.current.expect("was set") as usize].clone()
    }
}

fn condition(holds: bool) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Condition) }
}
