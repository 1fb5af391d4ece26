//! `resolve redact`

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::process::ExitCode;

use credchain::redact::{Redactor, Stream};
use credchain::{Credchain, Error};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::app::App;
use crate::failure::Failure;

/// How much is read at a time.
const BLOCK: usize = 64 << 10;

/// Arguments of `redact`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    ./build.sh 2>&1 | resolve redact       hides this project's credentials, and what looks like one\n  \
    tail -f app.log | resolve redact\n  \
    resolve redact --patterns-only <log    without reading any credential\n\n\
    What may be the beginning of a secret is held back until more input tells; everything else\n\
    comes out at once.")]
pub(crate) struct Args {
    /// Hide only what looks like a credential; none is read
    #[arg(long)]
    patterns_only: bool,
    /// Say at the end what was hidden how often
    #[arg(long)]
    stats: bool,
}

/// `redact --stats --json`, on standard error
#[derive(Debug, Serialize)]
struct Stats {
    version: u8,
    masked: u64,
    /// By the credential's name, or the rule's.
    by_name: BTreeMap<String, u64>,
}

/// Copies standard input to standard output without secrets.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let redactor = redactor(args, app)?;
    let mut stream = redactor.stream();
    if let Err(error) = copy(io::stdin().lock(), io::stdout().lock(), &mut stream) {
        // Whoever read has enough.
        if error.kind() != ErrorKind::BrokenPipe {
            return Err(Failure::io("redacting standard input", error));
        }
    }
    if args.stats {
        tell(&stream, app);
    }
    Ok(ExitCode::SUCCESS)
}

fn redactor(args: &Args, app: &App) -> Result<Redactor, Failure> {
    if args.patterns_only {
        return Ok(app.open()?.redactor()?);
    }
    let (credchain, names) = app.open_declared()?;
    let redactor = credchain.redactor()?;
    let resolutions = app.resolve(&credchain, &names)?;
    // What is not there is in no text.
    let unread = |error: &Error| !error.kind().is_miss();
    let failed = resolutions.into_iter().filter_map(|one| one.result.err());
    let unread: Vec<Error> = failed.filter(unread).collect();
    // SECURITY: a value that could not be read could not be hidden either.
    if !unread.is_empty() {
        return Err(Failure::Credentials(unread));
    }
    warn_of_unmasked(&credchain, app);
    Ok(redactor)
}

/// Says which of the values read so far are shown although they are secrets.
pub(crate) fn warn_of_unmasked(credchain: &Credchain, app: &App) {
    for (name, reason) in credchain.unmasked() {
        let forced = if credchain.loaded().configured {
            format!("; `mask = true` in `[credentials.{name}]` masks it all the same")
        } else {
            String::new()
        };
        app.output()
            .warn(&format!("`{name}` is not masked: {reason}{forced}"));
    }
}

/// Hands on what is read without secrets, until either side is closed. Each piece of input is
/// answered at once, so that a log can be followed.
pub(crate) fn copy(
    mut input: impl Read,
    mut output: impl Write,
    stream: &mut Stream,
) -> io::Result<()> {
    let mut block = Zeroizing::new(vec![0; BLOCK]);
    let mut out = Zeroizing::new(Vec::new());
    loop {
        let count = match input.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        out.clear();
        stream.push(block.get(..count).unwrap_or_default(), &mut out);
        output.write_all(&out)?;
        output.flush()?;
    }
    out.clear();
    stream.finish(&mut out);
    output.write_all(&out)?;
    output.flush()
}

fn tell(stream: &Stream, app: &App) {
    let stats = Stats {
        version: 1,
        masked: stream.replaced(),
        by_name: stream
            .counts()
            .map(|(name, count)| (name.to_owned(), count))
            .collect(),
    };
    let text = if app.output().is_json() {
        serde_json::to_string(&stats).unwrap_or_default()
    } else {
        let each = stats
            .by_name
            .iter()
            .map(|(name, count)| format!("{name}: {count}"));
        let each = each.collect::<Vec<_>>().join(", ");
        match stats.masked {
            0 => "nothing was masked".to_owned(),
            count => format!("masked {count} ({each})"),
        }
    };
    // Standard output belongs to the text, and nobody may be reading the end of the other.
    let _ = writeln!(io::stderr().lock(), "{text}");
}
