//! From `[rotation.targets]` to rotations that can be run.

use std::sync::Arc;

use credchain_config::TargetSpec;
use credchain_core::{
    Context, CredentialSource, Error, Kind, LinkName, Name, Provider, Resolver, Result, Secret,
    Settings, Target, async_trait,
};
use credchain_rotation::target::{self, Setup};
use credchain_rotation::{Form, Journal, Recipe, Rotation, Store, Strategy};

use crate::{Credchain, variables};

impl Credchain {
    /// The credentials whose values can be replaced: those of `[rotation.targets]`.
    pub fn rotatable(&self) -> impl Iterator<Item = &Name> {
        self.project().rotation.targets.keys()
    }

    /// The rotation of a credential, as its target's table describes it. Nobody is asked yet.
    ///
    /// # Errors
    /// [`Kind::Untrusted`] if the project is not trusted; [`Kind::Misconfigured`] if its settings
    /// cannot be, or the credential has no target.
    pub fn rotation(&self, name: &Name) -> Result<Rotation> {
        let made = self.assemble(name);
        made.map_err(|error| error.for_credential(name))
    }

    fn assemble(&self, name: &Name) -> Result<Rotation> {
        if let Some(untrusted) = self.verdict().rotation() {
            return Err(untrusted.error());
        }
        let Some(spec) = self.project().rotation.targets.get(name) else {
            let message = "nothing says what accepts it";
            return Err(Error::new(Kind::Misconfigured, message).with_hint(format!(
                "`[rotation.targets.{name}]` with a `type` does; what is replaced by hand is noted \
                 with `resolve rotation register {name}`"
            )));
        };
        let settings = &spec.settings;
        let target = self.target(spec)?;
        let strategy = strategy(spec)?;
        let stores = match strategy {
            Strategy::Delegated => Vec::new(),
            _ => self.stores(name, settings)?,
        };
        let journal = self.journal(name, stores.first())?;
        let mut rotation = Rotation::new(name.clone(), strategy, stores, journal)
            .with_form(form(settings)?)
            .with_recipe(recipe(settings)?)
            .with_accounts(accounts(settings)?);
        if let Some(target) = target {
            rotation = rotation.with_target(target);
        }
        if let Some(overlap) = settings.duration("overlap")? {
            rotation = rotation.with_overlap(overlap);
        }
        if let Some(soak) = settings.duration("soak")? {
            rotation = rotation.with_soak(soak);
        }
        Ok(rotation)
    }

    fn target(&self, spec: &TargetSpec) -> Result<Option<Arc<dyn Target>>> {
        if spec.type_name == "key" {
            return Ok(None);
        }
        if let Some(link) = spec.settings.text("provider")? {
            let link = link_name(link)?;
            let keeper = self.keeper(&link)?;
            let rotatable = keeper.as_rotatable().ok_or_else(|| {
                Error::new(
                    Kind::Misconfigured,
                    "this link has nothing that can be rotated",
                )
                .at(link.clone())
            })?;
            let target = rotatable.target(&spec.type_name, &spec.settings);
            return target.map(Some).map_err(|error| error.at(link));
        }
        let project = self.project();
        let own = variables::of_logins(&spec.needs, project);
        let targets = project
            .rotation
            .targets
            .values()
            .flat_map(|spec| &spec.needs);
        let links = project.providers.values().flat_map(|spec| &spec.needs);
        let others = variables::of_logins(targets.chain(links), project);
        let withheld = others.difference(&own).cloned().collect();
        let source = Arc::new(Resolving(self.resolver().clone()));
        let setup = Setup::new(project.for_providers())
            .with_credentials(source)
            .withholding(withheld);
        target::build(&spec.type_name, &spec.settings, &setup).map(Some)
    }

    /// Where readers find the value: the links that the table names, else the one that is written.
    fn stores(&self, name: &Name, settings: &Settings) -> Result<Vec<Store>> {
        let links: Vec<LinkName> = match settings.texts("stores")? {
            Some(links) => links
                .iter()
                .map(|link| link_name(link))
                .collect::<Result<_>>()?,
            None => vec![self.write_link(name, None)?.name().clone()],
        };
        let store = |link: LinkName| {
            self.check_writable(self.link(&link)?)?;
            let place = self.resolver().place(name, self.link(&link)?)?;
            let writer = Arc::clone(self.link(&link)?.provider());
            Ok(Store::new(link.clone(), self.keeper(&link)?, place).written_through(writer))
        };
        links.into_iter().map(store).collect()
    }

