//! Works through a queue with a small pool of connections. When the credential is rotated, the pool
//! is opened anew with the next one, and no piece of work fails.

use std::error::Error;
use std::io::Write as _;
use std::time::Duration;

use credchain::{Credchain, Name};
use tokio_postgres::{Client, NoTls};

/// Connections in the pool.
const SIZE: usize = 4;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let credentials = Credchain::open()?;
    let name: Name = "db_url".parse()?;
    let mut url = credentials
        .watch(&name)
        .await?
        .every(Duration::from_millis(200));
    let mut done = 0_u64;
    for generation in 1.. {
        let text = url
            .current()
            .expose_text()
            .ok_or("the URL is no text")?
            .to_owned();
        let pool = open(&text).await?;
        println!("pool {generation} is open after {done} pieces of work");
        std::io::stdout().flush()?;
        // Whichever comes first: the next value, or the end of the work.
        tokio::select! {
            changed = url.changed() => { changed?; }
            ended = work(&pool, &mut done) => {
                ended?;
                println!("{done} pieces of work, 0 failed");
                return Ok(());
            }
        }
    }
    Ok(())
}

/// New connections, each with its own login.
async fn open(url: &str) -> Result<Vec<Client>, tokio_postgres::Error> {
    let mut pool = Vec::with_capacity(SIZE);
    for _ in 0..SIZE {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        pool.push(client);
    }
    Ok(pool)
}

/// Until the table says that there is nothing left to do.
async fn work(pool: &[Client], done: &mut u64) -> Result<(), tokio_postgres::Error> {
    loop {
        for client in pool {
            let row = client.query_one("SELECT open FROM work", &[]).await?;
            if !row.get::<_, bool>(0) {
                return Ok(());
            }
            *done += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
