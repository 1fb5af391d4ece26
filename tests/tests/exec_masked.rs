//! `resolve exec`: nothing that the program writes shows a secret, and otherwise it runs as if
//! started directly.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command};
use std::time::Duration;

use credchain_tests::servers::fresh_secret;
use credchain_tests::{Project, Resolve};
use rustix::process::{Pid, Signal, kill_process};

const CONFIG: &str = "[chain]\ndefault = [\"env\"]\n[credentials.api_key]\n\
                      [credentials.host]\nsecret = false\ndefault = \"db.example.com\"\n";

/// A project, and its secret.
fn project() -> (Project, String) {
    let project = Project::new();
    project.write("credchain.toml", CONFIG);
    (project, fresh_secret("key"))
}

fn exec(project: &Project, secret: &str, script: &str) -> Resolve {
    exec_with(project, secret, &[], script)
}

fn exec_with(project: &Project, secret: &str, options: &[&str], script: &str) -> Resolve {
    let args = [&["exec"], options, &["--", "sh", "-c", script]].concat();
    project.resolve(args).env("API_KEY", secret)
}

fn spawn(mut command: Command) -> Child {
    command.spawn().expect("it starts")
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("it is there");
}

/// The first line that a child writes, and the rest of its output to read.
fn first_line(child: &mut Child) -> (String, BufReader<std::process::ChildStdout>) {
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    output.read_line(&mut line).expect("it is text");
    (line, output)
}

#[test]
fn no_encoding_and_no_way_to_cut_it_shows_a_secret() {
    let (project, secret) = project();
    let script = "printf %s \"$API_KEY\" | base64; printf 'u:%s' \"$API_KEY\" | base64 -w0; echo; \
        for i in $(seq ${#API_KEY}); do printf %s \"$(printf %s \"$API_KEY\" | cut -c$i)\"; done; echo; \
        printf %s \"$API_KEY\" | od -An -tx1 -v | tr -d ' \\n'; echo; echo \"$API_KEY at $HOST\" >&2";
    let output = exec(&project, &secret, script).run().success();
    let shown = output.stdout() + &output.stderr();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(!shown.contains(&secret) && !shown.contains(&hex), "{shown}");
    assert_eq!(output.stdout().matches("***").count(), 4, "{shown}");
    output
        .stderr_contains("*** at db.example.com\n")
        .stderr_contains("--no-mask");
}

#[test]
fn what_is_no_secret_comes_out_byte_for_byte() {
    let (project, secret) = project();
    let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    project.write("input", &bytes);
    exec(&project, &secret, "cat input")
        .run()
        .success()
        .stdout_is(&bytes)
        .stderr_is_empty();
}

#[test]
fn the_exit_code_is_the_programs_and_128_more_than_its_signal() {
    let (project, secret) = project();
    for (script, code) in [
        ("exit 7", 7),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
        ("exit 255", 255),
    ] {
        exec(&project, &secret, script).run().code(code);
    }
    for (program, code) in [("no-such-program", 127), ("/etc/passwd", 126)] {
        project
            .resolve(["exec", "--", program])
            .env("API_KEY", &secret)
            .run()
            .code(code);
    }
}

