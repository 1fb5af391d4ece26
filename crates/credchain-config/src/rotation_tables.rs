//! The tables below `[rotation]`.

use credchain_core::{Setting, Shape};

/// `[rotation]`.
pub(crate) const ROTATION: &[Setting] = &[
    Setting::new(
        "timezone",
        Shape::Text,
        "The time zone of dates and schedules, by its IANA name.",
    )
    .or("\"UTC\""),
    Setting::new(
        "policies",
        Shape::Map(&Shape::Table(POLICY)),
        "How old credentials may become, for several at once; `rotate` of a credential comes first.",
    ),
    Setting::new(
        "targets",
        Shape::Map(&Shape::Tagged {
            tag: "type",
            variants: TARGETS,
        }),
        "What accepts a credential, by the credential's name: with it, `resolve rotation run` \
         replaces the value.",
    ),
];

/// `[rotation.policies.NAME]`.
const POLICY: &[Setting] = &[
    Setting::new(
        "match",
        Shape::List(&Shape::Text),
        "The credentials it is for; `*` stands for any characters, `?` for one.",
    )
    .required(),
    Setting::new("every", Shape::Duration, "How old a value may become."),
    Setting::new(
        "schedule",
        Shape::Text,
        "When values are replaced instead, as in crontab: `0 3 1 */3 *`.",
    ),
    Setting::new(
        "jitter",
        Shape::Duration,
        "Over how much time the starts of different credentials are spread. Default: a tenth of \
         the period, six hours at the most.",
    ),
];

const OVERLAP: Setting = Setting::new(
    "overlap",
    Shape::Duration,
    "How long the old value stays valid beside the new one: longer than any program keeps it.",
)
.or("\"1d\"");

const SOAK: Setting = Setting::new(
    "soak",
    Shape::Duration,
    "How long a disabled value can be enabled again before it is revoked.",
)
.or("\"1d\"");

const STORES: Setting = Setting::new(
    "stores",
    Shape::List(&Shape::Text),
    "The links that hold the value; all of them are written. Default: the one that `resolve set` \
     writes to.",
);

const FORMAT: Setting = Setting::new(
    "format",
    Shape::Choice(&["secret", "url", "json"]),
    "What the stored value looks like: the secret alone, a URL with user and password, or a JSON \
     object.",
)
.or("\"secret\"");

const FIELDS: Setting = Setting::new(
    "fields",
    Shape::Table(&[
        Setting::new("account", Shape::Text, "The member that names the account.")
            .or("\"username\""),
        Setting::new("secret", Shape::Text, "The member that is the secret.").or("\"password\""),
    ]),
    "The members of a JSON value.",
);

const USER: Setting = Setting::new(
    "user",
    Shape::Text,
    "The account whose value is replaced, with a moment in which neither works for readers.",
);

const USERS: Setting = Setting::new(
    "users",
    Shape::List(&Shape::Text),
    "Two accounts in turn, so that one always works; the value then names the account.",
);

const LENGTH: Setting = Setting::new(
    "length",
    Shape::Integer { min: 8, max: 4096 },
    "How many characters a new value has.",
)
.or("40");

const ALPHABET: Setting = Setting::new(
    "alphabet",
    Shape::Text,
    "alphanumeric, hex, base64url, digits, symbols, or the characters themselves.",
)
.or("\"alphanumeric\"");

const MUST_CONTAIN: Setting = Setting::new(
    "must_contain",
    Shape::List(&Shape::Text),
    "Sets of characters of which a new value has at least one each, named as for `alphabet`.",
);

const PROVIDER: Setting = Setting::new(
    "provider",
    Shape::Text,
    "The link that it is done with, by its own login.",
)
.required();

const SETTLING: Setting = Setting::new(
    "settling",
    Shape::Duration,
    "How long a change takes, at the most, until it is in effect everywhere.",
)
.or("\"0s\"");

