//! What a failure means. The server's own words never get into a message: they may quote a
//! statement.

use std::error::Error as _;
use std::io;

use credchain_core::{Error, Kind, causes};
use tokio_postgres::error::DbError;

use super::gate::{Asked, Seen};

/// Why something was not done, as far as it can be told apart.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The server said so, by this SQLSTATE.
    Sql(String),
    /// The server asks for something that proves nothing.
    Asked(Asked),
    /// Its certificate is not trusted.
    Certificate,
    /// No connection came about.
    Unreachable,
    /// The connection was lost, or what came over it was nothing that can be understood.
    Lost,
    /// It took too long.
    Late,
    /// The server has no TLS.
    Plain,
    /// It refused before it asked for a password.
    Closed,
    /// It could not be tried, and this says why.
    Told(Error),
}

impl Failure {
    /// What the library's error means while a login is under way.
    pub(super) fn of_login(error: &tokio_postgres::Error, encrypts: bool, seen: &Seen) -> Self {
        match Self::of(error) {
            Self::Sql(code) if code.starts_with("28") && !seen.scram() => Self::Closed,
            // The only errors that come of neither the network nor the server are the library's
            // own; before anything is encrypted, it has only one.
            Self::Lost if encrypts && !seen.encrypted() => match error.source() {
                Some(source) if !source.is::<io::Error>() => Self::Plain,
                _ => Self::Lost,
            },
            failure => failure,
        }
    }

    /// What the library's error means.
    pub(super) fn of(error: &tokio_postgres::Error) -> Self {
        if let Some(code) = error.as_db_error().map(DbError::code) {
            return Self::Sql(code.code().to_owned());
        }
        for cause in causes(error) {
            if let Some(asked) = cause.downcast_ref::<Asked>() {
                return Self::Asked(*asked);
            }
            if let Some(rustls::Error::InvalidCertificate(_)) = cause.downcast_ref() {
                return Self::Certificate;
            }
        }
        Self::Lost
    }

    /// Whether it is the password, or the role, that is refused.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Sql(code) if matches!(code.as_str(), "28P01" | "28000"))
    }

    /// The one table of what failures mean.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Sql(code) => kind_of(code),
            Self::Asked(_) | Self::Closed => Kind::Misconfigured,
            Self::Certificate | Self::Unreachable | Self::Lost | Self::Late | Self::Plain => {
                Kind::Unavailable
            }
            Self::Told(error) => error.kind(),
        }
    }

    /// What happened, without who was asked.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Sql(code) => match code.as_str() {
                "28P01" => "the password is refused (SQLSTATE 28P01)".into(),
                "28000" => "the login is refused (SQLSTATE 28000)".into(),
                "3D000" => "there is no such database (SQLSTATE 3D000)".into(),
                "42704" => "there is no such role (SQLSTATE 42704)".into(),
                "25006" => {
                    "it is a standby, and nothing can be changed there (SQLSTATE 25006)".into()
                }
                "42501" => "that is not allowed (SQLSTATE 42501)".into(),
                "53300" => "there are too many connections (SQLSTATE 53300)".into(),
                code => format!("it answered with SQLSTATE {code}"),
            },
            Self::Asked(asked) => {
                format!("it asks {asked}, so that a login cannot be judged")
            }
            Self::Certificate => "it shows a certificate that is not trusted".into(),
            Self::Unreachable => "it cannot be reached".into(),
            Self::Lost => "the connection was lost".into(),
            Self::Late => "it did not answer in time".into(),
            Self::Plain => "no encrypted connection came about".into(),
            Self::Closed => "it refuses this role from this machine, whatever its password".into(),
            Self::Told(error) => error.message().to_owned(),
        }
    }

    pub(super) fn hint(&self) -> Option<&str> {
        Some(match self {
            Self::Asked(Asked::Password) => "`admin_password` names the credential with it",
            Self::Asked(Asked::Md5) => {
                "the role's password is kept as MD5, or `pg_hba.conf` says `md5`: use \
                 `scram-sha-256` for both"
            }
            Self::Asked(_) => {
                "`pg_hba.conf` has to say `scram-sha-256` for these roles and this machine; look \
                 for `trust`, `peer`, `cert` and `password`"
            }
            Self::Certificate => "name its authority with `ca`, and look at the host in `url`",
            Self::Plain => {
                "switch TLS on at the server, or set `tls = \"off\"` if the network is yours"
            }
            Self::Closed => "`pg_hba.conf` says who may log in from where",
            Self::Sql(code) => match code.as_str() {
                "25006" => "the first host of `url` has to be the primary",
                _ => return None,
            },
            Self::Told(error) => return error.hint(),
            _ => return None,
        })
    }

    /// The error to report; `whom` was asked.
    pub(super) fn at(&self, whom: &impl std::fmt::Display) -> Error {
        let error = Error::new(self.kind(), format!("`{whom}`: {}", self.message()));
        match self.hint() {
            Some(hint) => error.with_hint(hint.to_owned()),
            None => error,
        }
    }
}

