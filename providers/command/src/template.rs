//! Argument arrays with placeholders.

use credchain_core::{Error, Kind, Project, Reference, Result, Version};

/// Whether an argument array has a placeholder.
pub(crate) fn mentions(args: &[String], placeholder: &str) -> bool {
    args.iter().any(|arg| arg.contains(placeholder))
}

/// Fills in one argument array. Placeholders are replaced inside elements only, in one pass, so
/// neither spaces nor braces in a path can make another argument of it.
///
/// # Errors
/// [`Kind::Invalid`] if a path or field would be taken for an option.
pub(crate) fn fill(
    args: &[String],
    reference: Option<&Reference>,
    project: &Project,
) -> Result<Vec<String>> {
    let mut literal_only = false;
    let mut filled = Vec::with_capacity(args.len());
    for arg in args {
        let text = substitute(arg, reference, project)?;
        if !literal_only && text.starts_with('-') && !arg.starts_with('-') {
            return Err(Error::new(
                Kind::Invalid,
                "a path or field that begins with `-` would be taken for an option",
            ));
        }
        literal_only |= arg == "--";
        filled.push(text);
    }
    Ok(filled)
}

fn substitute(template: &str, reference: Option<&Reference>, project: &Project) -> Result<String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        rest = &rest[open..];
        let close = rest.find('}').map_or(rest.len(), |at| at + 1);
        let part = |what: Option<&str>, name: &str| {
            what.map(str::to_owned).ok_or_else(|| {
                let message = format!("this command needs a reference with a {name}");
                Error::new(Kind::Invalid, message)
                    .with_hint("a reference is written `PATH#FIELD?version=V`")
            })
        };
        match &rest[..close] {
            "{path}" => filled.push_str(&part(reference.map(Reference::path), "path")?),
            "{field}" => filled.push_str(&part(reference.and_then(Reference::field), "field")?),
            "{version}" => {
                let version = reference.and_then(Reference::version);
                filled.push_str(&part(version.map(Version::as_str), "version")?);
            }
            "{project}" => filled.push_str(&project.name),
            "{profile}" => filled.push_str(&project.profile),
            other => filled.push_str(other),
        }
        rest = &rest[close..];
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_path_makes_another_argument(path in "[^\\x00-\\x1f\\x7f-\\u{9f}./\\\\][^\\x00-\\x1f\\x7f-\\u{9f}.]{0,30}") {
            let reference = Reference::new(&path).unwrap();
            let args = strings(&["get", "--", "{path}", "x{path}"]);
            let filled = fill(&args, Some(&reference), &Project::new("p", "/")).unwrap();
            prop_assert_eq!(filled, ["get", "--", &path, &format!("x{path}")]);
        }
    }

    fn strings(args: &[&str]) -> Vec<String> {
        args.iter().map(|arg| (*arg).to_owned()).collect()
    }

    #[test]
    fn placeholders_are_filled_once_and_never_split() {
        let project = Project::new("shop", "/").with_profile("prod");
        let reference: Reference = "a {field} b#x".parse().unwrap();
        let args = strings(&[
            "--p={project}/{profile}",
            "{path}",
            "{field}",
            "{other}",
            "{",
        ]);
        assert_eq!(
            fill(&args, Some(&reference), &project).unwrap(),
            ["--p=shop/prod", "a {field} b", "x", "{other}", "{"]
        );
        let error = fill(&strings(&["{version}"]), Some(&reference), &project).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
    }

    #[test]
    fn a_path_that_looks_like_an_option_is_refused_or_behind_a_double_dash() {
        let project = Project::new("p", "/");
        let reference: Reference = "--output=/etc/passwd".parse().unwrap();
        let error = fill(&strings(&["show", "{path}"]), Some(&reference), &project).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        let fine = fill(
            &strings(&["show", "--", "{path}"]),
            Some(&reference),
            &project,
        )
        .unwrap();
        assert_eq!(fine, ["show", "--", "--output=/etc/passwd"]);
        let fine = fill(&strings(&["op://{path}"]), Some(&reference), &project).unwrap();
        assert_eq!(fine, ["op://--output=/etc/passwd"]);
    }
}
