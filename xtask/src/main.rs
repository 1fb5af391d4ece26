//! The project's own chores. `cargo xtask` without arguments lists them.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool prints"
)]

mod bench;
mod check;
mod demo;
mod docs;
mod reference;
mod run;
#[cfg(unix)]
mod servers;
mod test;
mod tools;

use std::process::ExitCode;

use run::Outcome;

const USAGE: &str = "\
usage: cargo xtask CHORE

  test [ARGS]     set up what the tests need and run them; ARGS go to the test runner
  check           format, lints, docs, dependency arrows, licences, generated files
  docs [--check]  fill the included code of the docs and write the generated files
  bench [--full]  measure the budgets and renew docs/performance.md; --full: all providers
  servers up      start the servers of the tests, print their settings, stop at Ctrl-C
  demo            run the example pipeline on the embedded store, with no server at all
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test", rest @ ..] => test::run(rest),
        ["check"] => check::run(),
        ["docs"] => docs::run(docs::Mode::Write),
        ["docs", "--check"] => docs::run(docs::Mode::Check),
        ["bench"] => bench::run(false),
        ["bench", "--full"] => bench::run(true),
        ["demo"] => demo::run(),
        #[cfg(unix)]
        ["servers", "up"] => servers::up(),
        #[cfg(unix)]
        ["servers", "serve"] => servers::serve(),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(run::Failure::usage(USAGE)),
    };
    finish(outcome)
}

fn finish(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.code()
        }
    }
}
