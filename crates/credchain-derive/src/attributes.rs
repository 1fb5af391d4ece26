//! What stands in `#[credentials(…)]` and `#[credential(…)]`.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Error, Expr, ExprLit, ExprUnary, Lit, LitBool, LitStr, Meta, Path, Result, UnOp,
};

/// `#[credentials(…)]` on the struct.
#[derive(Default)]
pub(crate) struct StructAttributes {
    pub(crate) prefix: Option<LitStr>,
    pub(crate) crate_path: Option<Path>,
}

/// `#[credential(…)]` on a field.
#[derive(Default)]
pub(crate) struct FieldAttributes {
    pub(crate) name: Option<LitStr>,
    pub(crate) description: Option<LitStr>,
    pub(crate) default: Option<LitStr>,
    pub(crate) secret: Option<LitBool>,
    pub(crate) allow_empty: Option<Span>,
    pub(crate) nested: Option<Span>,
    pub(crate) prefix: Option<LitStr>,
}

impl StructAttributes {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut parsed = Self::default();
        each(attributes, "credentials", |meta| {
            if meta.path.is_ident("prefix") {
                once(&mut parsed.prefix, meta.value()?.parse()?, meta)
            } else if meta.path.is_ident("crate") {
                once(&mut parsed.crate_path, meta.value()?.parse()?, meta)
            } else {
                Err(meta.error("unknown attribute; on a struct there are `prefix` and `crate`"))
            }
        })?;
        Ok(parsed)
    }
}

impl FieldAttributes {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut parsed = Self::default();
        each(attributes, "credential", |meta| {
            let Some(key) = meta.path.get_ident() else {
                return Err(meta.error("unknown attribute"));
            };
            match key.to_string().as_str() {
                "name" => once(&mut parsed.name, meta.value()?.parse()?, meta),
                "description" => once(&mut parsed.description, meta.value()?.parse()?, meta),
                "prefix" => once(&mut parsed.prefix, meta.value()?.parse()?, meta),
                "secret" => once(&mut parsed.secret, meta.value()?.parse()?, meta),
                "default" => once(&mut parsed.default, default_text(meta)?, meta),
                "allow_empty" => once(&mut parsed.allow_empty, key.span(), meta),
                "nested" => once(&mut parsed.nested, key.span(), meta),
                _ => Err(meta.error(
                    "unknown attribute; on a field there are `name`, `description`, `default`, \
                     `secret`, `allow_empty`, `nested` and `prefix`",
                )),
            }
        })?;
        parsed.check()?;
        Ok(parsed)
    }

    pub(crate) fn is_secret(&self) -> bool {
        self.secret.as_ref().is_none_or(LitBool::value)
    }

    /// Attributes that contradict each other.
    fn check(&self) -> Result<()> {
        if self.nested.is_none() {
            return match &self.prefix {
                None => Ok(()),
                Some(prefix) => Err(Error::new(prefix.span(), "`prefix` goes with `nested`")),
            };
        }
        let misplaced = [
            self.name.as_ref().map(|name| ("name", name.span())),
            self.description
                .as_ref()
                .map(|text| ("description", text.span())),
            self.default.as_ref().map(|text| ("default", text.span())),
            self.secret.as_ref().map(|secret| ("secret", secret.span())),
            self.allow_empty.map(|span| ("allow_empty", span)),
        ];
        match misplaced.into_iter().flatten().next() {
            None => Ok(()),
            Some((key, span)) => {
                let message = format!("`{key}` belongs to the fields of the nested struct");
                Err(Error::new(span, message))
            }
        }
    }
}

/// The first paragraph of the doc comment, on one line.
pub(crate) fn doc_summary(attributes: &[Attribute]) -> Option<String> {
    let lines = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(text),
                    ..
                }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        });
    let summary = lines
        .flat_map(|text| {
            text.split('\n')
                .map(|line| line.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .skip_while(String::is_empty)
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let summary = summary.trim_end_matches('.').to_owned();
    (!summary.is_empty()).then_some(summary)
}

fn each(
    attributes: &[Attribute],
    name: &str,
    mut parse: impl FnMut(&ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident(name))
        .try_for_each(|attribute| attribute.parse_nested_meta(|meta| parse(&meta)))
}

fn once<T>(slot: &mut Option<T>, value: T, meta: &ParseNestedMeta<'_>) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(meta.error("this is set twice")),
    }
}

/// Text, a number or a truth, as text.
fn default_text(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let value: Expr = meta.value()?.parse()?;
    let text = match &value {
        Expr::Lit(literal) => literal_text(&literal.lit),
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_),
            expr,
            ..
        }) => match &**expr {
            Expr::Lit(ExprLit {
                lit: number @ (Lit::Int(_) | Lit::Float(_)),
                ..
            }) => literal_text(number).map(|text| format!("-{text}")),
            _ => None,
        },
        _ => None,
    };
    text.map(|text| LitStr::new(&text, value.span()))
        .ok_or_else(|| {
            Error::new(
                value.span(),
                "a default is text, a number, `true` or `false`",
            )
        })
}

fn literal_text(literal: &Lit) -> Option<String> {
    match literal {
        Lit::Str(text) => Some(text.value()),
        Lit::Bool(truth) => Some(truth.value().to_string()),
        Lit::Int(number) => Some(number.base10_digits().to_owned()),
        Lit::Float(number) => Some(number.base10_digits().to_owned()),
        _ => None,
    }
}
