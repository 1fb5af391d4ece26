//! Who knows when a credential was made, and what its age means.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::SystemTime;

use credchain_config::{PolicySpec, Project};
use credchain_core::{Error, Kind, Name, Result};
use credchain_rotation::{Calendar, Entry, Policy, REGISTER, Register, Row, Zone};

use crate::Credchain;

/// The age limit of what is registered and no configuration declares: a quarter.
const QUARTER: std::time::Duration = std::time::Duration::from_hours(90 * 24);

/// One line of the table of ages, and who says so.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Age {
    /// The line.
    pub row: Row,
    /// What it is for.
    pub description: Option<String>,
    /// Who says when it was made.
    pub told: Told,
}

/// Who says when a credential's value was made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Told {
    /// Nobody.
    Nobody,
    /// `resolve rotation register`.
    Register,
    /// The backend of this link.
    Link(String),
    /// Nobody could be asked, for this reason.
    Failed(Error),
}

impl Credchain {
    /// The time zone of dates and schedules.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] if `rotation.timezone` is none.
    pub fn zone(&self) -> Result<Zone> {
        Zone::named(&self.project().rotation.timezone)
    }

    /// When a credential is replaced, if anything says so: its own `rotate`, else the first of
    /// `[rotation.policies]` that matches.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] if that cannot be.
    pub fn policy(&self, name: &Name) -> Result<Option<Policy>> {
        policy(self.project(), name, &self.zone()?)
    }

    /// The file that `resolve rotation register` writes to: one of the project, else of the user.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] if there is no place for it.
    pub fn register_path(&self) -> Result<PathBuf> {
        let project = self.project();
        let home = || Some(project.state_home.as_ref()?.join("rotation").join(REGISTER));
        let path = project.root.as_ref().map(|root| root.join(REGISTER));
        path.or_else(home).ok_or_else(|| {
            Error::new(
                Kind::Misconfigured,
                "there is no place for a register of ages",
            )
            .with_hint("set `HOME`, or `resolve init` this directory")
        })
    }

    /// Notes when a credential's value was made. A name that is not declared is any text.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a name that cannot be shown, or a date in the future;
    /// [`Kind::Misconfigured`] if the register cannot be written.
    pub fn register_age(&self, name: &str, entry: Entry) -> Result<PathBuf> {
        Register::check_name(name)?;
        let now = self.resolver().context().clock().now();
        if entry.created > now + std::time::Duration::from_mins(5) {
            return Err(Error::new(Kind::Invalid, "that date is in the future")
                .with_hint("the day on which the value was made, not the one on which it ends"));
        }
        if let Some(every) = entry.every {
            Policy::every(every)?;
        }
        let path = self.register_path()?;
        let profile = self.project().profile.clone();
        Register::change(&path, &self.zone()?, |all| all.set(&profile, name, entry))?;
        Ok(path)
    }

    /// Notes that a value was made just now: in the register if that knows the credential, or if
    /// nobody else would know it and somebody wants to.
    pub(crate) fn note_age(&self, name: &Name, backend_knows: bool) -> Result<()> {
        let zone = self.zone()?;
        let path = self.register_path()?;
        let profile = self.project().profile.clone();
        let known = Register::load(&path, &zone)?
            .get(&profile, name.as_str())
            .copied();
        if known.is_none() && (backend_knows || policy(self.project(), name, &zone)?.is_none()) {
            return Ok(());
        }
        let mut entry = Entry::new(self.resolver().context().clock().now());
        entry.every = known.and_then(|known| known.every);
        Register::change(&path, &zone, |all| all.set(&profile, name.as_str(), entry))
    }

    /// How old every credential is that has a policy or is registered, the most urgent first.
    /// Backends are asked only for what the register does not know.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] if the register cannot be read, or a policy cannot be. That a
    /// backend does not answer is told in its line.
    pub async fn ages(&self, now: SystemTime) -> Result<Vec<Age>> {
        self.ages_asking(now, |_| true).await
    }

