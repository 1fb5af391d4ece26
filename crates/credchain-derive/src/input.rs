//! The struct that the derive stands on, checked.

use std::collections::BTreeSet;

use proc_macro2::Span;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Data, DeriveInput, Error, Fields, GenericArgument, Ident, PathArguments, Result, Type};

use crate::attributes::{FieldAttributes, StructAttributes, doc_summary};

/// Longest name of a credential, in bytes.
const MAX_NAME: usize = 255;

/// A struct whose credentials can be derived.
pub(crate) struct Struct {
    pub(crate) ident: Ident,
    pub(crate) attributes: StructAttributes,
    pub(crate) fields: Vec<Field>,
}

/// One of its fields.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    /// The type to convert to; for an `Option` what is inside.
    pub(crate) ty: Type,
    pub(crate) role: Role,
}

/// What a field is.
pub(crate) enum Role {
    Credential {
        name: String,
        description: Option<String>,
        default: Option<String>,
        secret: bool,
        allow_empty: bool,
        optional: bool,
    },
    Nested {
        prefix: String,
    },
}

impl Struct {
    /// Checks the struct and reports all mistakes at once.
    pub(crate) fn parse(input: &DeriveInput) -> Result<Self> {
        let Data::Struct(data) = &input.data else {
            let message = "`Credentials` can be derived for a struct, not for an enum or union";
            return Err(Error::new(input.ident.span(), message));
        };
        let Fields::Named(named) = &data.fields else {
            let message = "`Credentials` needs named fields: the names are the credentials'";
            return Err(Error::new(input.ident.span(), message));
        };
        let mut mistakes = Mistakes::default();
        if !input.generics.params.is_empty() {
            mistakes.add(Error::new(
                input.generics.span(),
                "`Credentials` cannot be derived for a struct with generic parameters",
            ));
        }
        if named.named.is_empty() {
            mistakes.add(Error::new(
                input.ident.span(),
                "there is no field to resolve",
            ));
        }
        let attributes = mistakes
            .take(StructAttributes::parse(&input.attrs))
            .unwrap_or_default();
        let prefix = attributes
            .prefix
            .as_ref()
            .map(syn::LitStr::value)
            .unwrap_or_default();
        let mut fields = Vec::new();
        let mut seen = BTreeSet::new();
        for field in &named.named {
            let Some(field) = mistakes.take(Field::parse(field, &prefix)) else {
                continue;
            };
            if let Role::Credential { name, .. } = &field.role
                && !seen.insert(name.clone())
            {
                let message = format!("two fields are the credential `{name}`");
                mistakes.add(Error::new(field.ident.span(), message));
            }
            fields.push(field);
        }
        mistakes.finish()?;
        Ok(Self {
            ident: input.ident.clone(),
            attributes,
            fields,
        })
    }
}

impl Field {
    fn parse(field: &syn::Field, struct_prefix: &str) -> Result<Self> {
        let attributes = FieldAttributes::parse(&field.attrs)?;
        let ident = match &field.ident {
            Some(ident) => ident.clone(),
            None => return Err(Error::new(field.span(), "this field has no name")),
        };
        let inner = inside_option(&field.ty);
        if attributes.nested.is_some() {
            if inner.is_some() {
                let message = "a nested struct cannot be optional; make its fields `Option`s";
                return Err(Error::new(field.ty.span(), message));
            }
            let own = attributes
                .prefix
                .as_ref()
                .map(syn::LitStr::value)
                .unwrap_or_default();
            let prefix = format!("{struct_prefix}{own}");
            let span = attributes
                .prefix
                .as_ref()
                .map_or(ident.span(), syn::LitStr::span);
            if !prefix.is_empty() {
                check_name(&prefix, span)?;
            }
            return Ok(Self {
                ident,
                ty: field.ty.clone(),
                role: Role::Nested { prefix },
            });
        }
        let optional = inner.is_some();
        let ty = inner.unwrap_or(&field.ty).clone();
        let secret = attributes.is_secret();
        check_type(&ty, secret)?;
        if let (true, Some(default)) = (optional, &attributes.default) {
            let message = "a field with a default is never missing, so it needs no `Option`";
            return Err(Error::new(default.span(), message));
        }
        let (own, span) = match &attributes.name {
            Some(name) => (name.value(), name.span()),
            None => (ident.unraw().to_string(), ident.span()),
        };
        let name = format!("{struct_prefix}{own}");
        check_name(&name, span)?;
        let description = match &attributes.description {
            Some(text) => Some(text.value()),
            None => doc_summary(&field.attrs),
        };
        let role = Role::Credential {
            name,
            description,
            default: attributes.default.as_ref().map(syn::LitStr::value),
            secret,
            allow_empty: attributes.allow_empty.is_some(),
            optional,
        };
        Ok(Self { ident, ty, role })
    }
}

/// The same rule as `credchain_core::Name`, told at the place of the mistake.
fn check_name(name: &str, span: Span) -> Result<()> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let well_made = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if starts_well && well_made && !name.contains("..") && name.len() <= MAX_NAME {
        return Ok(());
    }
    Err(Error::new(
        span,
        format!(
            "`{}` is no credential's name: at most {MAX_NAME} ASCII letters, digits, `_`, `-` and \
             single `.`, the first a letter or `_`",
            name.escape_debug()
        ),
    ))
}

/// Types that would undo the protection of a secret.
fn check_type(ty: &Type, secret: bool) -> Result<()> {
    let Type::Path(path) = ty else { return Ok(()) };
    let Some(last) = path.path.segments.last() else {
        return Ok(());
    };
    if last.ident == "String" && secret {
        return Err(Error::new(
            last.ident.span(),
            "a secret in a `String` is neither masked nor wiped: use `SecretText`, or say \
             `#[credential(secret = false)]` if it may be shown",
        ));
    }
    if last.ident == "Vec" {
        return Err(Error::new(
            last.ident.span(),
            "bytes are neither masked nor wiped: use `Secret`",
        ));
    }
    if last.ident == "Option" {
        return Err(Error::new(
            last.ident.span(),
            "an `Option` in an `Option` has no meaning here",
        ));
    }
    Ok(())
}

fn inside_option(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path
        .path
        .segments
        .last()
        .filter(|last| last.ident == "Option")?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => match arguments.args.first() {
            Some(GenericArgument::Type(inner)) if arguments.args.len() == 1 => Some(inner),
            _ => None,
        },
        _ => None,
    }
}

/// Every mistake of one struct.
#[derive(Default)]
struct Mistakes(Option<Error>);

impl Mistakes {
    fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        }
    }

    fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}
