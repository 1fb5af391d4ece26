//! A program's credentials as one struct.

mod convert;
mod error;
mod field;
mod resolved;
mod text;

use std::future::Future;

use credchain_core::Name;

use crate::Credchain;

pub use self::convert::{FromSecret, Unfit, ViaSecret, ViaText};
pub use self::error::{LoadError, Problem, Problems};
pub use self::field::Field;
pub use self::resolved::Resolved;
#[doc(hidden)]
pub use self::text::Masked;
pub use self::text::SecretText;

/// A struct whose fields are credentials: `#[derive(Credentials)]`, with feature `derive`.
///
/// All fields, those of nested structs included, are resolved in one batch, and the error of
/// [`load`](Self::load) lists everything that is missing or unusable, not only the first.
///
#[cfg_attr(feature = "derive", doc = "```no_run")]
#[cfg_attr(not(feature = "derive"), doc = "```text")]
/// use credchain::{Credentials, Secret, SecretText};
///
/// #[derive(Credentials)]
/// struct Pipeline {
///     /// billing API
///     api_key: SecretText,
///     /// signs the reports
///     #[credential(name = "report_signing_key")]
///     signing_key: Option<Secret>,
///     #[credential(nested, prefix = "smtp_")]
///     smtp: Smtp,
/// }
///
/// #[derive(Credentials)]
/// struct Smtp {
///     password: SecretText,
///     #[credential(secret = false)]
///     host: String,
///     #[credential(secret = false, default = 587)]
///     port: u16,
/// }
///
/// # async fn example() -> Result<(), credchain::LoadError> {
/// let credentials = Pipeline::load().await?;
/// let header = format!("Bearer {}", credentials.api_key.expose());
/// # drop(header);
/// # Ok(()) }
/// ```
///
/// # Fields
/// - [`Secret`](crate::Secret): any bytes. [`SecretText`]: text.
/// - Any type that is [`FromStr`](std::str::FromStr): numbers, `bool`, URLs, your own. The text
///   of its parse error is never shown, because it may quote the value.
/// - [`String`] only with `#[credential(secret = false)]`: it is neither masked nor wiped.
/// - `Option` of these: `None` if every link answered that there is none. A link that failed is
///   an error all the same.
/// - Another such struct, with `#[credential(nested)]`.
///
/// The credential's name is the field's; the first paragraph of its doc comment is its
/// description. A secret that is set but empty counts as missing, because that is how an unset
/// secret arrives in most CI systems.
///
/// # Attributes
///
/// | on a field: `#[credential(…)]` | |
/// |---|---|
/// | `name = "api_key"` | another name than the field's |
/// | `description = "…"` | another description than the doc comment |
/// | `default = "587"` | text, number or truth that is taken when every link answered that there is none |
/// | `secret = false` | may be shown: `Debug` prints it, `String` is allowed, an empty value counts |
/// | `allow_empty` | an empty value is a value |
/// | `nested`, `prefix = "smtp_"` | a struct of its own, with what its names begin with |
///
/// | on the struct: `#[credentials(…)]` | |
/// |---|---|
/// | `prefix = "billing_"` | what all its names begin with, nested ones and `name = …` included |
/// | `crate = path` | where this crate is, if not at `::credchain` |
///
/// # Debug
/// The derive implements `Debug` as well, and masks whatever is secret; a `#[derive(Debug)]`
/// beside it is a conflict, on purpose.
pub trait Credentials: Sized {
    /// What the struct needs, nested structs included, in order.
    fn fields() -> Vec<Field>;

    /// Builds the struct from what was resolved.
    ///
    /// # Errors
    /// Lists every field that is missing or unusable.
    fn from_resolved(resolved: &mut Resolved) -> Result<Self, LoadError>;

    /// Opens the project that the working directory belongs to, and resolves every field.
    ///
    /// # Errors
    /// If the project cannot be opened; else as [`load_from`](Self::load_from).
    fn load() -> impl Future<Output = Result<Self, LoadError>> + Send {
        async { Self::load_from(&Credchain::open()?).await }
    }

    /// Resolves every field in one batch.
    ///
    /// # Errors
    /// Lists every field that is missing or unusable.
    fn load_from(credentials: &Credchain) -> impl Future<Output = Result<Self, LoadError>> + Send {
        async {
            let mut names: Vec<Name> = Self::fields().into_iter().map(|field| field.name).collect();
            names.sort();
            names.dedup();
            let resolutions = credentials.resolve_many(&names).await;
            let mut resolved = Resolved::new();
            for (name, resolution) in names.into_iter().zip(resolutions) {
                let variable = credentials.resolver().naming(&name).env_name();
                resolved.insert_as(name, resolution, variable);
            }
            Self::from_resolved(&mut resolved)
        }
    }
}
