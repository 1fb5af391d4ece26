//! `resolve exec --no-mask`: the program runs as if started directly, with the credentials in place.
//! What masking adds is in `exec_masked.rs`.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt as _;

use credchain_tests::{Project, Resolve, Terminal};

const CONFIG: &str = r#"
[chain]
default = ["env", "dotenv"]
[credentials.api_key]
[credentials.smtp_port]
default = "587"
secret = false
"#;

fn project() -> Project {
    let project = Project::new();
    project.write("credchain.toml", CONFIG);
    project.write(".env", "API_KEY=from-dotenv\n");
    project
}

#[test]
fn the_program_gets_every_declared_credential_and_the_callers_environment() {
    project()
        .resolve([
            "exec",
            "--no-mask",
            "--",
            "sh",
            "-c",
            "echo $API_KEY $SMTP_PORT $MINE",
        ])
        .plain_env("MINE", "kept")
        .run()
        .success()
        .stdout_is("from-dotenv 587 kept\n");
}

#[test]
fn another_variable_is_used_where_the_configuration_names_one() {
    Resolve::new()
        .config("[chain]\ndefault = [\"env\"]\n[credentials.key]\nenv = \"STRIPE_KEY\"\n")
        .trusted()
        .env("STRIPE_KEY", "value-of-stripe")
        .args([
            "exec",
            "--no-mask",
            "--",
            "sh",
            "-c",
            "echo $STRIPE_KEY ${KEY-unset}",
        ])
        .run()
        .success()
        .stdout_is("value-of-stripe unset\n");
}

#[test]
fn only_and_clean_env_narrow_what_it_gets() {
    project()
        .resolve([
            "exec",
            "--no-mask",
            "--only",
            "smtp_port",
            "--clean-env",
            "--",
            "/usr/bin/env",
        ])
        .plain_env("MINE", "dropped")
        .run()
        .success()
        .stdout_contains("SMTP_PORT=587")
        .stdout_lacks("API_KEY")
        .stdout_lacks("MINE");
}

#[test]
fn the_exit_code_and_the_signals_are_the_programs() {
    let project = project();
    project
        .resolve(["exec", "--no-mask", "--", "sh", "-c", "exit 7"])
        .run()
        .code(7);
    project
        .sh("resolve exec --no-mask -- sh -c 'kill -TERM $$'; echo $?")
        .run()
        .stdout_is("143\n");
    project
        .resolve(["exec", "--no-mask", "--", "no-such-program"])
        .run()
        .code(127);
    project
        .resolve(["exec", "--no-mask", "--", "/etc/passwd"])
        .run()
        .code(126);
}

#[test]
fn a_missing_credential_keeps_the_program_from_starting_with_125() {
    let project = Project::new();
    project.write("credchain.toml", CONFIG);
    project
        .resolve(["exec", "--no-mask", "--", "sh", "-c", "echo started"])
        .run()
        .code(125)
        .stdout_is("")
        .stderr_contains("`api_key`")
        .stderr_contains("API_KEY");
}

#[test]
fn standard_input_reaches_the_program() {
    project()
        .resolve(["exec", "--no-mask", "--", "cat"])
        .stdin("in\0put")
        .run()
        .success()
        .stdout_is("in\0put");
}

#[test]
fn credchains_own_secrets_do_not_reach_the_program() {
    project()
        .resolve(["exec", "--no-mask", "--", "/usr/bin/env"])
        .env("CREDCHAIN_IDENTITY", "AGE-SECRET-not-a-key")
        .env("CREDCHAIN_PASSPHRASE", "open-sesame")
        .run()
        .success()
        .stdout_lacks("CREDCHAIN_IDENTITY")
        .stdout_lacks("CREDCHAIN_PASSPHRASE");
}

#[test]
fn a_nested_resolve_sees_the_same_profile() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"env\"]\n[credentials.a]\ndefault = \"root\"\nsecret = false\n\
         [profiles.prod.credentials.a]\ndefault = \"prod\"\n",
    );
    project
        .resolve([
            "-p",
            "prod",
            "exec",
            "--no-mask",
            "--",
            "resolve",
            "get",
            "a",
        ])
        .run()
        .success()
        .stdout_is("prod");
}

#[test]
fn an_untrusted_configuration_is_not_handed_on_as_the_users_own_word() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"env\"]\n[providers.tool]\ntype = \"command\"\n\
         get = [\"cat\", \"{path}\"]\n[credentials.a]\ndefault = \"x\"\nsecret = false\n",
    );
    project
        .resolve(["exec", "--no-mask", "--", "/usr/bin/env"])
        .run()
        .success()
        .stdout_lacks("CREDCHAIN_CONFIG");
}