/// What an SQLSTATE means (Postgres, appendix A).
fn kind_of(code: &str) -> Kind {
    match code {
        // invalid_password; and that a role may not log in
        "28P01" | "28000" => Kind::Unauthenticated,
        "42501" => Kind::Denied,
        // unknown database, unknown role, a standby, a protocol or feature that is not there
        "3D000" | "42704" | "25006" | "0A000" => Kind::Misconfigured,
        _ => match code.get(..2).unwrap_or_default() {
            // What the server does not take, such as a password against its policy.
            "22" | "23" => Kind::Invalid,
            // Connections, rollbacks, resources, states, operators, the system, its configuration
            // and its own defects: another time it may work.
            "08" | "25" | "40" | "53" | "55" | "57" | "58" | "F0" | "XX" => Kind::Unavailable,
            "28" => Kind::Unauthenticated,
            _ => Kind::Internal,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sqlstate_has_its_kind() {
        for (code, kind) in [
            ("28P01", Kind::Unauthenticated),
            ("28000", Kind::Unauthenticated),
            ("42501", Kind::Denied),
            ("3D000", Kind::Misconfigured),
            ("42704", Kind::Misconfigured),
            ("25006", Kind::Misconfigured),
            ("0A000", Kind::Misconfigured),
            ("22023", Kind::Invalid),
            ("23514", Kind::Invalid),
            ("08006", Kind::Unavailable),
            ("08P01", Kind::Unavailable),
            ("25P03", Kind::Unavailable),
            ("40001", Kind::Unavailable),
            ("53300", Kind::Unavailable),
            ("53400", Kind::Unavailable),
            ("55000", Kind::Unavailable),
            ("55P03", Kind::Unavailable),
            ("57014", Kind::Unavailable),
            ("57P01", Kind::Unavailable),
            ("57P03", Kind::Unavailable),
            ("58030", Kind::Unavailable),
            ("F0000", Kind::Unavailable),
            ("XX000", Kind::Unavailable),
            ("42601", Kind::Internal),
            ("", Kind::Internal),
            ("é", Kind::Internal),
        ] {
            assert_eq!(kind_of(code), kind, "{code}");
        }
    }

    #[test]
    fn each_failure_without_an_sqlstate_has_its_kind() {
        for (failure, kind) in [
            (Failure::Asked(Asked::Nothing), Kind::Misconfigured),
            (Failure::Asked(Asked::Cleartext), Kind::Misconfigured),
            (Failure::Asked(Asked::Md5), Kind::Misconfigured),
            (Failure::Closed, Kind::Misconfigured),
            (Failure::Told(Error::not_found()), Kind::NotFound),
            (Failure::Certificate, Kind::Unavailable),
            (Failure::Unreachable, Kind::Unavailable),
            (Failure::Lost, Kind::Unavailable),
            (Failure::Late, Kind::Unavailable),
            (Failure::Plain, Kind::Unavailable),
        ] {
            assert_eq!(failure.kind(), kind, "{failure:?}");
            assert!(failure.at(&"h").message().starts_with("`h`: "));
        }
    }
}
