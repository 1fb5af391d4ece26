//! Secrets Manager: requests in, typed answers out.

mod history;
mod read;
mod write;

use credchain_core::{Error, Kind};

use crate::address::Address;
use crate::error::Failed;
use crate::session::{Ask, call};

pub(crate) use self::history::{stage, versions};
pub(crate) use self::read::{Batch, get, get_many, list};
pub(crate) use self::write::{delete, set, token_of};

/// The largest value that Secrets Manager holds.
pub(crate) const MAX_VALUE: usize = 64 << 10;

const GET: &str = "secretsmanager:GetSecretValue";
const BATCH: &str = "secretsmanager:BatchGetSecretValue";
const DESCRIBE: &str = "secretsmanager:DescribeSecret";
const LIST: &str = "secretsmanager:ListSecrets";
const CREATE: &str = "secretsmanager:CreateSecret";
const PUT: &str = "secretsmanager:PutSecretValue";
const DELETE: &str = "secretsmanager:DeleteSecret";
const RESTORE: &str = "secretsmanager:RestoreSecret";
const VERSIONS: &str = "secretsmanager:ListSecretVersionIds";
const STAGE: &str = "secretsmanager:UpdateSecretVersionStage";

impl Ask<'_> {
    /// Everything about a secret but its value. It works on one that waits for its deletion too.
    pub(crate) async fn describe(
        &self,
        address: &Address,
    ) -> Result<aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput, Failed>
    {
        let request = self
            .session
            .secrets
            .describe_secret()
            .secret_id(address.as_str());
        call(self.cx, DESCRIBE, request.send()).await
    }

    /// The error to report, after asking what only a second question can tell.
    ///
    /// `InvalidRequestException` covers many things; of a secret that waits for its deletion the
    /// chain should know that it is not there.
    pub(crate) async fn explained(&self, failed: Failed, address: &Address) -> Error {
        if !failed.has_code("InvalidRequestException") {
            return failed.into_error();
        }
        match self.describe(address).await {
            Ok(told) if told.deleted_date().is_some() => awaits_deletion(Kind::NotFound, address),
            _ => failed.into_error().with_hint(format!(
                "if it is waiting for its deletion, allow `{DESCRIBE}` to have that told"
            )),
        }
    }
}

fn awaits_deletion(kind: Kind, address: &Address) -> Error {
    let id = address.as_str();
    Error::new(kind, "the secret is waiting for its deletion").with_hint(format!(
        "`aws secretsmanager restore-secret --secret-id {id}` brings it back"
    ))
}
