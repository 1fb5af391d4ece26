//! The keys of `[providers.NAME]` with `type = "command"`, as data.

use credchain_core::{Capabilities, Setting, Shape};

use crate::recipe::NAMES;

/// The most that this type can do.
pub(crate) const CAPABILITIES: Capabilities = Capabilities::read_only()
    .writable()
    .deletable()
    .listable()
    .versioned()
    .compare_and_set()
    .batched();

/// What a plugin can declare.
const DECLARABLE: [&str; 6] = [
    "set",
    "delete",
    "list",
    "versions",
    "compare_and_set",
    "encrypted",
];

/// How the output of a tool of the user's own can be read.
pub(crate) const OUTPUTS: [&str; 6] = [
    "exact",
    "trimmed",
    "first_line",
    "json",
    "key_value",
    "pass",
];

const KINDS: [&str; 14] = [
    "ok",
    "not_found",
    "not_applicable",
    "absent",
    "unavailable",
    "throttled",
    "denied",
    "unauthenticated",
    "misconfigured",
    "invalid",
    "untrusted",
    "unsupported",
    "conflict",
    "internal",
];

/// Every key.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting::new(
        "program",
        Shape::Program,
        "The program to run: a plugin, unless `get` or `preset` says how to ask it.",
    ),
    Setting::new(
        "args",
        Shape::List(&Shape::Text),
        "Arguments that always come first.",
    ),
    Setting::new(
        "env",
        Shape::Map(&Shape::AnyOf(&[Shape::Text, Shape::Credential])),
        "Environment variables for the program, besides the caller's.",
    ),
    Setting::new(
        "path",
        Shape::Text,
        "Where a credential is by convention; `{name}`, `{project}` and `{profile}` are replaced.",
    )
    .or("\"{name}\""),
    Setting::new(
        "capabilities",
        Shape::List(&Shape::Choice(&DECLARABLE)),
        "What the plugin offers besides reading.",
    )
    .or("[]"),
    Setting::new(
        "startup_timeout",
        Shape::Duration,
        "How long a plugin may take to say hello.",
    )
    .or("\"10s\""),
    Setting::new(
        "request_timeout",
        Shape::Duration,
        "How long one request, or one run of a tool, may take.",
    )
    .or("\"30s\""),
    Setting::new("max_response", Shape::Size, "The longest accepted answer.").or("\"32MiB\""),
    Setting::new(
        "concurrency",
        Shape::Integer { min: 1, max: 1024 },
        "How many requests or runs may be under way at once.",
    )
    .or("8"),
    Setting::new(
        "preset",
        Shape::Choice(&NAMES),
        "A known tool, used as its own documentation says.",
    ),
    Setting::new(
        "get",
        Shape::List(&Shape::Text),
        "Arguments that make the program print a value; `{path}`, `{field}`, `{version}`, `{project}` and `{profile}` are replaced.",
    ),
    Setting::new(
        "set",
        Shape::List(&Shape::Text),
        "Arguments that make the program store what it reads from stdin.",
    ),
    Setting::new(
        "delete",
        Shape::List(&Shape::Text),
        "Arguments that make the program remove a value.",
    ),
    Setting::new(
        "list",
        Shape::List(&Shape::Text),
        "Arguments that make the program print the paths it has, one a line.",
    ),
    Setting::new(
        "output",
        Shape::Choice(&OUTPUTS),
        "How the output of `get` is read.",
    )
    .or("\"trimmed\""),
    Setting::new(
        "rules",
        Shape::List(&Shape::Table(RULE)),
        "What the program's exits mean; the first that fits decides, otherwise any failure is an outage.",
    ),
];

const RULE: &[Setting] = &[
    Setting::new(
        "exit",
        Shape::Integer { min: 0, max: 255 },
        "The exit code.",
    ),
    Setting::new(
        "stderr",
        Shape::Text,
        "A whole line of stderr, with `*` for anything.",
    ),
    Setting::new(
        "stdout",
        Shape::Text,
        "A whole line of stdout, with `*` for anything.",
    ),
    Setting::new("kind", Shape::Choice(&KINDS), "The kind of error, or `ok`.").required(),
];