    /// The same, asking backends only for these; the others are left out.
    ///
    /// # Errors
    /// As [`ages`](Self::ages).
    pub async fn ages_asking(
        &self,
        now: SystemTime,
        ask: impl Fn(&Name) -> bool + Send,
    ) -> Result<Vec<Age>> {
        let zone = self.zone()?;
        let register = Register::load(&self.register_path()?, &zone)?;
        let project = self.project();
        let policies = Policies::new(project, &zone)?;
        let mut ages = Vec::new();
        let mut unknown: Vec<(Name, Policy)> = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, entry) in register.entries(&project.profile) {
            let declared = name.parse::<Name>().ok();
            let policy = match &declared {
                Some(declared) => policies.of(declared)?,
                None => None,
            };
            let policy = match (policy, entry.every) {
                (_, Some(every)) => Policy::every(every)?,
                (Some(policy), None) => policy,
                (None, None) => Policy::every(QUARTER)?,
            };
            ages.push(Age {
                row: Row::new(name, Some(entry.created), &policy, now),
                description: declared.as_ref().and_then(|name| self.description(name)),
                told: Told::Register,
            });
            seen.extend(declared);
        }
        for spec in project.credentials.values() {
            if seen.contains(&spec.name) || spec.template.is_some() || !ask(&spec.name) {
                continue;
            }
            if let Some(policy) = policies.of(&spec.name)? {
                unknown.push((spec.name.clone(), policy));
            }
        }
        self.ask(unknown, now, &mut ages).await;
        ages.sort_by(|one, two| one.row.by_urgency(&two.row));
        Ok(ages)
    }

    /// What the ages of these credentials mean, of which the backends' own dates are known already;
    /// those that nothing is said about are left out.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] if the register cannot be read, or a policy cannot be.
    pub fn judge_ages<'a>(
        &self,
        known: impl Iterator<Item = (&'a Name, Option<SystemTime>)>,
        now: SystemTime,
    ) -> Result<Vec<Row>> {
        let zone = self.zone()?;
        let register = Register::load(&self.register_path()?, &zone)?;
        let policies = Policies::new(self.project(), &zone)?;
        let mut rows = Vec::new();
        for (name, created) in known {
            if let Some(policy) = policies.of(name)? {
                let entry = register.get(&self.project().profile, name.as_str());
                let created = entry.map(|entry| entry.created).or(created);
                rows.push(Row::new(name.as_str(), created, &policy, now));
            }
        }
        Ok(rows)
    }

    /// How old one credential is; nothing if nothing says how old it may become.
    ///
    /// # Errors
    /// As [`ages`](Self::ages).
    pub async fn age(&self, name: &Name, now: SystemTime) -> Result<Option<Age>> {
        let zone = self.zone()?;
        let register = Register::load(&self.register_path()?, &zone)?;
        let Some(policy) = policy(self.project(), name, &zone)? else {
            return Ok(None);
        };
        if let Some(entry) = register.get(&self.project().profile, name.as_str()) {
            return Ok(Some(Age {
                row: Row::new(name.as_str(), Some(entry.created), &policy, now),
                description: self.description(name),
                told: Told::Register,
            }));
        }
        let mut ages = Vec::new();
        self.ask(vec![(name.clone(), policy)], now, &mut ages).await;
        Ok(ages.pop())
    }

    /// Asks the backends, in as few questions as they allow.
    async fn ask(&self, unknown: Vec<(Name, Policy)>, now: SystemTime, ages: &mut Vec<Age>) {
        let names: Vec<Name> = unknown.iter().map(|(name, _)| name.clone()).collect();
        let answers = self.resolver().resolve_many(&names).await;
        for ((name, policy), answer) in unknown.into_iter().zip(answers) {
            let (created, told) = match answer.result {
                Ok(secret) => {
                    let meta = secret.meta();
                    let link = meta.link.as_ref().map(|link| Told::Link(link.to_string()));
                    let told = meta.created.and(link);
                    (meta.created, told.unwrap_or(Told::Nobody))
                }
                Err(error) => (None, Told::Failed(error)),
            };
            ages.push(Age {
                row: Row::new(name.as_str(), created, &policy, now),
                description: self.description(&name),
                told,
            });
        }
    }
}

