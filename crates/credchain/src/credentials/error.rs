//! Everything that keeps a struct from being loaded, told at once.

use std::fmt;

use credchain_core::{Error, Kind, Name, Secret};

use super::{Field, Resolved, Unfit};
use crate::OpenError;

/// Why a struct of credentials could not be loaded: every field that is missing or unusable, and
/// how to supply it. It never shows a value.
///
/// ```
/// use credchain::{Credentials, Field, LoadError, Problems, Resolved, Secret};
///
/// # #[derive(Debug)]
/// struct Billing(Secret);
///
/// // What `#[derive(Credentials)]` writes.
/// impl Credentials for Billing {
///     fn fields() -> Vec<Field> {
///         vec![Field::literal("api_key").described("billing API")]
///     }
///
///     fn from_resolved(resolved: &mut Resolved) -> Result<Self, LoadError> {
///         let mut problems = Problems::default();
///         let [field] = Self::fields().try_into().unwrap();
///         resolved.field(field, &mut problems).map(Billing).ok_or_else(|| problems.into())
///     }
/// }
///
/// let error = Billing::from_resolved(&mut Resolved::new()).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "missing credential `api_key` (billing API): set API_KEY, or run `resolve set api_key`"
/// );
/// ```
#[derive(Clone, Debug)]
pub struct LoadError(Box<Reason>);

#[derive(Clone, Debug)]
enum Reason {
    Open(OpenError),
    Fields(Vec<Problem>),
}

/// One field that is missing or unusable.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Problem {
    /// The credential.
    pub name: Name,
    /// What it is for.
    pub description: Option<&'static str>,
    /// What went wrong.
    pub kind: Kind,
    /// What went wrong, in one line.
    pub message: String,
    /// What to do about it.
    pub fix: Option<String>,
}

/// Collects the problems of one struct.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl LoadError {
    /// The kind that decides the program's exit code: the most pressing of all problems.
    pub fn kind(&self) -> Kind {
        let kind = match &*self.0 {
            Reason::Open(OpenError::Error(error)) => Some(error.kind()),
            Reason::Open(OpenError::Config(_)) => Some(Kind::Misconfigured),
            Reason::Fields(problems) => Kind::most_pressing(problems.iter().map(|p| p.kind)),
        };
        kind.unwrap_or(Kind::Internal)
    }

    /// Every field that is missing or unusable; none if the project could not be opened.
    pub fn problems(&self) -> &[Problem] {
        match &*self.0 {
            Reason::Open(_) => &[],
            Reason::Fields(problems) => problems,
        }
    }
}

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        // Two fields may share a credential; it is told once.
        if !self
            .0
            .iter()
            .any(|seen| seen.name == problem.name && seen.message == problem.message)
        {
            self.0.push(problem);
        }
    }

    pub(super) fn extend(&mut self, error: LoadError) {
        match *error.0 {
            Reason::Fields(problems) => problems.into_iter().for_each(|p| self.push(p)),
            // Opening comes before any field is built.
            Reason::Open(_) => {}
        }
    }
}

impl Problem {
    pub(super) fn missing(
        field: Field,
        error: &Error,
        note: Option<String>,
        resolved: &Resolved,
    ) -> Self {
        let variable = resolved.variable(&field.name);
        let name = &field.name;
        let described = field
            .description
            .map(|text| format!(" ({text})"))
            .unwrap_or_default();
        let noted = note.map(|note| format!(", {note}")).unwrap_or_default();
        let message = format!("missing credential `{name}`{described}{noted}");
        let fix = format!("set {variable}, or run `resolve set {name}`");
        Self::new(field, error.kind(), message, Some(fix))
    }

    pub(super) fn failed(field: Field, error: Error) -> Self {
        let error = error.for_credential(&field.name);
        let fix = error.hint().map(str::to_owned);
        let message = error.to_string();
        Self::new(field, error.kind(), message, fix)
    }

    pub(super) fn unfit(field: Field, unfit: &Unfit, secret: &Secret) -> Self {
        let name = &field.name;
        let message = match &secret.meta().link {
            Some(link) => format!("invalid credential `{name}`: the value at `{link}` {unfit}"),
            None => format!("invalid credential `{name}`: the value {unfit}"),
        };
        let fix = format!("`resolve explain {name}` shows where the value comes from");
        Self::new(field, Kind::Invalid, message, Some(fix))
    }

    fn new(field: Field, kind: Kind, message: String, fix: Option<String>) -> Self {
        Self {
            name: field.name,
            description: field.description,
            kind,
            message,
            fix,
        }
    }
}

impl From<Problems> for LoadError {
    fn from(problems: Problems) -> Self {
        Self(Box::new(Reason::Fields(problems.0)))
    }
}

impl From<OpenError> for LoadError {
    fn from(error: OpenError) -> Self {
        Self(Box::new(Reason::Open(error)))
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Reason::Open(error) => error.fmt(f),
            Reason::Fields(problems) if problems.len() == 1 => problems[0].fmt(f),
            Reason::Fields(problems) => {
                write!(f, "{} credentials are missing or unusable", problems.len())?;
                problems
                    .iter()
                    .try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fix {
            None => f.write_str(&self.message),
            Some(fix) if self.kind.is_miss() => write!(f, "{}: {fix}", self.message),
            Some(fix) => write!(f, "{} (hint: {fix})", self.message),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.0 {
            // Display shows it already; its cause comes next.
            Reason::Open(OpenError::Error(error)) => std::error::Error::source(error),
            _ => None,
        }
    }
}
