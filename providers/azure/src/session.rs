//! The connections and the login of one runtime, made on first use.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use credchain_core::{Context, Error, Kind, Result};
use tokio::runtime::{Handle, Id};
use tokio::sync::OnceCell;

use crate::config::Settings;
use crate::endpoint::Target;
use crate::failed::Problem;
use crate::http;
use crate::token::Token;

/// How many runtimes are served at a time; a program with more makes clients anew.
const MAX_RUNTIMES: usize = 8;

/// The client of one runtime, and who it is logged in as.
pub(crate) struct Session {
    pub(crate) http: reqwest::Client,
    pub(crate) target: Target,
    /// Held while somebody logs in, so that everybody else waits for that.
    pub(crate) login: tokio::sync::Mutex<Login>,
    /// How often a login was refused; whoever waits sees that one was, meanwhile.
    pub(crate) refusals: AtomicU64,
}

/// What came of logging in.
#[derive(Default)]
pub(crate) struct Login {
    pub(crate) token: Option<Token>,
    /// The last refusal, for those who waited for it.
    pub(crate) refused: Option<Problem>,
}

/// The sessions of all runtimes.
///
/// Connections are served by tasks of the runtime that they were opened on, so a client that was
/// used on a runtime that has ended would wait for an answer that nobody reads.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<VecDeque<(Id, Shared)>>);

/// The session of a runtime, opened by whoever needs it first.
type Shared = Arc<OnceCell<Arc<Session>>>;

impl Sessions {
    /// The session of this runtime.
    pub(crate) async fn current(&self, settings: &Settings, cx: &Context) -> Result<Arc<Session>> {
        let cell = self.cell()?;
        let opened = cell.get_or_try_init(async || open(settings, cx).await.map(Arc::new));
        cx.in_time(opened).await.cloned()
    }

    fn cell(&self) -> Result<Shared> {
        let id = Handle::try_current()
            .map_err(|_| Error::new(Kind::Internal, "there is no Tokio runtime here"))?
            .id();
        let mut cells = self.lock();
        if let Some((_, cell)) = cells.iter().find(|(owner, _)| *owner == id) {
            return Ok(cell.clone());
        }
        if cells.len() == MAX_RUNTIMES {
            cells.pop_front();
        }
        let cell = Shared::default();
        cells.push_back((id, cell.clone()));
        Ok(cell)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Id, Shared)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

async fn open(settings: &Settings, cx: &Context) -> Result<Session> {
    Ok(Session {
        target: settings.endpoints.target(cx)?,
        http: http::client(settings.ca.as_deref()).await?,
        login: tokio::sync::Mutex::default(),
        refusals: AtomicU64::new(0),
    })
}
