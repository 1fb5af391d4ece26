//! Where the orders go.

use std::error::Error;
use std::fs::File;
use std::io::Write as _;

use credchain::SecretText;
use postgres::{Client, Config, NoTls};

use crate::api::Order;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS orders
    (id bigint PRIMARY KEY, customer text NOT NULL, cents bigint NOT NULL)";

const UPSERT: &str = "INSERT INTO orders (id, customer, cents) VALUES ($1, $2, $3)
    ON CONFLICT (id) DO UPDATE SET customer = excluded.customer, cents = excluded.cents";

/// Stores the orders in a database (`postgres://…`), or in a CSV file (`file:…`) for a first try
/// without a server.
pub(crate) fn store(
    url: &str,
    password: &SecretText,
    orders: &[Order],
) -> Result<(), Box<dyn Error>> {
    if let Some(path) = url.strip_prefix("file:") {
        return store_in_file(path, orders);
    }
    let mut config: Config = url.parse()?;
    // Beside the URL, not in it: a URL ends up in logs.
    config.password(password.expose());
    let mut client = config.connect(NoTls)?;
    let mut transaction = client.transaction()?;
    transaction.batch_execute(TABLE)?;
    for order in orders {
        transaction.execute(UPSERT, &[&order.id, &order.customer, &order.cents])?;
    }
    transaction.commit()?;
    Client::close(client)?;
    Ok(())
}

fn store_in_file(path: &str, orders: &[Order]) -> Result<(), Box<dyn Error>> {
    let mut file = File::create(path)?;
    writeln!(file, "id,customer,cents")?;
    for Order {
        id,
        customer,
        cents,
    } in orders
    {
        writeln!(file, "{id},\"{}\",{cents}", customer.replace('"', "\"\""))?;
    }
    Ok(file.sync_all()?)
}
