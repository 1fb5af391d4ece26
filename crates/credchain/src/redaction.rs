//! Hiding what was resolved: a redactor as `[redaction]` describes it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use credchain_config::{Loaded, Patterns, RedactionSpec, Replace};
use credchain_core::files::PrivateDirectory;
use credchain_core::{Error, Kind, Name, ResolverBuilder, Result, Secret};
use credchain_redact::rules::{Rule, RuleError};
use credchain_redact::{
    FingerprintKey, Options, Reason, Redactor, Registration, Replacement, Rules,
};

use crate::{Credchain, random_bytes};

/// The key of fingerprints, in credchain's own directory.
const KEY: &str = "fingerprint-key";

/// Hides every value that a resolver resolves, once somebody has asked for a redactor.
#[derive(Clone)]
pub(crate) struct Hiding(Arc<Hidden>);

struct Hidden {
    loaded: Arc<Loaded>,
    redactor: OnceLock<Redactor>,
    unmasked: Mutex<BTreeMap<Name, Reason>>,
}

impl Hiding {
    /// Listens to what the resolver will resolve.
    pub(crate) fn listening(
        loaded: &Arc<Loaded>,
        builder: ResolverBuilder,
    ) -> (Self, ResolverBuilder) {
        let hiding = Self(Arc::new(Hidden {
            loaded: loaded.clone(),
            redactor: OnceLock::new(),
            unmasked: Mutex::default(),
        }));
        let told = hiding.0.clone();
        let builder = builder.on_resolved(move |name, secret| told.hide(name, secret));
        (hiding, builder)
    }
}

impl Hidden {
    fn hide(&self, name: &Name, value: &Secret) {
        let Some(redactor) = self.redactor.get() else {
            return;
        };
        let options = match self.masks(name) {
            Some(false) => return,
            Some(true) => Options::force(),
            None => Options::default(),
        };
        let registration = redactor.register(name.as_str(), value.expose(), options);
        if let Registration::Unmasked(reason) = registration {
            let mut unmasked = self.unmasked.lock().unwrap_or_else(PoisonError::into_inner);
            unmasked.insert(name.clone(), reason);
        }
    }

    /// Whether a credential is masked by its own word; nothing leaves it to its value.
    fn masks(&self, name: &Name) -> Option<bool> {
        let spec = self.loaded.project.credentials.get(name)?;
        spec.mask.or((!spec.secret).then_some(false))
    }
}

impl Credchain {
    /// The redactor of this project, with the rules of `[redaction]`. Every value that is resolved
    /// through this `Credchain` after the first call is hidden by it: the parts of templates and
    /// what providers log in with as well.
    ///
    /// ```no_run
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let credentials = credchain::Credchain::open()?;
    /// let redactor = credentials.redactor()?;
    /// let key = credchain::block_on(credentials.get("api_key"))??;
    /// let line = format!("sending {}", String::from_utf8_lossy(key.expose()));
    /// assert_eq!(redactor.redact_text(&line), "sending ***");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Kind::Untrusted`] if `[redaction]` is that of a project that is not trusted;
    /// [`Kind::Misconfigured`] for rules that cannot be, or a key that cannot be kept.
    pub fn redactor(&self) -> Result<Redactor> {
        if let Some(redactor) = self.hiding.0.redactor.get() {
            return Ok(redactor.clone());
        }
        let built = self.new_redactor()?;
        Ok(self.hiding.0.redactor.get_or_init(|| built).clone())
    }

    /// Hides a value of a credential that was not resolved here, such as one in the environment of
    /// a program that is to be started. Does nothing before the first
    /// [`redactor`](Self::redactor).
    pub fn hide(&self, name: &Name, value: &Secret) {
        self.hiding.0.hide(name, value);
    }

    /// The secrets resolved so far that are in every text, such as short ones, and so are not
    /// hidden: each deserves a warning, by name. `mask = true` hides one all the same, `false`
    /// keeps it from being listed here.
    pub fn unmasked(&self) -> Vec<(Name, Reason)> {
        let unmasked = self.hiding.0.unmasked.lock();
        let unmasked = unmasked.unwrap_or_else(PoisonError::into_inner);
        let each = unmasked.iter();
        each.map(|(name, reason)| (name.clone(), *reason)).collect()
    }

    /// The rules that a scan of this project looks for: all built-in ones, whatever `[redaction]`
    /// hides in logs, and those of `[[redaction.rules]]`.
    ///
    /// # Errors
    /// [`Kind::Untrusted`] and [`Kind::Misconfigured`], as for [`redactor`](Self::redactor).
    #[cfg(feature = "scan")]
    pub fn scan_rules(&self) -> Result<Rules> {
        if let Some(untrusted) = self.verdict().redaction() {
            return Err(untrusted.error());
        }
        with_custom(Rules::builtin(), &self.project().redaction)
    }

    fn new_redactor(&self) -> Result<Redactor> {
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

    fn fingerprint_key(&self) -> Result<FingerprintKey> {
        let Some(home) = &self.project().state_home else {
            return Err(Error::new(
                Kind::Misconfigured,
                "there is nowhere to keep the key of fingerprints",
            )
            .with_hint("set `HOME` or `XDG_STATE_HOME`, or `replace = \"stars\"`"));
        };
        let directory = PrivateDirectory::new(home);
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
    let rules = match &spec.patterns {
        Patterns::Off => Rules::none(),
        Patterns::Named(names) => Rules::builtin()
            .only(names.iter().map(String::as_str))
            .map_err(wrong)?,
        _ => Rules::builtin(),
    };
    with_custom(rules, spec)
}

fn with_custom(mut rules: Rules, spec: &RedactionSpec) -> Result<Rules> {
    for rule in &spec.rules {
        rules = rules
            .with(Rule::new(&*rule.name, &*rule.pattern))
            .map_err(wrong)?;
    }
    Ok(rules)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what `map_err` hands over"
)]
fn wrong(error: RuleError) -> Error {
    Error::new(Kind::Misconfigured, format!("`[redaction]`: {error}")).with_hint(error.hint())
}