#[test]
fn what_no_environment_can_hold_is_refused_with_the_way_out() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"file\"]\n[providers.file]\npath = \"secrets\"\n[credentials.big]\n",
    );
    for value in [vec![b'x'; 200_000], b"nul\0byte".to_vec()] {
        project.write("secrets/big", &value);
        project
            .resolve(["exec", "--no-mask", "--", "true"])
            .run()
            .code(125)
            .stderr_contains("`big`")
            .stderr_contains("as_file = true");
    }
}

#[test]
fn as_file_hands_over_any_bytes_and_leaves_nothing_behind() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"file\"]\n[providers.file]\npath = \"secrets\"\n\
         [credentials.tls_key]\nas_file = true\n",
    );
    let value: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    project.write("secrets/tls_key", &value);
    let run = project.resolve([
        "exec",
        "--no-mask",
        "--",
        "sh",
        "-c",
        "cat \"$TLS_KEY\"; sh -c 'cat \"$TLS_KEY\"' | wc -c >&2",
    ]);
    run.run()
        .success()
        .stdout_is(&value)
        .stderr_contains("300000");
}

#[test]
fn as_file_on_a_memory_file_system_is_private_and_removed() {
    let runtime = std::path::Path::new("/dev/shm");
    let directory = tempfile::Builder::new()
        .prefix("run-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in(runtime)
        .expect("tmpfs");
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"env\"]\n[credentials.tls_key]\nas_file = true\n",
    );
    let script =
        "stat -c %a \"$TLS_KEY\" \"$(dirname \"$TLS_KEY\")\"; cat \"$TLS_KEY\"; kill -TERM $$";
    project
        .sh(&format!(
            "XDG_RUNTIME_DIR={} resolve exec --no-mask -- sh -c '{script}'; echo $?",
            directory.path().display()
        ))
        .env("TLS_KEY", "pem-text")
        .run()
        .stdout_contains("600\n700\npem-text143");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn without_configuration_and_dotenv_it_says_how_to_start() {
    Resolve::new()
        .args(["exec", "--no-mask", "--", "true"])
        .run()
        .code(125)
        .stderr_contains("resolve init");
    Resolve::new()
        .args(["check"])
        .run()
        .code(6)
        .stderr_contains("resolve init");
}

#[test]
fn a_nested_resolve_agrees_although_the_value_came_from_a_file() {
    let project = project();
    let key = project.write("key", "from-a-file");
    for inner in [
        "resolve get api_key",
        "echo ${API_KEY_FILE-unset} >&2; printf %s $API_KEY",
    ] {
        project
            .resolve(["exec", "--no-mask", "--", "sh", "-c", inner])
            .plain_env("API_KEY_FILE", &key)
            .run()
            .success()
            .stdout_is("from-a-file");
    }
}

#[test]
fn a_nested_resolve_reads_what_was_handed_over_as_a_file() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"env\", \"dotenv\"]\n[credentials.tls_key]\nas_file = true\n",
    );
    project.write(".env", "TLS_KEY='the key'\n");
    for inner in [
        "resolve get tls_key",
        "resolve exec --no-mask -- sh -c 'cat $TLS_KEY'",
        "resolve exec --no-mask -- resolve exec --no-mask -- sh -c 'cat $TLS_KEY'",
        "env -u CREDCHAIN_FOUND_CONFIG resolve exec --no-mask --only tls_key -- sh -c 'cat $TLS_KEY'",
    ] {
        project
            .resolve(["exec", "--no-mask", "--", "sh", "-c", inner])
            .run()
            .success()
            .stdout_is("the key");
    }
}

#[test]
fn a_name_that_is_not_declared_is_refused_with_the_nearest_that_is() {
    let project = project();
    project.write(".env", "API_KEY=from-dotenv\nLD_PRELOAD=/nowhere.so\n");
    for (args, code) in [
        (vec!["exec", "--only", "api_kye", "--", "true"], 125),
        (vec!["export", "--only", "api_kye"], 6),
        (vec!["check", "api_kye"], 6),
    ] {
        project
            .resolve(args)
            .run()
            .code(code)
            .stderr_contains("did you mean `api_key`?");
    }
    project
        .resolve(["exec", "--only", "ld_preload", "--", "true"])
        .run()
        .code(125)
        .stderr_contains("not declared");
}

