//! What a cloned project's configuration may not do before the user has said yes: each test
//! tries it.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use common::World;
use credchain_config::{Loaded, TrustStatus, TrustStore, TrustVerdict, What};
use credchain_core::{Kind, LinkName, Name};

fn store(world: &World) -> TrustStore {
    TrustStore::open(world.home().join(".local/state/credchain"))
}

fn records(world: &World) -> PathBuf {
    world.home().join(".local/state/credchain/trust")
}

fn verdict(world: &World) -> TrustVerdict {
    store(world).check(&world.loaded())
}

fn world(config: &str) -> World {
    let world = World::new();
    world.write("credchain.toml", config);
    world
}

fn refuses_link(config: &str, link: &str) {
    let world = world(config);
    let verdict = verdict(&world);
    let name: LinkName = link.parse().unwrap();
    let refused = verdict
        .link(&name)
        .unwrap_or_else(|| panic!("`{link}` is allowed"));
    let error = refused.error();
    assert_eq!(error.kind(), Kind::Untrusted);
    assert_eq!(error.kind().exit_code(), 7);
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("resolve trust") && hint.contains("CREDCHAIN_CONFIG"),
        "{hint}"
    );

    store(&world).record(&world.loaded()).unwrap();
    assert!(self::verdict(&world).is_trusted());
}

