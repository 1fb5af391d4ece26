//! The connections and the login of one runtime, made on first use.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use credchain_core::{Context, Error, Kind, Result, Secret};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use tokio::runtime::{Handle, Id};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::address::{Address, Place, check_project, no_project};
use crate::config::Settings;
use crate::error::{Action, Failed, Failure};
use crate::http::{Answer, Http, send};
use crate::login::{LOGIN, Login, Token, bearer};

/// How many runtimes are served at a time; a program with more makes connections anew.
const MAX_RUNTIMES: usize = 8;

/// The connections and the login of one runtime.
pub(crate) struct Session {
    http: Http,
    login: Login,
    /// Held by whoever logs in, so that everybody else waits for that one login.
    kept: tokio::sync::Mutex<Kept>,
    /// How many logins have ended, well or not.
    logins: AtomicU64,
    /// The project of references that name none.
    project: Option<String>,
}

/// What came of the last login.
#[derive(Default)]
struct Kept {
    token: Option<Token>,
    failed: Option<Failed>,
}

/// The sessions of all runtimes.
///
/// Connections are served by tasks of the runtime that they were opened on, so a client that was
/// used on a runtime that has ended would wait for an answer that nobody reads.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<VecDeque<(Id, Shared)>>);

/// The session of a runtime, opened by whoever needs it first.
type Shared = Arc<OnceCell<Arc<Session>>>;

/// A session with what a question needs.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) session: &'a Session,
    pub(crate) settings: &'a Settings,
    pub(crate) cx: &'a Context,
}

/// One request to Secret Manager.
pub(crate) struct Call {
    action: Action,
    method: Method,
    /// Below `/v1/`; all of it is known to need no escapes.
    path: String,
    query: Vec<(&'static str, String)>,
    /// JSON.
    body: Option<Zeroizing<String>>,
}

impl Call {
    pub(crate) fn get(action: Action, path: String) -> Self {
        Self::new(action, Method::GET, path)
    }

    pub(crate) fn post(action: Action, path: String, body: Zeroizing<String>) -> Self {
        let body = Some(body);
        Self {
            body,
            ..Self::new(action, Method::POST, path)
        }
    }

