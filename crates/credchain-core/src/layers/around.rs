//! The one shape that all layers share: something is done around a request, whatever it asks.

use futures_util::future::BoxFuture;

use crate::{Context, Expect, Provider, Reference, Result, SetOptions};

/// One request to a backend, as far as a layer needs to know it.
#[derive(Clone, Copy)]
pub(super) enum Op<'a> {
    Get,
    GetMany(&'a [Reference]),
    Set(&'a Reference, &'a SetOptions),
    Delete(&'a Reference),
    List,
    Describe(&'a Reference),
    Identity,
    Renew,
    Revoke(&'a str),
    Close,
    Versions,
    /// `stage`, `disable` or `destroy`.
    ChangeVersion(&'a Reference),
}

/// What a request may have changed in the backend.
#[derive(Clone, Copy)]
pub(super) enum Change<'a> {
    /// The document at this path, any field and version of it.
    Path(&'a str),
    /// Whatever is bound to this lease.
    Lease(&'a str),
    /// Whatever is bound to any lease.
    Leases,
}

/// A request that can be made any number of times.
pub(super) trait Request<'a, T>:
    Fn(Context) -> BoxFuture<'a, Result<T>> + Send + Sync + 'a
{
}

impl<'a, T, F> Request<'a, T> for F where
    F: Fn(Context) -> BoxFuture<'a, Result<T>> + Send + Sync + 'a
{
}

impl<'a> Op<'a> {
    /// Whether the request may be made again although the first may have taken effect.
    pub(super) fn is_repeatable(self) -> bool {
        match self {
            Self::Get
            | Self::GetMany(_)
            | Self::List
            | Self::Describe(_)
            | Self::Identity
            | Self::Renew
            | Self::Close
            | Self::Versions => true,
            Self::Set(_, options) => {
                options.idempotency_key.is_some() || options.expect != Expect::Any
            }
            Self::Delete(_) | Self::Revoke(_) | Self::ChangeVersion(_) => false,
        }
    }

    /// What the backend may hold differently afterwards.
    pub(super) fn change(self) -> Option<Change<'a>> {
        match self {
            Self::Set(reference, _) | Self::Delete(reference) | Self::ChangeVersion(reference) => {
                Some(Change::Path(reference.path()))
            }
            Self::Revoke(lease) => Some(Change::Lease(lease)),
            Self::Close => Some(Change::Leases),
            _ => None,
        }
    }

    /// How many requests the backend sees.
    pub(super) fn requests(self, backend: &dyn Provider) -> usize {
        match self {
            Self::GetMany(references) if !backend.capabilities().batch => references.len(),
            _ => 1,
        }
    }
}

impl Change<'_> {
    /// Whether it concerns what is bound to `lease`.
    pub(super) fn concerns_lease(self, lease: &str) -> bool {
        match self {
            Self::Path(_) => false,
            Self::Lease(changed) => changed == lease,
            Self::Leases => true,
        }
    }

    /// Whether it concerns what is at `path`.
    ///
    /// A relative path and an absolute one can name the same place, and only the backend knows
    /// its mount or prefix; so a relative path counts as the end of an absolute one.
    pub(super) fn concerns_path(self, path: &str) -> bool {
        let Self::Path(changed) = self else {
            return false;
        };
        match (changed.strip_prefix('/'), path.strip_prefix('/')) {
            (Some(absolute), None) => absolute.ends_with(path),
            (None, Some(absolute)) => absolute.ends_with(changed),
            _ => changed == path,
        }
    }
}

/// Implements [`Provider`], [`Leased`](crate::Leased) and [`Versioned`](crate::Versioned) for a
/// layer that has a field `inner: Arc<dyn Provider>` and a method
/// `around(&self, cx, op, request)`, which every request goes through. With `reads { … }` the
/// layer brings `get` and `get_many` of its own.
macro_rules! layer {
    ($layer:ty) => {
        layer! { $layer, reads {
            async fn get(
                &self,
                reference: &$crate::Reference,
                cx: &$crate::Context,
            ) -> $crate::Result<$crate::Secret> {
                let inner = &self.inner;
                self.around(cx, $crate::layers::around::Op::Get, move |cx| {
                    Box::pin(async move { inner.get(reference, &cx).await })
                })
                .await
            }

            async fn get_many(
                &self,
                references: &[$crate::Reference],
                cx: &$crate::Context,
            ) -> Vec<$crate::Result<$crate::Secret>> {
                let inner = &self.inner;
                self.around(cx, $crate::layers::around::Op::GetMany(references), move |cx| {
                    Box::pin(async move { Ok(inner.get_many(references, &cx).await) })
                })
                .await
                .unwrap_or_else(|error| references.iter().map(|_| Err(error.clone())).collect())
            }
        } }
    };
    ($layer:ty, reads { $($reads:tt)* }) => {
        $crate::delegate_provider! {
            impl Provider for $layer, through |this| this.inner,
            overrides [get get_many set delete list describe identity as_leased as_versioned] {
                $($reads)*

                async fn set(
                    &self,
                    reference: &$crate::Reference,
                    value: &$crate::Secret,
                    options: &$crate::SetOptions,
                    cx: &$crate::Context,
                ) -> $crate::Result<$crate::Version> {
                    let inner = &self.inner;
                    self.around(cx, $crate::layers::around::Op::Set(reference, options), move |cx| {
                        Box::pin(async move { inner.set(reference, value, options, &cx).await })
                    })
                    .await
                }

                async fn delete(
                    &self,
                    reference: &$crate::Reference,
                    cx: &$crate::Context,
                ) -> $crate::Result<()> {
                    let inner = &self.inner;
                    self.around(cx, $crate::layers::around::Op::Delete(reference), move |cx| {
                        Box::pin(async move { inner.delete(reference, &cx).await })
                    })
                    .await
                }

                async fn list(
                    &self,
                    prefix: Option<&str>,
                    cx: &$crate::Context,
                ) -> $crate::Result<Vec<$crate::Listed>> {
                    let inner = &self.inner;
                    self.around(cx, $crate::layers::around::Op::List, move |cx| {
                        Box::pin(async move { inner.list(prefix, &cx).await })
                    })
                    .await
                }

                async fn describe(
                    &self,
                    reference: &$crate::Reference,
                    cx: &$crate::Context,
                ) -> $crate::Result<$crate::Description> {
                    let inner = &self.inner;
                    self.around(cx, $crate::layers::around::Op::Describe(reference), move |cx| {
                        Box::pin(async move { inner.describe(reference, &cx).await })
                    })
                    .await
                }

                async fn identity(&self, cx: &$crate::Context) -> $crate::Result<$crate::Identity> {
                    let inner = &self.inner;
                    self.around(cx, $crate::layers::around::Op::Identity, move |cx| {
                        Box::pin(async move { inner.identity(&cx).await })
                    })
                    .await
                }

                fn as_leased(&self) -> Option<&dyn $crate::Leased> {
                    self.inner.as_leased().map(|_| self as &dyn $crate::Leased)
                }

                fn as_versioned(&self) -> Option<&dyn $crate::Versioned> {
                    self.inner.as_versioned().map(|_| self as &dyn $crate::Versioned)
                }
            }
        }

        layer! { @facets $layer }
    };
    (@facets $layer:ty) => {
        #[$crate::async_trait]
        impl $crate::Leased for $layer {
            async fn renew(
                &self,
                lease: &str,
                increment: std::time::Duration,
                cx: &$crate::Context,
            ) -> $crate::Result<$crate::Lease> {
                let inner = self.inner.as_leased().ok_or_else($crate::layers::around::no_leases)?;
                self.around(cx, $crate::layers::around::Op::Renew, move |cx| {
                    Box::pin(async move { inner.renew(lease, increment, &cx).await })
                })
                .await
            }

            async fn revoke(&self, lease: &str, cx: &$crate::Context) -> $crate::Result<()> {
                let inner = self.inner.as_leased().ok_or_else($crate::layers::around::no_leases)?;
                self.around(cx, $crate::layers::around::Op::Revoke(lease), move |cx| {
                    Box::pin(async move { inner.revoke(lease, &cx).await })
                })
                .await
            }

            fn resume(&self, cx: &$crate::Context) {
                if let Some(inner) = self.inner.as_leased() {
                    inner.resume(cx);
                }
            }

            async fn close(&self, cx: &$crate::Context) -> $crate::Result<()> {
                let inner = self.inner.as_leased().ok_or_else($crate::layers::around::no_leases)?;
                self.around(cx, $crate::layers::around::Op::Close, move |cx| {
                    Box::pin(async move { inner.close(&cx).await })
                })
                .await
            }
        }

        #[$crate::async_trait]
        impl $crate::Versioned for $layer {
            async fn versions(
                &self,
                reference: &$crate::Reference,
                cx: &$crate::Context,
            ) -> $crate::Result<Vec<$crate::VersionState>> {
                let inner = self.inner.as_versioned().ok_or_else($crate::layers::around::no_versions)?;
                self.around(cx, $crate::layers::around::Op::Versions, move |cx| {
                    Box::pin(async move { inner.versions(reference, &cx).await })
                })
                .await
            }

            async fn stage(
                &self,
                reference: &$crate::Reference,
                version: &$crate::Version,
                label: &str,
                cx: &$crate::Context,
            ) -> $crate::Result<()> {
                let inner = self.inner.as_versioned().ok_or_else($crate::layers::around::no_versions)?;
                self.around(cx, $crate::layers::around::Op::ChangeVersion(reference), move |cx| {
                    Box::pin(async move { inner.stage(reference, version, label, &cx).await })
                })
                .await
            }

            async fn disable(
                &self,
                reference: &$crate::Reference,
                version: &$crate::Version,
                cx: &$crate::Context,
            ) -> $crate::Result<()> {
                let inner = self.inner.as_versioned().ok_or_else($crate::layers::around::no_versions)?;
                self.around(cx, $crate::layers::around::Op::ChangeVersion(reference), move |cx| {
                    Box::pin(async move { inner.disable(reference, version, &cx).await })
                })
                .await
            }

            async fn destroy(
                &self,
                reference: &$crate::Reference,
                version: &$crate::Version,
                cx: &$crate::Context,
            ) -> $crate::Result<()> {
                let inner = self.inner.as_versioned().ok_or_else($crate::layers::around::no_versions)?;
                self.around(cx, $crate::layers::around::Op::ChangeVersion(reference), move |cx| {
                    Box::pin(async move { inner.destroy(reference, version, &cx).await })
                })
                .await
            }
        }
    };
}

/// What a facet answers that was asked for without [`Provider::as_leased`] offering it.
pub(super) fn no_leases() -> crate::Error {
    crate::Error::unsupported("leasing")
}

/// What a facet answers that was asked for without [`Provider::as_versioned`] offering it.
pub(super) fn no_versions() -> crate::Error {
    crate::Error::unsupported("keeping versions")
}
