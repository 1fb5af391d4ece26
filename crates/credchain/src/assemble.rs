//! From what a configuration says to a resolver.

use std::collections::BTreeMap;
use std::sync::Arc;

use credchain_config::{
    CredentialSpec, Loaded, OAuth2Spec, Project, ProviderSpec, TrustVerdict, Untrusted,
};
use credchain_core::layers::{self, LayerSettings};
use credchain_core::{
    Context, Credential, Error, Kind, Link, LinkName, Provider, Refusing, Registration, Registry,
    Resolver, ResolverBuilder, Result, Setup, TrustNeed, Value,
};

#[cfg(feature = "oauth2")]
use crate::tokens::{self, Sources, TokenProvider};
use crate::variables;

/// The providers of links without the layer that remembers: for those who compare before they
/// write. For each that cannot be, why.
pub(crate) type Keepers = BTreeMap<LinkName, Result<Arc<dyn Provider>>>;

/// Prepares the resolver of a project. A link that may not be used, or that this build does not
/// have, stands in its place and refuses when it is reached.
pub(crate) fn builder(
    loaded: &Loaded,
    verdict: &TrustVerdict,
    registry: &Registry,
    context: &Context,
    timeout: Option<std::time::Duration>,
    #[cfg(feature = "oauth2")] tokens: &mut Sources,
) -> Result<(ResolverBuilder, Keepers)> {
    let project = &loaded.project;
    let mut builder = Resolver::builder(&project.name, &project.profile)
        .context(context.clone())
        .default_chain(project.default_chain().iter().cloned());
    if let Some(timeout) = timeout {
        builder = builder.timeout(timeout);
    }
    let mut keepers = Keepers::new();
    for spec in project.providers.values() {
        let Parts { link, keeper } = link(spec, &builder, loaded, verdict, registry, context)?;
        keepers.insert(spec.name.clone(), keeper);
        builder = builder.link(link);
        if !spec.needs.is_empty() {
            builder = builder.needs(spec.name.clone(), spec.needs.clone());
        }
    }
    for spec in project.credentials.values() {
        builder = builder.credential(credential(spec, verdict));
    }
    for spec in project.oauth2.values() {
        let link = token_link(
            spec,
            loaded,
            verdict,
            &builder,
            #[cfg(feature = "oauth2")]
            tokens,
            #[cfg(feature = "oauth2")]
            &keepers,
        )?;
        let needs = spec.needs().cloned().collect();
        builder = builder
            .needs(token_link_name(spec)?, needs)
            .link(link)
            .credential(token(spec)?);
    }
    Ok((builder, keepers))
}

/// What is made of a provider's table.
struct Parts {
    link: Link,
    keeper: Result<Arc<dyn Provider>>,
}

fn link(
    spec: &ProviderSpec,
    builder: &ResolverBuilder,
    loaded: &Loaded,
    verdict: &TrustVerdict,
    registry: &Registry,
    context: &Context,
) -> Result<Parts> {
    let at_link = |error: Error| error.at(spec.name.clone());
    let link = |provider| Link::named(spec.name.clone(), provider);
    let refused = |error: Error| Parts {
        link: link(Arc::new(Refusing::new(error.clone()))),
        keeper: Err(error),
    };
    if let Some(untrusted) = verdict.link(&spec.name) {
        return Ok(refused(untrusted.error()));
    }
    let Some(registration) = registry.get(&spec.type_name) else {
        let message = format!("this build has no provider of type `{}`", spec.type_name);
        let error = Error::new(Kind::Unsupported, message)
            .with_hint("`resolve providers` lists what this build has");
        return Ok(refused(error));
    };
    let reactions = layers::reactions(&spec.common).map_err(at_link)?;
    let settings = layer_settings(registration, spec).map_err(at_link)?;
    let setup = Setup::new(spec.name.clone())
        .with_settings(spec.settings.clone())
        .explicit(spec.explicit)
        .in_project(loaded.project.for_providers())
        .with_context(context.clone())
        .with_credentials(builder.source_for(spec.name.clone()))
        .withholding(withheld(spec, &loaded.project));
    // Settings that only this one provider can judge may still be wrong: that is for the link
    // to say when it is reached, not a reason to refuse everything else.
    let provider = match (registration.build)(setup) {
        Ok(provider) => layers::wrap_backend(provider, &settings),
        Err(error) => {
            let mut parts = refused(error);
            parts.link = parts.link.with_reactions(reactions);
            return Ok(parts);
        }
    };
    Ok(Parts {
        keeper: Ok(Arc::clone(&provider)),
        link: link(layers::wrap_shared(provider, &settings)).with_reactions(reactions),
    })
}

