//! The access keys of an IAM user. IAM makes them, and says each once.
//!
//! The SDK's crate for IAM is large, and five of its actions are used. It is used all the same: it
//! is smaller than the one for Parameter Store, needs nothing that is not there already, and with
//! all that it stands on builds in less than three minutes on two cores. Signing and reading XML
//! by hand would be a second way to do what all other requests do by the SDK.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_sdk_iam::Client;
use aws_sdk_iam::types::{AccessKeyMetadata, StatusType};
use credchain_core::{
    Abilities, Account, Context, Error, Issued, Kind, Result, Secret, Settings as Table, Target,
    Verdict, async_trait,
};
use futures_util::future::try_join_all;

use super::{Link, moment};
use crate::error::{Failed, Failure};
use crate::session::call;

const CREATE: &str = "iam:CreateAccessKey";
const LIST: &str = "iam:ListAccessKeys";
const UPDATE: &str = "iam:UpdateAccessKey";
const DELETE: &str = "iam:DeleteAccessKey";
const USED: &str = "iam:GetAccessKeyLastUsed";
const CALLER: &str = "sts:GetCallerIdentity";

/// How many keys a user can have, disabled ones included.
const LIMIT: usize = 2;

/// How long it takes, at the most, until a change is known everywhere.
const SETTLING: Duration = Duration::from_mins(1);

/// How long IAM may be behind with telling that a key was used.
const LAG: Duration = Duration::from_hours(24);

/// A key that nobody can have: the digit 0 is in no id.
const NOBODYS: &str = concat!("AKIA", "0000000000000000");

/// The longest name of a user.
const MAX_USER: usize = 64;

/// The access keys of one user.
pub(super) struct AccessKeys {
    link: Link,
    /// Nobody for whoever is logged in.
    user: Option<String>,
}

/// A key, and whether IAM told when it was last used.
struct Known {
    issued: Issued,
    is_told: bool,
}

impl Known {
    /// Whether that is beyond doubt: what is not told is not known.
    fn was_never_used(&self, now: SystemTime) -> bool {
        let created = self.issued.created;
        let age = created.and_then(|created| now.duration_since(created).ok());
        self.is_told && self.issued.used.is_none() && age.is_some_and(|age| age > LAG)
    }
}

impl AccessKeys {
    pub(super) fn new(link: Link, settings: &Table) -> Result<Self> {
        let taken = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        let user = settings.text("user")?;
        let odd = |user: &str| user.is_empty() || user.len() > MAX_USER || !user.chars().all(taken);
        if user.is_some_and(odd) {
            let message = "setting `user` must be the name of an IAM user";
            return Err(Error::new(Kind::Misconfigured, message)
                .with_hint("the name alone, without path or ARN"));
        }
        Ok(Self {
            link,
            user: user.map(str::to_owned),
        })
    }

    async fn client(&self, cx: &Context) -> Result<Client> {
        let session = self.link.session(cx).await?;
        session.iam(&self.link.settings, cx)
    }

    /// The error to report.
    fn error(&self, failed: Failed) -> Error {
        let failed = self.link.noted(failed);
        if failed.has_code("NoSuchEntity") {
            return Error::new(Kind::NotFound, "there is no such user or access key");
        }
        if failed.has_code("ValidationError") && self.user.is_none() {
            let message = "whoever is logged in is no IAM user, and the target names none";
            return Error::new(Kind::Misconfigured, message).with_hint(
                "set `user` for the target; `aws sts get-caller-identity` says who it is",
            );
        }
        failed.into_error()
    }

    async fn keys(&self, cx: &Context) -> Result<Vec<AccessKeyMetadata>> {
        let request = self.client(cx).await?.list_access_keys();
        let request = request.set_user_name(self.user.clone()).max_items(1000);
        match call(cx, LIST, request.send()).await {
            Ok(answer) => Ok(answer.access_key_metadata),
            Err(failed) if failed.has_code("NoSuchEntity") => {
                let message = "there is no such IAM user";
                Err(Error::new(Kind::Misconfigured, message)
                    .with_hint("look at `user` of the target, and at the account"))
            }
            Err(failed) => Err(self.error(failed)),
        }
    }

    /// All keys, with when each was last used if that may be seen.
    async fn known(&self, cx: &Context) -> Result<Vec<Known>> {
        let keys = self.keys(cx).await?;
        try_join_all(keys.iter().map(|key| self.looked_up(key, cx))).await
    }

    async fn looked_up(&self, key: &AccessKeyMetadata, cx: &Context) -> Result<Known> {
        let id = key
            .access_key_id()
            .ok_or_else(|| Failed::new(LIST, Failure::Unreadable).into_error())?;
        let mut issued = Issued::new(id);
        issued.created = moment(key.create_date());
        issued.enabled = key.status() == Some(&StatusType::Active);
        let mut is_told = false;
        let request = self.client(cx).await?.get_access_key_last_used();
        match call(cx, USED, request.access_key_id(id).send()).await {
            Ok(answer) => {
                let used = answer.access_key_last_used();
                issued.used = moment(used.and_then(|used| used.last_used_date()));
                is_told = used.is_some();
            }
            Err(failed) if failed.kind() == Kind::Denied => {
                tracing::debug!("{USED} is denied: when a key was last used is not known");
            }
            // Gone since the list was made, of which the next list tells.
            Err(failed) if failed.has_code("NoSuchEntity") => {}
            Err(failed) => return Err(self.error(failed)),
        }
        Ok(Known { issued, is_told })
    }

