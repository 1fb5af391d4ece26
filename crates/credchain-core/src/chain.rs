//! Providers in order.

use std::sync::Arc;

use crate::{
    Context, Item, LinkName, Name, Naming, Provider, Reactions, Resolution, resolve_batch,
};

/// A provider at its place in a chain.
#[derive(Clone, Debug)]
pub struct Link {
    name: LinkName,
    provider: Arc<dyn Provider>,
    reactions: Reactions,
}

impl Link {
    /// A link that follows the default reactions.
    ///
    /// # Panics
    /// If `name` is no link name; meant for literals. See [`Link::named`].
    pub fn new(name: &'static str, provider: Arc<dyn Provider>) -> Self {
        Self::named(LinkName::literal(name), provider)
    }

    /// A link with a name that was parsed before.
    pub fn named(name: LinkName, provider: Arc<dyn Provider>) -> Self {
        Self {
            name,
            provider,
            reactions: Reactions::closed(),
        }
    }

    /// The same link with overridden reactions.
    pub fn with_reactions(mut self, reactions: Reactions) -> Self {
        self.reactions = reactions;
        self
    }

    /// The link's name.
    pub fn name(&self) -> &LinkName {
        &self.name
    }

    /// The provider behind it.
    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.provider
    }

    /// What it does after a failure.
    pub fn reactions(&self) -> Reactions {
        self.reactions
    }
}

/// Resolves credentials through an ordered list of links.
///
/// The first link that has the value wins. A link that misses passes the question on; a link
/// that *failed* stops the chain, so that an outage or a denial is never mistaken for "not
/// there" (see [`Kind::reaction`](crate::Kind::reaction)).
///
/// ```
/// use std::sync::Arc;
/// use credchain_core::{Chain, Context, Kind, Link, Memory, Name};
///
/// # credchain_core::doctest(async {
/// let vault = Memory::new().failing("api_key", Kind::Denied);
/// let file = Memory::new().with("api_key", b"old");
/// let chain = Chain::new(vec![
///     Link::new("vault", Arc::new(vault)),
///     Link::new("file", Arc::new(file)),
/// ]);
/// let denied = chain.resolve(&"api_key".parse::<Name>()?, &Context::system()).await;
/// assert_eq!(denied.result.unwrap_err().kind(), Kind::Denied);
/// # Ok(()) });
/// ```
#[derive(Clone, Debug)]
pub struct Chain(Arc<[Link]>);

impl Chain {
    /// A chain that asks `links` in order.
    pub fn new(links: impl Into<Arc<[Link]>>) -> Self {
        Self(links.into())
    }

    /// The links, in order.
    pub fn links(&self) -> &[Link] {
        &self.0
    }

    /// Resolves one declared credential by convention.
    pub async fn resolve(&self, name: &Name, cx: &Context) -> Resolution {
        let mut all = self.resolve_many(std::slice::from_ref(name), cx).await;
        all.swap_remove(0)
    }

    /// Resolves several declared credentials by convention, batched by provider. The answers
    /// come in the order of the names.
    pub async fn resolve_many(&self, names: &[Name], cx: &Context) -> Vec<Resolution> {
        let items: Vec<_> = names
            .iter()
            .map(|name| Item::new(Naming::new(name.clone()), &self.0))
            .collect();
        resolve_batch(&items, cx).await
    }
}
