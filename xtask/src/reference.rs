//! The files that `resolve` itself describes: the schema of its configuration and its help.

use std::path::Path;
use std::process::Command;

use crate::run::{Outcome, output};

/// Each generated file with what it should hold.
pub(crate) fn files(resolve: &Path) -> Outcome<[(&'static str, String); 2]> {
    Ok([
        (
            "config/credchain.schema.json",
            text_of(resolve, &["config", "schema"])?,
        ),
        ("docs/cli.md", command_line(resolve)?),
    ])
}

fn command_line(resolve: &Path) -> Outcome<String> {
    let mut page = String::from(include_str!("cli_intro.md"));
    describe(resolve, &mut Vec::new(), &mut page)?;
    Ok(page)
}

/// Adds the help of one command, then that of the commands below it.
fn describe(resolve: &Path, words: &mut Vec<String>, page: &mut String) -> Outcome {
    let args: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
    let help = text_of(resolve, &args)?;
    let name = std::iter::once("resolve").chain(words.iter().map(String::as_str));
    let name = name.collect::<Vec<_>>().join(" ");
    page.extend([
        "\n",
        if words.len() < 2 { "##" } else { "###" },
        " ",
        &name,
        "\n\n```text\n",
    ]);
    // What every command takes is shown once.
    let mut common = false;
    for line in help.trim_end().lines() {
        if !line.is_empty() && !line.starts_with(' ') {
            common = line == "Global options:" && !words.is_empty();
        }
        if common {
            continue;
        }
        page.extend([line.trim_end(), "\n"]);
    }
    page.push_str("```\n");
    for below in commands(&help) {
        words.push(below);
        describe(resolve, words, page)?;
        words.pop();
    }
    Ok(())
}

/// The names in the section `Commands:` of a help text; `help` is none.
fn commands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        // A description that needs more than one line goes on further to the right.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// What the command prints, at one width and without colour, wherever this runs.
fn text_of(resolve: &Path, args: &[&str]) -> Outcome<String> {
    let mut command = Command::new(resolve);
    output(command.args(args).env_clear().env("COLUMNS", "100"))
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn the_commands_of_a_help_text_are_found() {
        let help =
            "About\n\nCommands:\n  get   Print\n        more\n  help  Print\n\nOptions:\n  -q\n";
        assert_eq!(commands(help), ["get"]);
        assert!(commands("Options:\n  -q\n").is_empty());
    }
}