fn read(verdict: &TrustVerdict, link: &str, name: &str) -> bool {
    verdict
        .read(&link.parse().unwrap(), &name.parse().unwrap())
        .is_some()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[test]
fn conventional_names_from_the_environment_and_files_inside_need_no_trust() {
    let world = world(
        "[providers.dotenv]\nfiles = ['.env.local', 'conf/.env']\n\
         [providers.age]\n[credentials.api_key]\n[credentials.db_password]\nchain = ['env', 'age']\n",
    );
    world.write(".env.local", "API_KEY=x");
    let verdict = verdict(&world);
    assert!(verdict.is_trusted(), "{:?}", verdict.refused());
    assert_eq!(verdict.status(), TrustStatus::Harmless);
    assert!(!records(&world).exists(), "nothing was read or written");
}

#[test]
fn a_keyring_is_refused() {
    refuses_link("[chain]\ndefault = ['env', 'keyring']\n", "keyring");
}

#[test]
fn a_program_is_refused() {
    refuses_link(
        "[providers.helper]\ntype = 'command'\nprogram = './steal'\n[chain]\ndefault = ['helper']\n",
        "helper",
    );
}

#[test]
fn a_program_is_refused_under_a_harmless_name() {
    refuses_link(
        "[providers.env]\ntype = 'command'\nprogram = './steal'\n",
        "env",
    );
}

#[test]
fn anything_networked_is_refused() {
    refuses_link(
        "[providers.vault]\naddress = 'https://evil.example'\n",
        "vault",
    );
    refuses_link("[chain]\ndefault = ['aws']\n", "aws");
}

#[test]
fn a_path_that_goes_up_is_refused() {
    refuses_link("[providers.dotenv]\nfiles = ['../other/.env']\n", "dotenv");
    refuses_link(
        "[providers.dotenv]\nfiles = ['.env', 'a/../../.env']\n",
        "dotenv",
    );
}

#[test]
fn an_absolute_path_is_refused_even_into_the_project() {
    refuses_link("[providers.dotenv]\nfiles = ['/etc/passwd']\n", "dotenv");
    let world = World::new();
    let inside = world.project().join(".env");
    world.write(
        "credchain.toml",
        &format!("[providers.dotenv]\nfiles = ['{}']\n", inside.display()),
    );
    assert!(!verdict(&world).is_trusted());
}

#[test]
fn a_home_directory_is_refused() {
    refuses_link("[providers.age]\nfile = '~/.secrets/store.age'\n", "age");
}

#[test]
fn a_link_in_the_file_system_that_leads_out_is_refused() {
    let world = world("[chain]\ndefault = ['dotenv']\n");
    symlink("/etc/passwd", world.project().join(".env")).unwrap();
    assert!(verdict(&world).link(&"dotenv".parse().unwrap()).is_some());
}

#[test]
fn a_link_to_what_does_not_exist_yet_is_refused() {
    let world = world("[providers.dotenv]\nfiles = ['.env']\n");
    symlink(world.home().join("later"), world.project().join(".env")).unwrap();
    assert!(verdict(&world).link(&"dotenv".parse().unwrap()).is_some());
}

#[test]
fn a_directory_that_is_a_link_out_is_refused() {
    let world = world("[providers.dotenv]\nfiles = ['conf/.env']\n");
    symlink("/etc", world.project().join("conf")).unwrap();
    assert!(verdict(&world).link(&"dotenv".parse().unwrap()).is_some());
}

#[test]
fn a_directory_of_secrets_with_a_link_out_is_refused() {
    let world = world("[providers.age]\nfile = 'secrets'\n");
    world.write("secrets/api_key", "x");
    assert!(verdict(&world).is_trusted());
    fs::create_dir(world.project().join("secrets/deep")).unwrap();
    symlink("/etc/passwd", world.project().join("secrets/deep/id")).unwrap();
    assert!(!verdict(&world).is_trusted());
}

#[test]
fn a_link_that_stays_inside_is_allowed() {
    let world = world("[chain]\ndefault = ['dotenv']\n");
    world.write("real.env", "A=1");
    symlink("real.env", world.project().join(".env")).unwrap();
    assert!(verdict(&world).is_trusted());
}

#[test]
fn values_for_variables_that_programs_obey_are_refused() {
    for variable in [
        "LD_PRELOAD",
        "PATH",
        "BASH_ENV",
        "NODE_OPTIONS",
        "https_proxy",
    ] {
        let world = world(&format!(
            "[credentials.x]\nchain = ['dotenv']\nenv = '{variable}'\n"
        ));
        let verdict = verdict(&world);
        let refused = verdict.injected(&name("x")).unwrap();
        assert!(
            matches!(&refused.what, What::Injected { variable: found, .. } if found == variable)
        );
        assert_eq!(refused.origin.to_string(), "credchain.toml:3:7");
    }
    let conventional = world("[credentials.path]\nchain = ['dotenv']\n");
    assert!(verdict(&conventional).injected(&name("path")).is_some());
    let kept_back = world("[credentials.path]\nchain = ['dotenv']\ninject = false\n");
    assert!(verdict(&kept_back).injected(&name("path")).is_none());
}

#[test]
fn another_variable_than_the_conventional_one_is_refused_at_the_environment_only() {
    let world = world(
        "[credentials.x]\nchain = ['env', 'dotenv']\nenv = 'AWS_SECRET_ACCESS_KEY'\n[credentials.y]\n",
    );
    let verdict = verdict(&world);
    assert!(read(&verdict, "env", "x") && !read(&verdict, "dotenv", "x"));
    assert!(!read(&verdict, "env", "y"));
}

#[test]
fn a_reference_at_the_environment_or_an_absolute_one_is_refused() {
    let world = world(
        "[credentials.x]\nchain = ['env', 'age']\nat = { env = 'OTHER', age = '/etc/passwd' }\n",
    );
    let verdict = verdict(&world);
    assert!(read(&verdict, "env", "x") && read(&verdict, "age", "x"));
}

#[test]
fn a_prefix_at_the_environment_is_refused() {
    refuses_link("[providers.env]\nprefix = 'AWS_'\n", "env");
}

#[test]
fn the_tables_that_weaken_or_send_something_are_refused() {
    let world = world(
        "[audit]\npath = '/tmp/log'\n[redaction]\npatterns = false\n[oauth2.crm]\n\
         grant = 'device_code'\ntoken_url = 'https://evil.example'\nclient_id = 'x'\n\
         [credentials.db]\n[rotation.targets.db]\ntype = 'key'\n",
    );
    let verdict = verdict(&world);
    assert!(verdict.audit().is_some());
    assert!(verdict.redaction().is_some());
    assert!(verdict.oauth2(&name("crm")).is_some());
    assert!(verdict.rotation().is_some());
}

#[test]
fn a_log_in_its_usual_place_and_ages_need_no_trust() {
    let world = world(
        "[credentials.api_key]\nrotate = '90d'\n[audit]\non_failure = 'stop'\n\
         [rotation.policies.all]\nmatch = ['*']\nevery = '90d'\n",
    );
    let verdict = verdict(&world);
    assert!(verdict.is_trusted(), "{:?}", verdict.refused());
}

#[test]
fn the_users_own_tables_need_no_trust() {
    let world = world("[credentials.api_key]\n");
    world.write_user(
        "[audit]\n[redaction]\nreplace = 'name'\n[credentials.editor]\nchain = ['env']\n",
    );
    let verdict = verdict(&world);
    assert!(verdict.is_trusted(), "{:?}", verdict.refused());
}

#[test]
fn a_link_that_the_user_set_up_is_still_not_the_projects_to_use() {
    let world = world("[project]\nname = 'other'\n[credentials.api_key]\n");
    world.write_user("[chain]\ndefault = ['env', 'keyring']\n[providers.keyring]\n");
    assert!(verdict(&world).link(&"keyring".parse().unwrap()).is_some());
}

#[test]
fn a_local_file_from_the_repository_is_no_way_round() {
    let world = world("[credentials.api_key]\n");
    store(&world).record(&world.loaded()).unwrap();
    world.write(
        "credchain.local.toml",
        "[chain]\ndefault = ['helper']\n[providers.helper]\ntype = 'command'\nprogram = './x'\n",
    );
    let verdict = verdict(&world);
    assert_eq!(verdict.status(), TrustStatus::Changed);
    assert!(verdict.link(&"helper".parse().unwrap()).is_some());
}

#[test]
fn a_profile_is_no_way_round() {
    let world = world("[credentials.api_key]\n[profiles.evil.chain]\ndefault = ['keyring']\n");
    assert!(verdict(&world).is_trusted());
    let loaded = world.load_in("evil").unwrap();
    assert!(
        store(&world)
            .check(&loaded)
            .link(&"keyring".parse().unwrap())
            .is_some()
    );
}

#[test]
fn trust_covers_every_profile_that_was_there() {
    let text = "[chain]\ndefault = ['env']\n[profiles.production.chain]\ndefault = ['keyring']\n";
    let world = world(text);
    store(&world).record(&world.loaded()).unwrap();
    world.write("credchain.toml", &format!("# a remark\n{text}"));
    assert!(
        store(&world)
            .check(&world.load_in("production").unwrap())
            .is_trusted()
    );
    world.write(
        "credchain.toml",
        &format!("{text}\n[profiles.late.chain]\ndefault = ['keyring']\n"),
    );
    assert!(
        !store(&world)
            .check(&world.load_in("late").unwrap())
            .is_trusted()
    );
}

const TRUSTED: &str = "[project]\nname = 'pipeline'\n[chain]\ndefault = ['env', 'vault', 'helper']\n\
    [providers.vault]\naddress = 'https://vault.example'\npath = 'a'\n\
    [providers.helper]\ntype = 'command'\nprogram = './plugin'\nargs = ['run.sh']\n\
    [credentials.api_key]\n";

fn trusted() -> World {
    let world = world(TRUSTED);
    world.write("plugin", "#!/bin/sh\n");
    world.write("run.sh", "echo\n");
    store(&world).record(&world.loaded()).unwrap();
    assert_eq!(verdict(&world).status(), TrustStatus::Recorded);
    world
}

#[test]
fn an_edit_that_adds_nothing_dangerous_keeps_trust() {
    let world = trusted();
    let edited = TRUSTED.replace(
        "[credentials.api_key]\n",
        "[credentials.api_key]\ndescription = 'new'\nrotate = '30d'\n",
    ) + "[rotation]\ntimezone = 'Europe/Berlin'\n# a remark\n";
    for text in [
        edited,
        TRUSTED.replace("path = 'a'\n", "path = 'a'\ntimeout = '3s'\n"),
        TRUSTED.replace("'env', 'vault', 'helper'", "'helper', 'vault'"),
        TRUSTED.replace("[credentials.api_key]\n", ""),
    ] {
        world.write("credchain.toml", &text);
        let verdict = verdict(&world);
        assert_eq!(
            verdict.status(),
            TrustStatus::Recorded,
            "{:?}\n{text}",
            verdict.added()
        );
    }
}

#[test]
fn an_edit_that_adds_a_program_an_endpoint_a_path_or_a_name_loses_trust() {
    let world = trusted();
    for (text, what) in [
        (TRUSTED.replace("./plugin", "./other"), "program"),
        (
            TRUSTED.replace("'run.sh'", "'run.sh', '--all'"),
            "providers.helper.args",
        ),
        (
            TRUSTED.replace("vault.example", "evil.example"),
            "providers.vault.address",
        ),
        (
            TRUSTED.replace("path = 'a'", "path = 'b'"),
            "providers.vault.path",
        ),
        (TRUSTED.replace("type = 'command'\n", ""), "the link helper"),
        (TRUSTED.replace("'pipeline'", "'billing'"), "project.name"),
        (
            TRUSTED.replace("'env',", "'env', 'keyring',"),
            "the link keyring",
        ),
        (
            format!("{TRUSTED}env = 'LD_PRELOAD'\n"),
            "the variable LD_PRELOAD",
        ),
        (
            format!("{TRUSTED}[credentials.more]\n"),
            "the variable MORE",
        ),
        (
            format!("{TRUSTED}at = {{ vault = 'other#x' }}\n"),
            "credentials.api_key.at.vault",
        ),
        (
            format!("{TRUSTED}[redaction]\npatterns = false\n"),
            "redaction.patterns",
        ),
    ] {
        world.write("credchain.toml", &text);
        // A type that does not exist is an error before trust is asked for.
        let Ok(loaded) = world.load() else { continue };
        let verdict = store(&world).check(&loaded);
        assert_eq!(verdict.status(), TrustStatus::Changed, "{text}");
        assert!(
            verdict.added().iter().any(|added| added.contains(what)),
            "{:?}",
            verdict.added()
        );
        let error = verdict.refused()[0].error();
        assert!(error.hint().unwrap().contains("it has added"), "{error:?}");
    }
}

#[test]
fn the_value_of_a_variable_that_programs_obey_counts_as_a_program() {
    let text = "[credentials.ld_preload]\ntemplate = '{{ part }}'\n[credentials.part]\ndefault = '/a.so'\nsecret = false\n";
    let world = world(text);
    store(&world).record(&world.loaded()).unwrap();
    assert!(verdict(&world).is_trusted());
    world.write("credchain.toml", &text.replace("/a.so", "/evil.so"));
    assert_eq!(verdict(&world).status(), TrustStatus::Changed);
}

#[test]
fn a_changed_program_or_script_loses_trust() {
    for file in ["plugin", "run.sh"] {
        let world = trusted();
        world.write(file, "#!/bin/sh\nevil\n");
        let verdict = verdict(&world);
        assert_eq!(verdict.status(), TrustStatus::Changed);
        assert!(verdict.added()[0].contains(file), "{:?}", verdict.added());
    }
}

#[test]
fn a_program_that_appears_or_leads_elsewhere_later_loses_trust() {
    let world = world(TRUSTED);
    world.write("run.sh", "echo\n");
    symlink("/bin/true", world.project().join("plugin")).unwrap();
    store(&world).record(&world.loaded()).unwrap();
    assert!(verdict(&world).is_trusted());
    fs::remove_file(world.project().join("plugin")).unwrap();
    symlink("/bin/sh", world.project().join("plugin")).unwrap();
    assert_eq!(verdict(&world).status(), TrustStatus::Changed);
}

#[test]
fn what_is_hashed_is_what_was_parsed() {
    let world = world("[chain]\ndefault = ['keyring']\n");
    let looked_at: Loaded = world.loaded();
    // Exchanged between the look and the word of trust.
    world.write(
        "credchain.toml",
        "[providers.evil]\ntype = 'command'\nprogram = './x'\n",
    );
    store(&world).record(&looked_at).unwrap();
    assert_eq!(verdict(&world).status(), TrustStatus::Changed);
    assert!(store(&world).check(&looked_at).is_trusted());
}

#[test]
fn a_file_that_the_user_named_is_the_users_own_word() {
    let world = world("[chain]\ndefault = ['keyring']\n[audit]\n");
    let discovery = world.discovery().with_config("credchain.toml");
    let loaded = credchain_config::load(&discovery, &common::registry()).unwrap();
    let by_flag = store(&world).check(&loaded);
    assert_eq!(
        (by_flag.status(), by_flag.is_trusted()),
        (TrustStatus::Own, true)
    );

    let world = world.variable("CREDCHAIN_CONFIG", "credchain.toml");
    assert_eq!(verdict(&world).status(), TrustStatus::Own);
}

#[test]
fn without_a_project_file_nothing_needs_trust() {
    let world = World::new();
    world.write_user("[chain]\ndefault = ['keyring']\n");
    assert_eq!(verdict(&world).status(), TrustStatus::Own);
}

#[test]
fn trust_is_for_one_directory() {
    let world = world("[chain]\ndefault = ['keyring']\n");
    store(&world).record(&world.loaded()).unwrap();
    let copy = World::new();
    copy.write("credchain.toml", "[chain]\ndefault = ['keyring']\n");
    assert!(!store(&world).check(&copy.loaded()).is_trusted());
}

#[test]
fn trust_can_be_listed_and_taken_back() {
    let world = world("[chain]\ndefault = ['keyring']\n");
    let trust = store(&world);
    assert!(trust.list().unwrap().is_empty());
    trust.record(&world.loaded()).unwrap();
    let listed = trust.list().unwrap();
    assert_eq!(listed[0].root, world.project().canonicalize().unwrap());
    assert!(trust.revoke(&world.project()).unwrap());
    assert!(!trust.revoke(&world.project()).unwrap());
    assert!(!verdict(&world).is_trusted());
}

#[test]
fn records_are_private_from_the_first_byte() {
    let world = world("[chain]\ndefault = ['keyring']\n");
    store(&world).record(&world.loaded()).unwrap();
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&records(&world)), 0o700);
    let files: Vec<_> = fs::read_dir(records(&world))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "no temporary file is left: {files:?}");
    assert_eq!(mode(&files[0]), 0o600);
}

