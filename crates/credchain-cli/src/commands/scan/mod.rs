//! `resolve scan`

mod hook;
mod known;
mod report;

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use credchain::scan::{Baseline, BaselineKey, Error, ErrorKind, Scan};

use self::known::Known;
use crate::app::App;
use crate::failure::{FINDINGS, Failure};
use crate::files::{self, Mode};

/// More is no text that somebody pipes.
const STDIN_LIMIT: u64 = 1 << 30;

/// More is no baseline.
const BASELINE_LIMIT: u64 = 64 << 20;

/// Arguments of `scan`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve scan                     what git does not ignore here\n  \
    resolve scan --staged            what the next commit would add\n  \
    resolve scan --history           every version of every file, once\n  \
    git diff | resolve scan -        what is piped in\n  \
    resolve scan --install-hook      before each commit from now on\n  \
    resolve scan --write-baseline .credchain-baseline.json\n\n\
    It looks for this project's own credentials, in any encoding, and for what looks like one. The\n\
    comment `credchain:allow RULE` in a line allows a false alarm. `docs/scanning.md` has the rest.\n\n\
    Exit codes: 0 nothing was found; 8 something was.")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own on the command line"
)]
pub(crate) struct Args {
    /// Files and folders; `-` is standard input. Default: the working directory
    #[arg(value_name = "PATH", conflicts_with_all = ["staged", "history", "stdin"])]
    paths: Vec<PathBuf>,
    /// Scan what the next commit would add or change
    #[arg(long, conflicts_with_all = ["history", "stdin"])]
    staged: bool,
    /// Scan all of git's history
    #[arg(long, conflicts_with = "stdin")]
    history: bool,
    /// Scan standard input
    #[arg(long)]
    stdin: bool,
    /// Look only for what looks like a credential; none is read
    #[arg(long)]
    patterns_only: bool,
    /// Report only what this file does not know
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Accept everything that is found, and keep it in this file, without values
    #[arg(long, value_name = "FILE", conflicts_with = "baseline")]
    write_baseline: Option<PathBuf>,
    /// Leave paths out, by a pattern as in `.gitignore`
    #[arg(long, value_name = "GLOB")]
    allow: Vec<String>,
    /// Print SARIF 2.1.0, for code scanning services
    #[arg(long)]
    sarif: bool,
    /// Scan before each commit, by a hook of git
    #[arg(long, exclusive = true)]
    install_hook: bool,
}

/// Looks for credentials where they should not be.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    if args.install_hook {
        hook::install(app)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.sarif && app.output().is_json() {
        return Err(Failure::usage(
            "`--sarif` is a format of its own: leave `--json` out",
        ));
    }
    let known = Known::read(args.patterns_only, app)?;
    let mut scan = Scan::new(known.rules.clone())
        .known(&known.redactor)
        .allow(args.allow.iter().cloned())
        .withhold(app.own_secrets());
    let baseline = baseline(args)?;
    if let Some(baseline) = &baseline {
        scan = scan.baseline(baseline.clone());
    }
    let scan = with_source(scan, args)?;
    let progress = app.progress();
    let report = progress.of_bytes("scanning", |tell| scan.run(&|now| tell(now.bytes, now.of)));
    let report = report.map_err(|error| failed(&error))?;
    report::warn(&report, app);
    if let (Some(path), Some(baseline)) = (&args.write_baseline, &baseline) {
        accept(path, &baseline.with_findings(&report.findings), app)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.sarif {
        let document = report.to_sarif(&known.rules, env!("CARGO_PKG_VERSION"));
        app.output().json(&document)?;
    } else if app.output().is_json() {
        app.output().json(&report::Document::new(&report, &known))?;
    } else {
        let text = report::text(&report, app.output());
        app.output().data(text.as_bytes())?;
    }
    Ok(ExitCode::from(if report.is_clean() { 0 } else { FINDINGS }))
}

fn with_source(scan: Scan, args: &Args) -> Result<Scan, Failure> {
    let is_dash = |path: &PathBuf| path.as_os_str() == "-";
    if args.staged {
        return Ok(scan.staged("."));
    }
    if args.history {
        return Ok(scan.history("."));
    }
    let mut paths = args.paths.clone();
    let named = paths.len();
    paths.retain(|path| !is_dash(path));
    if !args.stdin && paths.len() == named {
        let default = named == 0;
        return Ok(scan.files(if default { vec![".".into()] } else { paths }));
    }
    let mut text = Vec::new();
    let reading = |error| Failure::io("reading standard input", error);
    let stdin = io::stdin().lock();
    stdin
        .take(STDIN_LIMIT + 1)
        .read_to_end(&mut text)
        .map_err(reading)?;
    if text.len() as u64 > STDIN_LIMIT {
        return Err(reading(io::ErrorKind::FileTooLarge.into()));
    }
    let scan = scan.text("-", text);
    Ok(if paths.is_empty() {
        scan
    } else {
        scan.files(paths)
    })
}

/// The baseline to measure by. One that is to be written anew keeps its key, so that what has not
/// changed stays as it is in the file.
fn baseline(args: &Args) -> Result<Option<Baseline>, Failure> {
    let read = |path: &Path| -> Result<Baseline, Failure> {
        let text = files::read(path, BASELINE_LIMIT)?;
        Baseline::from_json(&text).map_err(|error| failed(&error))
    };
    match (&args.baseline, &args.write_baseline) {
        (Some(path), _) => read(path).map(Some),
        (None, Some(path)) if files::replaceable(path)?.is_some() => {
            Ok(Some(read(path)?.with_findings(&[])))
        }
        (None, Some(_)) => {
            let key = credchain::random_bytes::<{ size_of::<BaselineKey>() }>()?;
            Ok(Some(Baseline::new(&key)))
        }
        (None, None) => Ok(None),
    }
}

fn accept(path: &Path, baseline: &Baseline, app: &App) -> Result<(), Failure> {
    files::replace(path, baseline.to_json().as_bytes(), Mode::Shared)?;
    app.output().note(&format!(
        "accepted {} in `{}`: `--baseline` reports only what is new",
        report::count(baseline.len() as u64, "finding"),
        path.display()
    ));
    Ok(())
}

fn failed(error: &Error) -> Failure {
    match error.kind() {
        ErrorKind::GitMissing | ErrorKind::GitFailed => {
            Failure::io("scanning", io::Error::other(error.to_string()))
        }
        _ => Failure::usage_with(error.to_string(), error.hint()),
    }
}
