//! `resolve inject TEMPLATE`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use credchain::{Credchain, Error, Kind, Name, Secret, Template, TemplateError};

use crate::app::{App, undeclared};
use crate::commands::check::with_advice;
use crate::failure::Failure;
use crate::files::{self, Mode};

const UNDECLARED: &str = "the template uses it, but it is not declared";

/// The longest template that is read.
const MAX_TEMPLATE: u64 = 64 << 20;

/// Arguments of `inject`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve inject app.conf.template -o app.conf\n  \
    resolve inject - < app.conf.template\n\n\
    In a template, `{{ db_password }}` is the value, `{{ db_password | url }}` the value\n\
    for a URL. Filters: url, json, base64, sh. `{{ \"{{\" }}` writes two braces; `${…}` and\n\
    everything else stays as it is.")]
pub(crate) struct Args {
    /// The template; `-` is standard input
    #[arg(value_name = "TEMPLATE|-")]
    template: PathBuf,
    /// Write to this file, readable by you alone, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Fills the template: all of it, or nothing.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let template = read(&args.template)?;
    let credchain = app.open()?;
    let filled = fill(&template, &credchain, &args.template, app)?;
    if let Some(path) = &args.output {
        files::replace(path, filled.expose(), Mode::Private)?;
        let parts = template.names().count();
        let values = if parts == 1 { "value" } else { "values" };
        app.output()
            .note(&format!("wrote `{}` with {parts} {values}", path.display()));
    } else {
        app.output().data(filled.expose())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<Template, Failure> {
    let mut bytes = if path == Path::new("-") {
        files::limited(std::io::stdin().lock(), MAX_TEMPLATE)
            .map_err(|error| Failure::io("reading the template from standard input", error))?
    } else {
        files::read(path, MAX_TEMPLATE)?
    };
    let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
        let (line, column) = position(error.as_bytes(), error.utf8_error().valid_up_to());
        invalid(path, line, column, "not UTF-8")
    })?;
    text.parse::<Template>()
        .map_err(|error| malformed(path, &text, &error))
}

fn malformed(path: &Path, text: &str, error: &TemplateError) -> Failure {
    let (line, column) = position(text.as_bytes(), error.span().start);
    invalid(path, line, column, &error.to_string())
}

fn invalid(path: &Path, line: usize, column: usize, message: &str) -> Failure {
    let file = if path == Path::new("-") {
        "standard input".into()
    } else {
        path.to_string_lossy()
    };
    Error::new(Kind::Invalid, format!("{file}:{line}:{column}: {message}"))
        .with_hint("`resolve inject --help` shows what a template may hold")
        .into()
}

/// Line and column, from 1; columns count characters.
fn position(text: &[u8], offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line = before.split(|byte| *byte == b'\n').count();
    let start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    (
        line,
        String::from_utf8_lossy(&before[start..]).chars().count() + 1,
    )
}

fn fill(
    template: &Template,
    credchain: &Credchain,
    path: &Path,
    app: &App,
) -> Result<Secret, Failure> {
    let mut names: Vec<Name> = template.names().cloned().collect();
    names.sort_unstable();
    names.dedup();
    let declared = credchain.declared()?;
    let mut errors: Vec<Error> = names
        .iter()
        .filter(|name| !declared.contains(name))
        .map(|name| undeclared(name, &declared, credchain, UNDECLARED))
        .collect();
    names.retain(|name| declared.contains(name));
    let mut values = BTreeMap::new();
    for (name, resolution) in names.iter().zip(app.resolve(credchain, &names)?) {
        match resolution.result {
            Ok(secret) => drop(values.insert(name.clone(), secret)),
            Err(error) => errors.push(with_advice(credchain, name, error)),
        }
    }
    if !errors.is_empty() {
        return Err(Failure::Credentials(errors));
    }
    let filled = template.render(|name| {
        values
            .get(name)
            .cloned()
            .ok_or_else(|| Error::not_found().for_credential(name))
    });
    filled.map_err(|error| {
        let hint = format!("in `{}`", path.display());
        if error.hint().is_some() {
            error
        } else {
            error.with_hint(hint)
        }
        .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_by_line_and_character() {
        assert_eq!(position(b"abc", 1), (1, 2));
        assert_eq!(position("a\nä{{".as_bytes(), 4), (2, 2));
        assert_eq!(position(b"", 0), (1, 1));
    }
}
