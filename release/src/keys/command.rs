//! A signer that is another program: one that asks a token, a key service, or a person.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{PublicKey, SIGNATURE_LEN, Signer, check_signature, parse_signature};
use crate::{Error, Result};

/// How long a command may take for one signature: time to touch a token.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Most bytes that are read of what a command writes: a signature in any form has fewer.
const MAX_OUTPUT_BYTES: u64 = 4096;

/// How often it is looked whether a command has ended.
const LOOK: Duration = Duration::from_millis(5);

/// Runs a command for each signature.
///
/// What is to be signed goes to its standard input, and 64 bytes are wanted on its standard output: raw, in hexadecimal digits
/// or in base64. Its standard error is the caller's, so that it can ask for a PIN. No shell is involved. A signature that the
/// public key does not verify is an error, so that nothing wrong is ever written. One command runs at a time.
#[derive(Debug)]
pub struct CommandSigner {
    program: String,
    arguments: Vec<String>,
    public_key: PublicKey,
    timeout: Duration,
    turn: Mutex<()>,
}

impl CommandSigner {
    /// Takes a command line apart, as a POSIX shell would, without expanding anything.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is empty, if a quotation mark is left open, or if it may take no time. None shows the command, which
    /// may hold a PIN.
    pub fn new(command: &str, public_key: PublicKey, timeout: Duration) -> Result<Self> {
        let usage = |why: &str| Error::Usage(format!("the command that signs {why}"));
        let open = || usage("has a quotation mark that is left open");
        let mut words = shlex::split(command).ok_or_else(open)?.into_iter();
        let program = words.next().ok_or_else(|| usage("is empty"))?;
        if program.contains('=') {
            return Err(usage("begins with a variable: no shell sets it, `env` does"));
        }
        if timeout.is_zero() {
            return Err(usage("wants more than 0 seconds"));
        }
        let arguments = words.collect();
        Ok(Self { program, arguments, public_key, timeout, turn: Mutex::new(()) })
    }

    fn failed(&self, why: impl Into<String>) -> Error {
        Error::SignerCommand { program: self.program.clone(), why: why.into() }
    }

    fn run(&self, message: &[u8]) -> Result<Vec<u8>> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| self.failed(format!("it cannot be started: {error}")))?;
        let outcome = self.talk(&mut child, message);
        if outcome.is_err() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        outcome
    }

    /// Writes and reads on threads of their own, since a command may do either first, or neither.
    fn talk(&self, child: &mut Child, message: &[u8]) -> Result<Vec<u8>> {
        let message = message.to_vec();
        let stdin = child.stdin.take();
        // A command that ends without reading gets no error from us: what it says counts.
        std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&message)));
        let (told, heard) = mpsc::channel();
        let stdout = child.stdout.take();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = stdout.map(|it| it.take(MAX_OUTPUT_BYTES).read_to_end(&mut bytes));
            let _ = told.send(read.transpose().map(|_| bytes));
        });
        let status = self.wait(child)?;
        if !status.success() {
            return Err(self.failed(format!("it ended with {status}")));
        }
        match heard.recv_timeout(self.timeout) {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) => Err(self.failed(format!("its output cannot be read: {error}"))),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                Err(self.failed("its output has no end"))
            }
        }
    }

    fn wait(&self, child: &mut Child) -> Result<std::process::ExitStatus> {
        let looks = self.timeout.as_millis() / LOOK.as_millis();
        for _ in 0..=looks {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => std::thread::sleep(LOOK),
                Err(error) => return Err(self.failed(error.to_string())),
            }
        }
        Err(self.failed(format!("it takes longer than {} s", self.timeout.as_secs_f32())))
    }
}

impl Signer for CommandSigner {
    fn public_key(&self) -> PublicKey {
        self.public_key
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN]> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let output = self.run(message)?;
        let signature = parse_signature(&output).ok_or_else(|| {
            self.failed(format!(
                "it wrote {} bytes that are no signature: 64 are wanted, raw, in hexadecimal digits or in base64",
                output.len()
            ))
        })?;
        if !check_signature(&self.public_key, message, &signature) {
            return Err(self.failed("its signature is not one of the given public key"));
        }
        Ok(signature)
    }
}
