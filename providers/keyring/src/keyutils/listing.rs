//! Which keys there are.
//!
//! A keyring can be read as well, but that gives numbers, and the name of each has to be asked
//! for; the kernel's own table has all names at once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

use super::description::place;
use crate::error::Failure;
use crate::place::Place;

const TABLE: &str = "/proc/keys";

/// The most that is read of it: some 100,000 keys.
const MAX_TABLE: u64 = 16 << 20;

/// What precedes the name of a key of the type `user`: the type is written in nine columns.
const TYPE: &str = " user      keyring:";

/// The places of all keys that this program may see, in whichever keyring they are.
pub(super) fn places() -> Result<Vec<Place>, Failure> {
    Ok(places_in(&table(TABLE)?))
}

fn table(path: &str) -> Result<Vec<u8>, Failure> {
    let mut table = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_TABLE).read_to_end(&mut table));
    // There always is a key: the keyring through which the others were reached. Where the table
    // has none it is hidden, and that is not the same as "no keys".
    if read.is_err() || table.is_empty() {
        return Err(Failure::Hidden);
    }
    Ok(table)
}

fn places_in(table: &[u8]) -> Vec<Place> {
    let lines = table.split(|byte| *byte == b'\n');
    let places = lines.filter_map(|line| {
        // A name that is no text is nobody's here.
        let line = std::str::from_utf8(line).ok()?;
        let name = line.find(TYPE)? + TYPE.len() - "keyring:".len();
        // The size of the value follows; a key without one has no value.
        let (description, size) = line.get(name..)?.rsplit_once(": ")?;
        size.parse::<usize>().ok()?;
        place(description)
    });
    // One for all keys of the same name, and in an order that is always the same.
    let sorted: BTreeMap<_, _> = places
        .map(|place| ((place.service.clone(), place.user.clone()), place))
        .collect();
    sorted.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_hidden_is_not_taken_for_an_empty_one() {
        // What containers put in its place, and what is there without `/proc`.
        for hidden in ["/dev/null", "/no/such/file"] {
            assert_eq!(table(hidden), Err(Failure::Hidden));
        }
        assert!(table(TABLE).is_ok());
    }

    #[test]
    fn only_keys_with_a_value_and_a_name_of_ours_are_found() {
        let table = b"\
034156e7 I------     1 perm 1f0b0000     0     0 keyring   .builtin_trusted_keys: empty
0d1b3c4e I--Q---     1 perm 3f010000     0     0 user      keyring:b@demo: 5
0d1b3c4f I--Q---   123   3d 3f010000  1000  1000 user      keyring:a: b@demo: 32767
0d1b3c50 I--Q---     1 expd 3f010000     0     0 user      keyring:b@demo: 7
0d1b3c51 I--QN--     1  59s 3f010000     0     0 user      keyring:negative@demo
0d1b3c52 I--Q---     1 perm 3f010000     0     0 logon     keyring:c@demo: 7
0d1b3c53 I--Q---     1 perm 3f010000     0     0 user      other: 7
0d1b3c54 I--Q---     1 perm 3f010000     0     0 user      keyring:\xff@demo: 7
";
        let found = places_in(table);
        let names: Vec<_> = found.iter().map(|place| place.user.as_str()).collect();
        assert_eq!(names, ["a: b", "b"]);
    }
}
