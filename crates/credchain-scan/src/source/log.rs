//! Which commit brought a blob.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader};

use super::Oid;
use super::git::Git;
use crate::report::Commit;

/// How much of a commit's name is enough in any repository.
const SHORT: usize = 12;

/// A commit and its author's time.
pub(crate) struct Dated {
    pub(crate) commit: Commit,
    pub(crate) time: i64,
}

/// The first commit of each of these blobs, in one walk over history; those that the walk does not
/// reach have none.
pub(crate) fn first_commits(git: &Git<'_>, blobs: &HashSet<Oid>) -> HashMap<Oid, Dated> {
    let mut first = HashMap::new();
    let mut command = git.command(&[
        "log",
        "--all",
        "--raw",
        "--no-abbrev",
        "--no-renames",
        "--no-ext-diff",
        "--root",
        // What a merge has and none of its parents.
        "-c",
        "--no-color",
        "--format=commit %H %at %aI",
    ]);
    let Ok(mut child) = command.spawn() else {
        return first;
    };
    let Some(stdout) = child.stdout.take() else {
        return first;
    };
    let mut current: Option<Dated> = None;
    for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        if let Some(commit) = line.strip_prefix("commit ") {
            current = dated(commit);
        } else if let (Some(changed), Some(current)) = (new_blob(&line), &current)
            && blobs.contains(changed)
        {
            keep_older(&mut first, changed, current);
        }
    }
    // What it could not walk is missing, and that is told where blobs are listed.
    let _ = child.wait();
    first
}

fn dated(line: &str) -> Option<Dated> {
    let mut fields = line.split(' ');
    let (id, time, date) = (fields.next()?, fields.next()?, fields.next()?);
    Some(Dated {
        commit: Commit {
            // Its own abbreviation would be as long as the names of the blobs.
            id: id.get(..SHORT).unwrap_or(id).to_owned(),
            date: date.to_owned(),
        },
        time: time.parse().ok()?,
    })
}

/// The object that a change leads to: `:100644 100644 OLD NEW M\tpath`, or with one more colon, mode
/// and name for each further parent.
fn new_blob(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches(':');
    let parents = line.len() - rest.len();
    if parents == 0 {
        return None;
    }
    rest.split(' ').nth(2 * parents + 1)
}

fn keep_older(first: &mut HashMap<Oid, Dated>, blob: &str, current: &Dated) {
    // The walk goes back in time, but dates of authors are what their clocks said.
    let is_older = first
        .get(blob)
        .is_none_or(|known| (current.time, &current.commit.id) <= (known.time, &known.commit.id));
    if is_older {
        let dated = Dated {
            commit: current.commit.clone(),
            time: current.time,
        };
        first.insert(blob.into(), dated);
    }
}

#[cfg(test)]
mod tests {
    use super::new_blob;

    #[test]
    fn the_new_object_is_found_in_changes_of_commits_and_of_merges() {
        let plain = ":100644 100644 aaa bbb M\tpath with space";
        let merge = "::100644 100644 100644 aaa bbb ccc MM\tpath";
        assert_eq!(new_blob(plain), Some("bbb"));
        assert_eq!(new_blob(merge), Some("ccc"));
        assert_eq!(new_blob(""), None);
    }
}
