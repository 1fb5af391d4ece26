//! Key Vault: requests in, typed answers out.

mod history;
mod read;
mod write;

use reqwest::Url;

use crate::address::Address;
use crate::client::{Ask, Call};
use crate::error::Failure;
use crate::failed::{Failed, Problem};
use crate::http::Answer;
use crate::wire::{Item, Page};

pub(crate) use self::history::{disable, versions};
pub(crate) use self::read::{Stored, get, list};
pub(crate) use self::write::{delete, set};

/// The largest value that Key Vault holds.
pub(crate) const MAX_VALUE: usize = 25 << 10;

/// The permissions, which are also what the operations are called.
const GET: &str = "get";
const LIST: &str = "list";
const SET: &str = "set";
const DELETE: &str = "delete";
const PURGE: &str = "purge";

/// The most pages of one listing. A server that pages for ever ends here.
const MAX_PAGES: usize = 10_000;

/// The path of all secrets, and of one.
const SECRETS: &str = "secrets";

impl Ask<'_> {
    /// All pages of a listing.
    async fn pages(&self, first: Url) -> Result<Vec<Item>, Problem> {
        let mut items = Vec::new();
        let mut url = first;
        for _ in 0..MAX_PAGES {
            let answer = self.call(Call::get(LIST, &url)).await?;
            let page: Page = parsed(LIST, &answer)?;
            items.extend(page.value);
            match page.next_link.filter(|link| !link.is_empty()) {
                Some(link) => {
                    let next = self.next(&link)?;
                    if next == url {
                        return Err(Failed::new(LIST, Failure::Unreadable).into());
                    }
                    url = next;
                }
                None => return Ok(items),
            }
        }
        Err(Failed::new(LIST, Failure::TooLarge).into())
    }

    /// Where a listing goes on.
    ///
    /// SECURITY: the address comes from the server and the token goes with the request, so it has
    /// to be at the vault that was asked, and among its secrets.
    fn next(&self, link: &str) -> Result<Url, Failed> {
        let vault = &self.session.target.vault;
        let here = |url: &Url| {
            url.origin() == vault.origin()
                && url.username().is_empty()
                && url.password().is_none()
                && url.path().starts_with("/secrets")
        };
        vault
            .join(link)
            .ok()
            .filter(here)
            .ok_or_else(|| Failed::new(LIST, Failure::Elsewhere))
    }

    /// The address of a secret, or of one of its versions.
    fn place(&self, address: &Address, version: Option<&str>) -> Url {
        match version {
            Some(version) => self.url(&[SECRETS, address.as_str(), version]),
            None => self.url(&[SECRETS, address.as_str()]),
        }
    }

    /// The failure with the command that helps against it, where there is one.
    fn explained(&self, problem: Problem, address: &Address) -> Problem {
        let Problem::Failed(failed) = problem else {
            return problem;
        };
        match command(failed.inner().unwrap_or_default(), self, address) {
            Some(hint) => failed.hinting(hint).into(),
            None => failed.into(),
        }
    }
}

fn command(inner: &str, ask: &Ask<'_>, address: &Address) -> Option<String> {
    let (vault, name) = (ask.session.target.name(), address.as_str());
    let change = format!("az keyvault secret set-attributes --vault-name {vault} --name {name}");
    Some(match inner {
        "SecretDisabled" => format!("`{change} --enabled true` enables it"),
        "SecretExpired" => {
            format!(
                "store a new value, or move its end with `{change} --expires YYYY-MM-DDTHH:MM:SSZ`"
            )
        }
        "SecretNotYetValid" => {
            format!(
                "wait, or move its beginning with `{change} --not-before YYYY-MM-DDTHH:MM:SSZ`; is this machine's clock right?"
            )
        }
        "ObjectIsDeletedButRecoverable" => format!(
            "`az keyvault secret recover --vault-name {vault} --name {name}` brings it back, `az keyvault secret purge` with the same frees the name"
        ),
        _ => return None,
    })
}

/// An answer in the form that was expected.
fn parsed<'a, T: serde::Deserialize<'a>>(
    action: &'static str,
    answer: &'a Answer,
) -> Result<T, Failed> {
    // serde's message could quote the answer, so it is not passed on.
    serde_json::from_slice(&answer.body).map_err(|_| Failed::new(action, Failure::Unreadable))
}
