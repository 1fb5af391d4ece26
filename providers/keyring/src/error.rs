//! What a Secret Service that fails means for the chain.

use std::io::ErrorKind;

use credchain_core::{Error, Kind};
use zbus::DBusError as _;

/// Everything that can go wrong between this program and a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There is no session bus.
    NoBus,
    /// The environment names a session bus in a way that nobody understands.
    BadAddress,
    /// Nobody on the bus keeps secrets.
    NoService,
    /// The service has no default keyring.
    NoCollection,
    /// The keyring is locked, and nobody can be asked to unlock it.
    Locked,
    /// Somebody was asked, and declined.
    Dismissed,
    /// The bus or the service refuses this program.
    Denied,
    /// The keyring has no such item.
    NotFound,
    /// What was talked to a moment ago is gone: the service or the bus has been restarted.
    Stale,
    /// No answer in time.
    Silent,
    /// The answer is none that the protocol knows.
    Garbled,
    /// The service answered with another error; its name on the bus.
    Other(String),
}

/// The only place that decides. `expected` says whether the keyring has to be there: somebody
/// configured it, or it was there before.
pub(crate) fn kind_of(failure: &Failure, expected: bool) -> Kind {
    match failure {
        Failure::NoBus | Failure::NoService | Failure::NoCollection if !expected => Kind::Absent,
        Failure::NoBus
        | Failure::NoService
        | Failure::NoCollection
        | Failure::Stale
        | Failure::Silent
        | Failure::Other(_) => Kind::Unavailable,
        Failure::BadAddress => Kind::Misconfigured,
        Failure::Locked | Failure::Dismissed => Kind::Unauthenticated,
        Failure::Denied => Kind::Denied,
        Failure::NotFound => Kind::NotFound,
        Failure::Garbled => Kind::Invalid,
    }
}

impl Failure {
    /// The whole error: what is wrong, and what to do.
    pub(crate) fn into_error(self, expected: bool) -> Error {
        let kind = kind_of(&self, expected);
        let error = |message: &'static str| Error::new(kind, message);
        match self {
            Self::NotFound => Error::not_found(),
            Self::NoBus => error("there is no D-Bus session bus").with_hint(
                "log in to a desktop session, or run the command inside `dbus-run-session`",
            ),
            Self::BadAddress => error("`DBUS_SESSION_BUS_ADDRESS` is not the address of a bus")
                .with_hint("unset it, or set it to something like `unix:path=/run/user/1000/bus`"),
            Self::NoService => error("no program keeps secrets on this session bus").with_hint(
                "install and start GNOME Keyring, KWallet or KeePassXC with its Secret Service",
            ),
            Self::NoCollection => error("the Secret Service has no default keyring").with_hint(
                "make one: in Seahorse (Passwords and Keys), choose New, then Set as default",
            ),
            Self::Locked => error("the keyring is locked").with_hint(
                "unlock it: log in to the desktop, use Seahorse, or run this at a terminal \
                 to be asked",
            ),
            Self::Dismissed => error("the question to unlock the keyring was dismissed")
                .with_hint("try again and answer it; it needs a desktop session to be shown"),
            Self::Denied => error("the session bus refuses this program").with_hint(
                "a session bus serves the user it belongs to: do not use it through `sudo`",
            ),
            Self::Stale => error("the Secret Service went away")
                .with_hint("`systemctl --user status gnome-keyring-daemon` shows whether it runs"),
            Self::Silent => error("the Secret Service did not answer in time").with_hint(
                "it may be showing a question on the desktop: look for it, and try again",
            ),
            Self::Garbled => error("the Secret Service gave an answer that cannot be understood")
                .with_hint("restart it, and try again"),
            // The name of an error is part of the protocol; its text is the service's and may
            // say anything, so it is left out.
            Self::Other(name) => {
                Error::new(kind, format!("the Secret Service failed with `{name}`"))
                    .with_hint("restart it, and try again")
            }
        }
    }

    /// What an error reply of this name means.
    fn named(name: &str) -> Self {
        let (domain, short) = name.rsplit_once('.').unwrap_or(("", name));
        match (domain, short) {
            ("org.freedesktop.Secret.Error", "IsLocked") => Self::Locked,
            ("org.freedesktop.Secret.Error", "NoSession" | "NoSuchObject") => Self::Stale,
            ("org.freedesktop.DBus.Error.Spawn", _) => Self::NoService,
            ("org.freedesktop.DBus.Error", short) => match short {
                "ServiceUnknown" | "NameHasNoOwner" => Self::NoService,
                "AccessDenied" | "AuthFailed" => Self::Denied,
                // The first three are about objects that are gone, depending on the service; the
                // others are what is said when the service ends before it has answered.
                "UnknownObject" | "UnknownMethod" | "UnknownInterface" | "NoReply"
                | "Disconnected" | "NoServer" => Self::Stale,
                "Timeout" | "TimedOut" => Self::Silent,
                _ => Self::Other(name.to_owned()),
            },
            _ => Self::Other(name.to_owned()),
        }
    }

    /// What it means that no connection to the bus could be made.
    pub(crate) fn connecting(error: &zbus::Error) -> Self {
        match error {
            zbus::Error::Address(_) | zbus::Error::Unsupported => Self::BadAddress,
            zbus::Error::Handshake(_) => Self::Denied,
            zbus::Error::Connection(io, _) | zbus::Error::InputOutput(io) => match io.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => Self::NoBus,
                ErrorKind::PermissionDenied => Self::Denied,
                _ => Self::Stale,
            },
            other => Self::from(other),
        }
    }
}

