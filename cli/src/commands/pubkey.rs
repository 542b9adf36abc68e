use std::fmt::Write as _;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_release::development_key;
use whittle_release::image::hex;
use whittle_release::keys::{self, Keyring, PublicKey};

use crate::error::Result;
use crate::printer::Printer;
use crate::schema;

/// Print a public key in the form that its user needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Key file in PEM, minisign's format, or 32 bytes; of a private key in PEM, the public half is printed.
    key: PathBuf,

    /// The form, where the format is for people.
    #[arg(long, value_enum, default_value_t = Form::Pem)]
    to: Form,

    /// Take a development key also where the form has no room for its mark.
    #[arg(long)]
    allow_development: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// SubjectPublicKeyInfo, for OpenSSL and `--pubkey`.
    Pem,
    /// As minisign and rsign2 have it.
    Minisign,
    /// The 32 raw bytes.
    Raw,
    /// The 32 raw bytes in hexadecimal digits.
    Hex,
    /// A C array, for firmware.
    C,
    /// A Rust array, for firmware.
    Rust,
}

/// A public key.
#[derive(JsonSchema, Serialize)]
pub(crate) struct PublicKeyView {
    /// Id of the key.
    #[schemars(regex(pattern = schema::HEX_8_BYTES))]
    key_id: String,
    /// The 32 raw bytes in hexadecimal digits.
    #[schemars(regex(pattern = schema::HEX_32_BYTES))]
    public_key: String,
    /// Whether the file has the mark of a development key; absent if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    development: bool,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result {
    let development = keys::is_development_file(&args.key)?;
    let keeps_mark = printer.is_json() || matches!(args.to, Form::Pem | Form::Minisign);
    let key = keys::read_public_for_use(&args.key, args.allow_development || keeps_mark)?;
    let id = Keyring(vec![key]).ids().map(|id| hex(&id)).collect::<String>();
    if printer.is_json() {
        return printer
            .result(&PublicKeyView { key_id: id, public_key: hex(&key), development }, |_| {
                String::new()
            });
    }
    match args.to {
        Form::Pem => {
            let pem = keys::public_pem(&key).unwrap_or_default();
            printer.stdout(&if development { development_key::mark(&pem) } else { pem })
        }
        Form::Minisign => {
            let file = keys::public_minisign(&key);
            printer.stdout(&if development { development_key::mark_minisign(&file) } else { file })
        }
        Form::Raw => printer.bytes(&key),
        Form::Hex => printer.stdout(&hex(&key)),
        Form::C => printer.stdout(&format!(
            "/* Ed25519 public key, id {id} */\nstatic const unsigned char whittle_public_key[32] = {{\n{}}};\n",
            array_lines(&key)
        )),
        Form::Rust => printer.stdout(&format!(
            "/// Ed25519 public key, id {id}.\npub const WHITTLE_PUBLIC_KEY: [u8; 32] = [\n{}];\n",
            array_lines(&key)
        )),
    }
}

fn array_lines(key: &PublicKey) -> String {
    let mut lines = String::new();
    for bytes in key.chunks(8) {
        let bytes: Vec<_> = bytes.iter().map(|byte| format!("0x{byte:02x},")).collect();
        let _ = writeln!(lines, "    {}", bytes.join(" "));
    }
    lines
}
