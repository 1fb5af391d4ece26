//! The formats that `resolve export` writes: each says which bytes it can carry.

mod github;
pub(crate) mod quote;

use std::borrow::Cow;

use credchain::{Error, Kind, Name, Secret};

pub(crate) use github::write as write_github;

/// One variable to export.
#[derive(Debug)]
pub(crate) struct Variable {
    /// The credential it comes from; named in errors.
    pub(crate) name: Name,
    /// The environment variable.
    pub(crate) env: String,
    /// Its value.
    pub(crate) value: Secret,
    /// Whether the value is to be kept secret.
    pub(crate) secret: bool,
}

/// A format of `resolve export`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// `export NAME='…'` for POSIX shells: `eval "$(resolve export)"`
    Sh,
    /// `set -gx NAME '…'` for fish: `resolve export --format fish | source`
    Fish,
    /// `$env:NAME = '…'` for PowerShell: `resolve export --format pwsh | Out-String | iex`
    Pwsh,
    /// A `.env` file
    Dotenv,
    /// One JSON object of texts
    Json,
    /// GitHub Actions: masks every value, then appends to the file at `$GITHUB_ENV`
    Github,
    /// A file for `docker run --env-file`
    Docker,
    /// A file for systemd's `EnvironmentFile=`
    Systemd,
}

impl Format {
    /// What to print when nothing can be exported, so that a shell that evaluates the output
    /// fails as well. No value and no message goes in.
    pub(crate) fn failing_command(self, code: u8) -> Option<String> {
        match self {
            Self::Sh => Some(format!("(exit {code})\n")),
            Self::Fish => Some("false\n".to_owned()),
            Self::Pwsh => Some("throw 'resolve export failed'\n".to_owned()),
            _ => None,
        }
    }

    /// Takes `NAME_FILE` of an exported `NAME` out of the shell's environment, where the format is
    /// a shell's: both together are a contradiction to whoever reads them.
    pub(crate) fn unset(self, variables: &[String]) -> String {
        let line = |name: &String| match self {
            Self::Sh => format!("unset {name}\n"),
            Self::Fish => format!("set -e {name}\n"),
            Self::Pwsh => format!("Remove-Item Env:{name}\n"),
            _ => String::new(),
        };
        variables.iter().map(line).collect()
    }

    /// Writes all variables, or tells which one the format cannot carry.
    pub(crate) fn write(self, variables: &[Variable]) -> Result<Vec<u8>, Error> {
        if self == Self::Json {
            return json(variables);
        }
        let mut out = Vec::new();
        for variable in variables {
            self.line(variable, &mut out)
                .map_err(|error| error.for_credential(&variable.name))?;
        }
        Ok(out)
    }

    fn line(self, variable: &Variable, out: &mut Vec<u8>) -> Result<(), Error> {
        let value = variable.value.expose();
        if value.contains(&0) {
            return Err(cannot_carry("a NUL byte, which no environment can hold"));
        }
        // A `.env` file may have keys such as `A-B`, at which a shell stops halfway.
        let shell = matches!(self, Self::Sh | Self::Fish | Self::Pwsh | Self::Systemd);
        if shell && !is_identifier(&variable.env) {
            return Err(cannot_carry("a variable whose name has `-` or `.`"));
        }
        let (before, quoted): (String, Cow<'_, [u8]>) = match self {
            Self::Sh => (format!("export {}=", variable.env), quote::sh(value).into()),
            Self::Fish => (
                format!("set -gx {} ", variable.env),
                quote::fish(value).into(),
            ),
            Self::Pwsh => (
                format!("$env:{} = ", variable.env),
                quote::pwsh(text(value)?).into_bytes().into(),
            ),
            Self::Dotenv => {
                let quoted = credchain::dotenv::quote(value)
                    .ok_or_else(|| cannot_carry("bytes that no `.env` file can hold"))?;
                (format!("{}=", variable.env), Vec::from(quoted).into())
            }
            Self::Docker => {
                if text(value)?.contains(['\n', '\r']) {
                    return Err(cannot_carry("a line break, which an env-file cannot hold"));
                }
                (format!("{}=", variable.env), value.into())
            }
            Self::Systemd => (
                format!("{}=", variable.env),
                quote::systemd(text(value)?).into_bytes().into(),
            ),
            Self::Json | Self::Github => (String::new(), value.into()),
        };
        out.extend_from_slice(before.as_bytes());
        out.extend_from_slice(&quoted);
        out.push(b'\n');
        Ok(())
    }
}

fn json(variables: &[Variable]) -> Result<Vec<u8>, Error> {
    let mut object = serde_json::Map::new();
    for variable in variables {
        let text =
            text(variable.value.expose()).map_err(|error| error.for_credential(&variable.name))?;
        object.insert(variable.env.clone(), text.into());
    }
    let mut out = serde_json::to_vec_pretty(&object)
        .map_err(|_| Error::new(Kind::Internal, "the values are no JSON"))?;
    out.push(b'\n');
    Ok(out)
}

/// Whether every shell takes it as a variable's name.
fn is_identifier(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn text(value: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(value).map_err(|_| cannot_carry("bytes that are not UTF-8"))
}

fn cannot_carry(what: &str) -> Error {
    Error::new(Kind::Invalid, format!("the format cannot carry {what}"))
        .with_hint("`as_file = true` and `resolve exec` hand over any bytes as a file")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(value: &[u8]) -> Variable {
        let name = "api_key".parse().expect("a name");
        Variable {
            name,
            env: "API_KEY".to_owned(),
            value: Secret::new(value),
            secret: true,
        }
    }

    #[test]
    fn a_value_that_a_format_cannot_carry_is_an_error_that_names_the_credential() {
        let table: [(Format, &[u8]); 6] = [
            (Format::Sh, b"a\0b"),
            (Format::Json, b"\xff"),
            (Format::Pwsh, b"\xff"),
            (Format::Docker, b"a\nb"),
            (Format::Docker, b"\xff"),
            (Format::Systemd, b"\xff"),
        ];
        for (format, value) in table {
            let error = format.write(&[variable(value)]).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{format:?}");
            assert_eq!(error.credential().unwrap().as_str(), "api_key");
        }
    }

    #[test]
    fn a_name_that_a_shell_would_stop_at_is_an_error() {
        for (format, carries) in [
            (Format::Sh, false),
            (Format::Fish, false),
            (Format::Pwsh, false),
            (Format::Systemd, false),
            (Format::Dotenv, true),
            (Format::Docker, true),
            (Format::Json, true),
        ] {
            let odd = Variable {
                env: "A-B".to_owned(),
                ..variable(b"v")
            };
            assert_eq!(format.write(&[odd]).is_ok(), carries, "{format:?}");
        }
    }

    #[test]
    fn json_is_one_object_of_texts() {
        let out = Format::Json
            .write(&[variable("a\"\n\u{0}".as_bytes())])
            .unwrap();
        let parsed: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(parsed, serde_json::json!({"API_KEY": "a\"\n\u{0}"}));
    }
}