    /// Beside the first store where there is room, else in a file of this machine.
    fn journal(&self, name: &Name, store: Option<&Store>) -> Result<Journal> {
        let project = self.project();
        let state = project.state_home.as_ref().ok_or_else(|| {
            Error::new(
                Kind::Misconfigured,
                "there is no directory for the state of a rotation",
            )
            .with_hint("set `HOME` or `XDG_STATE_HOME`")
        })?;
        let directory = state.join("rotation");
        let beside = store.and_then(|store| Some((store, store.provider.beside(&store.place)?)));
        Ok(if let Some((store, place)) = beside {
            Journal::beside(store.provider.clone(), place, directory)
        } else {
            let root = project.base().display();
            let file = format!("{}/{}/{name}/{root}", project.name, project.profile);
            Journal::local(directory, &file)
        })
    }

    /// The provider of a link, without the layer that remembers values.
    fn keeper(&self, link: &LinkName) -> Result<Arc<dyn Provider>> {
        let missing = || Error::new(Kind::Misconfigured, "there is no such link");
        let keeper = self
            .keepers
            .get(link)
            .cloned()
            .unwrap_or_else(|| Err(missing()));
        keeper.map_err(|error| error.at(link.clone()))
    }
}

fn link_name(text: &str) -> Result<LinkName> {
    let name = text.parse::<LinkName>();
    name.map_err(|error| Error::new(Kind::Misconfigured, error.to_string()))
}

/// What a target needs to change others is resolved like everything else.
#[derive(Debug)]
struct Resolving(Resolver);

#[async_trait]
impl CredentialSource for Resolving {
    async fn credential(&self, name: &Name, _: &Context) -> Result<Secret> {
        self.0.resolve(name).await.result
    }
}

/// How it is done follows from what the target can do and how many accounts there are.
fn strategy(spec: &TargetSpec) -> Result<Strategy> {
    let settings = &spec.settings;
    Ok(match spec.type_name.as_str() {
        "key" => Strategy::Versioned,
        "vault_database" | "aws_secretsmanager" => Strategy::Delegated,
        "vault_approle" | "aws_iam" => Strategy::Issue,
        _ if settings.has("issue") => Strategy::Issue,
        _ if settings.has("users") => Strategy::Alternate,
        _ => match settings.text("user")? {
            Some(_) => Strategy::Swap,
            // Whose the value is may not matter to the program that changes it.
            None if spec.type_name != "postgres" => Strategy::Swap,
            None => {
                return Err(Error::new(Kind::Misconfigured, "no account is named")
                    .with_hint("`user = \"NAME\"`, or `users = [\"A\", \"B\"]` for two in turn"));
            }
        },
    })
}

fn accounts(settings: &Settings) -> Result<Vec<String>> {
    if let Some(users) = settings.texts("users")? {
        let [one, two] = &users[..] else {
            return Err(Error::new(
                Kind::Misconfigured,
                "`users` names two accounts",
            ));
        };
        if one == two {
            return Err(Error::new(
                Kind::Misconfigured,
                "`users` names one account twice",
            ));
        }
        return Ok(users);
    }
    Ok(settings
        .text("user")?
        .map(str::to_owned)
        .into_iter()
        .collect())
}

fn form(settings: &Settings) -> Result<Form> {
    Ok(match settings.text("format")? {
        Some("url") => Form::Url,
        Some("json") => {
            let fields = settings.table("fields")?.unwrap_or_default();
            let text = |key: &str, or: &str| fields.text(key).map(|it| it.unwrap_or(or).to_owned());
            Form::Json {
                account: text("account", "username")?,
                secret: text("secret", "password")?,
            }
        }
        _ => Form::Secret,
    })
}

fn recipe(settings: &Settings) -> Result<Recipe> {
    let mut recipe = match settings.integer("length")? {
        Some(length) => Recipe::new(usize::try_from(length).unwrap_or(0)),
        None => Recipe::default(),
    };
    if let Some(alphabet) = settings.text("alphabet")? {
        recipe = recipe.of(Recipe::alphabet(alphabet));
    }
    for set in settings.texts("must_contain")?.unwrap_or_default() {
        recipe = recipe.must_contain(Recipe::set(&set));
    }
    Ok(recipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_accounts_in_turn_are_two() {
        let read = |settings| accounts(&Settings::from_json(settings));
        assert_eq!(
            read(serde_json::json!({ "users": ["a", "b"] }))
                .unwrap()
                .len(),
            2
        );
        for wrong in [
            serde_json::json!({ "users": ["a"] }),
            serde_json::json!({ "users": ["a", "a"] }),
        ] {
            assert_eq!(read(wrong).unwrap_err().kind(), Kind::Misconfigured);
        }
    }

    #[test]
    fn a_recipe_names_its_alphabets() {
        let settings = serde_json::json!({
            "length": 12, "alphabet": "hex", "must_contain": ["digits", "!"],
        });
        let made = recipe(&Settings::from_json(settings))
            .unwrap()
            .make()
            .unwrap();
        let text = made.expose_text().unwrap();
        assert!(text.len() == 12 && text.contains('!'), "{text}");
    }
}
