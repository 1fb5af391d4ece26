//! SSM Parameter Store: requests in, typed answers out.

mod history;
mod read;
mod write;

pub(crate) use self::history::{stage, versions};
pub(crate) use self::read::{get, get_many, list};
pub(crate) use self::write::{delete, set};

const GET: &str = "ssm:GetParameter";
const BATCH: &str = "ssm:GetParameters";
const LIST: &str = "ssm:DescribeParameters";
const PUT: &str = "ssm:PutParameter";
const DELETE: &str = "ssm:DeleteParameter";
const VERSIONS: &str = "ssm:GetParameterHistory";
const LABEL: &str = "ssm:LabelParameterVersion";