    pub(crate) fn new(action: Action, method: Method, path: String) -> Self {
        Self {
            action,
            method,
            path,
            query: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn query(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: Zeroizing<String>) -> Self {
        self.body = Some(body);
        self
    }
}

impl Ask<'_> {
    /// Where an address of this link leads.
    pub(crate) fn place(self, address: &Address) -> Result<Place> {
        address.place(self.session.project.as_deref())
    }

    /// The parent of all secrets of this link's project.
    pub(crate) fn project(self) -> Result<String> {
        let project = self.session.project.as_ref();
        let project = project.ok_or_else(no_project)?;
        Ok(format!("projects/{project}"))
    }

    /// Whom Google takes this program for, after logging in.
    pub(crate) async fn identity(self) -> Result<(String, Option<String>), Failed> {
        self.login().await?;
        Ok((self.session.login.name(), self.session.project.clone()))
    }

    /// Asks, and logs in anew once if the token is not known any more: a machine that slept, or
    /// whose clock was set, may not have noticed its end.
    pub(crate) async fn send(self, call: &Call) -> Result<Answer, Failed> {
        let token = self.token(None).await?;
        match self.once(call, &token).await {
            Err(failed) if failed.is_about_the_token() => {
                let fresh = self.token(Some(&token)).await?;
                if fresh.same_value(&token) {
                    return Err(failed);
                }
                self.once(call, &fresh).await
            }
            answer => answer,
        }
    }

    async fn once(self, call: &Call, token: &Secret) -> Result<Answer, Failed> {
        let failed = |failure| Failed::new(call.action, failure);
        let url = format!("{}/v1/{}", self.settings.endpoint, call.path);
        let mut request = self.session.http.request(call.method.clone(), &url);
        if !call.query.is_empty() {
            let mut full = reqwest::Url::parse(&url).map_err(|_| failed(Failure::Unasked))?;
            full.query_pairs_mut().extend_pairs(&call.query);
            request = self
                .session
                .http
                .request(call.method.clone(), full.as_str());
        }
        request = request.header(AUTHORIZATION, bearer(token).map_err(failed)?);
        if let Some(project) = &self.session.login.quota_project {
            request = request.header("X-Goog-User-Project", project);
        }
        if let Some(body) = &call.body {
            // The copy that is sent is the HTTP library's, and not wiped.
            let json = HeaderValue::from_static("application/json");
            request = request
                .header(CONTENT_TYPE, json)
                .body(body.as_bytes().to_vec());
        }
        let answer = send(request, self.cx).await.map_err(failed)?;
        if answer.is_success() {
            return Ok(answer);
        }
        Err(failed(refusal(&answer)).with_wait(answer.retry_after))
    }

    /// Logs in, if nobody has yet.
    pub(crate) async fn login(self) -> Result<(), Failed> {
        self.token(None).await.map(drop)
    }

    /// A token that holds, and is not the refused one.
    async fn token(self, refused: Option<&Secret>) -> Result<Secret, Failed> {
        let before = self.session.logins.load(Ordering::SeqCst);
        let token = async {
            let mut kept = self.session.kept.lock().await;
            let now = self.cx.clock().now();
            let good = |token: &&Token| {
                token.holds(now) && !refused.is_some_and(|old| old.same_value(&token.secret))
            };
            if let Some(token) = kept.token.as_ref().filter(good) {
                return Ok(token.secret.clone());
            }
            // Whoever came while somebody logged in takes that one's answer, also if it is no.
            let waited = self.session.logins.load(Ordering::SeqCst) != before;
            if let Some(failed) = kept.failed.as_ref().filter(|_| waited) {
                return Err(failed.clone());
            }
            self.renew(&mut kept).await
        };
        match within(self.cx, token).await {
            Some(token) => token,
            None => Err(Failed::new(LOGIN, Failure::Late)),
        }
    }

    async fn renew(self, kept: &mut Kept) -> Result<Secret, Failed> {
        let Session { http, login, .. } = self.session;
        let token = login.token(http, self.settings, self.cx).await;
        self.session.logins.fetch_add(1, Ordering::SeqCst);
        match token {
            Ok(token) => {
                kept.failed = None;
                Ok(kept.token.insert(token).secret.clone())
            }
            Err(failed) => {
                // That one was out of time says nothing about the others.
                let late = matches!(failed.failure, Failure::Late);
                kept.failed = Some(failed.clone()).filter(|_| !late);
                Err(failed)
            }
        }
    }
}

impl Sessions {
    /// The session of this runtime, set up on first use.
    pub(crate) async fn current(&self, settings: &Settings, cx: &Context) -> Result<Arc<Session>> {
        let cell = self.cell()?;
        let opened = cell.get_or_try_init(async || open(settings, cx).await.map(Arc::new));
        match within(cx, opened).await {
            Some(session) => session.cloned(),
            None => Err(Failed::new(LOGIN, Failure::Late).into_error()),
        }
    }

    /// Starts anew next time: what was in use is not accepted any more.
    pub(crate) fn forget(&self) {
        self.lock().clear();
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

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(Id, Shared)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

async fn open(settings: &Settings, cx: &Context) -> Result<Session> {
    let http = Http::new(settings.ca.as_ref()).await?;
    let login = Login::find(settings, cx).await?;
    let project = settings.project.clone();
    let project = project.or_else(|| cx.env().text("GOOGLE_CLOUD_PROJECT"));
    let project = project.or_else(|| login.project.clone());
    for project in [&project, &login.quota_project].into_iter().flatten() {
        check_project(project)?;
    }
    Ok(Session {
        http,
        login,
        kept: tokio::sync::Mutex::default(),
        logins: AtomicU64::new(0),
        project,
    })
}

/// Runs `work` for as long as the caller allows.
async fn within<T>(cx: &Context, work: impl Future<Output = T> + Send) -> Option<T> {
    match cx.remaining() {
        Some(left) if left.is_zero() => None,
        Some(left) => cx.clock().timeout(left, work).await,
        None => Some(work.await),
    }
}

/// What an answer that is no success says, in the form that all of Google's services share.
fn refusal(answer: &Answer) -> Failure {
    #[derive(Deserialize)]
    struct Refusal {
        error: Status,
    }
    #[derive(Deserialize)]
    struct Status {
        status: String,
        #[serde(default)]
        details: Vec<Detail>,
    }
    #[derive(Deserialize)]
    struct Detail {
        #[serde(default)]
        reason: Option<String>,
    }
    match answer.parse().map(|refusal: Refusal| refusal.error) {
        Ok(Status { status, details }) => {
            let reason = details.into_iter().find_map(|detail| detail.reason);
            Failure::Code(status, answer.status, reason)
        }
        Err(_) => Failure::Status(answer.status),
    }
}
