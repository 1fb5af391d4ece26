//! `resolve generate`

use std::io::IsTerminal as _;
use std::process::ExitCode;

use base64::Engine as _;
use credchain::rotate::Recipe;
use credchain::{Expect, Kind, LinkName, Secret, SetOptions};
use serde::Serialize;

use crate::app::App;
use crate::failure::Failure;
use crate::target::Target;

/// Most random bytes or characters in one value.
const MAX: u32 = 1 << 20;

/// Arguments of `generate`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve generate                              43 URL-safe characters from 32 random bytes\n  \
    resolve generate --set session_key            store it without showing it\n  \
    resolve generate --length 12 --alphabet digits\n  \
    resolve generate --length 24 --alphabet 'abcdef!?'\n  \
    resolve generate --length 20 --must-contain lower,upper,digits,symbols\n  \
    resolve generate --words 8                    a passphrase of 88 bits")]
pub(crate) struct Args {
    /// Encode this many random bytes as URL-safe base64 without padding [default: 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX)))]
    bytes: Option<u32>,
    /// Draw this many characters from an alphabet instead
    #[arg(long, value_name = "N", conflicts_with = "bytes",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX)))]
    length: Option<u32>,
    /// alphanumeric, hex, base64url, digits, symbols, or the characters themselves
    #[arg(
        long,
        value_name = "ALPHABET",
        requires = "length",
        default_value = "alphanumeric"
    )]
    alphabet: String,
    /// With at least one of each of these sets: lower, upper, digits, symbols, or the characters
    /// themselves
    #[arg(long, value_name = "SET", requires = "length", value_delimiter = ',')]
    must_contain: Vec<String>,
    /// Draw this many words instead, of 11 bits each, for what a person has to type
    #[arg(long, value_name = "N", conflicts_with_all = ["bytes", "length"],
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    words: Option<u32>,
    /// Store it under this name instead of printing it
    #[arg(long, value_name = "NAME")]
    set: Option<String>,
    /// Store it at this provider
    #[arg(long, value_name = "LINK", requires = "set")]
    to: Option<LinkName>,
    /// Replace a value that is stored already
    #[arg(long, requires = "set")]
    overwrite: bool,
}

/// `generate --json`
#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u8,
    value: Option<&'a str>,
}

/// Makes a value, and prints or stores it.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let value = make(args)?;
    let output = app.output();
    match &args.set {
        Some(name) => {
            let expect = if args.overwrite {
                Expect::Any
            } else {
                Expect::Absent
            };
            let target = Target::parse(name, args.to.as_ref())?;
            let credchain = app.open()?;
            let options = SetOptions::expecting(expect);
            super::set::store(&credchain, &target, &value, args.to.as_ref(), &options, app)
                .map_err(hint_at_overwrite)?;
        }
        None if output.is_json() => {
            output.json(&Document {
                version: 1,
                value: value.expose_text(),
            })?;
        }
        None => {
            output.data(value.expose())?;
            if std::io::stdout().is_terminal() {
                output.data(b"\n")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn hint_at_overwrite(failure: Failure) -> Failure {
    match failure {
        Failure::Credentials(errors) => Failure::Credentials(
            errors
                .into_iter()
                .map(|error| match error.kind() {
                    Kind::Conflict => error.with_hint("`--overwrite` replaces it"),
                    _ => error,
                })
                .collect(),
        ),
        other => other,
    }
}

fn make(args: &Args) -> Result<Secret, Failure> {
    let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let usage = |error: credchain::Error| match error.kind() {
        Kind::Invalid => Failure::usage(error.message().to_owned()),
        _ => error.into(),
    };
    if let Some(words) = args.words {
        return Ok(credchain::rotate::passphrase(number(words))?);
    }
    if let Some(length) = args.length {
        let recipe = Recipe::new(number(length)).of(Recipe::alphabet(&args.alphabet));
        let sets = args.must_contain.iter();
        let recipe = sets.fold(recipe, |recipe, set| recipe.must_contain(Recipe::set(set)));
        return recipe.make().map_err(usage);
    }
    let wanted = number(args.bytes.unwrap_or(32));
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(wanted));
    while bytes.len() < wanted {
        let more = credchain::random_bytes::<64>()?;
        let missing = (wanted - bytes.len()).min(more.len());
        bytes.extend_from_slice(&more[..missing]);
    }
    Ok(Secret::new(
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&*bytes),
    ))
}
