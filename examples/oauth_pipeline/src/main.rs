//! Asks an API for new items, again and again, longer than any token lives.

use std::error::Error;
use std::time::Duration;

use credchain::Credchain;
use credchain::oauth2::AuthorizationHeader;
use reqwest_middleware::ClientBuilder;
use tokio::time::Instant;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let credentials = Credchain::open()?;
    let api = text(&credentials, "api_url").await?;
    let run_time = Duration::from_secs(text(&credentials, "run_seconds").await?.parse()?);

    // ANCHOR: client
    let source = credentials.token_source(&"crm".parse()?)?.clone();
    let header = AuthorizationHeader::new(source, &api)?;
    let http = ClientBuilder::new(reqwest::Client::new())
        .with(header)
        .build();
    // ANCHOR_END: client

    let (mut calls, mut failed) = (0, 0);
    let end = Instant::now() + run_time;
    while Instant::now() < end {
        // ANCHOR: call
        let answer = http.get(&api).send().await?;
        // ANCHOR_END: call
        calls += 1;
        if !answer.status().is_success() {
            failed += 1;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("{calls} calls, {failed} failed");
    Ok(())
}

async fn text(credentials: &Credchain, name: &str) -> Result<String, Box<dyn Error>> {
    let value = credentials.get(name).await?;
    Ok(value.expose_text().ok_or("it is no text")?.to_owned())
}
