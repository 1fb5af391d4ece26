//! What rotation can change at AWS itself: the access keys of an IAM user, and secrets that
//! Secrets Manager rotates.

mod iam;
mod managed;

use std::sync::Arc;
use std::time::SystemTime;

use aws_smithy_types::DateTime;
use credchain_core::{Context, Error, Kind, Result, Rotatable, Settings as Table, Target};

use crate::config::Settings;
use crate::error::Failed;
use crate::provider::Aws;
use crate::session::{Ask, Session, Sessions};

impl Rotatable for Aws {
    fn target(&self, type_name: &str, settings: &Table) -> Result<Arc<dyn Target>> {
        let link = Link {
            settings: self.settings.clone(),
            sessions: self.sessions.clone(),
        };
        Ok(match type_name {
            "aws_iam" => Arc::new(iam::AccessKeys::new(link, settings)?),
            "aws_secretsmanager" => Arc::new(managed::Managed::new(link, settings)?),
            _ => return Err(Error::unsupported("a target of this type")),
        })
    }
}

/// The provider's settings and its login.
struct Link {
    settings: Arc<Settings>,
    sessions: Arc<Sessions>,
}

impl Link {
    async fn session(&self, cx: &Context) -> Result<Arc<Session>> {
        self.sessions.current(&self.settings, cx).await
    }

    fn ask<'a>(&'a self, session: &'a Session, cx: &'a Context) -> Ask<'a> {
        Ask {
            session,
            settings: &self.settings,
            cx,
        }
    }

    /// Whoever is not known any more logs in anew the next time: the key that was rotated may be
    /// the one of this login.
    fn noted(&self, failed: Failed) -> Failed {
        if failed.kind() == Kind::Unauthenticated {
            self.sessions.forget();
        }
        failed
    }
}

fn moment(time: Option<&DateTime>) -> Option<SystemTime> {
    SystemTime::try_from(*time?).ok()
}
