//! Credentials into the environment of a program.

mod files;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use credchain::{Credchain, Environment, Error, FILES_VARIABLE, Kind, LeaseKeeper, Name, Secret};

use crate::app::App;
use crate::child::Beside;
use crate::commands::check::with_advice;
use crate::failure::Failure;
pub(crate) use files::SecretFiles;

/// Longest `NAME=value` that Linux takes for one variable, in bytes: `MAX_ARG_STRLEN`, with the
/// terminating NUL.
const MAX_VARIABLE: usize = 128 * 1024 - 1;

/// What `--clean-env` keeps of the caller's environment: enough to find programs, speak the
/// user's language and draw on the terminal.
const MINIMAL: &[&str] = &[
    "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ",
    "USER",
];

/// The variables a program is going to get, and the files behind some of them.
#[derive(Debug)]
pub(crate) struct Injection {
    variables: BTreeMap<OsString, Secret>,
    files: SecretFiles,
    /// Those of the variables that hold a file's path.
    paths: Vec<String>,
    /// What was resolved.
    values: Vec<(Name, Secret)>,
    /// Whether a value lives only while its lease is renewed.
    leased: bool,
}

impl Injection {
    /// Resolves `names` and turns each into its variable.
    pub(crate) fn prepare(
        credchain: &Credchain,
        names: &[Name],
        app: &App,
    ) -> Result<Self, Failure> {
        let mut refused: Vec<Error> = Vec::new();
        let mut values = Vec::with_capacity(names.len());
        for (name, resolution) in names.iter().zip(app.resolve(credchain, names)?) {
            match resolution.result {
                Ok(secret) => values.push((name.clone(), secret)),
                Err(error) => refused.push(with_advice(credchain, name, error)),
            }
        }
        refused.extend(credchain.refused_injections(names));
        if !refused.is_empty() {
            return Err(Failure::Credentials(refused));
        }
        let mut files = SecretFiles::new(&app.env());
        let mut variables = BTreeMap::new();
        let mut paths = Vec::new();
        let leased = values
            .iter()
            .any(|(_, secret)| secret.meta().lease.is_some());
        for (name, secret) in &values {
            let variable = credchain.env_name(name);
            let value = if credchain.is_file(name) {
                paths.push(variable.clone());
                Secret::new(files.add(name, secret)?)
            } else {
                fits(name, &variable, secret)?;
                secret.clone()
            };
            variables.insert(variable.into(), value);
        }
        Ok(Self {
            variables,
            files,
            paths,
            values,
            leased,
        })
    }

    /// What goes on beside the program: its files, and its leases, renewed while it runs and ended
    /// after it. What has done its work ends now.
    pub(crate) fn beside(self, credchain: Credchain) -> Result<Beside, Failure> {
        let leases = if self.leased {
            Some(LeaseKeeper::start(credchain)?)
        } else {
            // The values are read: a login that is not to be left behind has done its work.
            credchain::block_on(credchain.close())??;
            // Whatever a provider keeps running, a plugin for one, ends now: after the replacement it
            // would be a child of a program that knows nothing of it.
            drop(credchain);
            None
        };
        Ok(Beside {
            files: self.files,
            leases,
        })
    }

    /// The values that the program gets, by name.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&Name, &Secret)> {
        self.values.iter().map(|(name, secret)| (name, secret))
    }

    /// The caller's environment, without what is credchain's own, plus the credentials.
    pub(crate) fn environment(
        &self,
        caller: &Environment,
        clean: bool,
        credchain: &Credchain,
    ) -> Vec<(OsString, OsString)> {
        let keep = |name: &OsStr| {
            !name.to_str().is_some_and(credchain::is_own_secret)
                && (!clean || MINIMAL.iter().any(|variable| name == *variable))
                && !self.variables.contains_key(name)
                && !self.is_detour(name)
        };
        let mut environment: Vec<_> = caller
            .all()
            .into_iter()
            .filter(|(name, _)| keep(name))
            .collect();
        // A nested `resolve` is to agree with this one.
        let inherited = caller.text(FILES_VARIABLE).filter(|_| !clean);
        let mut nested = credchain.nested_variables();
        nested.extend(
            self.path_variables(inherited)
                .map(|list| (FILES_VARIABLE, list)),
        );
        environment.retain(|(existing, _)| existing != FILES_VARIABLE);
        for (name, value) in nested {
            environment.retain(|(existing, _)| existing != name);
            environment.push((name.into(), value));
        }
        environment.extend(
            self.variables
                .iter()
                .map(|(name, secret)| (name.clone(), to_os(secret.expose()))),
        );
        environment
    }

    /// Whether it is `NAME_FILE` of an injected `NAME`: both together are a contradiction, for a
    /// nested `resolve` as for every program that knows the convention.
    fn is_detour(&self, variable: &OsStr) -> bool {
        let direct = variable
            .to_str()
            .and_then(|text| text.strip_suffix("_FILE"));
        direct.is_some_and(|direct| self.variables.contains_key(OsStr::new(direct)))
    }

    /// The variables that hold a path instead of a value: those of this run, and those that this
    /// process got and hands on.
    fn path_variables(&self, inherited: Option<String>) -> Option<OsString> {
        let inherited = inherited.unwrap_or_default();
        let handed_on = inherited
            .split(',')
            .filter(|name| !name.is_empty() && !self.variables.contains_key(OsStr::new(name)));
        let own = self.paths.iter().map(String::as_str);
        let list: Vec<&str> = handed_on.chain(own).collect();
        (!list.is_empty()).then(|| list.join(",").into())
    }
}

fn fits(name: &Name, variable: &str, secret: &Secret) -> Result<(), Error> {
    let value = secret.expose();
    let problem = if value.contains(&0) {
        "it has a NUL byte, which no environment variable can hold"
    } else if variable.len() + 1 + value.len() > MAX_VARIABLE {
        "it is longer than the 128 KiB that one environment variable can hold"
    } else {
        return Ok(());
    };
    Err(Error::new(Kind::Invalid, problem)
        .for_credential(name)
        .with_hint(format!(
            "`as_file = true` in `[credentials.{name}]` hands it over as a file"
        )))
}

#[cfg(unix)]
fn to_os(bytes: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(bytes.to_vec())
}

#[cfg(not(unix))]
fn to_os(bytes: &[u8]) -> OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}