impl From<&zbus::Error> for Failure {
    fn from(error: &zbus::Error) -> Self {
        match error {
            zbus::Error::MethodError(name, ..) => Self::named(name.as_str()),
            zbus::Error::FDO(error) => Self::from(&**error),
            zbus::Error::InputOutput(io) if io.kind() == ErrorKind::TimedOut => Self::Silent,
            zbus::Error::InputOutput(_) | zbus::Error::Connection(..) => Self::Stale,
            _ => Self::Garbled,
        }
    }
}

impl From<&zbus::fdo::Error> for Failure {
    fn from(error: &zbus::fdo::Error) -> Self {
        match error {
            zbus::fdo::Error::ZBus(error) => Self::from(error),
            other => Self::named(other.name().as_str()),
        }
    }
}

impl From<secret_service::Error> for Failure {
    fn from(error: secret_service::Error) -> Self {
        use secret_service::Error;
        match error {
            Error::Zbus(error) => Self::from(&error),
            Error::ZbusFdo(error) => Self::from(&error),
            Error::Locked => Self::Locked,
            Error::Prompt => Self::Dismissed,
            Error::PromptDisconnected => Self::Stale,
            Error::NoResult => Self::NoCollection,
            Error::Unavailable => Self::NoService,
            _ => Self::Garbled,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const EVERY: [(Failure, Kind, Kind); 11] = [
        (Failure::NoBus, Kind::Absent, Kind::Unavailable),
        (Failure::NoService, Kind::Absent, Kind::Unavailable),
        (Failure::NoCollection, Kind::Absent, Kind::Unavailable),
        (
            Failure::BadAddress,
            Kind::Misconfigured,
            Kind::Misconfigured,
        ),
        (
            Failure::Locked,
            Kind::Unauthenticated,
            Kind::Unauthenticated,
        ),
        (
            Failure::Dismissed,
            Kind::Unauthenticated,
            Kind::Unauthenticated,
        ),
        (Failure::Denied, Kind::Denied, Kind::Denied),
        (Failure::NotFound, Kind::NotFound, Kind::NotFound),
        (Failure::Stale, Kind::Unavailable, Kind::Unavailable),
        (Failure::Silent, Kind::Unavailable, Kind::Unavailable),
        (Failure::Garbled, Kind::Invalid, Kind::Invalid),
    ];

    #[test]
    fn each_failure_has_its_kind_and_a_next_step() {
        let other = Failure::Other("org.example.Error".to_owned());
        let last = (other, Kind::Unavailable, Kind::Unavailable);
        for (failure, unexpected, expected) in EVERY.into_iter().chain([last]) {
            assert_eq!(kind_of(&failure, false), unexpected, "{failure:?}");
            assert_eq!(kind_of(&failure, true), expected, "{failure:?}");
            let error = failure.clone().into_error(true);
            assert_eq!(error.kind(), expected);
            let needs_none = failure == Failure::NotFound;
            assert!(needs_none || error.hint().is_some(), "{error}");
        }
    }

    #[test]
    fn each_name_of_an_error_has_its_meaning() {
        for (name, failure) in [
            ("org.freedesktop.Secret.Error.IsLocked", Failure::Locked),
            ("org.freedesktop.Secret.Error.NoSession", Failure::Stale),
            ("org.freedesktop.Secret.Error.NoSuchObject", Failure::Stale),
            (
                "org.freedesktop.DBus.Error.ServiceUnknown",
                Failure::NoService,
            ),
            (
                "org.freedesktop.DBus.Error.NameHasNoOwner",
                Failure::NoService,
            ),
            (
                "org.freedesktop.DBus.Error.Spawn.ExecFailed",
                Failure::NoService,
            ),
            ("org.freedesktop.DBus.Error.AccessDenied", Failure::Denied),
            ("org.freedesktop.DBus.Error.UnknownObject", Failure::Stale),
            ("org.freedesktop.DBus.Error.UnknownMethod", Failure::Stale),
            ("org.freedesktop.DBus.Error.NoReply", Failure::Stale),
            ("org.freedesktop.DBus.Error.Timeout", Failure::Silent),
        ] {
            assert_eq!(Failure::named(name), failure, "{name}");
        }
        let odd = "org.freedesktop.DBus.Error.LimitsExceeded";
        assert_eq!(Failure::named(odd), Failure::Other(odd.to_owned()));
        assert_eq!(Failure::named("odd"), Failure::Other("odd".to_owned()));
    }

    #[test]
    fn a_bus_that_is_not_there_is_told_from_one_that_refuses() {
        let io = |kind: ErrorKind| zbus::Error::InputOutput(Arc::new(kind.into()));
        for (error, failure) in [
            (io(ErrorKind::NotFound), Failure::NoBus),
            (io(ErrorKind::ConnectionRefused), Failure::NoBus),
            (io(ErrorKind::PermissionDenied), Failure::Denied),
            (io(ErrorKind::ConnectionReset), Failure::Stale),
            (zbus::Error::Handshake("refused".into()), Failure::Denied),
            (zbus::Error::Address("odd".into()), Failure::BadAddress),
        ] {
            assert_eq!(Failure::connecting(&error), failure, "{error}");
        }
        assert_eq!(Failure::from(&io(ErrorKind::BrokenPipe)), Failure::Stale);
        assert_eq!(Failure::from(&io(ErrorKind::TimedOut)), Failure::Silent);
    }

    #[test]
    fn the_text_of_a_reply_is_in_no_message() {
        let text = "canary-text".to_owned();
        let failure = Failure::from(&zbus::fdo::Error::Failed(text));
        let error = failure.into_error(true);
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