#[test]
fn each_signal_that_ends_a_program_reaches_it() {
    let (project, secret) = project();
    for (signal, name, code) in [
        (Signal::TERM, "TERM", 143),
        (Signal::INT, "INT", 130),
        (Signal::HUP, "HUP", 129),
        (Signal::QUIT, "QUIT", 131),
    ] {
        // The shell's own child would not be told.
        let script = format!(
            "echo ready; trap 'echo got; trap - {name}; kill -{name} $$' {name}; while :; do sleep 0.05; done"
        );
        let mut child = spawn(exec(&project, &secret, &script).command());
        let (ready, mut rest) = first_line(&mut child);
        assert_eq!(ready, "ready\n");
        // The trap is set right after the word.
        std::thread::sleep(Duration::from_millis(100));
        send(&child, signal);
        let mut text = String::new();
        rest.read_to_string(&mut text).unwrap();
        assert_eq!(
            (text.as_str(), child.wait().unwrap().code()),
            ("got\n", Some(code))
        );
    }
    let mut child = spawn(
        project
            .resolve(["exec", "--", "sleep", "100"])
            .env("API_KEY", &secret)
            .command(),
    );
    std::thread::sleep(Duration::from_millis(300));
    send(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn a_prompt_without_a_newline_appears_at_once_and_input_reaches_the_program() {
    let (project, secret) = project();
    let script = "printf 'name? '; read name; echo \"hello $name\"";
    let mut child = spawn(exec(&project, &secret, script).command());
    let mut output = child.stdout.take().unwrap();
    let mut prompt = [0; 6];
    output.read_exact(&mut prompt).unwrap();
    assert_eq!(&prompt, b"name? ");
    child.stdin.take().unwrap().write_all(b"joe\n").unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "hello joe\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn both_streams_to_one_place_keep_their_order() {
    let (project, secret) = project();
    let script = "for i in 1 2 3 4 5 6 7 8 9; do echo out$i; echo err$i >&2; done";
    let expected: String = (1..=9).map(|i| format!("out{i}\nerr{i}\n")).collect();
    project.write("script.sh", script);
    project
        .sh("resolve exec -- sh script.sh 2>&1")
        .env("API_KEY", &secret)
        .run()
        .success()
        .stdout_is(&expected);
    project
        .sh("resolve exec -- sh script.sh >both 2>&1; cat both")
        .env("API_KEY", &secret)
        .run()
        .stdout_is(&expected);
    // Half a secret on each is a secret for whoever looks at the place.
    project
        .sh("resolve exec -- sh -c 'printf %.8s $API_KEY; printf %s \"${API_KEY#????????}\" >&2' 2>&1")
        .env("API_KEY", &secret)
        .run()
        .stdout_contains("***");
}

#[test]
fn a_reader_that_has_enough_ends_the_program_and_a_slow_one_slows_it_down() {
    let (project, secret) = project();
    project
        .sh("resolve exec -- yes | head -n 2; echo ${PIPESTATUS:-ended}")
        .env("API_KEY", &secret)
        .run()
        .stdout_is("y\ny\nended\n");
    // Nobody reads: the program must not be able to write on.
    let script =
        "i=0; while [ $i -lt 3000 ]; do printf '%01000d' 0; i=$((i+1)); echo $i >progress; done";
    let mut child = spawn(exec(&project, &secret, script).command());
    let progress = || {
        let text = std::fs::read_to_string(project.dir().join("progress")).unwrap_or_default();
        text.trim().parse::<u32>().unwrap_or(0)
    };
    let mut last = 0;
    for round in 0.. {
        std::thread::sleep(Duration::from_millis(300));
        let now = progress();
        if now == last && now > 0 {
            break;
        }
        last = now;
        assert!(round < 200, "it is never held up");
    }
    assert!(last < 1000, "{last} kB went where nobody reads");
    let mut all = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), 3_000_000);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_full_disk_is_told_and_is_no_success() {
    let (project, secret) = project();
    project
        .sh("resolve exec -- echo text >/dev/full; echo $?")
        .env("API_KEY", &secret)
        .run()
        .stdout_is("1\n")
        .stderr_contains("No space left");
}

#[test]
fn a_program_may_write_byte_by_byte_or_close_its_output() {
    let (project, secret) = project();
    project.write(
        "bytes.py",
        "import os\nfor byte in ('x' + os.environ['API_KEY'] + 'y').encode(): os.write(1, bytes([byte]))\n",
    );
    exec(&project, &secret, "python3 bytes.py")
        .run()
        .success()
        .stdout_is("x***y");
    exec(
        &project,
        &secret,
        "echo early; exec >&- 2>&-; sleep 0.5; exit 3",
    )
    .run()
    .code(3)
    .stdout_is("early\n");
}

#[test]
fn what_the_program_leaves_running_keeps_nobody_waiting_and_stays_masked() {
    let (project, secret) = project();
    // To a file, so that nobody else waits for the end of the output. What the program itself
    // wrote last may still become a secret.
    let output = project
        .sh("resolve exec -- sh -c '(sleep 1; echo late $API_KEY; echo end) & printf %.5s $API_KEY' \
             >out 2>&1; echo code $?; test -s out || echo early; \
             for i in $(seq 200); do grep -q end out && break; sleep 0.05; done; cat out")
        .env("API_KEY", &secret)
        .run();
    output.stdout_is(format!("code 0\nearly\n{}late ***\nend\n", &secret[..5]));
}

#[test]
fn a_program_that_is_stopped_and_continued_loses_nothing() {
    let (project, secret) = project();
    let script = "echo $$; i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; sleep 0.01; done";
    for who in ["program", "resolve"] {
        let mut child = spawn(exec(&project, &secret, script).command());
        let (pid, mut rest) = first_line(&mut child);
        let target = if who == "program" {
            Pid::from_raw(pid.trim().parse().unwrap()).unwrap()
        } else {
            Pid::from_child(&child)
        };
        kill_process(target, Signal::STOP).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        kill_process(target, Signal::CONT).unwrap();
        let mut text = String::new();
        rest.read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count(), 40, "{who}");
        assert!(child.wait().unwrap().success(), "{who}");
    }
}

