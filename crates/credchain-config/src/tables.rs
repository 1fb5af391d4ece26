//! Every table and key that a configuration may have, as data: the checker, the JSON schema and
//! the reference page are made from it.

use credchain_core::{Registry, Setting, Shape};

pub(crate) use crate::rotation_tables::{ROTATION, TARGETS};

/// One table at the root of the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root {
    pub(crate) key: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) form: Form,
}

/// What a root table looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// These keys.
    Keys(&'static [Setting]),
    /// A table for each name, with these keys.
    Named(&'static [Setting]),
    /// Named chains, and `write`.
    Chains,
    /// A table for each link; its keys depend on the provider's type.
    Providers,
    /// A table for each profile, which mirrors the root.
    Profiles,
}

/// The root of a configuration.
pub(crate) const ROOT: &[Root] = &[
    Root {
        key: "project",
        doc: "The project itself.",
        form: Form::Keys(PROJECT),
    },
    Root {
        key: "chain",
        doc: "Named chains: which links are asked, in which order.",
        form: Form::Chains,
    },
    Root {
        key: "providers",
        doc: "The links that chains name, one table each.",
        form: Form::Providers,
    },
    Root {
        key: "credentials",
        doc: "The declared credentials, one table each.",
        form: Form::Named(CREDENTIAL),
    },
    Root {
        key: "oauth2",
        doc: "Access tokens that are fetched and refreshed; each is a declared credential.",
        form: Form::Named(OAUTH2),
    },
    Root {
        key: "redaction",
        doc: "What is masked in the output of programs.",
        form: Form::Keys(REDACTION),
    },
    Root {
        key: "rotation",
        doc: "How old credentials may become, and how they are replaced.",
        form: Form::Keys(ROTATION),
    },
    Root {
        key: "audit",
        doc: "The access log; without the table there is none.",
        form: Form::Keys(AUDIT),
    },
    Root {
        key: "profiles",
        doc: "Changes to all of this for one profile; mirrors the root.",
        form: Form::Profiles,
    },
];

/// `[project]`.
pub(crate) const PROJECT: &[Setting] = &[Setting::new(
    "name",
    Shape::Text,
    "The project's name, part of every conventional address. Default: the directory's name.",
)];

/// What `[chain]` holds besides the chains.
pub(crate) const CHAIN_WRITE: Setting = Setting::new(
    "write",
    Shape::Text,
    "The link that `resolve set` writes to.",
);

/// `[credentials.NAME]`.
pub(crate) const CREDENTIAL: &[Setting] = &[
    Setting::new(
        "description",
        Shape::Text,
        "What it is for; shown when it is missing.",
    ),
    Setting::new(
        "chain",
        Shape::AnyOf(&[Shape::List(&Shape::Text), Shape::Text]),
        "The links to ask, or the name of a chain. Default: the chain `default`.",
    ),
    Setting::new(
        "at",
        Shape::Map(&Shape::AnyOf(&[Shape::Text, Shape::Bool])),
        "Where a link keeps it, `PATH[#FIELD][?version=V]`; `false` skips the link.",
    ),
    Setting::new(
        "env",
        Shape::Text,
        "The environment variable it is read from and injected as. Default: the name in capitals.",
    ),
    Setting::new(
        "template",
        Shape::Text,
        "A text made from other credentials, with `{{ NAME | FILTER }}`; no link is asked.",
    ),
    Setting::new(
        "default",
        Shape::Text,
        "The value when every link answered that it has none.",
    ),
    Setting::new(
        "secret",
        Shape::Bool,
        "Whether the value is to be kept secret.",
    )
    .or("true"),
    Setting::new(
        "allow_empty",
        Shape::Bool,
        "Whether an empty value counts as a value.",
    )
    .or("false"),
    Setting::new(
        "as_file",
        Shape::Bool,
        "Whether programs get the path of a private file that holds the value.",
    )
    .or("false"),
    Setting::new("rotate", Shape::Duration, "How old the value may become."),
    Setting::new(
        "mask",
        Shape::Bool,
        "Whether it is masked in output. Default: unless it is short or an everyday word.",
    ),
    Setting::new(
        "inject",
        Shape::Bool,
        "Whether programs get it as an environment variable.",
    )
    .or("true"),
];

/// `[oauth2.NAME]`.
pub(crate) const OAUTH2: &[Setting] = &[
    Setting::new(
        "description",
        Shape::Text,
        "What it is for; shown when it is missing.",
    ),
    Setting::new(
        "grant",
        Shape::Choice(&[
            "client_credentials",
            "refresh_token",
            "device_code",
            "authorization_code",
            "jwt_bearer",
        ]),
        "What entitles to a token: the client itself, a refresh token, a person who logs in with \
         `resolve login NAME`, on another device or in a browser, or what the client signs with \
         `private_key` (RFC 7523).",
    )
    .or("\"client_credentials\""),
    Setting::new(
        "token_url",
        Shape::Url,
        "Where tokens are requested. This or `issuer` is needed.",
    ),
    Setting::new(
        "issuer",
        Shape::Url,
        "The server that is asked for the addresses which are not set (RFC 8414, OpenID Connect).",
    ),
    Setting::new(
        "device_url",
        Shape::Url,
        "Where a login on another device begins.",
    ),
    Setting::new(
        "authorization_url",
        Shape::Url,
        "Where a browser is sent to log in.",
    ),
    Setting::new(
        "revocation_url",
        Shape::Url,
        "Where `resolve logout NAME` revokes tokens.",
    ),
    Setting::new("client_id", Shape::Text, "The client's public name.").required(),
    Setting::new("client_secret", Shape::Credential, "The client's secret."),
    Setting::new(
        "authentication",
        Shape::Choice(&["basic", "basic_raw", "post", "private_key_jwt", "none"]),
        "How the client says who it is: by its secret in a header, encoded as RFC 6749 says or as \
         it is, or in the body; by what it signs with `private_key`; or not at all. Default: \
         `basic` with a `client_secret`, `private_key_jwt` with a `private_key`, otherwise `none`; \
         a `private_key` that `jwt_bearer` is there for counts when it is named only.",
    ),
    Setting::new(
        "private_key",
        Shape::Credential,
        "The key in PEM that assertions are signed with: RSA, P-256 or Ed25519.",
    ),
    Setting::new(
        "key_id",
        Shape::Text,
        "The key's name at the server, the `kid` of assertions.",
    ),
    Setting::new(
        "assertion_audience",
        Shape::Text,
        "The `aud` of assertions. Default: `issuer`, without one `token_url`.",
    ),
    Setting::new(
        "assertion_issuer",
        Shape::Text,
        "The `iss` of the assertion of `jwt_bearer`. Default: `client_id`.",
    ),
    Setting::new(
        "subject",
        Shape::Text,
        "The `sub` of the assertion of `jwt_bearer`: whom the token is for. Default: `client_id`.",
    ),
    Setting::new(
        "refresh_token",
        Shape::Credential,
        "The refresh token of `grant = \"refresh_token\"`. Where the server replaces it with each \
         use, the store of tokens has the current one.",
    ),
    Setting::new(
        "scopes",
        Shape::List(&Shape::Text),
        "What the token may do.",
    ),
    Setting::new(
        "require_scopes",
        Shape::Bool,
        "Whether a token that may do less than `scopes` is an error, not a warning.",
    )
    .or("false"),
    Setting::new(
        "audience",
        Shape::Text,
        "Whom the token is for, as several vendors have it.",
    ),
    Setting::new(
        "resources",
        Shape::List(&Shape::Url),
        "What the token is for (RFC 8707).",
    ),
    Setting::new(
        "parameters",
        Shape::Map(&Shape::Text),
        "Further parameters of each request for a token.",
    ),
    Setting::new(
        "reuse",
        Shape::AnyOf(&[Shape::Choice(&["observed", "accept"]), Shape::Duration]),
        "Whether a refresh token is sent again when it was sent and the answer was lost: where the \
         server was seen to leave it as it is, always, or for as long as the server is known to \
         bear it. Otherwise somebody has to log in.",
    )
    .or("\"observed\""),
    Setting::new(
        "advisory",
        Shape::Duration,
        "How long before its end a token is replaced without anybody waiting for it. For programs \
         that run on; `resolve` never does that.",
    ),
    Setting::new(
        "redirect_port",
        Shape::Integer { min: 1, max: 65535 },
        "The port of this machine that the browser comes back to. Default: any free one.",
    ),
    Setting::new(
        "store",
        Shape::AnyOf(&[
            Shape::Choice(&["file", "memory"]),
            Shape::Table(TOKEN_STORE),
        ]),
        "Where tokens are kept: in files of this user, nowhere, or at a provider.",
    )
    .or("\"file\""),
    Setting::new(
        "ca",
        Shape::Path,
        "A file of authorities in PEM that are trusted besides the system's.",
    ),
    Setting::new(
        "allow_http",
        Shape::Bool,
        "Whether addresses that are not on this machine may be `http://`.",
    )
    .or("false"),
    Setting::new(
        "inject",
        Shape::Bool,
        "Whether programs get the token as the environment variable `NAME_TOKEN`.",
    )
    .or("false"),
];

/// `[oauth2.NAME] store`.
const TOKEN_STORE: &[Setting] = &[
    Setting::new(
        "provider",
        Shape::Text,
        "The link that keeps tokens: `vault` with version 2 of its key-value store for several \
         machines, `keyring` for this user. Default: files of this user.",
    ),
    Setting::new(
        "path",
        Shape::Text,
        "Where the link keeps them, relative to its mount.",
    )
    .or("\"credchain-oauth2\""),
    Setting::new(
        "key",
        Shape::Credential,
        "What tokens are encrypted with: at least 16 bytes, the same on all machines. Default: a \
         random key in a file beside the tokens.",
    ),
];

/// `[redaction]`.
pub(crate) const REDACTION: &[Setting] = &[
    Setting::new(
        "patterns",
        Shape::AnyOf(&[Shape::Bool, Shape::List(&Shape::Text)]),
        "Whether well-known token formats are masked, or the names of the rules to use.",
    )
    .or("true"),
    Setting::new(
        "rules",
        Shape::List(&Shape::Table(&[
            Setting::new("name", Shape::Text, "The rule's name.").required(),
            Setting::new("pattern", Shape::Text, "The regular expression to mask.").required(),
        ])),
        "Rules of your own.",
    ),
    Setting::new(
        "min_length",
        Shape::Integer { min: 1, max: 1024 },
        "Shorter or everyday values are not masked unless `mask = true`.",
    )
    .or("4"),
    Setting::new(
        "replace",
        Shape::Choice(&["stars", "name", "fingerprint"]),
        "What stands in the place of a value.",
    )
    .or("\"stars\""),
];

/// `[audit]`.
pub(crate) const AUDIT: &[Setting] = &[
    Setting::new(
        "on_failure",
        Shape::Choice(&["continue", "stop"]),
        "What a read does when the log cannot be written; writes, rotation and `export` always stop.",
    )
    .or("\"continue\""),
    Setting::new(
        "path",
        Shape::Path,
        "The directory of the log. Default: one of this project in the user's state directory.",
    ),
    Setting::new(
        "anchor",
        Shape::Path,
        "The file, somewhere else, that holds the newest record's number: what makes it evident \
         that the end of the log was cut off. Default: one in the user's configuration directory.",
    ),
    Setting::new(
        "durable",
        Shape::Bool,
        "Whether every read waits until its record is on the disk. Otherwise a crash of the \
         machine may lose the reads of the last tenth of a second.",
    )
    .or("false"),
    Setting::new(
        "fingerprint",
        Shape::Bool,
        "Whether a record holds a keyed fingerprint of the value.",
    )
    .or("false"),
    Setting::new(
        "max_size",
        Shape::Size,
        "How large one file of the log becomes.",
    )
    .or("\"16MiB\""),
    Setting::new(
        "keep",
        Shape::Integer { min: 1, max: 100_000 },
        "How many files of the log are kept. Default: all.",
    ),
];

/// The key of every `[providers.NAME]` that decides about the others.
pub(crate) const TYPE: Setting = Setting::new(
    "type",
    Shape::Text,
    "The provider's type. Default: the table's name.",
);

/// The keys that every `[providers.NAME]` may have.
pub(crate) const COMMON: &[Setting] = credchain_core::layers::COMMON_SETTINGS;

/// Whether a key is one that every provider has.
pub(crate) fn is_common(key: &str) -> bool {
    COMMON.iter().any(|setting| setting.key == key)
}

/// Provider types that exist, whether or not this build has them, with the build that does.
pub(crate) const KNOWN_TYPES: &[&str] = &[
    "env", "dotenv", "file", "age", "keyring", "vault", "aws", "gcp", "azure", "command",
];

/// Whether a provider of this type exists anywhere.
pub(crate) fn is_known_type(type_name: &str, registry: &Registry) -> bool {
    registry.get(type_name).is_some() || KNOWN_TYPES.contains(&type_name)
}

/// All provider types there are, those of this build first.
pub(crate) fn all_types(registry: &Registry) -> Vec<&'static str> {
    let mut types: Vec<&'static str> = registry.iter().map(|one| one.type_name).collect();
    let others: Vec<_> = KNOWN_TYPES
        .iter()
        .filter(|name| !types.contains(name))
        .collect();
    types.extend(others);
    types
}
