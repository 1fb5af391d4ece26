//! What the replies of the bus and of the service mean.

use std::io::ErrorKind;

use zbus::DBusError as _;

use crate::error::Failure;

impl Failure {
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
    use crate::store::Store;

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
        let error = failure.into_error(Store::SecretService, true);
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
