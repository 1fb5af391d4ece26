//! `#[derive(Credentials)]`, as a program uses it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::IpAddr;

use credchain::{
    Credentials, Error, Kind, LoadError, Resolution, Resolved, Secret, SecretText, Trace,
};

/// Everything at once.
#[derive(credchain_derive::Credentials)]
struct Pipeline {
    /// Billing API.
    ///
    /// Longer text is for readers of the code.
    api_key: SecretText,
    #[credential(name = "report-signing.key", description = "signs reports")]
    signing_key: Option<Secret>,
    #[credential(nested, prefix = "smtp_")]
    smtp: Smtp,
    #[credential(nested)]
    database: Database,
    /// The field's name is a keyword.
    r#type: Option<u8>,
}

#[derive(credchain_derive::Credentials)]
struct Smtp {
    password: Secret,
    #[credential(secret = false)]
    host: String,
    #[credential(secret = false, default = 587)]
    port: u16,
    #[credential(secret = false, default = true)]
    tls: bool,
}

#[derive(credchain_derive::Credentials)]
#[credentials(prefix = "db_", crate = ::credchain)]
struct Database {
    password: SecretText,
    #[credential(secret = false, default = "127.0.0.1")]
    address: IpAddr,
    #[credential(allow_empty)]
    options: Option<SecretText>,
    #[credential(secret = false, default = -1.5)]
    weight: f64,
}

fn resolved(values: &[(&str, Result<&[u8], Kind>)]) -> Resolved {
    let mut resolved = Resolved::new();
    for (name, value) in values {
        let result = match value {
            Ok(bytes) => Ok(Secret::new(*bytes)),
            Err(kind) => Err(Error::new(*kind, "as the test asked")),
        };
        let resolution = Resolution {
            result,
            trace: Trace::default(),
        };
        resolved.insert(name.parse().unwrap(), resolution);
    }
    resolved
}

fn load<T: Credentials>(values: &[(&str, Result<&[u8], Kind>)]) -> Result<T, LoadError> {
    T::from_resolved(&mut resolved(values))
}

const ENOUGH: [(&str, Result<&[u8], Kind>); 4] = [
    ("api_key", Ok(b"canary-key")),
    ("smtp_password", Ok(b"\xff\0canary")),
    ("smtp_host", Ok(b"mail.example.com")),
    ("db_password", Ok(b"canary-db")),
];

fn with(
    more: &[(&'static str, Result<&'static [u8], Kind>)],
) -> Vec<(&'static str, Result<&'static [u8], Kind>)> {
    ENOUGH.iter().chain(more).copied().collect()
}

#[test]
fn every_field_gets_its_value_or_its_default() {
    let pipeline: Pipeline = load(&with(&[("type", Ok(b"7"))])).unwrap();
    assert_eq!(pipeline.api_key.expose(), "canary-key");
    assert!(pipeline.signing_key.is_none());
    assert_eq!(pipeline.smtp.password.expose(), b"\xff\0canary");
    assert_eq!(pipeline.smtp.host, "mail.example.com");
    assert_eq!((pipeline.smtp.port, pipeline.smtp.tls), (587, true));
    assert_eq!(pipeline.database.password.expose(), "canary-db");
    assert_eq!(pipeline.database.address, IpAddr::from([127, 0, 0, 1]));
    assert!(pipeline.database.options.is_none());
    assert!((pipeline.database.weight - -1.5).abs() < f64::EPSILON);
    assert_eq!(pipeline.r#type, Some(7));
}

#[test]
fn fields_tell_full_names_and_what_they_are_for() {
    let fields = Pipeline::fields();
    let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
    let expected = [
        "api_key",
        "report-signing.key",
        "smtp_password",
        "smtp_host",
        "smtp_port",
        "smtp_tls",
        "db_password",
        "db_address",
        "db_options",
        "db_weight",
        "type",
    ];
    assert_eq!(names, expected);
    assert_eq!(fields[0].description, Some("Billing API"));
    assert_eq!(fields[1].description, Some("signs reports"));
    assert!(fields[0].required() && fields[0].secret);
    assert!(!fields[1].required() && fields[1].optional);
    assert_eq!(fields[4].default, Some("587"));
    assert!(!fields[4].secret && !fields[4].required());
}

#[test]
fn the_error_lists_every_field_and_how_to_supply_it() {
    let error = load::<Pipeline>(&[
        ("api_key", Err(Kind::NotFound)),
        ("report-signing.key", Err(Kind::Denied)),
        ("smtp_password", Ok(b"x")),
        ("smtp_host", Ok(b"\xff")),
        ("smtp_port", Ok(b"canary")),
        ("db_password", Ok(b"")),
        ("type", Ok(b"canary\n")),
    ])
    .unwrap_err();
    let expected = "\
6 credentials are missing or unusable
  missing credential `api_key` (Billing API): set API_KEY, or run `resolve set api_key`
  denied: `report-signing.key`: as the test asked
  invalid credential `smtp_host`: the value is not UTF-8 text (hint: `resolve explain smtp_host` shows where the value comes from)
  invalid credential `smtp_port`: the value is not a valid `u16` (hint: `resolve explain smtp_port` shows where the value comes from)
  missing credential `db_password`, set but empty: set DB_PASSWORD, or run `resolve set db_password`
  invalid credential `type`: the value is not a valid `u8`: it ends with a newline (hint: `resolve explain type` shows where the value comes from)";
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.kind(), Kind::Invalid);
    assert_eq!(error.problems().len(), 6);
    assert!(!format!("{error:?}").contains("canary"));
}

#[test]
fn only_a_miss_makes_an_option_none_or_takes_a_default() {
    let kinds = [
        Kind::Denied,
        Kind::Unavailable,
        Kind::Unauthenticated,
        Kind::Misconfigured,
    ];
    for kind in kinds {
        for name in ["report-signing.key", "smtp_port"] {
            let error = load::<Pipeline>(&with(&[(name, Err(kind))])).unwrap_err();
            assert_eq!((error.kind(), error.problems().len()), (kind, 1), "{name}");
        }
    }
    for kind in [Kind::NotFound, Kind::NotApplicable, Kind::Absent] {
        let values = with(&[("report-signing.key", Err(kind)), ("smtp_port", Err(kind))]);
        let pipeline: Pipeline = load(&values).unwrap();
        assert!(pipeline.signing_key.is_none() && pipeline.smtp.port == 587);
    }
}

#[test]
fn an_empty_secret_is_missing_unless_it_may_be_empty() {
    let values = with(&[
        ("report-signing.key", Ok(b"")),
        ("db_options", Ok(b"")),
        ("smtp_host", Ok(b"")),
    ]);
    let pipeline: Pipeline = load(&values).unwrap();
    assert!(pipeline.signing_key.is_none());
    assert_eq!(pipeline.database.options.unwrap().expose(), "");
    assert_eq!(pipeline.smtp.host, "");
}

#[test]
fn debug_masks_every_secret_and_shows_the_rest() {
    let values = with(&[("report-signing.key", Ok(b"canary")), ("type", Ok(b"42"))]);
    let shown = format!("{:?}", load::<Pipeline>(&values).unwrap());
    assert_eq!(
        shown,
        "Pipeline { api_key: ***, signing_key: Some(***), \
         smtp: Smtp { password: ***, host: \"mail.example.com\", port: 587, tls: true }, \
         database: Database { password: ***, address: 127.0.0.1, options: None, weight: -1.5 }, \
         type: Some(***) }"
    );
}
