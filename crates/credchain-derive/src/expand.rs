//! The code that the derive writes.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;

use crate::input::{Field, Role, Struct};

pub(crate) fn expand(input: &Struct) -> TokenStream {
    let given = input.attributes.crate_path.as_ref();
    let krate = given.map_or_else(|| quote!(::credchain), |path| quote!(#path));
    let ident = &input.ident;
    let listed = input.fields.iter().map(|field| listed(field, &krate));
    let built = input
        .fields
        .iter()
        .enumerate()
        .map(|(index, field)| built(index, field, &krate));
    let locals: Vec<_> = (0..input.fields.len()).map(local).collect();
    let names: Vec<_> = input.fields.iter().map(|field| &field.ident).collect();
    let debug = debug(input, &krate);
    quote! {
        #[automatically_derived]
        impl #krate::Credentials for #ident {
            fn fields() -> ::std::vec::Vec<#krate::Field> {
                let mut fields = ::std::vec::Vec::new();
                #(#listed)*
                fields
            }

            fn from_resolved(
                resolved: &mut #krate::Resolved,
            ) -> ::core::result::Result<Self, #krate::LoadError> {
                let mut problems = <#krate::Problems as ::core::default::Default>::default();
                #(#built)*
                match (#(#locals,)*) {
                    (#(::core::option::Option::Some(#locals),)*) => {
                        ::core::result::Result::Ok(Self { #(#names: #locals),* })
                    }
                    _ => ::core::result::Result::Err(::core::convert::From::from(problems)),
                }
            }
        }

        #debug
    }
}

/// Adds a field, or a nested struct's fields, to `fields`.
fn listed(field: &Field, krate: &TokenStream) -> TokenStream {
    match &field.role {
        Role::Credential { .. } => {
            let described = described(field, krate);
            quote!(fields.push(#described);)
        }
        Role::Nested { prefix } => {
            let ty = &field.ty;
            let nested = quote_spanned!(ty.span()=> <#ty as #krate::Credentials>::fields());
            quote! {
                fields.extend(#nested.into_iter().map(|field| field.prefixed(#prefix)));
            }
        }
    }
}

/// An expression for the `Field` of one credential.
fn described(field: &Field, krate: &TokenStream) -> TokenStream {
    let Role::Credential {
        name,
        description,
        default,
        secret,
        allow_empty,
        optional,
    } = &field.role
    else {
        return TokenStream::new();
    };
    let description = description.iter().map(|text| quote!(.described(#text)));
    let default = default.iter().map(|text| quote!(.or(#text)));
    let public = (!secret).then(|| quote!(.public()));
    let allow_empty = allow_empty.then(|| quote!(.allow_empty()));
    let optional = optional.then(|| quote!(.optional()));
    quote! {
        #krate::Field::literal(#name)
            #(#description)* #(#default)* #public #allow_empty #optional
    }
}

/// Binds a field's value, or `None` with a problem noted.
fn built(index: usize, field: &Field, krate: &TokenStream) -> TokenStream {
    let local = local(index);
    let ty = &field.ty;
    match &field.role {
        Role::Nested { prefix } => quote_spanned! {ty.span()=>
            let #local = resolved.nested::<#ty>(#prefix, &mut problems);
        },
        Role::Credential { optional, .. } => {
            let described = described(field, krate);
            let method = format_ident!(
                "{}",
                if *optional { "optional" } else { "field" },
                span = ty.span()
            );
            quote_spanned! {ty.span()=>
                let #local = resolved.#method::<#ty, _>(#described, &mut problems);
            }
        }
    }
}

/// `Debug` that masks every secret.
fn debug(input: &Struct, krate: &TokenStream) -> TokenStream {
    let ident = &input.ident;
    let name = ident.to_string();
    let shown = input.fields.iter().map(|field| {
        let (ident, label) = (&field.ident, field.ident.unraw().to_string());
        match &field.role {
            Role::Credential {
                secret: true,
                optional: false,
                ..
            } => {
                quote!(.field(#label, &#krate::Masked))
            }
            Role::Credential {
                secret: true,
                optional: true,
                ..
            } => {
                quote!(.field(#label, &self.#ident.as_ref().map(|_| #krate::Masked)))
            }
            _ => quote!(.field(#label, &self.#ident)),
        }
    });
    quote! {
        #[automatically_derived]
        impl ::core::fmt::Debug for #ident {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(#name) #(#shown)* .finish()
            }
        }
    }
}

fn local(index: usize) -> syn::Ident {
    format_ident!("field_{index}")
}
