//! What a command that writes is about: a credential by its name, or one place at one link.

use credchain::{Address, Credchain, Error, LinkName, Name};
use serde::Serialize;

use crate::app::App;
use crate::failure::Failure;

/// `NAME`, or `LINK://PATH[#FIELD]`.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// The place follows from the configuration.
    Named(Name),
    /// The place is given.
    At(Address),
}

/// A place, as the commands that change it tell about it in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Place {
    pub(crate) link: String,
    pub(crate) reference: String,
}

impl Target {
    /// Parses what was typed. `link` is the option that an address makes pointless.
    pub(crate) fn parse(text: &str, link: Option<&LinkName>) -> Result<Self, Failure> {
        if !text.contains("://") {
            return App::name(text).map(Self::Named);
        }
        let address: Address = text.parse().map_err(|error: Error| Failure::Usage {
            message: error.message().to_owned(),
            hint: error.hint().map(str::to_owned),
        })?;
        if address.reference.version().is_some() {
            return Err(Failure::usage(
                "a version cannot be written or deleted by itself",
            ));
        }
        if link.is_some() {
            return Err(Failure::usage(
                "an address names its link: leave the option out",
            ));
        }
        Ok(Self::At(address))
    }

    /// The place it stands for, if it is written to `link`.
    pub(crate) fn address(
        &self,
        credchain: &Credchain,
        link: Option<&LinkName>,
    ) -> Result<Address, Failure> {
        match self {
            Self::At(address) => {
                credchain.link(&address.link)?;
                Ok(address.clone())
            }
            Self::Named(name) => {
                made_from_others(credchain, name)?;
                let link = credchain.write_link(name, link)?;
                let reference = credchain.resolver().place(name, link)?;
                Ok(Address {
                    link: link.name().clone(),
                    reference,
                })
            }
        }
    }

    /// The credential, if it is one by name.
    pub(crate) fn name(&self) -> Option<&Name> {
        match self {
            Self::Named(name) => Some(name),
            Self::At(_) => None,
        }
    }

    /// As messages show it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Named(name) => name.to_string(),
            Self::At(address) => address.to_string(),
        }
    }
}

impl Place {
    pub(crate) fn of(address: &Address) -> Self {
        Self {
            link: address.link.to_string(),
            reference: address.reference.to_string(),
        }
    }
}

/// A credential that has a template has no place of its own.
fn made_from_others(credchain: &Credchain, name: &Name) -> Result<(), Failure> {
    let project = credchain.project();
    if project.oauth2.contains_key(name) {
        return Err(Failure::usage(format!(
            "`{name}` is a token, which its server issues"
        )));
    }
    let template = project
        .credentials
        .get(name)
        .and_then(|spec| spec.template.as_ref());
    let Some(template) = template else {
        return Ok(());
    };
    let mut parts: Vec<String> = template.names().map(|part| format!("`{part}`")).collect();
    parts.dedup();
    Err(Failure::usage_with(
        format!("`{name}` is made from a template and is stored nowhere"),
        format!("change what it is made from: {}", parts.join(", ")),
    ))
}
