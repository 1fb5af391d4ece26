//! A short cut for `resolve get NAME` and `resolve token NAME`, by far the most frequent calls.
//!
//! It understands only what it is sure of; everything else, help and mistakes included, goes to
//! the full parser. What both understand, both understand alike: a test compares them.

use std::ffi::OsString;

use crate::cli::{Command, Global};
use crate::commands::get;
#[cfg(feature = "oauth2")]
use crate::commands::token;

/// The parsed command, if the command line is one of the plain forms.
pub(crate) fn parse(arguments: &[OsString]) -> Option<(Global, Command)> {
    let mut words = arguments.iter().skip(1).map(|word| word.to_str());
    let mut global = Global::default();
    let mut command = None;
    let mut name = None;
    let mut header = false;
    while let Some(word) = words.next() {
        match word? {
            word @ ("get" | "token") if command.is_none() => command = Some(word),
            "--json" => global.json = true,
            "--header" if command == Some("token") && !header => header = true,
            "-p" | "--profile" if global.profile.is_none() => {
                let value = words.next()??;
                if value.starts_with('-') || value.is_empty() {
                    return None;
                }
                global.profile = Some(value.to_owned());
            }
            plain
                if command.is_some()
                    && name.is_none()
                    && !plain.starts_with('-')
                    && !plain.is_empty() =>
            {
                name = Some(plain.to_owned());
            }
            _ => return None,
        }
    }
    let name = name?;
    let command = match command? {
        "get" => Command::Get(get::Args { name }),
        #[cfg(feature = "oauth2")]
        "token" => Command::Token(token::Args {
            name: name.parse().ok()?,
            header,
        }),
        _ => return None,
    };
    Some((global, command))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    fn words(line: &str) -> Vec<OsString> {
        std::iter::once("resolve")
            .chain(line.split_whitespace())
            .map(OsString::from)
            .collect()
    }

    #[test]
    fn what_the_short_cut_understands_the_full_parser_understands_alike() {
        for line in [
            "get a",
            "--json get a",
            "get --json a",
            "-p prod get a",
            "get a --profile x",
            "get token",
            #[cfg(feature = "oauth2")]
            "token crm",
            #[cfg(feature = "oauth2")]
            "token --header crm",
            #[cfg(feature = "oauth2")]
            "token get --json -p prod",
        ] {
            let short = parse(&words(line)).unwrap_or_else(|| panic!("{line}"));
            let full = cli::parse(&words(line)).unwrap_or_else(|_| panic!("{line}"));
            assert_eq!(format!("{short:?}"), format!("{full:?}"), "{line}");
        }
    }

    #[test]
    fn what_it_is_not_sure_of_it_leaves_alone() {
        for line in [
            "",
            "get",
            "get -h",
            "get a b",
            "set a",
            "get a -v",
            "get -p -x a",
            "get --nope a",
            "get --header a",
            "--header token a",
            "token a --header --header",
            "token",
        ] {
            assert!(parse(&words(line)).is_none(), "{line}");
        }
    }
}