#[test]
fn records_that_others_can_read_or_write_are_refused_with_the_way_out() {
    let world = world("[chain]\ndefault = ['keyring']\n");
    store(&world).record(&world.loaded()).unwrap();
    let file = fs::read_dir(records(&world))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let verdict = self::verdict(&world);
    assert!(!verdict.is_trusted());
    assert!(
        verdict
            .problem()
            .unwrap()
            .hint()
            .unwrap()
            .contains("chmod 600")
    );

    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(records(&world), fs::Permissions::from_mode(0o770)).unwrap();
    let verdict = self::verdict(&world);
    assert!(!verdict.is_trusted());
    assert!(
        verdict
            .problem()
            .unwrap()
            .hint()
            .unwrap()
            .contains("chmod 700")
    );
    assert!(store(&world).record(&world.loaded()).is_err());
}

#[test]
fn a_damaged_record_is_set_aside_and_not_fatal() {
    let world = world("[chain]\ndefault = ['keyring']\n");
    let trust = store(&world);
    trust.record(&world.loaded()).unwrap();
    let file = fs::read_dir(records(&world))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::write(&file, "{\"version\":1,\"ro").unwrap();
    let verdict = self::verdict(&world);
    assert!(!verdict.is_trusted());
    assert!(verdict.problem().unwrap().message().contains("damaged"));
    assert!(file.with_extension("damaged").exists() && !file.exists());
    trust.record(&world.loaded()).unwrap();
    assert!(self::verdict(&world).is_trusted());
}