/// The variables of what other links and tokens are got with, and this one is not.
fn withheld(spec: &ProviderSpec, project: &Project) -> Vec<String> {
    let own = variables::of_logins(&spec.needs, project);
    let links = project.providers.values().flat_map(|spec| &spec.needs);
    let tokens = project.oauth2.values().flat_map(OAuth2Spec::needs);
    let targets = project.rotation.targets.values();
    let targets = targets.flat_map(|spec| &spec.needs);
    let all = variables::of_logins(links.chain(tokens).chain(targets), project);
    all.difference(&own).cloned().collect()
}

/// What needs no trust anywhere is in this process or a file: nothing to wait for or to repeat.
fn layer_settings(registration: &Registration, spec: &ProviderSpec) -> Result<LayerSettings> {
    let base = match registration.trust {
        TrustNeed::Always => LayerSettings::default(),
        _ => LayerSettings::local(),
    };
    let base = match registration.patience {
        // Set too low by default, it would cut off what the provider's own settings allow.
        Some(patience) if !spec.common.has("timeout") => {
            base.with_timeout(patience(&spec.settings)?)
        }
        _ => base,
    };
    base.changed_by(&spec.common)
}

fn credential(spec: &CredentialSpec, verdict: &TrustVerdict) -> Credential {
    let mut credential = Credential::new(spec.name.clone());
    credential.env.clone_from(&spec.env);
    credential.default.clone_from(&spec.default);
    credential.allow_empty = spec.allow_empty || !spec.secret;
    let refused = |link: &LinkName| Some((link.clone(), verdict.read(link, &spec.name)?.error()));
    credential.refused = spec.links.iter().filter_map(refused).collect();
    credential.value = match &spec.template {
        Some(template) => Value::Template(template.clone()),
        None => Value::Stored {
            links: Some(spec.links.to_vec()),
            at: spec.at.clone(),
        },
    };
    credential
}

/// The link that a token comes from.
fn token_link(
    spec: &OAuth2Spec,
    loaded: &Loaded,
    verdict: &TrustVerdict,
    builder: &ResolverBuilder,
    #[cfg(feature = "oauth2")] tokens: &mut Sources,
    #[cfg(feature = "oauth2")] keepers: &Keepers,
) -> Result<Link> {
    let name = token_link_name(spec)?;
    let untrusted = verdict.oauth2(&spec.name).map(Untrusted::error);
    #[cfg(feature = "oauth2")]
    let made = {
        let source = if let Some(error) = untrusted {
            Err(error)
        } else {
            let credentials = builder.source_for(name.clone());
            let state_home = loaded.project.state_home.as_deref();
            let left_behind = tokens::left_behind(&loaded.project);
            tokens::source(spec, credentials, keepers, state_home, left_behind)
        };
        tokens.insert(spec.name.clone(), source.clone());
        // It remembers, repeats and shares requests itself.
        source.map(|source| {
            layers::wrap(
                Arc::new(TokenProvider::new(source)),
                &LayerSettings::local(),
            )
        })
    };
    #[cfg(not(feature = "oauth2"))]
    let made: Result<Arc<dyn Provider>> = {
        let _ = (loaded, builder);
        let message = "this build requests no OAuth2 tokens";
        Err(untrusted.unwrap_or_else(|| Error::new(Kind::Unsupported, message)))
    };
    let provider = made.unwrap_or_else(|error| Arc::new(Refusing::new(error)));
    Ok(Link::named(name, provider))
}

fn token(spec: &OAuth2Spec) -> Result<Credential> {
    let mut credential = Credential::new(spec.name.clone());
    credential.env = Some(spec.variable());
    let links = Some(vec![token_link_name(spec)?]);
    credential.value = Value::Stored {
        links,
        at: BTreeMap::new(),
    };
    Ok(credential)
}

fn token_link_name(spec: &OAuth2Spec) -> Result<LinkName> {
    format!("oauth2-{}", spec.name)
        .parse()
        .map_err(|error: credchain_core::NameError| Error::new(Kind::Invalid, error.to_string()))
}
