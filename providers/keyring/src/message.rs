//! What people read when a store fails: what is wrong, and what to do next.

use std::borrow::Cow;

use crate::error::Failure;
use crate::store::Store;

type Text = (Cow<'static, str>, &'static str);

/// The message and the hint of a failure.
pub(crate) fn text(failure: &Failure, store: Store) -> Text {
    let own = match store {
        Store::SecretService => secret_service(failure),
        Store::Keyutils => keyutils(failure),
        Store::Keychain => keychain(failure),
        Store::CredentialManager => credential_manager(failure),
    };
    match own {
        Some((message, hint)) => (message.into(), hint),
        None => common(failure, store),
    }
}

fn secret_service(failure: &Failure) -> Option<(&'static str, &'static str)> {
    Some(match failure {
        Failure::NoBus => (
            "there is no D-Bus session bus",
            "log in to a desktop session, or run the command inside `dbus-run-session`",
        ),
        Failure::BadAddress => (
            "`DBUS_SESSION_BUS_ADDRESS` is not the address of a bus",
            "unset it, or set it to something like `unix:path=/run/user/1000/bus`",
        ),
        Failure::NoService => (
            "no program keeps secrets on this session bus",
            "install and start GNOME Keyring, KWallet or KeePassXC with its Secret Service",
        ),
        Failure::NoCollection => (
            "the Secret Service has no default keyring",
            "make one: in Seahorse (Passwords and Keys), choose New, then Set as default",
        ),
        Failure::Locked => (
            "the keyring is locked",
            "unlock it: log in to the desktop, use Seahorse, or run this at a terminal \
             to be asked",
        ),
        Failure::Dismissed => (
            "the question to unlock the keyring was dismissed",
            "try again and answer it; it needs a desktop session to be shown",
        ),
        Failure::Denied => (
            "the session bus refuses this program",
            "a session bus serves the user it belongs to: do not use it through `sudo`",
        ),
        Failure::Stale => (
            "the Secret Service went away",
            "`systemctl --user status gnome-keyring-daemon` shows whether it runs",
        ),
        _ => return None,
    })
}

fn keyutils(failure: &Failure) -> Option<(&'static str, &'static str)> {
    Some(match failure {
        Failure::NoStore => (
            "the kernel has no keyrings, or none for this program",
            "containers forbid the system calls `add_key` and `keyctl`: allow them in the seccomp \
             profile, or use another store",
        ),
        Failure::NoPersistent => (
            "the kernel has no persistent keyrings",
            "set `keyring = \"user\"`, whose keys last as long as the user has processes",
        ),
        Failure::Hidden => (
            "the kernel does not show which keys there are",
            "containers hide `/proc/keys`: name the credential instead of listing it",
        ),
        Failure::Denied => (
            "the key's or keyring's permissions refuse this program",
            "`keyctl describe ID` shows them, with the number from `cat /proc/keys`",
        ),
        Failure::Full => (
            "the user's quota of keys is used up",
            "`cat /proc/key-users` shows it, and root raises it in \
             `/proc/sys/kernel/keys/maxbytes` and `maxkeys`",
        ),
        Failure::BadName => (
            "the name is too long for a key: 4095 bytes with its service",
            "choose a shorter name in `at`, or a shorter `service`",
        ),
        Failure::Silent => (
            "the kernel did not answer in time",
            "try again with more time, such as `--timeout 5s`",
        ),
        Failure::BadValue => (
            "the kernel keeps no empty key",
            "delete the credential instead of emptying it",
        ),
        _ => return None,
    })
}

fn keychain(failure: &Failure) -> Option<(&'static str, &'static str)> {
    Some(match failure {
        Failure::NoStore => (
            "there is no default keychain",
            "`security default-keychain` shows it; make one with Keychain Access",
        ),
        Failure::Locked => (
            "the keychain is locked, or wants to ask about this program",
            "`security unlock-keychain` unlocks it; run this at a terminal to be asked",
        ),
        Failure::Dismissed => (
            "the question about the keychain was dismissed",
            "try again, and choose Allow",
        ),
        Failure::Denied => (
            "the keychain refuses this program",
            "in Keychain Access, see the item's Access Control",
        ),
        _ => return None,
    })
}

fn credential_manager(failure: &Failure) -> Option<(&'static str, &'static str)> {
    Some(match failure {
        Failure::NoStore => (
            "this logon session keeps no credentials",
            "log in with a password: a session over the network has no Credential Manager",
        ),
        Failure::BadName => (
            "the Credential Manager cannot name this place",
            "choose a shorter name, or one that is less like another one",
        ),
        Failure::BadValue => (
            "the Credential Manager keeps text without NUL only",
            "encode the value, or keep it in an `age` store",
        ),
        _ => return None,
    })
}

/// What is said alike of every store.
fn common(failure: &Failure, store: Store) -> Text {
    let title = store.title();
    let (message, hint) = match failure {
        Failure::NotFound => ("has no such item", "store it with `resolve set`"),
        Failure::NoBus
        | Failure::BadAddress
        | Failure::NoService
        | Failure::NoCollection
        | Failure::NoStore
        | Failure::NoPersistent => ("is not there", "use another store"),
        Failure::Hidden => ("does not list its items", "name the credential instead"),
        Failure::Locked => ("is locked", "unlock it"),
        Failure::Dismissed => ("was not unlocked", "try again and answer its question"),
        Failure::Denied => ("refuses this program", "see whether this user may use it"),
        Failure::BadName => ("cannot name this place", "choose a shorter name"),
        Failure::BadValue => ("cannot hold this value", "keep it in an `age` store"),
        Failure::Full => ("has no room left", "delete what is not needed any more"),
        Failure::Stale => ("went away", "try again"),
        Failure::Silent => (
            "did not answer in time",
            "it may be showing a question on the desktop: look for it, and try again",
        ),
        Failure::NoThread => (
            "cannot be asked: no thread can be started",
            "`ulimit -u` shows how many threads and processes this user may have",
        ),
        Failure::Garbled => (
            "gave an answer that cannot be understood",
            "restart it, and try again",
        ),
        Failure::BrokeOff => (
            "was asked, and the call broke off",
            "this is a defect: please report it",
        ),
        // The name of an error is part of an interface; its text is the store's and may say
        // anything, so it is left out.
        Failure::Other(name) => {
            let message = format!("{title} failed with `{name}`");
            return (message.into(), "restart it, and try again");
        }
    };
    (format!("{title} {message}").into(), hint)
}