    async fn update(
        &self,
        client: &Client,
        id: &str,
        status: StatusType,
        cx: &Context,
    ) -> Result<(), Failed> {
        let request = client.update_access_key().access_key_id(id).status(status);
        let request = request.set_user_name(self.user.clone());
        call(cx, UPDATE, request.send()).await.map(drop)
    }

    async fn delete(&self, client: &Client, id: &str, cx: &Context) -> Result<(), Failed> {
        let request = client.delete_access_key().access_key_id(id);
        let request = request.set_user_name(self.user.clone());
        call(cx, DELETE, request.send()).await.map(drop)
    }

    /// Whether what comes after a new key will be allowed, asked about a key that nobody has: a
    /// right is checked before the key is looked for.
    async fn check_rights(&self, cx: &Context) -> Result<()> {
        let client = self.client(cx).await?;
        for tried in [
            self.update(&client, NOBODYS, StatusType::Inactive, cx)
                .await,
            self.delete(&client, NOBODYS, cx).await,
        ] {
            match tried {
                Err(failed) if !failed.has_code("NoSuchEntity") => return Err(self.error(failed)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Why there is no room for another key, and which ones nobody would miss.
    fn full(&self, keys: &[Known], current: &str, cx: &Context) -> Error {
        let now = cx.clock().now();
        let unused = keys.iter().filter(|key| key.issued.id != current);
        let unused = unused.filter(|key| !key.issued.enabled || key.was_never_used(now));
        let user = self.user.as_ref();
        let user = user.map_or(String::new(), |user| format!(" --user-name {user}"));
        let removals: Vec<String> = unused
            .map(|key| {
                let (id, enabled) = (&key.issued.id, key.issued.enabled);
                let why = if enabled {
                    "was never used"
                } else {
                    "is disabled"
                };
                format!("{id} {why}: `aws iam delete-access-key{user} --access-key-id {id}`")
            })
            .collect();
        let hint = if removals.is_empty() {
            "none of them is proven unused: find out who uses them, and delete one".to_owned()
        } else {
            removals.join("; ")
        };
        let message = format!(
            "the user has {} access keys, disabled ones included, and can have {LIMIT}",
            keys.len()
        );
        Error::new(Kind::Conflict, message).with_hint(hint)
    }
}

#[async_trait]
impl Target for AccessKeys {
    fn abilities(&self) -> Abilities {
        Abilities::issuing()
            .disabling()
            .limited(LIMIT)
            .settling(SETTLING)
    }

    async fn preflight(&self, current: &Account, _: Option<&str>, cx: &Context) -> Result<()> {
        let keys = self.known(cx).await?;
        if keys.len() >= LIMIT {
            return Err(self.full(&keys, &current.id, cx));
        }
        self.check_rights(cx).await
    }

    async fn probe(&self, account: &Account, cx: &Context) -> Result<Verdict> {
        let secret = account.secret.expose_text().filter(|text| !text.is_empty());
        let (Some(secret), false) = (secret, account.id.is_empty()) else {
            let message = "an access key is an id and a secret, both of them text";
            return Err(Error::new(Kind::Invalid, message));
        };
        let session = self.link.session(cx).await?;
        let request = session.sts_as(&account.id, secret).get_caller_identity();
        match call(cx, CALLER, request.send()).await {
            Ok(_) => Ok(Verdict::Accepted),
            Err(failed) if failed.refuses_key() => Ok(Verdict::Refused),
            // What is wrong is not this provider's login.
            Err(failed) => Err(failed.into_error()),
        }
    }

    async fn issue(&self, _: &str, cx: &Context) -> Result<Account> {
        let request = self.client(cx).await?.create_access_key();
        let request = request.set_user_name(self.user.clone());
        let answer = call(cx, CREATE, request.send()).await;
        let answer = answer.map_err(|failed| {
            if !failed.has_code("LimitExceeded") {
                return self.error(failed);
            }
            let message = "the user has as many access keys as it can have";
            Error::new(Kind::Conflict, message)
                .with_hint("`aws iam list-access-keys` shows them; disabled ones count")
        })?;
        let key = answer.access_key;
        let key = key.ok_or_else(|| Failed::new(CREATE, Failure::Unreadable).into_error())?;
        Ok(Account::new(
            key.access_key_id,
            Secret::from(key.secret_access_key),
        ))
    }

    async fn issued(&self, cx: &Context) -> Result<Vec<Issued>> {
        let known = self.known(cx).await?;
        Ok(known.into_iter().map(|key| key.issued).collect())
    }

    async fn disable(&self, id: &str, cx: &Context) -> Result<()> {
        let client = self.client(cx).await?;
        let done = self.update(&client, id, StatusType::Inactive, cx).await;
        done.map_err(|failed| self.error(failed))
    }

    async fn enable(&self, id: &str, cx: &Context) -> Result<()> {
        let client = self.client(cx).await?;
        let done = self.update(&client, id, StatusType::Active, cx).await;
        done.map_err(|failed| self.error(failed))
    }

    async fn revoke(&self, id: &str, cx: &Context) -> Result<()> {
        let client = self.client(cx).await?;
        match self.delete(&client, id, cx).await {
            Err(failed) if !failed.has_code("NoSuchEntity") => Err(self.error(failed)),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKeys")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
