//! `resolve trust`

use std::path::PathBuf;
use std::process::ExitCode;

use credchain::audit_log::Action;
use credchain::config::{TrustStatus, TrustStore, TrustVerdict, Untrusted, What};
use credchain::{Credchain, Error, Kind, OpenError};
use serde::Serialize;

use crate::app::App;
use crate::commands::delete::confirmed;
use crate::failure::Failure;
use crate::output::{Style, printable, printable_line};

/// Arguments of `trust`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve trust              shows what the project wants to do, and asks\n  \
    resolve trust --show       only shows it\n  \
    resolve trust --revoke     takes it back\n  \
    resolve trust --list       every project that is trusted\n\n\
    A configuration that came with a project runs no program, reaches no server and\n\
    reads nothing outside the project before you have said so. In CI, name the file\n\
    with `--config` or CREDCHAIN_CONFIG instead: that is your own word.")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(crate) struct Args {
    /// Show what needs trust, and change nothing
    #[arg(long, conflicts_with_all = ["revoke", "list", "yes"])]
    show: bool,
    /// Take trust back from this project
    #[arg(long, conflicts_with_all = ["list", "yes"])]
    revoke: bool,
    /// List every trusted project
    #[arg(long, conflicts_with = "yes")]
    list: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// `trust --json`
#[derive(Debug, Serialize)]
struct Document {
    version: u8,
    project: PathBuf,
    status: &'static str,
    trusted: bool,
    needs: Vec<Need>,
    added: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Need {
    what: String,
    why: String,
    source: String,
}

/// `trust --list --json`
#[derive(Debug, Serialize)]
struct Projects {
    version: u8,
    projects: Vec<PathBuf>,
}

/// Does what was asked; without options, shows and asks.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    let store = store(&credchain)?;
    if args.list {
        return list(&store, app);
    }
    let Some(root) = credchain.project().root.clone() else {
        return Err(Failure::usage_with(
            "there is no `credchain.toml` here or above",
            "`resolve init` writes one, which is trusted from the start",
        ));
    };
    if args.revoke {
        let was = store.revoke(&root)?;
        let what = if was {
            "is not trusted any more"
        } else {
            "was not trusted"
        };
        app.output().note(&format!(
            "`{}` {what}",
            printable_line(&root.display().to_string())
        ));
        return Ok(ExitCode::SUCCESS);
    }
    // Trust covers every profile, so all of them are shown.
    let verdict = store
        .review(credchain.loaded(), credchain.registry())
        .map_err(OpenError::from)?;
    show(&root, &verdict, app)?;
    if args.show || verdict.is_trusted() {
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !confirmed("Allow all of this?", app)? {
        app.output().note("nothing was changed");
        return Ok(ExitCode::from(Kind::Untrusted.exit_code()));
    }
    store.record(credchain.loaded())?;
    // As it may do from now on.
    app.open()?.audit_after(Action::Trust, None, None, &Ok(()));
    app.output().note(&format!(
        "`{}` is trusted until its configuration wants more than this",
        printable_line(&root.display().to_string())
    ));
    Ok(ExitCode::SUCCESS)
}

/// What this user trusts.
pub(crate) fn store(credchain: &Credchain) -> Result<TrustStore, Failure> {
    match &credchain.project().state_home {
        Some(home) => Ok(TrustStore::open(home)),
        None => Err(Error::new(
            Kind::Misconfigured,
            "there is no home directory to remember it in",
        )
        .with_hint("set HOME, or name the configuration with `--config`")
        .into()),
    }
}

fn list(store: &TrustStore, app: &App) -> Result<ExitCode, Failure> {
    let projects: Vec<PathBuf> = store.list()?.into_iter().map(|one| one.root).collect();
    if app.output().is_json() {
        app.output().json(&Projects {
            version: 1,
            projects,
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    if projects.is_empty() {
        app.output().note("no project is trusted");
    }
    let lines: String = projects
        .iter()
        .map(|root| printable_line(&root.display().to_string()) + "\n")
        .collect();
    app.output().data(lines.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn show(root: &std::path::Path, verdict: &TrustVerdict, app: &App) -> Result<(), Failure> {
    let output = app.output();
    if let Some(problem) = verdict.problem() {
        output.warn(&printable(&format!(
            "the record of trust is not used: {}",
            problem.message()
        )));
    }
    let needs: Vec<Need> = verdict.refused().iter().map(Need::new).collect();
    if output.is_json() {
        return output.json(&Document {
            version: 1,
            project: root.to_owned(),
            status: status(verdict.status()),
            trusted: verdict.is_trusted(),
            needs,
            added: verdict.added().to_vec(),
        });
    }
    let shown = printable_line(&root.display().to_string());
    let mut text = match verdict.status() {
        TrustStatus::Own => "this configuration is your own word and needs no trust\n".to_owned(),
        TrustStatus::Harmless => format!("`{shown}` does nothing that needs trust\n"),
        TrustStatus::Recorded => format!("`{shown}` is trusted\n"),
        TrustStatus::Changed => format!("`{shown}` was trusted, and wants more now:\n"),
        _ => format!("`{shown}` wants to\n"),
    };
    for added in verdict.added() {
        text += &format!("  {}\n", printable_line(added));
    }
    if !verdict.added().is_empty() {
        text += "\nAll that it wants to do:\n";
    }
    let width = needs
        .iter()
        .map(|need| need.what.chars().count())
        .max()
        .unwrap_or(0);
    for need in &needs {
        let source = output.style(Style::Dim, &format!("{} ({})", need.why, need.source));
        text += &format!("  {:width$}  {source}\n", need.what);
    }
    output.data(text.as_bytes())
}

fn status(status: TrustStatus) -> &'static str {
    match status {
        TrustStatus::Own => "own",
        TrustStatus::Harmless => "harmless",
        TrustStatus::Recorded => "recorded",
        TrustStatus::Changed => "changed",
        _ => "unknown",
    }
}

impl Need {
    fn new(need: &Untrusted) -> Self {
        let what = match &need.what {
            What::Link(link) => format!("use the provider `{link}`"),
            What::Read {
                link, credential, ..
            } => format!("read `{credential}` from `{link}`"),
            What::Injected {
                credential,
                variable,
                ..
            } => {
                format!("set `{variable}` to `{credential}` for programs")
            }
            What::OAuth2(name) => format!("fetch the token `{name}`"),
            What::Audit => "follow `[audit]`".to_owned(),
            What::Rotation => "rotate what `[rotation.targets]` names".to_owned(),
            What::Redaction => "follow `[redaction]`".to_owned(),
            _ => "do more".to_owned(),
        };
        Self {
            what: printable_line(&what),
            why: printable_line(&need.why),
            source: printable_line(&need.origin.to_string()),
        }
    }
}
