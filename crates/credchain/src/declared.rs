//! What programs get, and under which names.

use std::ffi::OsString;

use credchain_config::is_loader_variable;
use credchain_core::{Error, Kind, Link, LinkName, Name, Result, TrustNeed, block_on};

use crate::Credchain;

impl Credchain {
    /// The declared credentials, in alphabetical order. Without any configuration these are the
    /// keys of the `.env` file.
    ///
    /// # Errors
    /// Whatever keeps the `.env` file from being read.
    pub fn declared(&self) -> Result<Vec<Name>> {
        if self.loaded().configured {
            return Ok(self.project().declared().cloned().collect());
        }
        let Some(link) = self.resolver().link(&LinkName::literal("dotenv")) else {
            return Ok(Vec::new());
        };
        let cx = self.resolver().context();
        match block_on(link.provider().list(None, &cx))? {
            Ok(listed) => {
                let mut names = Vec::with_capacity(listed.len());
                for key in listed.iter().map(|entry| entry.reference.path()) {
                    if let Ok(name) = key.parse::<Name>() {
                        names.push(name);
                        continue;
                    }
                    tracing::warn!(
                        key,
                        "left out of `.env`, because no credential can have this name; `resolve \
                         init` makes a configuration, and `env = \"…\"` in it gives a credential \
                         any variable"
                    );
                }
                names.sort_unstable();
                Ok(names)
            }
            Err(error) if error.kind().is_miss() => Ok(Vec::new()),
            Err(error) => Err(error.at(link.name().clone())),
        }
    }

    /// Whether a declared credential is handed to programs at all.
    pub fn is_injected(&self, name: &Name) -> bool {
        let project = self.project();
        match (project.credentials.get(name), project.oauth2.get(name)) {
            (Some(spec), _) => spec.inject,
            (None, Some(spec)) => spec.inject,
            (None, None) => !self.loaded().configured,
        }
    }

    /// The environment variable that a credential is injected as. Without a configuration it is
    /// the name as it stands in `.env`.
    pub fn env_name(&self, name: &Name) -> String {
        if self.loaded().configured || self.resolver().credential(name).is_some() {
            self.resolver().naming(name).env_name()
        } else {
            name.to_string()
        }
    }

    /// Whether programs get the credential as a file.
    pub fn is_file(&self, name: &Name) -> bool {
        self.project()
            .credentials
            .get(name)
            .is_some_and(|spec| spec.as_file)
    }

    /// Whether the credential is to be kept secret: all are, but for `secret = false`. Without a
    /// configuration nothing says which, so that all are.
    pub fn is_secret(&self, name: &Name) -> bool {
        let spec = self.project().credentials.get(name);
        spec.is_none_or(|spec| spec.secret)
    }

    /// Whether nothing but this process and local files is asked for a credential, whatever the
    /// answers are; then [`block_on_at_hand`](crate::block_on_at_hand) will do.
    pub fn is_at_hand(&self, name: &Name) -> bool {
        let spec = self.project().credentials.get(name);
        let is_made = spec.is_some_and(|spec| spec.template.is_some());
        let chain = self.resolver().chain(name);
        let near = |link: &Link| {
            let spec = self.project().providers.get(link.name());
            spec.is_some_and(|spec| {
                let registration = self.registry().get(&spec.type_name);
                spec.needs.is_empty()
                    && registration.is_some_and(|one| one.trust != TrustNeed::Always)
            })
        };
        !is_made && !chain.is_empty() && chain.iter().all(near)
    }

    /// What the configuration says a credential is for.
    pub fn description(&self, name: &Name) -> Option<String> {
        self.project().credentials.get(name)?.description.clone()
    }

    /// For each of `names` that would set a variable which programs obey, such as `LD_PRELOAD`,
    /// without the user's trust: the refusal.
    pub fn refused_injections(&self, names: &[Name]) -> Vec<Error> {
        let refused = |name: &Name| {
            let declared = self.project().declares(name);
            if self.loaded().configured && declared {
                return Some(self.verdict().injected(name)?.error());
            }
            // A `.env` comes with a cloned repository like a configuration does.
            let variable = self.env_name(name);
            is_loader_variable(&variable).then(|| {
                let message = format!("`{variable}` makes programs load or run other things");
                Error::new(Kind::Untrusted, message)
                    .for_credential(name)
                    .with_hint("take it out of `.env`, or leave it out with `--only`")
            })
        };
        names.iter().filter_map(refused).collect()
    }

    /// The variables that make a nested `resolve` agree with this one: the configuration file
    /// that was used, and the profile.
    pub fn nested_variables(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![(
            "CREDCHAIN_PROFILE",
            OsString::from(self.project().profile.clone()),
        )];
        // SECURITY: a file named by `CREDCHAIN_CONFIG` is the user's own word, whatever it says by
        // the time it is read again. What was only found is to be asked about like here.
        let variable = if self.loaded().explicit {
            "CREDCHAIN_CONFIG"
        } else {
            "CREDCHAIN_FOUND_CONFIG"
        };
        if let Some(file) = self.loaded().project_file() {
            variables.push((variable, file.path().as_os_str().to_owned()));
        }
        variables
    }
}