#[test]
fn a_record_from_a_newer_release_is_kept() {
    let world = world("[chain]\ndefault = ['keyring']\n");
    store(&world).record(&world.loaded()).unwrap();
    let file = fs::read_dir(records(&world))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::write(&file, "{\"version\":99}").unwrap();
    assert!(
        verdict(&world)
            .problem()
            .unwrap()
            .message()
            .contains("newer")
    );
    assert!(file.exists());
}

#[test]
fn a_record_that_is_a_link_is_not_followed() {
    let world = world("[chain]\ndefault = ['keyring']\n");
    store(&world).record(&world.loaded()).unwrap();
    let file = fs::read_dir(records(&world))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let moved = world.home().join("moved.json");
    fs::rename(&file, &moved).unwrap();
    symlink(&moved, &file).unwrap();
    assert!(!verdict(&world).is_trusted());
}

#[test]
fn without_a_home_nothing_is_read_from_the_project() {
    let world = world("[chain]\ndefault = ['keyring']\n");
    let trust = TrustStore::open("");
    assert_eq!(trust.check(&world.loaded()).status(), TrustStatus::Unknown);
    let error = trust.record(&world.loaded()).unwrap_err();
    assert!(error.hint().unwrap().contains("XDG_STATE_HOME"));
    assert!(trust.list().unwrap().is_empty());
}

