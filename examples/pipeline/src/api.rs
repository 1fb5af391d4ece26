//! The API that the orders come from.

use std::error::Error;
use std::time::Duration;

use credchain::SecretText;
use serde::Deserialize;

/// One order.
#[derive(Debug, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: i64,
    pub(crate) customer: String,
    pub(crate) cents: i64,
}

/// Fetches every order.
pub(crate) fn fetch(url: &str, key: &SecretText) -> Result<Vec<Order>, Box<dyn Error>> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into();
    let authorization = format!("Bearer {}", key.expose());
    let mut response = agent
        .get(format!("{url}/v1/orders"))
        .header("authorization", authorization)
        .call()
        .map_err(|error| format!("the orders API: {error}"))?;
    Ok(serde_json::from_reader(response.body_mut().as_reader())?)
}
