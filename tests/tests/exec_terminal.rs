//! `resolve exec` on a terminal: it stays a terminal, for whole screens, prompts and job control.
#![cfg(unix)]

use credchain_tests::servers::fresh_secret;
use credchain_tests::{Project, Terminal, Tmux};

/// A window with a shell, and the secret that its `resolve exec` injects.
fn window() -> (Tmux, Project, String) {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"env\"]\n[credentials.api_key]\n",
    );
    let secret = fresh_secret("key");
    let run = project.resolve([""; 0]).env("API_KEY", &secret);
    (Tmux::start(&run), project, secret)
}

#[test]
fn the_program_has_a_terminal_of_the_same_size_also_after_a_change() {
    let (window, _project, secret) = window();
    window.line("resolve exec -- sh -c 'stty size; test -t 0 && test -t 1 && test -t 2 && echo all; echo $API_KEY'");
    let screen = window.waits_for_line("***");
    assert!(
        screen.contains("24 80\nall\n") && !screen.contains(&secret),
        "{screen}"
    );
    window.line("resolve exec -- sh -c 'trap \"stty size\" WINCH; echo ready; for i in 1 2 3 4 5 6 7 8; do sleep 0.5; done'");
    window.waits_for_line("ready");
    window.resize(100, 30);
    window.waits_for_line("30 100");
}

#[test]
fn an_interpreter_is_usable_and_a_hidden_prompt_stays_hidden() {
    let (window, _project, secret) = window();
    window.line("resolve exec -- python3 -q; echo code $?");
    window.waits_for(">>>");
    window.line("import os, getpass; os.environ['API_KEY']");
    window.waits_for_line("'***'");
    window.line("len(getpass.getpass('word? '))");
    window.waits_for("word?");
    window.line("unseen");
    let screen = window.waits_for_line("6");
    assert!(
        !screen.contains("unseen") && !screen.contains(&secret),
        "{screen}"
    );
    // The key reaches the interpreter, which goes on.
    window.line("import time; print('asleep'); time.sleep(60)");
    window.waits_for_line("asleep");
    window.key("C-c");
    window.waits_for_line("KeyboardInterrupt");
    window.line("40 + 2");
    window.waits_for_line("42");
    window.key("C-d");
    window.waits_for("code 0");
    window.line("stty -a | grep -c -- ' echo '");
    window.waits_for_line("1");
}

#[test]
fn an_editor_draws_the_whole_screen_and_saves_what_was_typed() {
    let (window, project, secret) = window();
    window.line("resolve exec -- vi -u NONE -N note.txt");
    window.waits_for("~\n~\n~");
    window.line("itext of the note");
    window.key("Escape");
    window.line(":r !echo $API_KEY");
    window.waits_for("***");
    assert!(!window.screen().contains(&secret));
    window.line(":wq");
    window.waits_for("> ");
    window.line("echo code $?");
    window.waits_for_line("code 0");
    // A file is no output.
    let note = String::from_utf8(project.read("note.txt")).unwrap();
    assert!(note.contains("text of the note") && note.contains(&secret));
}

#[test]
fn a_stopped_program_goes_on_in_the_background_and_the_foreground() {
    let (window, _project, _secret) = window();
    window.line(
        "resolve exec -- sh -c 'echo began; sleep 2; read line; echo got $line'; echo code $?",
    );
    window.waits_for_line("began");
    window.key("C-z");
    window.waits_for("Stopped");
    window.line("clear; stty -a | grep -c -- ' icanon '; jobs");
    window.waits_for_line("1");
    window.line("fg");
    window.line("words");
    window.waits_for_line("got words");

    window.line("clear; resolve exec -- cat");
    window.line("one");
    window.waits_for("one\none");
    window.key("C-z");
    window.waits_for("Stopped");
    window.line("bg; sleep 0.3; jobs; fg");
    window.waits_for("Running");
    window.line("two");
    window.waits_for("two\ntwo");
    window.key("C-c");
    window.line("echo code $?");
    window.waits_for_line("code 130");
}

#[test]
fn with_only_output_on_the_terminal_everything_else_is_as_it_was() {
    let (window, _project, secret) = window();
    window.line("echo piped | resolve exec -- sh -c 'cat; test -t 1 && echo shown; echo $API_KEY'");
    let screen = window.waits_for_line("***");
    assert!(
        screen.contains("piped\nshown\n***\n") && !screen.contains(&secret),
        "{screen}"
    );
    // Keys are the reader's, not the program's: it is the pager that answers.
    window.line("clear; resolve exec -- sh -c 'seq 100; echo to the terminal >&2' | (sleep 0.5; tail -n 1; read answer </dev/tty; echo answer $answer)");
    window.waits_for_line("100");
    window.line("mine");
    window.waits_for_line("answer mine");
    // The keys make their signals for the whole group.
    window.line("clear; true | resolve exec -- sh -c 'echo began; sleep 60'; echo code $?");
    window.waits_for_line("began");
    window.key("C-z");
    window.waits_for("Stopped");
    window.line("fg");
    window.key("C-c");
    window.line("echo code $?");
    window.waits_for_line("code 130");
    // In the background it writes and does not take the keys.
    window.line("clear; resolve exec -- sh -c 'sleep 0.3; echo from behind' & wait; echo code $?");
    let screen = window.waits_for_line("code 0");
    assert!(screen.contains("from behind"), "{screen}");
}

#[test]
fn a_key_that_may_begin_a_pattern_is_shown_at_once() {
    let (window, _project, _secret) = window();
    window.line("resolve exec -- cat");
    window.key("g");
    window.key("h");
    window.waits_for_line("gh");
    window.key("C-c");
}

#[test]
fn what_the_program_leaves_running_is_not_hung_up_on() {
    let (window, project, _secret) = window();
    window.line("resolve exec -- sh -c '(sleep 1; echo survived >left) & echo done'; echo code $?");
    window.waits_for_line("code 0");
    window.line("sleep 1.5; cat left");
    window.waits_for_line("survived");
    assert_eq!(project.read("left"), b"survived\n");
}

#[test]
fn a_program_that_does_not_exist_is_127_and_leaves_the_terminal_as_it_was() {
    let (window, _project, _secret) = window();
    window.line("resolve exec -- no-such-program; echo code $?");
    let screen = window.waits_for_line("code 127");
    assert!(screen.contains("no such program"), "{screen}");
    window.line("stty -a | grep -c -- ' echo '");
    window.waits_for_line("1");
}

#[test]
fn a_terminal_without_a_shell_has_no_job_control_and_nothing_hangs() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"env\"]\n[credentials.api_key]\n",
    );
    let secret = fresh_secret("key");
    let run = project
        .resolve([
            "exec",
            "--",
            "sh",
            "-c",
            "echo began; read line; echo got $line",
        ])
        .env("API_KEY", &secret);
    Terminal::new(run)
        .expect("began")
        .types("\x1a")
        .types("line\n")
        .run()
        .code(0)
        .shows("got line");
}
