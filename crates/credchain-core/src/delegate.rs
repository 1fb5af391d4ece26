//! Wrappers that cannot forget a method.

/// Implements [`Provider`](crate::Provider) for a wrapper: the methods named in `overrides` are
/// the ones written in the braces, every other method goes to the wrapped provider.
///
/// A method added to the trait is added here once and then reaches every wrapper; forwarding is
/// never left to a default.
///
/// ```
/// use std::sync::Arc;
/// use credchain_core::{Context, Provider, Reference, Result, Secret, delegate_provider};
///
/// #[derive(Debug)]
/// struct Logged(Arc<dyn Provider>);
///
/// delegate_provider! {
///     impl Provider for Logged, through |this| this.0, overrides [get] {
///         async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
///             println!("reading {reference}");
///             self.0.get(reference, cx).await
///         }
///     }
/// }
/// ```
#[macro_export]
macro_rules! delegate_provider {
    (
        impl Provider for $wrapper:ty, through |$this:ident| $inner:expr, overrides [$($over:ident)*]
        { $($own:tt)* }
    ) => {
        $crate::delegate_provider! {
            @next [capabilities get get_many set delete list describe identity locate beside as_leased as_versioned as_interactive as_rotatable]
            [$($over)*] [$wrapper] [$this] [$inner] { $($own)* }
        }
    };

    // All methods are accounted for.
    (@next [] [$($over:ident)*] [$wrapper:ty] [$this:ident] [$inner:expr] { $($body:tt)* }) => {
        #[$crate::async_trait]
        impl $crate::Provider for $wrapper { $($body)* }
    };
    (@next [$method:ident $($rest:ident)*] [$($over:ident)*] $w:tt $t:tt $i:tt $body:tt) => {
        $crate::delegate_provider! { @seek $method [$($over)*] [$($rest)*] [$($over)*] $w $t $i $body }
    };

    // The method is among the overrides: nothing to add.
    (@seek capabilities [capabilities $($o:ident)*] $r:tt $v:tt $w:tt $t:tt $i:tt $b:tt) => { $crate::delegate_provider! { @next $r $v $w $t $i $b } };
    (@seek get [get $($o:ident)*] $r:tt $v:tt $w:tt $t:tt $i:tt $b:tt) => { $crate::delegate_provider! { @next $r $v $w $t $i $b } };
    (@seek get_many [get_many $($o:ident)*] $r:tt $v:tt $w:tt $t:tt $i:tt $b:tt) => { $crate::delegate_provider! { @next $r $v $w $t $i $b } };
    (@seek set [set $($o:ident)*] $r:tt $v:tt $w:tt $t:tt $i:tt $b:tt) => { $crate::delegate_provider! { @next $r $v $w $t $i $b } };
    (@seek delete [delete $($o:ident)*] $r:tt $v:tt $w:tt $t:tt $i:tt $b:tt) => { $crate::delegate_provider! { @next $r $v $w $t $i $b } };
    (@seek list [list $($o:ident)*] $r:tt $v:tt $w:tt $t:tt $i:tt $b:tt) => { $crate::delegate_provider! { @next $r $v $w $t $i $b } };
    (@seek describe [describe $($o:ident)*] $r:tt $v:tt $w:tt $t:tt $i:tt $b:tt) => { $crate::delegate_provider! { @next $r $v $w $t $i $b } };
    (@seek identity [identity $($o:ident)*] $r:tt $v:tt $w:tt $t:tt $i:tt $b:tt) => { $crate::delegate_provider! { @next $r $v $w $t $i $b } };
    (@seek locate [locate $($o:ident)*] $r:tt $v:tt $w:tt $t:tt $i:tt $b:tt) => { $crate::delegate_provider! { @next $r $v $w $t $i $b } };
    (@seek as_leased [as_leased $($o:ident)*] $r:tt $v:tt $w:tt $t:tt $i:tt $b:tt) => { $crate::delegate_provider! { @next $r $v $w $t $i $b } };
    (@seek as_interactive [as_interactive $($o:ident)*] $r:tt $v:tt $w:tt $t:tt $i:tt $b:tt) => { $crate::delegate_provider! { @next $r $v $w $t $i $b } };
    (@seek beside [beside $($o:ident)*] $r:tt $v:tt $w:tt $t:tt $i:tt $b:tt) => { $crate::delegate_provider! { @next $r $v $w $t $i $b } };
    (@seek as_rotatable [as_rotatable $($o:ident)*] $r:tt $v:tt $w:tt $t:tt $i:tt $b:tt) => { $crate::delegate_provider! { @next $r $v $w $t $i $b } };
    (@seek as_versioned [as_versioned $($o:ident)*] $r:tt $v:tt $w:tt $t:tt $i:tt $b:tt) => { $crate::delegate_provider! { @next $r $v $w $t $i $b } };

    // Another override stands first: look further.
    (@seek $method:ident [$other:ident $($o:ident)*] $r:tt $v:tt $w:tt $t:tt $i:tt $b:tt) => {
        $crate::delegate_provider! { @seek $method [$($o)*] $r $v $w $t $i $b }
    };

    // It is not among the overrides: forward it.
    (@seek capabilities [] $r:tt $v:tt $w:tt [$this:ident] [$inner:expr] { $($b:tt)* }) => {
        $crate::delegate_provider! { @next $r $v $w [$this] [$inner] { $($b)*
            fn capabilities(&self) -> $crate::Capabilities {
                let $this = self;
                $crate::Provider::capabilities(&*$inner)
            }
        } }
    };
    (@seek get [] $r:tt $v:tt $w:tt [$this:ident] [$inner:expr] { $($b:tt)* }) => {
        $crate::delegate_provider! { @next $r $v $w [$this] [$inner] { $($b)*
            async fn get(&self, reference: &$crate::Reference, cx: &$crate::Context) -> $crate::Result<$crate::Secret> {
                let $this = self;
                $crate::Provider::get(&*$inner, reference, cx).await
            }
        } }
    };
    (@seek get_many [] $r:tt $v:tt $w:tt [$this:ident] [$inner:expr] { $($b:tt)* }) => {
        $crate::delegate_provider! { @next $r $v $w [$this] [$inner] { $($b)*
            async fn get_many(&self, references: &[$crate::Reference], cx: &$crate::Context) -> Vec<$crate::Result<$crate::Secret>> {
                let $this = self;
                $crate::Provider::get_many(&*$inner, references, cx).await
            }
        } }
    };
    (@seek set [] $r:tt $v:tt $w:tt [$this:ident] [$inner:expr] { $($b:tt)* }) => {
        $crate::delegate_provider! { @next $r $v $w [$this] [$inner] { $($b)*
            async fn set(&self, reference: &$crate::Reference, value: &$crate::Secret, options: &$crate::SetOptions, cx: &$crate::Context) -> $crate::Result<$crate::Version> {
                let $this = self;
                $crate::Provider::set(&*$inner, reference, value, options, cx).await
            }
        } }
    };
    (@seek delete [] $r:tt $v:tt $w:tt [$this:ident] [$inner:expr] { $($b:tt)* }) => {
        $crate::delegate_provider! { @next $r $v $w [$this] [$inner] { $($b)*
            async fn delete(&self, reference: &$crate::Reference, cx: &$crate::Context) -> $crate::Result<()> {
                let $this = self;
                $crate::Provider::delete(&*$inner, reference, cx).await
            }
        } }
    };
    (@seek list [] $r:tt $v:tt $w:tt [$this:ident] [$inner:expr] { $($b:tt)* }) => {
        $crate::delegate_provider! { @next $r $v $w [$this] [$inner] { $($b)*
            async fn list(&self, prefix: Option<&str>, cx: &$crate::Context) -> $crate::Result<Vec<$crate::Listed>> {
                let $this = self;
                $crate::Provider::list(&*$inner, prefix, cx).await
            }
        } }
    };
    (@seek describe [] $r:tt $v:tt $w:tt [$this:ident] [$inner:expr] { $($b:tt)* }) => {
        $crate::delegate_provider! { @next $r $v $w [$this] [$inner] { $($b)*
            async fn describe(&self, reference: &$crate::Reference, cx: &$crate::Context) -> $crate::Result<$crate::Description> {
                let $this = self;
                $crate::Provider::describe(&*$inner, reference, cx).await
            }
        } }
    };
    (@seek identity [] $r:tt $v:tt $w:tt [$this:ident] [$inner:expr] { $($b:tt)* }) => {
        $crate::delegate_provider! { @next $r $v $w [$this] [$inner] { $($b)*
            async fn identity(&self, cx: &$crate::Context) -> $crate::Result<$crate::Identity> {
                let $this = self;
                $crate::Provider::identity(&*$inner, cx).await
            }
        } }
    };
    (@seek locate [] $r:tt $v:tt $w:tt [$this:ident] [$inner:expr] { $($b:tt)* }) => {
        $crate::delegate_provider! { @next $r $v $w [$this] [$inner] { $($b)*
            fn locate(&self, naming: &$crate::Naming) -> Vec<$crate::Reference> {
                let $this = self;
                $crate::Provider::locate(&*$inner, naming)
            }
        } }
    };
    (@seek beside [] $r:tt $v:tt $w:tt [$this:ident] [$inner:expr] { $($b:tt)* }) => {
        $crate::delegate_provider! { @next $r $v $w [$this] [$inner] { $($b)*
            fn beside(&self, reference: &$crate::Reference) -> Option<$crate::Reference> {
                let $this = self;
                $crate::Provider::beside(&*$inner, reference)
            }
        } }
    };
    (@seek as_rotatable [] $r:tt $v:tt $w:tt [$this:ident] [$inner:expr] { $($b:tt)* }) => {
        $crate::delegate_provider! { @next $r $v $w [$this] [$inner] { $($b)*
            fn as_rotatable(&self) -> Option<&dyn $crate::Rotatable> {
                let $this = self;
                $crate::Provider::as_rotatable(&*$inner)
            }
        } }
    };
    (@seek as_leased [] $r:tt $v:tt $w:tt [$this:ident] [$inner:expr] { $($b:tt)* }) => {
        $crate::delegate_provider! { @next $r $v $w [$this] [$inner] { $($b)*
            fn as_leased(&self) -> Option<&dyn $crate::Leased> {
                let $this = self;
                $crate::Provider::as_leased(&*$inner)
            }
        } }
    };
    (@seek as_interactive [] $r:tt $v:tt $w:tt [$this:ident] [$inner:expr] { $($b:tt)* }) => {
        $crate::delegate_provider! { @next $r $v $w [$this] [$inner] { $($b)*
            fn as_interactive(&self) -> Option<&dyn $crate::Interactive> {
                let $this = self;
                $crate::Provider::as_interactive(&*$inner)
            }
        } }
    };
    (@seek as_versioned [] $r:tt $v:tt $w:tt [$this:ident] [$inner:expr] { $($b:tt)* }) => {
        $crate::delegate_provider! { @next $r $v $w [$this] [$inner] { $($b)*
            fn as_versioned(&self) -> Option<&dyn $crate::Versioned> {
                let $this = self;
                $crate::Provider::as_versioned(&*$inner)
            }
        } }
    };
}