#[test]
fn the_first_process_of_a_container_takes_leave_of_orphans() {
    if !credchain_tests::is_root() {
        // A container cannot be made without being root.
        return;
    }
    let (project, secret) = project();
    // Orphans end while the program still runs; none may be left as a zombie.
    let script = "for i in 1 2 3; do sh -c 'sleep 0.1 & exit' ; done; sleep 0.6; \
                  ps -o stat= ax | grep -c Z; exit 5";
    project
        .sh(&format!(
            "unshare --pid --fork --mount-proc resolve exec -- sh -c '{}'; echo $?",
            script.replace('\'', "'\\''")
        ))
        .env("API_KEY", &secret)
        .run()
        .stdout_is("0\n5\n");
}

#[test]
fn masks_say_so_only_where_they_surprise() {
    let (project, secret) = project();
    let shows = "echo $API_KEY";
    exec(&project, &secret, shows)
        .run()
        .stdout_is("***\n")
        .stderr_contains("`--no-mask`");
    exec(&project, &secret, shows)
        .plain_env("CI", "true")
        .run()
        .stdout_is("***\n")
        .stderr_is_empty();
    exec(&project, &secret, "echo nothing")
        .run()
        .stderr_is_empty();
    exec_with(
        &project,
        &secret,
        &["--mask", "never"],
        "test \"$API_KEY\" && echo shown",
    )
    .run()
    .stdout_is("shown\n")
    .stderr_is_empty();
}

#[test]
fn short_values_are_told_of_and_masked_when_asked() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"env\"]\n[credentials.pin]\n",
    );
    let run = |options: &[&str]| {
        let args = [&["exec"], options, &["--", "sh", "-c", "echo pin $PIN"]].concat();
        project.resolve(args).plain_env("PIN", "73").run().success()
    };
    run(&[])
        .stdout_is("pin 73\n")
        .stderr_contains("`pin` is not masked");
    run(&["--mask", "always"])
        .stdout_is("pin ***\n")
        .stderr_lacks("not masked");
}

#[test]
fn the_parts_of_a_template_and_what_looks_like_a_secret_are_masked_too() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"env\"]\n[credentials.password]\ninject = false\n\
         [credentials.url]\ntemplate = \"postgres://app:{{ password | url }}@db/app\"\n",
    );
    let (password, token) = (
        format!("{}/+", fresh_secret("pw")),
        format!("ghp_{}", "4Zx9".repeat(9)),
    );
    project
        .resolve(["exec", "--", "sh", "-c", "echo \"$URL\"; cat"])
        .env("PASSWORD", &password)
        .stdin(format!("{password} and token={token}\n"))
        .run()
        .success()
        .stdout_lacks(&password)
        .stdout_lacks(&token)
        .stdout_lacks("%2F%2B");
}

#[test]
fn an_untrusted_projects_redaction_rules_keep_the_program_from_starting() {
    let (project, secret) = project();
    project.write(
        "credchain.toml",
        format!("{CONFIG}[redaction]\npatterns = false\n"),
    );
    exec(&project, &secret, "echo started")
        .run()
        .code(125)
        .stdout_is("")
        .stderr_contains("resolve trust");
}
