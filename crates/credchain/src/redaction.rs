//! Hiding what was resolved: a redactor as `[redaction]` describes it.

use credchain_config::{Patterns, RedactionSpec, Replace};
use credchain_core::files::PrivateDirectory;
use credchain_core::{Error, Kind, Name, Result, Secret};
use credchain_redact::rules::{Rule, RuleError};
use credchain_redact::{
    FingerprintKey, Options, Reason, Redactor, Registration, Replacement, Rules,
};

use crate::{Credchain, random_bytes};

/// The key of fingerprints, in credchain's own directory.
const KEY: &str = "fingerprint-key";

impl Credchain {
    /// A redactor with the rules of `[redaction]`, and no value registered.
    ///
    /// # Errors
    /// [`Kind::Untrusted`] if `[redaction]` is that of a project that is not trusted;
    /// [`Kind::Misconfigured`] for rules that cannot be, or a key that cannot be kept.
    pub fn redactor(&self) -> Result<Redactor> {
        if let Some(untrusted) = self.verdict().redaction() {
            return Err(untrusted.error());
        }
        let spec = &self.project().redaction;
        let replacement = match spec.replace {
            Replace::Name => Replacement::Name,
            Replace::Fingerprint => Replacement::Fingerprint(self.fingerprint_key()?),
            _ => Replacement::Stars,
        };
        let builder = Redactor::builder()
            .replacement(replacement)
            .min_length(usize::try_from(spec.min_length).unwrap_or(usize::MAX))
            .patterns(rules(spec)?);
        Ok(builder.build())
    }

    /// Hides the value of a credential from now on. Tells why it is not hidden, if it is a secret
    /// that is in every text, such as a short one; one that is not to be masked is left alone.
    pub fn hide(&self, redactor: &Redactor, name: &Name, value: &Secret) -> Option<Reason> {
        let options = match self.masks(name) {
            Some(false) => return None,
            Some(true) => Options::force(),
            None => Options::default(),
        };
        match redactor.register(name.as_str(), value.expose(), options) {
            Registration::Unmasked(reason) => Some(reason),
            Registration::Masked => None,
        }
    }

    /// Whether a credential is masked by its own word; nothing leaves it to its value.
    fn masks(&self, name: &Name) -> Option<bool> {
        let spec = self.project().credentials.get(name)?;
        spec.mask.or((!spec.secret).then_some(false))
    }

    fn fingerprint_key(&self) -> Result<FingerprintKey> {
        let Some(home) = &self.project().state_home else {
            return Err(Error::new(
                Kind::Misconfigured,
                "there is nowhere to keep the key of fingerprints",
            )
            .with_hint("set `HOME` or `XDG_STATE_HOME`, or `replace = \"stars\"`"));
        };
        let directory = PrivateDirectory::new(home.join("credchain"));
        if let Some(kept) = directory.read(KEY, 32)?
            && let Ok(key) = <[u8; 32]>::try_from(kept.as_slice())
        {
            return Ok(FingerprintKey::new(key));
        }
        let key = random_bytes::<32>()?;
        directory.write(KEY, &*key)?;
        Ok(FingerprintKey::new(*key))
    }
}

fn rules(spec: &RedactionSpec) -> Result<Rules> {
    let wrong = |error: RuleError| {
        Error::new(Kind::Misconfigured, format!("`[redaction]`: {error}")).with_hint(error.hint())
    };
    let mut rules = match &spec.patterns {
        Patterns::Off => Rules::none(),
        Patterns::Named(names) => Rules::builtin()
            .only(names.iter().map(String::as_str))
            .map_err(wrong)?,
        _ => Rules::builtin(),
    };
    for rule in &spec.rules {
        rules = rules
            .with(Rule::new(&*rule.name, &*rule.pattern))
            .map_err(wrong)?;
    }
    Ok(rules)
}