const LIMIT: Setting = Setting::new(
    "limit",
    Shape::Integer { min: 2, max: 1000 },
    "How many keys the issuer allows at once.",
);

/// The types of targets, each with its keys.
pub(crate) const TARGETS: &[(&str, &[Setting])] = &[
    (
        "postgres",
        &[
            Setting::new(
                "url",
                Shape::Text,
                "`postgres://HOST:PORT/DATABASE` without user and password; further hosts, after \
                 commas, are asked as well whether a value works.",
            )
            .required(),
            USER,
            USERS,
            Setting::new(
                "admin",
                Shape::Text,
                "The role that changes passwords. Default: the account itself.",
            ),
            Setting::new(
                "admin_password",
                Shape::Credential,
                "The password of `admin`.",
            ),
            Setting::new(
                "tls",
                Shape::Choice(&["verify", "off"]),
                "Whether connections are encrypted. Default: `verify`, except on this machine.",
            ),
            Setting::new(
                "ca",
                Shape::Path,
                "A file of authorities in PEM that are trusted besides the system's.",
            ),
            Setting::new(
                "end_sessions",
                Shape::Bool,
                "Whether sessions of an account that is disabled or revoked are ended.",
            )
            .or("false"),
            Setting::new(
                "iterations",
                Shape::Integer { min: 4096, max: 100_000 },
                "The iterations of the SCRAM verifier.",
            )
            .or("4096"),
            OVERLAP, SOAK, STORES, FORMAT, FIELDS, LENGTH, ALPHABET, MUST_CONTAIN,
        ],
    ),
    (
        "http",
        &[
            Setting::new("base", Shape::Url, "The address that paths are below.").required(),
            Setting::new(
                "admin",
                Shape::Credential,
                "What stands in the place of `{admin}` in headers.",
            ),
            Setting::new(
                "ca",
                Shape::Path,
                "A file of authorities in PEM that are trusted besides the system's.",
            ),
            Setting::new(
                "allow_http",
                Shape::Bool,
                "Whether an address that is not on this machine may be `http://`.",
            )
            .or("false"),
            Setting::new("timeout", Shape::Duration, "How long one request may take.")
                .or("\"30s\""),
            Setting::new(
                "verify",
                Shape::Table(REQUEST),
                "The request that shows whether a value works.",
            )
            .required(),
            Setting::new("issue", Shape::Table(REQUEST), "The request that makes a key."),
            Setting::new("issued", Shape::Table(REQUEST), "The request that lists keys."),
            Setting::new("apply", Shape::Table(REQUEST), "The request that sets a value."),
            Setting::new("disable", Shape::Table(REQUEST), "The request that disables."),
            Setting::new("enable", Shape::Table(REQUEST), "The request that undoes that."),
            Setting::new("revoke", Shape::Table(REQUEST), "The request that revokes."),
            SETTLING, LIMIT, USER, USERS, OVERLAP, SOAK, STORES, FORMAT, FIELDS, LENGTH, ALPHABET,
            MUST_CONTAIN,
        ],
    ),
    (
        "command",
        &[
            Setting::new(
                "verify",
                PROGRAM,
                "The program that shows whether the value on its standard input works: 0 yes, 1 no, \
                 75 cannot tell.",
            )
            .required(),
            Setting::new(
                "issue",
                PROGRAM,
                "The program that makes a key and prints it, or `{\"id\": …, \"secret\": …}`.",
            ),
            Setting::new("issued", PROGRAM, "The program that lists keys, one JSON object a line."),
            Setting::new("apply", PROGRAM, "The program that sets the value on its standard input."),
            Setting::new("disable", PROGRAM, "The program that disables `{id}`."),
            Setting::new("enable", PROGRAM, "The program that undoes that."),
            Setting::new("revoke", PROGRAM, "The program that revokes `{id}`."),
            Setting::new("timeout", Shape::Duration, "How long a program may take.").or("\"30s\""),
            Setting::new(
                "env",
                Shape::Map(&Shape::Text),
                "Further environment variables of the programs.",
            ),
            SETTLING, LIMIT, USER, USERS, OVERLAP, SOAK, STORES, FORMAT, FIELDS, LENGTH, ALPHABET,
            MUST_CONTAIN,
        ],
    ),
    ("key", &[OVERLAP, STORES, LENGTH, ALPHABET, MUST_CONTAIN]),
    (
        "vault_userpass",
        &[
            PROVIDER,
            Setting::new("mount", Shape::Text, "Where the method is mounted.").or("\"userpass\""),
            Setting::new("user", Shape::Text, "The user whose password is replaced.").required(),
            STORES, FORMAT, FIELDS, LENGTH, ALPHABET, MUST_CONTAIN,
        ],
    ),
    (
        "vault_approle",
        &[
            PROVIDER,
            Setting::new("mount", Shape::Text, "Where the method is mounted.").or("\"approle\""),
            Setting::new("role", Shape::Text, "The role that gets a new secret id.").required(),
            OVERLAP, STORES, FORMAT, FIELDS,
        ],
    ),
    (
        "vault_database",
        &[
            PROVIDER,
            Setting::new("mount", Shape::Text, "Where the engine is mounted.").or("\"database\""),
            Setting::new("role", Shape::Text, "The static role that Vault rotates.").required(),
        ],
    ),
    (
        "aws_iam",
        &[
            PROVIDER,
            Setting::new(
                "user",
                Shape::Text,
                "The user that gets a new access key. Default: the one who asks.",
            ),
            OVERLAP, SOAK, STORES, FORMAT, FIELDS,
        ],
    ),
    (
        "aws_secretsmanager",
        &[
            PROVIDER,
            Setting::new("secret", Shape::Text, "The secret, by name or ARN.").required(),
        ],
    ),
];

