//! Which blobs there are, and what is in them.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;

use super::Oid;
use super::git::{Git, Refusal, damaged, place};
use crate::look::Seen;
use crate::pool;
use crate::report::{SkipReason, Skipped};
use crate::scan::Run;

/// How many blobs are asked for in one go. Their names fit into a pipe, so that nobody waits for
/// somebody who waits; neighbours in history are stored as differences from each other.
const CHUNK: usize = 256;

/// The contents of a file at some time.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) oid: Oid,
    /// The first path that git told.
    pub(crate) path: Arc<str>,
    size: u64,
}

/// Every blob of history, each once.
pub(crate) fn of_history(git: &Git<'_>, all: &mut Seen) -> Result<Vec<Blob>, Refusal> {
    let walk = ["rev-list", "--objects", "--missing=print", "--all"];
    let (listed, is_whole) = match git.read(&walk) {
        Ok(listed) => (listed, true),
        Err(Refusal::Failed(listed)) => (listed, false),
        Err(refusal) => return Err(refusal),
    };
    let mut objects = Vec::new();
    let mut known = HashSet::new();
    for line in listed.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        if let Some(missing) = line.strip_prefix('?') {
            all.skipped.push(damaged(&missing.into()));
            continue;
        }
        let (oid, path) = line.split_once(' ').unwrap_or((&line, ""));
        if !oid.is_empty() && known.insert(Oid::from(oid)) {
            objects.push((Oid::from(oid), Arc::from(path)));
        }
    }
    if !is_whole {
        // SECURITY: a history that cannot be walked must not look like a clean one.
        all.skipped.push(Skipped {
            path: "history".into(),
            reason: SkipReason::BrokenHistory,
        });
        let every = git.read(&[
            "cat-file",
            "--batch-all-objects",
            "--batch-check=%(objectname)",
        ]);
        let every = match every {
            Ok(every) | Err(Refusal::Failed(every)) => every,
            Err(refusal) => return Err(refusal),
        };
        for line in every.split(|byte| *byte == b'\n') {
            let oid = Oid::from(String::from_utf8_lossy(line));
            let is_name = !oid.is_empty() && oid.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_name && known.insert(oid.clone()) {
                objects.push((oid, Arc::from("")));
            }
        }
    }
    sized(git, objects, all)
}

/// Those of some objects that are blobs, with their sizes.
pub(crate) fn sized(
    git: &Git<'_>,
    objects: Vec<(Oid, Arc<str>)>,
    all: &mut Seen,
) -> Result<Vec<Blob>, Refusal> {
    let input: String = objects.iter().map(|(oid, _)| format!("{oid}\n")).collect();
    let format = "--batch-check=%(objectname) %(objecttype) %(objectsize)";
    let told = match git.answer(&["cat-file", format], input.as_bytes()) {
        // It stops at what is damaged beyond telling; the rest is asked for all the same.
        Ok(told) | Err(Refusal::Failed(told)) => told,
        Err(refusal) => return Err(refusal),
    };
    let told = String::from_utf8_lossy(&told);
    let mut known: HashMap<&str, (&str, u64)> = HashMap::new();
    for line in told.lines() {
        let mut fields = line.split(' ');
        if let (Some(oid), Some(kind)) = (fields.next(), fields.next()) {
            let size = fields.next().and_then(|size| size.parse().ok());
            known.insert(oid, (kind, size.unwrap_or(0)));
        }
    }
    let mut blobs = Vec::new();
    for (oid, path) in objects {
        let named = if path.is_empty() { oid.clone() } else { path };
        match known.get(&*oid) {
            Some(("blob", size)) => blobs.push(Blob {
                oid,
                path: named,
                size: *size,
            }),
            Some(("tree" | "commit" | "tag", _)) => {}
            _ => all.skipped.push(damaged(&named)),
        }
    }
    Ok(blobs)
}

