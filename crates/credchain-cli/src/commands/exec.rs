//! `resolve exec -- CMD…`

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use credchain::audit_log::Action;
use credchain::redact::{Options, Redactor};
use credchain::{Credchain, Name, Secret};

use super::redact::warn_of_unmasked;
use crate::app::{App, injected};
use crate::child::{self, Mask, Program};
use crate::failure::Failure;
use crate::injection::Injection;

/// Arguments of `exec`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    override_usage = "resolve exec [OPTIONS] -- COMMAND [ARGUMENT]...",
    after_help = "Examples:\n  \
    resolve exec -- python pipeline.py\n  \
    resolve exec --only api_key,db_password -- ./fetch.sh\n\n\
    Credentials, their encodings and what looks like one are masked in the program's\n\
    output; on a terminal only credentials are. Otherwise the program runs as if started\n\
    directly: a terminal stays a terminal, and signals, job control and input are its own.\n\n\
    The exit code is the program's own; 125 if it could not be started because a\n\
    credential is missing or refused, 126 if it cannot be executed, 127 if it does\n\
    not exist."
)]
pub(crate) struct Args {
    /// Inject only these credentials
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Start from a minimal environment instead of the caller's
    #[arg(long)]
    clean_env: bool,
    /// Whether to mask secrets in what the program writes: `always` masks short and everyday
    /// values too, and patterns on a terminal; `never` replaces this process with the program
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto")]
    mask: When,
    /// The same as `--mask never`
    #[arg(long, conflicts_with = "mask")]
    no_mask: bool,
    /// The program and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// When to mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

/// Runs the program: masked beside this process, or else in its place where nothing has to be
/// removed or renewed meanwhile.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let when = if args.no_mask { When::Never } else { args.mask };
    let (credchain, declared) = app.open_declared()?;
    let names = injected(&args.only, &declared, &credchain)?;
    let program = Path::new(&args.command[0]).file_name().unwrap_or_default();
    credchain.audit_reason(&program.to_string_lossy());
    // Asked for before anything is resolved: it hides what is resolved from now on.
    let redactor = match when {
        When::Never => None,
        _ => Some(credchain.redactor()?),
    };
    let injection = Injection::prepare(&credchain, &names, app)?;
    let mask = redactor.map(|redactor| {
        hide_environment(&credchain, &declared, app);
        if credchain.rotatable().next().is_some() {
            // Who started before a rotation may still print what it had.
            drop(app.wait(credchain.hide_rotating(&declared)));
        }
        mask(redactor, when, &credchain, &injection, app)
    });
    record(&credchain);
    let program = Program {
        environment: &injection.environment(&app.env(), args.clean_env, &credchain),
        command: &args.command,
    };
    child::launch(&program, mask.as_ref(), injection.beside(credchain)?)
}

/// A program is not kept from running because the log cannot be written; this process may be
/// replaced by it, so what was noted is written now.
fn record(credchain: &Credchain) {
    credchain.audit_note(Action::Exec, None);
    if let Err(error) = credchain.audit_flush() {
        tracing::warn!("the access log could not be written: {}", error.message());
    }
}

fn mask(
    redactor: Redactor,
    when: When,
    credchain: &Credchain,
    injection: &Injection,
    app: &App,
) -> Mask {
    let always = when == When::Always;
    if always {
        let secret = injection
            .values()
            .filter(|(name, _)| credchain.is_secret(name));
        for (name, value) in secret {
            // Only an empty one cannot be masked, and shows nothing.
            let _ = redactor.register(name.as_str(), value.expose(), Options::force());
        }
    } else {
        warn_of_unmasked(credchain, app);
    }
    Mask {
        redactor,
        patterns_on_terminals: always,
        tells: !always && !app.output().is_quiet() && !in_ci(app),
    }
}

/// Hides what the program inherits without having been given it: a declared credential that is not
/// injected, and was not needed this time, such as a client's secret when there is a token.
fn hide_environment(credchain: &Credchain, declared: &[Name], app: &App) {
    let env = app.env();
    for name in declared {
        if let Some(value) = env.get(&credchain.env_name(name)) {
            credchain.hide(name, &Secret::new(value.as_encoded_bytes()));
        }
    }
}

/// Whether this is a CI runner's log, where masks are what everybody expects.
fn in_ci(app: &App) -> bool {
    let ci = app.env().text("CI");
    ci.is_some_and(|ci| !ci.is_empty() && ci != "false")
}