/// A program and its arguments.
const PROGRAM: Shape = Shape::List(&Shape::Text);

/// A request of an `http` target.
const REQUEST: &[Setting] = &[
    Setting::new(
        "method",
        Shape::Choice(&["GET", "POST", "PUT", "PATCH", "DELETE"]),
        "The method. Default: GET for `verify` and `issued`, DELETE for `revoke`, else POST.",
    ),
    Setting::new(
        "path",
        Shape::Text,
        "The path below `base`; `{id}` and `{tag}` are filled in.",
    )
    .required(),
    Setting::new(
        "headers",
        Shape::Map(&Shape::Text),
        "Headers; `{secret}`, `{basic}` (id and secret for HTTP's Basic), `{admin}`, `{id}` and `{tag}` are filled in.",
    ),
    Setting::new(
        "body",
        Shape::Text,
        "A body of JSON, with the same places in its texts.",
    ),
    Setting::new(
        "form",
        Shape::Map(&Shape::Text),
        "The fields of a form instead.",
    ),
    Setting::new(
        "accept",
        Shape::List(&Shape::Integer { min: 100, max: 599 }),
        "The statuses that mean yes. Default: 200 to 299.",
    ),
    Setting::new(
        "refuse",
        Shape::List(&Shape::Integer { min: 100, max: 599 }),
        "The statuses that mean that the value is refused.",
    )
    .or("[401, 403]"),
    Setting::new(
        "items",
        Shape::Text,
        "Where the list is in the answer (RFC 6901).",
    ),
    Setting::new("id", Shape::Text, "Where the id is."),
    Setting::new("secret", Shape::Text, "Where the value is."),
    Setting::new(
        "created",
        Shape::Text,
        "Where the date is, in a listed key.",
    ),
    Setting::new(
        "enabled",
        Shape::Text,
        "Where it stands whether it works, in a listed key.",
    ),
    Setting::new("tag", Shape::Text, "Where the tag is, in a listed key."),
];
