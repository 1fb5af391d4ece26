//! Which environment variables a credential is really read from.

use std::collections::BTreeSet;

use credchain_config::{CredentialSpec, Project, ProviderSpec};
use credchain_core::{At, LinkName, Name, Reference};

use crate::Credchain;

impl Credchain {
    /// The variable, or the line of a `.env` file, in which `link` looks for a credential; nothing
    /// if the link looks elsewhere.
    pub fn variable_at(&self, name: &Name, link: &LinkName) -> Option<String> {
        let spec = self.project().providers.get(link)?;
        let place = self
            .resolver()
            .place(name, self.resolver().link(link)?)
            .ok()?;
        matches!(&*spec.type_name, "env" | "dotenv").then(|| variable(spec, &place))
    }
}

/// Every variable that may hold what somebody logs in with.
pub(crate) fn of_logins<'a>(
    needs: impl IntoIterator<Item = &'a Name>,
    project: &'a Project,
) -> BTreeSet<String> {
    let mut open: Vec<&Name> = needs.into_iter().collect();
    let mut seen = BTreeSet::new();
    let mut variables = BTreeSet::new();
    while let Some(name) = open.pop() {
        let Some(spec) = project.credentials.get(name).filter(|_| seen.insert(name)) else {
            continue;
        };
        match &spec.template {
            Some(template) => open.extend(template.names()),
            None => variables.extend(of_credential(spec, project)),
        }
    }
    variables
}

fn of_credential(spec: &CredentialSpec, project: &Project) -> Vec<String> {
    let mut variables = vec![spec.variable()];
    let links = spec
        .links
        .iter()
        .filter_map(|link| project.providers.get(link));
    for link in links.filter(|link| link.type_name == "env") {
        let conventional = || Reference::new(spec.variable()).ok();
        let place = match spec.at.get(&link.name) {
            Some(At::Here(place)) => Some(place.clone()),
            Some(_) => None,
            None => conventional(),
        };
        variables.extend(place.map(|place| variable(link, &place)));
    }
    let files: Vec<String> = variables
        .iter()
        .map(|name| format!("{name}_FILE"))
        .collect();
    variables.extend(files);
    variables
}

/// What the provider makes of a path: a leading `/` goes without the prefix.
fn variable(spec: &ProviderSpec, place: &Reference) -> String {
    let prefix = spec
        .settings
        .text("prefix")
        .ok()
        .flatten()
        .unwrap_or_default();
    match place.path().strip_prefix('/') {
        Some(absolute) => absolute.to_owned(),
        None => format!("{prefix}{}", place.path()),
    }
}
