//! Variables in YAML: `env:`, `variables:`, `environment:` and what else CI and compose files call
//! them.

use saphyr_parser::{Event, Parser};

/// A variable with its value, and where the value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) line: usize,
}

/// What a key is followed by, from the outermost to where the parser stands.
#[derive(Debug)]
enum Level {
    /// A mapping, with the key whose value is being read.
    Mapping(Option<String>),
    Sequence,
}

/// The variables below any of `keys`: `KEY: {NAME: VALUE}`, `KEY: [NAME=VALUE]` and
/// `KEY: {NAME: {value: VALUE}}`. Aliases are not followed: what they stand for is where it is
/// anchored. `None` if the text is no YAML; of a text that is broken further down, what is above.
pub(crate) fn assignments(text: &str, keys: &[&str]) -> Option<Vec<Assignment>> {
    let mut levels: Vec<Level> = Vec::new();
    let mut found = Vec::new();
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else {
            return (!found.is_empty()).then_some(found);
        };
        match event {
            Event::Scalar(text, ..) => {
                if let Some(Level::Mapping(key @ None)) = levels.last_mut() {
                    *key = Some(text.into_owned());
                    continue;
                }
                let assigned =
                    assignment(&levels, &text, keys).filter(|(name, _)| !name.is_empty());
                found.extend(assigned.map(|(name, value)| Assignment {
                    name,
                    value,
                    line: span.start.line(),
                }));
                value_ends(&mut levels);
            }
            Event::Alias(_) => value_ends(&mut levels),
            Event::MappingStart(..) => levels.push(Level::Mapping(None)),
            Event::SequenceStart(..) => levels.push(Level::Sequence),
            Event::MappingEnd | Event::SequenceEnd => {
                levels.pop();
                value_ends(&mut levels);
            }
            _ => {}
        }
    }
    Some(found)
}

/// After a value comes a key; after a key that is no text, which no file here has, comes a value.
fn value_ends(levels: &mut [Level]) {
    if let Some(Level::Mapping(key)) = levels.last_mut() {
        *key = match key {
            Some(_) => None,
            None => Some(String::new()),
        };
    }
}

fn assignment(levels: &[Level], text: &str, keys: &[&str]) -> Option<(String, String)> {
    let is_wanted = |key: &Option<String>| key.as_deref().is_some_and(|key| keys.contains(&key));
    match levels {
        [.., Level::Mapping(parent), Level::Mapping(Some(name))] if is_wanted(parent) => {
            Some((name.clone(), text.to_owned()))
        }
        [
            ..,
            Level::Mapping(grandparent),
            Level::Mapping(Some(name)),
            Level::Mapping(Some(key)),
        ] if key == "value" && is_wanted(grandparent) => Some((name.clone(), text.to_owned())),
        [.., Level::Mapping(parent), Level::Sequence] if is_wanted(parent) => {
            let (name, value) = text.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String, usize)> {
        let all = assignments(text, &["env", "variables"]).unwrap();
        let all = all.into_iter();
        all.map(|one| (one.name, one.value, one.line)).collect()
    }

    fn of(name: &str, value: &str, line: usize) -> (String, String, usize) {
        (name.to_owned(), value.to_owned(), line)
    }

    #[test]
    fn each_way_of_writing_variables_is_read_with_its_line() {
        let text = "on: push\nenv:\n  A: one\n  'B': \"t w o\"\njobs:\n  x:\n    steps:\n    \
                    - env: {C: three, D: [1, 2]}\n      run: echo\n    - env:\n      - E=fo=ur\n      \
                    - F\nvariables:\n  G:\n    value: five\n    description: no\n";
        assert_eq!(
            found(text),
            [
                of("A", "one", 3),
                of("B", "t w o", 4),
                of("C", "three", 8),
                of("E", "fo=ur", 11),
                of("G", "five", 15)
            ]
        );
    }

    #[test]
    fn aliases_merges_and_odd_keys_confuse_nothing() {
        let text = "x: &x {A: one}\nenv:\n  <<: *x\n  ? [1, 2]\n  : two\n  B: *x\n  C: three\n";
        assert_eq!(found(text), [of("C", "three", 7)]);
    }

    #[test]
    fn a_bomb_of_aliases_is_not_expanded() {
        let mut text = "a0: &a0 [x, x]\n".to_owned();
        for level in 1..40 {
            let below = level - 1;
            text += &format!("a{level}: &a{level} [*a{below}, *a{below}]\n");
        }
        text += "env:\n  A: *a39\n  B: end\n";
        assert_eq!(found(&text), [of("B", "end", 43)]);
    }

    #[test]
    fn what_is_no_yaml_is_not_guessed_at() {
        assert_eq!(assignments("env: {A: [", &["env"]), None);
        assert_eq!(assignments("", &["env"]), Some(Vec::new()));
    }
}
