//! All that the example pipelines talk to.

use super::{HttpApi, Postgres, Smtp, fresh_secret};

/// The API, the database and the mail server of the example pipelines, each with a credential
/// that nothing else has.
#[derive(Debug)]
pub struct Orders {
    api: HttpApi,
    postgres: Postgres,
    smtp: Smtp,
    db_password: String,
}

impl Orders {
    /// Starts all three and makes the database `orders` of the role `etl`.
    pub fn start() -> Self {
        let (api, postgres, smtp) = (HttpApi::start(), Postgres::start(), Smtp::start());
        let db_password = fresh_secret("etl");
        postgres.sql(&format!("CREATE ROLE etl LOGIN PASSWORD '{db_password}'"));
        postgres.sql("CREATE DATABASE orders OWNER etl");
        Self {
            api,
            postgres,
            smtp,
            db_password,
        }
    }

    /// The environment names and values that are secret.
    pub fn secrets(&self) -> [(&'static str, &str); 3] {
        [
            ("API_KEY", self.api.key()),
            ("DB_PASSWORD", &self.db_password),
            ("MAIL_PASSWORD", self.smtp.password()),
        ]
    }

    /// The environment names and values that tell where everything is.
    pub fn places(&self) -> [(&'static str, String); 3] {
        let (postgres, smtp) = (&self.postgres, &self.smtp);
        let db = format!(
            "postgres://etl@{}:{}/orders",
            postgres.host(),
            postgres.port()
        );
        let mail = format!("smtp://{}@{}:{}", smtp.user(), smtp.host(), smtp.port());
        [
            ("API_URL", self.api.url()),
            ("DB_URL", db),
            ("MAIL_URL", mail),
        ]
    }

    /// The API.
    pub fn api(&self) -> &HttpApi {
        &self.api
    }

    /// The rows that a pipeline has stored, one a line; nothing if it made no table.
    pub fn rows(&self) -> String {
        let sql = "SELECT id, customer, cents FROM orders ORDER BY id";
        let exists = self
            .postgres
            .sql_in("orders", "SELECT to_regclass('orders') IS NOT NULL");
        if exists == "t" {
            self.postgres.sql_in("orders", sql)
        } else {
            String::new()
        }
    }

    /// The reports that a pipeline has sent.
    pub fn reports(&self) -> Vec<String> {
        self.smtp.messages()
    }

    /// What [`Orders::rows`] tells after a pipeline has run.
    pub const ROWS: &str = "1|Ada|1250\n2|Grace|9900\n3|Edsger|4275";
}
