//! `resolve recipients`

use credchain_tests::Project;

fn member() -> (Project, String) {
    let project = Project::new();
    let json = project.resolve(["init", "--json"]).run().success().json();
    let recipient = json["recipient"].as_str();
    (project, recipient.expect("it tells the key").to_owned())
}

#[test]
fn a_store_is_shared_with_one_more_key_and_taken_back() {
    let (alice, _) = member();
    let (bob, bobs_key) = member();
    alice
        .resolve(["set", "api_key"])
        .stdin("s3cret-value")
        .run()
        .success();
    alice
        .resolve(["recipients", "add", &bobs_key, "--label", "bob"])
        .run()
        .success()
        .stderr_contains("can open the store now");
    bob.write("credchain.age", alice.read("credchain.age"));
    bob.resolve(["get", "api_key"])
        .run()
        .success()
        .stdout_is("s3cret-value");
    alice
        .resolve(["recipients", "list"])
        .run()
        .success()
        .stdout_contains(&bobs_key)
        .stdout_contains("bob");
    alice
        .resolve(["recipients", "remove", "bob"])
        .run()
        .success()
        .stderr_contains("cannot open the store any more")
        .stderr_contains("still open with the removed key");
    bob.write("credchain.age", alice.read("credchain.age"));
    bob.resolve(["get", "api_key"]).run().code(4);
    alice
        .resolve(["get", "api_key"])
        .run()
        .success()
        .stdout_is("s3cret-value");
}

#[test]
fn keys_come_from_a_file_too() {
    let (project, own) = member();
    let (_, others) = member();
    project.write("team.txt", format!("# the team\n\n{own}\n{others}\n"));
    project
        .resolve(["recipients", "add", "team.txt"])
        .run()
        .success()
        .stderr_contains("could open the store already")
        .stderr_contains("can open the store now");
    let json = project
        .resolve(["recipients", "list", "--json"])
        .run()
        .success()
        .json();
    assert_eq!(json["version"], 1);
    assert_eq!(json["link"], "age");
    assert_eq!(json["recipients"].as_array().unwrap().len(), 2);
    project.write("empty.txt", "# nobody\n");
    project
        .resolve(["recipients", "add", "empty.txt"])
        .run()
        .code(2);
}

#[test]
fn a_private_key_is_refused_and_not_repeated() {
    let (project, _) = member();
    let identity = project.config_home().join("credchain/identity");
    let private = std::fs::read_to_string(&identity).unwrap();
    let private = private
        .lines()
        .find(|line| !line.starts_with('#'))
        .unwrap()
        .to_owned();
    project
        .resolve(["recipients", "add", &private])
        .secret(&private)
        .run()
        .code(2)
        .stderr_contains("private key");
    project
        .resolve(["recipients", "add", identity.to_str().unwrap()])
        .secret(&private)
        .run()
        .code(2)
        .stderr_contains("private key");
}

#[test]
fn nobody_locks_themselves_out_by_accident() {
    let (project, own) = member();
    let (_, others) = member();
    project
        .resolve(["recipients", "remove", &own])
        .run()
        .code(6);
    project
        .resolve(["recipients", "add", &others])
        .run()
        .success();
    project
        .resolve(["recipients", "remove", &own])
        .run()
        .code(6)
        .stderr_contains("--force");
    project
        .resolve(["recipients", "remove", "nobody"])
        .run()
        .code(3);
    project
        .resolve(["recipients", "list"])
        .run()
        .success()
        .stdout_contains(&own);
}

#[test]
fn what_is_no_key_is_told_with_what_one_looks_like() {
    let (project, _) = member();
    for word in ["age1short", "alice", "ssh-ed25519 nonsense"] {
        project
            .resolve(["recipients", "add", word])
            .run()
            .code(2)
            .stderr_contains("`age1`");
    }
}

#[test]
fn a_project_without_a_store_says_how_to_make_one() {
    Project::new()
        .resolve(["recipients", "list"])
        .run()
        .code(2)
        .stderr_contains("`resolve init`");
}
