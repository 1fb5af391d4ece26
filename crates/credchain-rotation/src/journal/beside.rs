//! The state as a value of its own, next to the secret.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use credchain_core::{
    Context, Error, Expect, Kind, Provider, Reference, Result, Secret, SetOptions, Version,
};

use super::{Loaded, read};
use crate::record::Document;

pub(super) struct Beside {
    provider: Arc<dyn Provider>,
    place: Reference,
}

impl Beside {
    pub(super) fn new(provider: Arc<dyn Provider>, place: Reference) -> Self {
        Self { provider, place }
    }

    pub(super) fn compares(&self) -> bool {
        self.provider.capabilities().compare_and_set
    }

    pub(super) async fn load(&self, cx: &Context) -> Result<Loaded> {
        match self.provider.get(&self.place, cx).await {
            Ok(value) => Ok(Loaded {
                document: read(value.expose())?,
                version: value.meta().version.clone(),
            }),
            Err(error) if error.kind() == Kind::NotFound => Ok(Loaded {
                document: Document::default(),
                version: None,
            }),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn save(
        &self,
        document: &Document,
        based_on: Option<&Version>,
        cx: &Context,
    ) -> Result<Version> {
        let bytes = serde_json::to_vec(document)
            .map_err(|_| Error::new(Kind::Internal, "the state of a rotation cannot be written"))?;
        let expect = match based_on {
            _ if !self.compares() => Expect::Any,
            Some(version) => Expect::Version(version.clone()),
            None => Expect::Absent,
        };
        let options = SetOptions::expecting(expect);
        let value = Secret::new(bytes);
        match self.provider.set(&self.place, &value, &options, cx).await {
            Ok(version) => Ok(version),
            // The reply may have been lost: what stands there is ours, or it is not.
            Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::Conflict) => {
                let found = self.load(cx).await.map_err(|_| error.clone())?;
                let ours = document.holder.is_some() && found.document.holder == document.holder;
                found.version.filter(|_| ours).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn time(&self, cx: &Context) -> Option<SystemTime> {
        let described = self.provider.describe(&self.place, cx).await.ok()?;
        described.created
    }
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beside")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
