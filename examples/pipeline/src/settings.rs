//! All that the pipeline has to be told.

use credchain::{Credentials, SecretText};

// ANCHOR: settings
/// Resolved in one batch; each value through the chain that `credchain.toml` declares.
#[derive(Credentials)]
pub(crate) struct Settings {
    /// key of the orders API
    pub(crate) api_key: SecretText,
    /// password of the database role
    pub(crate) db_password: SecretText,
    /// password of the mail account
    pub(crate) mail_password: SecretText,
    #[credential(secret = false)]
    pub(crate) api_url: String,
    #[credential(secret = false)]
    pub(crate) db_url: String,
    #[credential(secret = false)]
    pub(crate) mail_url: String,
}
// ANCHOR_END: settings