/// The policies of a project, each read once.
struct Policies<'a> {
    project: &'a Project,
    shared: Vec<(Vec<Glob>, Policy)>,
}

/// A name in which `*` stands for any characters and `?` for one.
struct Glob(Vec<char>);

impl Glob {
    fn matches(&self, name: &str) -> bool {
        // The place after the last `*`, and the character that it stood for up to there.
        let (pattern, name) = (&self.0, name.chars().collect::<Vec<_>>());
        let (mut at, mut here, mut star) = (0, 0, None);
        while here < name.len() {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at, here));
                    at += 1;
                }
                Some(c) if *c == '?' || *c == name[here] => {
                    at += 1;
                    here += 1;
                }
                _ => {
                    let Some((after, stood)) = star else {
                        return false;
                    };
                    star = Some((after, stood + 1));
                    at = after + 1;
                    here = stood + 1;
                }
            }
        }
        pattern[at..].iter().all(|c| *c == '*')
    }
}

impl<'a> Policies<'a> {
    fn new(project: &'a Project, zone: &Zone) -> Result<Self> {
        let read = |(name, spec): (&String, &PolicySpec)| {
            let policy = shared(spec, zone).map_err(|error| {
                let message = format!("`rotation.policies.{name}`: {}", error.message());
                let hint = error.hint().map(str::to_owned);
                let error = Error::new(error.kind(), message);
                match hint {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                }
            })?;
            let globs = spec.matches.iter().map(|text| Glob(text.chars().collect()));
            Ok((globs.collect(), policy))
        };
        let shared = project.rotation.policies.iter().map(read);
        Ok(Self {
            project,
            shared: shared.collect::<Result<_>>()?,
        })
    }

    fn of(&self, name: &Name) -> Result<Option<Policy>> {
        let own = self
            .project
            .credentials
            .get(name)
            .and_then(|spec| spec.rotate);
        if let Some(age) = own {
            return Policy::every(age)
                .map(Some)
                .map_err(|error| error.for_credential(name));
        }
        let found = self
            .shared
            .iter()
            .find(|(globs, _)| globs.iter().any(|glob| glob.matches(name.as_str())));
        Ok(found.map(|(_, policy)| policy.clone()))
    }
}

fn policy(project: &Project, name: &Name, zone: &Zone) -> Result<Option<Policy>> {
    Policies::new(project, zone)?.of(name)
}

fn shared(spec: &PolicySpec, zone: &Zone) -> Result<Policy> {
    let policy = match (&spec.every, &spec.schedule) {
        (Some(every), _) => Policy::every(*every)?,
        (None, Some(schedule)) => Policy::calendar(Calendar::new(schedule, zone.clone())?),
        (None, None) => {
            let message = "neither `every` nor `schedule` says when";
            return Err(Error::new(Kind::Misconfigured, message));
        }
    };
    Ok(match spec.jitter {
        Some(jitter) => policy.with_jitter(jitter),
        None => policy,
    })
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn globs_match_whole_names() {
        let matches = |glob: &str, name: &str| Glob(glob.chars().collect()).matches(name);
        for (glob, name) in [
            ("*", "api_key"),
            ("*_key", "api_key"),
            ("api_*", "api_key"),
            ("a*_*y", "api_key"),
            ("api?key", "api_key"),
            ("api_key*", "api_key"),
        ] {
            assert!(matches(glob, name), "{glob}");
        }
        for glob in ["", "key", "api", "*_ke", "api_key?", "b*", "*x*"] {
            assert!(!matches(glob, "api_key"), "{glob}");
        }
    }
}
