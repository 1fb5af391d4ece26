//! `ENV` and `ARG` of a Dockerfile.

use super::yaml::Assignment;

/// Every variable that the file gives a value.
pub(crate) fn assignments(text: &str) -> Vec<Assignment> {
    let mut found = Vec::new();
    for (line, instruction) in instructions(text) {
        let Some((keyword, rest)) = instruction.trim_start().split_once(char::is_whitespace) else {
            continue;
        };
        if keyword.eq_ignore_ascii_case("env") || keyword.eq_ignore_ascii_case("arg") {
            found.extend(pairs(rest).into_iter().map(|(name, value)| Assignment {
                name,
                value,
                line,
            }));
        }
    }
    found
}

/// Instructions with the line that each begins at; a `\` at the end of a line continues it, and
/// comments in between do not end it.
fn instructions(text: &str) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with('#') {
            continue;
        }
        let (_, instruction) = open.get_or_insert_with(|| (number, String::new()));
        if let Some(more) = line.trim_end().strip_suffix('\\') {
            instruction.push_str(more);
            instruction.push(' ');
            continue;
        }
        instruction.push_str(line);
        all.extend(open.take());
    }
    all.extend(open);
    all
}

/// `NAME=VALUE …`, or the old `NAME VALUE`.
fn pairs(text: &str) -> Vec<(String, String)> {
    let words = words(text);
    let first = words.first().map(String::as_str).unwrap_or_default();
    if !first.contains('=') {
        let value = text.trim_start().strip_prefix(first).unwrap_or_default();
        let value = value.trim().trim_matches(['"', '\'']);
        return vec![(first.to_owned(), value.to_owned())];
    }
    let split = |word: &String| {
        let (name, value) = word.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    words.iter().filter_map(split).collect()
}

/// Words as a shell would split them, quotes taken off.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_quotes_and_continued_lines_are_read() {
        let text = "FROM x\nENV A=one B=\"t w o\" \\\n  # why\n  C='th\"ree'\nenv D four five\nARG E\n\
                    ARG F=s\\ ix\nRUN ENV=1\nENV\n";
        let found: Vec<_> = assignments(text)
            .into_iter()
            .map(|one| format!("{}:{}={}", one.line, one.name, one.value))
            .collect();
        assert_eq!(
            found,
            [
                "2:A=one",
                "2:B=t w o",
                "2:C=th\"ree",
                "5:D=four five",
                "6:E=",
                "7:F=s ix"
            ]
        );
    }
}