#[test]
fn what_another_profile_wants_is_seen_before_it_is_trusted() {
    for default in ["['env']", "['env', 'keyring']"] {
        let world = world(&format!(
            "[chain]\ndefault = {default}\n[credentials.a]\n\
             [profiles.prod.chain]\ndefault = ['evil']\n\
             [profiles.prod.providers.evil]\ntype = 'command'\nprogram = '/bin/sh'\n"
        ));
        let (trust, registry) = (store(&world), common::registry());
        let evil: LinkName = "evil".parse().unwrap();
        let review = trust.review(&world.loaded(), &registry).unwrap();
        assert_eq!(review.status(), TrustStatus::Unknown);
        assert!(review.link(&evil).is_some(), "{default}");
        assert!(trust.check(&world.loaded()).link(&evil).is_none());

        trust.record(&world.loaded()).unwrap();
        let review = trust.review(&world.loaded(), &registry).unwrap();
        assert_eq!(review.status(), TrustStatus::Recorded);
        assert!(trust.check(&world.load_in("prod").unwrap()).is_trusted());
    }
}

#[test]
fn a_profile_that_cannot_be_understood_cannot_be_reviewed() {
    let world = world(
        "[credentials.a]\n[profiles.prod.providers.evil]\ntype = 'command'\nprogram = '/bin/sh'\n\
         [profiles.prod.chain]\ndefault = ['evil', 'nowhere']\n",
    );
    let problems = store(&world).review(&world.loaded(), &common::registry());
    assert!(problems.unwrap_err().render(false).contains("nowhere"));
}
