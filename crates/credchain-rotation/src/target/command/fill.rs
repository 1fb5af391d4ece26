//! Putting ids and tags into the arguments of programs.

use std::ffi::OsString;

use credchain_core::{Account, Error, Kind, Result};

use super::super::wrong;

/// What stands in the place of `{id}` and `{tag}`.
#[derive(Clone, Copy, Default)]
pub(super) struct Filling<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) tag: Option<&'a str>,
}

impl<'a> Filling<'a> {
    pub(super) fn of(account: &'a Account) -> Self {
        Self {
            id: Some(&account.id),
            tag: None,
        }
    }
}

/// Fills in arguments, each for itself and in one pass: nothing in an id makes another argument.
pub(super) fn fill(args: &[String], filling: Filling<'_>) -> Result<Vec<OsString>> {
    let mut literal_only = false;
    let mut filled = Vec::with_capacity(args.len());
    for arg in args {
        let text = substitute(arg, filling)?;
        if !literal_only && text.starts_with('-') && !arg.starts_with('-') {
            return Err(Error::new(
                Kind::Invalid,
                "an id that begins with `-` would be taken for an option",
            )
            .with_hint("put `--` before it in the hook's arguments, if the program knows that"));
        }
        literal_only |= arg == "--";
        filled.push(text.into());
    }
    Ok(filled)
}

fn substitute(template: &str, filling: Filling<'_>) -> Result<String> {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let (before, after) = rest.split_at(open);
        text.push_str(before);
        let (value, length) = if after.starts_with("{id}") {
            (Some(part(filling.id, "id")?), "{id}".len())
        } else if after.starts_with("{tag}") {
            (Some(part(filling.tag, "tag")?), "{tag}".len())
        } else {
            (None, 1)
        };
        let (placeholder, behind) = after.split_at(length);
        text.push_str(value.unwrap_or(placeholder));
        rest = behind;
    }
    text.push_str(rest);
    Ok(text)
}

fn part<'a>(value: Option<&'a str>, name: &str) -> Result<&'a str> {
    let value = value.filter(|value| !value.is_empty());
    let value = value.ok_or_else(|| {
        wrong(format!(
            "a hook's arguments have `{{{name}}}`, and there is no {name} here"
        ))
    })?;
    if value.chars().any(char::is_control) {
        let message = format!("an {name} with a control character goes into no argument");
        return Err(Error::new(Kind::Invalid, message));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(args: &[&str]) -> Vec<String> {
        args.iter().map(|arg| (*arg).to_owned()).collect()
    }

    #[test]
    fn placeholders_are_filled_once_and_never_split() {
        let filling = Filling {
            id: Some("a {tag} b"),
            tag: Some("t"),
        };
        let filled = fill(
            &strings(&["--id={id}", "{id}", "{tag}", "{other}", "{", "}"]),
            filling,
        );
        assert_eq!(
            filled.unwrap(),
            ["--id=a {tag} b", "a {tag} b", "t", "{other}", "{", "}"]
        );
    }

    #[test]
    fn an_id_is_no_option_and_has_no_control_characters() {
        for (args, id, kind) in [
            (&["{id}"][..], "-rf", Some(Kind::Invalid)),
            (&["--", "{id}"], "-rf", None),
            (&["{id}"], "a\nb", Some(Kind::Invalid)),
            (&["{id}"], "a\0b", Some(Kind::Invalid)),
            (&["{id}"], "", Some(Kind::Misconfigured)),
            (&["{tag}"], "a", Some(Kind::Misconfigured)),
            (&["x"], "", None),
        ] {
            let filling = Filling {
                id: Some(id),
                tag: None,
            };
            let found = fill(&strings(args), filling)
                .err()
                .map(|error| error.kind());
            assert_eq!(found, kind, "{args:?} {id:?}");
        }
    }
}