/// Looks at blobs, on several threads, each of which has its own git.
pub(crate) fn scan(run: &Run<'_>, git: &Git<'_>, blobs: &[Blob], all: &mut Seen) {
    let wanted = |blob: &&Blob| !run.allows(&blob.path);
    let (fit, large): (Vec<&Blob>, Vec<&Blob>) = blobs
        .iter()
        .filter(wanted)
        .partition(|blob| blob.size <= run.settings.max_size);
    all.skipped.extend(large.into_iter().map(|blob| Skipped {
        path: blob.path.clone(),
        reason: SkipReason::TooLarge,
    }));
    run.expect(fit.iter().map(|blob| blob.size).sum());
    let threads = run.settings.threads;
    // A few chunks for each thread, so that all end at about the same time.
    let chunk = fit.len().div_ceil(4 * threads).clamp(1, CHUNK);
    let chunks: Vec<&[&Blob]> = fit.chunks(chunk).collect();
    for seen in pool::each(threads, &chunks, Reader::default, |reader, chunk| {
        look(run, git, reader, chunk)
    }) {
        all.add(seen);
    }
}

/// Looks at some blobs. A git that dies of a damaged one is started again for the next.
fn look(run: &Run<'_>, git: &Git<'_>, reader: &mut Reader, chunk: &[&Blob]) -> Seen {
    let mut seen = Seen::default();
    let mut rest = chunk;
    while !rest.is_empty() {
        let read = reader.read(git, rest, |blob, text| {
            if let Some(text) = text {
                seen.add(run.look(&place(blob), text));
            } else {
                run.pass(blob.size);
                seen.skipped.push(damaged(&blob.path));
            }
        });
        rest = rest.get(read..).unwrap_or_default();
        if let Some((damaged_one, others)) = rest.split_first() {
            run.pass(damaged_one.size);
            seen.skipped.push(damaged(&damaged_one.path));
            rest = others;
        }
    }
    seen
}

/// A `git cat-file --batch`, if one runs.
#[derive(Default)]
struct Reader {
    child: Option<Running>,
    buffer: Vec<u8>,
}

struct Running {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Reader {
    /// Reads blobs one after the other, and says how many could be.
    fn read(
        &mut self,
        git: &Git<'_>,
        blobs: &[&Blob],
        mut each: impl FnMut(&Blob, Option<&[u8]>),
    ) -> usize {
        let mut child = match self.child.take() {
            Some(child) => child,
            None => match Running::start(git) {
                Ok(child) => child,
                Err(_) => return 0,
            },
        };
        let names: String = blobs.iter().map(|blob| format!("{}\n", blob.oid)).collect();
        if child.stdin.write_all(names.as_bytes()).is_err() {
            return 0;
        }
        for (count, blob) in blobs.iter().enumerate() {
            match child.next(&mut self.buffer) {
                Ok(true) => each(blob, Some(&self.buffer)),
                Ok(false) => each(blob, None),
                Err(_) => return count,
            }
        }
        self.child = Some(child);
        blobs.len()
    }
}

impl Running {
    fn start(git: &Git<'_>) -> io::Result<Self> {
        let mut command = git.command(&["cat-file", "--batch"]);
        let mut child = command.stdin(Stdio::piped()).spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => Ok(Self {
                child,
                stdin,
                stdout: BufReader::with_capacity(64 << 10, stdout),
            }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Reads the next object; `false` if git does not have it.
    fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let mut line = Vec::new();
        // `NAME TYPE SIZE`, or `NAME missing`.
        self.stdout
            .by_ref()
            .take(1 << 12)
            .read_until(b'\n', &mut line)?;
        let line = String::from_utf8_lossy(&line);
        let Some(line) = line.strip_suffix('\n') else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let Some(size) = line.split(' ').nth(2) else {
            return Ok(false);
        };
        let size: u64 = size.parse().map_err(|_| io::ErrorKind::InvalidData)?;
        buffer.clear();
        let read = self.stdout.by_ref().take(size).read_to_end(buffer)?;
        let mut end = [0];
        self.stdout.read_exact(&mut end)?;
        if read as u64 == size {
            Ok(true)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be in the middle of an answer that nobody reads.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
