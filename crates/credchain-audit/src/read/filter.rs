//! Which records are of interest.

use std::time::SystemTime;

use crate::action::Outcome;
use crate::read::{Entry, Record};

/// Which records are of interest. All conditions have to be met.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    credential: Option<String>,
    action: Option<String>,
    outcome: Option<Outcome>,
    user: Option<String>,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
}

impl Filter {
    /// All records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only of this credential.
    pub fn credential(mut self, name: impl Into<String>) -> Self {
        self.credential = Some(name.into());
        self
    }

    /// Only this action; `token` also means `token.refresh`, and so on.
    pub fn action(mut self, name: impl Into<String>) -> Self {
        self.action = Some(name.into());
        self
    }

    /// Only what ended so.
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// Only by this user.
    pub fn user(mut self, name: impl Into<String>) -> Self {
        self.user = Some(name.into());
        self
    }

    /// Only from this time on.
    pub fn since(mut self, time: SystemTime) -> Self {
        self.since = Some(time);
        self
    }

    /// Only before this time.
    pub fn until(mut self, time: SystemTime) -> Self {
        self.until = Some(time);
        self
    }

    /// Whether a record is of interest.
    pub fn matches(&self, record: &Record) -> bool {
        let same = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let time = || record.time();
        same(&self.credential, record.credential.as_deref())
            && same(&self.user, record.actor.user.as_deref())
            && (self.action.as_deref()).is_none_or(|wanted| is_a(&record.action, wanted))
            && self
                .outcome
                .is_none_or(|wanted| record.outcome.as_deref() == Some(wanted.as_str()))
            && (self.since).is_none_or(|since| time().is_some_and(|time| time >= since))
            && (self.until).is_none_or(|until| time().is_some_and(|time| time < until))
    }

    /// What is no record is always of interest.
    pub(super) fn wants(&self, entry: &Entry) -> bool {
        match &entry.content {
            Ok(record) => self.matches(record),
            Err(_) => true,
        }
    }
}

fn is_a(action: &str, wanted: &str) -> bool {
    let rest = action.strip_prefix(wanted);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_condition_has_to_be_met() {
        let line = br#"{"v":1,"seq":1,"action":"token.refresh","ts":"2026-01-01T00:00:10Z",
            "outcome":"denied","actor":{"user":"ada"},"credential":"crm","new":[1]}"#;
        let record = Record::of(line).unwrap();
        assert!(record.other.contains_key("new"));
        let all = Filter::new();
        let time = |seconds| {
            record.time().unwrap() + Duration::from_secs(seconds) - Duration::from_secs(10)
        };
        for (filter, matches) in [
            (all.clone(), true),
            (all.clone().credential("crm"), true),
            (all.clone().credential("cr"), false),
            (all.clone().action("token"), true),
            (all.clone().action("token.refresh"), true),
            (all.clone().action("tok"), false),
            (all.clone().outcome(Outcome::Denied), true),
            (all.clone().outcome(Outcome::Success), false),
            (all.clone().user("ada").credential("crm"), true),
            (all.clone().user("bob").credential("crm"), false),
            (all.clone().since(time(10)).until(time(11)), true),
            (all.clone().since(time(11)), false),
            (all.clone().until(time(10)), false),
        ] {
            assert_eq!(filter.matches(&record), matches, "{filter:?}");
        }
    }
}