#[test]
fn a_variable_that_programs_obey_needs_trust_in_every_command() {
    let bare = Project::new();
    bare.write(".env", "API_KEY=from-dotenv\nLD_PRELOAD=/nowhere.so\n");
    let configured = project();
    configured.write(
        "credchain.toml",
        "[chain]\ndefault = [\"dotenv\"]\n[credentials.api_key]\n[credentials.ld_preload]\n",
    );
    configured.write(".env", "API_KEY=from-dotenv\nLD_PRELOAD=/nowhere.so\n");
    for project in [&bare, &configured] {
        for (args, code) in [
            (vec!["exec", "--no-mask", "--", "true"], 125),
            (vec!["export"], 7),
            (vec!["check"], 7),
        ] {
            let run = project.resolve(args).run().code(code);
            let told = run.stdout() + &run.stderr();
            assert!(told.contains("LD_PRELOAD"), "{told}");
        }
    }
    configured.resolve(["trust", "--yes"]).run().success();
    for args in [
        vec!["export"],
        vec!["check"],
        vec![
            "exec",
            "--no-mask",
            "--",
            "sh",
            "-c",
            "test $LD_PRELOAD = /nowhere.so",
        ],
    ] {
        configured.resolve(args).run().success();
    }
}

#[test]
fn a_command_line_that_cannot_be_understood_is_125_as_well() {
    for args in [vec!["exec", "--nope", "--", "true"], vec!["exec"]] {
        project().resolve(args).run().code(125);
    }
    // A credential may be called like a command.
    project().resolve(["get", "exec", "--nope"]).run().code(2);
}

/// A directory in memory and of this user alone, as a login session has one.
fn runtime_directory() -> tempfile::TempDir {
    tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in("/dev/shm")
        .expect("a directory in memory")
}

#[test]
fn a_signal_to_resolve_ends_the_program_and_removes_its_file() {
    use std::process::Stdio;

    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"env\"]\n[credentials.tls_key]\nas_file = true\n",
    );
    let runtime = runtime_directory();
    let mut command = project
        .resolve([
            "exec",
            "--no-mask",
            "--",
            "sh",
            "-c",
            "echo $TLS_KEY; exec sleep 100",
        ])
        .env("TLS_KEY", "the key of the server")
        .plain_env("XDG_RUNTIME_DIR", runtime.path())
        .command();
    let mut child = command
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
    assert!(std::path::Path::new(line.trim()).exists());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    // Without the signal the program would end by itself, with another code.
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(!std::path::Path::new(line.trim()).exists());
}

#[test]
fn ctrl_c_reaches_the_program_once_though_standard_input_is_a_pipe() {
    // Blocked and taken one by one. Two that come in the same instant look like one, so this may
    // miss a second signal, but never invents one.
    const COUNT: &str = "import signal, sys\n\
                         interrupt = {signal.SIGINT}\n\
                         signal.pthread_sigmask(signal.SIG_BLOCK, interrupt)\n\
                         print('ready', flush=True)\n\
                         signal.sigwait(interrupt)\n\
                         again = signal.sigtimedwait(interrupt, 0.5)\n\
                         print('twice' if again else 'once', flush=True)\n";

    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"env\"]\n[credentials.api_key]\n\
         [credentials.tls_key]\nas_file = true\n",
    );
    project.write("count.py", COUNT);
    let runtime = runtime_directory();
    let pipe = "trap : INT; true | resolve exec --no-mask --only tls_key -- python3 count.py";
    // The first one is replaced by the shell; it is the second that waits for its program.
    let resolve = project
        .resolve([
            "exec",
            "--no-mask",
            "--only",
            "api_key",
            "--",
            "sh",
            "-c",
            pipe,
        ])
        .env("API_KEY", "s3cret-value")
        .env("TLS_KEY", "the key of the server")
        .plain_env("XDG_RUNTIME_DIR", runtime.path());
    Terminal::new(resolve)
        .expect("ready")
        .types("\x03")
        .expect("once")
        .run()
        .hides("twice");
}

#[test]
fn the_program_gets_none_of_credchains_own_secrets() {
    let run = project()
        .resolve(["exec", "--no-mask", "--", "/usr/bin/env"])
        .plain_env("CREDCHAIN_PASSPHRASE_FILE", "/run/secrets/passphrase")
        .plain_env("CREDCHAIN_TOKEN_KEY", "opener")
        .run()
        .success();
    run.stdout_lacks("CREDCHAIN_PASSPHRASE")
        .stdout_lacks("CREDCHAIN_TOKEN");
}
