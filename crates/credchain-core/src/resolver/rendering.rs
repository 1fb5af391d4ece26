//! Templates from what was found: each once, whatever needs it, and not without bounds.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::Inner;
use crate::{
    Error, Kind, LinkName, Name, Outcome, Resolution, Result, Secret, Step, Template, Trace,
};

/// How much the templates of one batch make together. Ten that repeat each other ten times over
/// are a value of gigabytes, and whoever wrote them may be a stranger.
const MAX_BYTES: usize = 64 << 20;

/// How many steps the traces of a batch's templates hold together; later ones are left out.
const MAX_STEPS: usize = 1_000_000;

/// The answers of one batch.
pub(super) struct Rendering<'a> {
    resolver: &'a Inner,
    /// What the links answered.
    stored: HashMap<&'a Name, Resolution>,
    /// The values of templates, the ones within others included.
    rendered: HashMap<&'a Name, Result<Secret>>,
    /// Those whose parts were missing, so that their default counts.
    defaulted: HashSet<&'a Name>,
    bytes: usize,
    steps: usize,
}

impl<'a> Rendering<'a> {
    pub(super) fn new(resolver: &'a Inner, stored: HashMap<&'a Name, Resolution>) -> Self {
        Self {
            resolver,
            stored,
            rendered: HashMap::new(),
            defaulted: HashSet::new(),
            bytes: MAX_BYTES,
            steps: MAX_STEPS,
        }
    }

    /// What was made of templates so far, those within others included.
    pub(super) fn made(&self) -> impl Iterator<Item = (&'a Name, &Result<Secret>)> {
        self.rendered.iter().map(|(name, value)| (*name, value))
    }

    /// The answer for one name.
    pub(super) fn answer(&mut self, name: &'a Name) -> Resolution {
        if self.resolver.template(name).is_none() {
            return self
                .stored
                .get(name)
                .cloned()
                .unwrap_or_else(|| Resolution {
                    result: Err(not_asked(name)),
                    trace: Trace::default(),
                });
        }
        self.render_all(name);
        Resolution {
            result: self.value(name),
            trace: self.trace(name),
        }
    }

    /// Renders a template after everything that it needs. The builder has refused cycles.
    // Without recursion: a chain of templates may be as long as a configuration.
    fn render_all(&mut self, name: &'a Name) {
        let mut open = vec![name];
        while let Some(name) = open.last().copied() {
            let resolver = self.resolver;
            let Some(template) = resolver
                .template(name)
                .filter(|_| !self.rendered.contains_key(name))
            else {
                open.pop();
                continue;
            };
            let before = open.len();
            open.extend(template.names().filter(|part| {
                resolver.template(part).is_some() && !self.rendered.contains_key(part)
            }));
            if open.len() == before {
                open.pop();
                let value = self.render(name, template);
                self.rendered.insert(name, value);
            }
        }
    }

    fn render(&mut self, name: &'a Name, template: &Template) -> Result<Secret> {
        let made = template.render_within(self.bytes, |part| self.value(part));
        let default = self.resolver.credentials.get(name);
        let default = default.and_then(|declared| declared.spec.default.as_ref());
        match (made, default) {
            (Ok(secret), _) => {
                self.bytes = self.bytes.saturating_sub(secret.expose().len());
                Ok(secret)
            }
            (Err(error), Some(default)) if error.kind().is_miss() => {
                self.defaulted.insert(name);
                Ok(default.clone())
            }
            // Whatever a part fails with names the part: this one is about the size, and
            // thousands that are too long would take as long to find out.
            (Err(error), _) if error.credential().is_none() => {
                self.bytes = 0;
                Err(error.for_credential(name))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// What is known of a part.
    fn value(&self, name: &Name) -> Result<Secret> {
        let stored = || Some(self.stored.get(name)?.result.clone());
        let known = self.rendered.get(name).cloned().or_else(stored);
        known.unwrap_or_else(|| Err(not_asked(name)))
    }

    /// What became of everything stored behind a template, each once.
    fn trace(&mut self, name: &'a Name) -> Trace {
        let mut steps = Vec::new();
        let mut defaults = Vec::new();
        let mut seen = HashSet::new();
        let mut open = vec![name];
        while let Some(name) = open.pop().filter(|_| self.steps > 0) {
            if !seen.insert(name) {
                continue;
            }
            if let Some(template) = self.resolver.template(name) {
                let parts: Vec<_> = template.names().collect();
                open.extend(parts.into_iter().rev());
                defaults.extend(self.defaulted.contains(name).then(default_step));
                continue;
            }
            let Some(resolution) = self.stored.get(name) else {
                continue;
            };
            let note = format!("for `{name}`");
            steps.extend(resolution.trace.steps.iter().cloned().map(|mut step| {
                step.note.get_or_insert_with(|| note.clone().into());
                step
            }));
            self.steps = self
                .steps
                .saturating_sub(resolution.trace.steps.len().max(1));
        }
        steps.extend(defaults.into_iter().rev());
        Trace { steps }
    }
}

fn not_asked(name: &Name) -> Error {
    Error::new(Kind::Internal, "was not asked for").for_credential(name)
}

fn default_step() -> Step {
    Step {
        link: LinkName::literal("default"),
        outcome: Outcome::Default,
        elapsed: Duration::ZERO,
        reference: None,
        cached: false,
        stale: None,
        note: None,
    }
}
