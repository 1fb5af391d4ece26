//! Bytes and names come back as they went in.

use credchain_core::{Kind, SetOptions};

use crate::verdict::{ensure, must_fail};
use crate::{Subject, Verdict};

/// Values that careless code changes, each with a label.
pub(super) fn hostile_values() -> Vec<(&'static str, Vec<u8>)> {
    let mut every_byte: Vec<u8> = (0..=255).collect();
    every_byte.extend((0..=255).rev());
    let mut values: Vec<(&'static str, Vec<u8>)> = [
        ("plain text", "s3cret"),
        ("an empty value", ""),
        ("one space", " "),
        ("spaces and tabs around", " \t value \t "),
        ("a newline at the end", "value\n"),
        ("several newlines at the end", "value\n\n\n"),
        ("only a newline", "\n"),
        ("CRLF lines", "one\r\ntwo\r\n"),
        ("a lone CR", "one\rtwo"),
        ("quotes", r#"'single' "double" `back`"#),
        ("half a quote", r"it's "),
        (
            "shell syntax",
            "$HOME ${HOME} $(id) `id` $2a$10$abc; rm -rf ~ | cat & \\",
        ),
        ("backslashes", r"\n \\ \0 C:\path\new"),
        (
            "template syntax",
            "{{ api_key }} {project} %s %(x)s <b>&amp;</b> #x",
        ),
        (
            "something like a setting",
            "KEY=value # comment\n[section]\nother: 1\n--- \n...",
        ),
        ("JSON", r#"{"value": null, "nested": ["\u0000", 1e400]}"#),
        ("percent escapes", "%00%0a%2e%2e%2f+%"),
        ("base64 without padding", "YWJjZA"),
        ("accents, CJK, emoji", "Schlüssel ключ 鍵 👩‍💻🔑 e\u{301}"),
        ("right-to-left text", "\u{202e}مفتاح \u{200f}סוד\u{202c}"),
        ("a byte-order mark", "\u{feff}value"),
        ("terminal escapes", "\u{1b}[31mred\u{1b}[0m\u{7}\u{8}"),
        ("a number", "00012.50"),
        ("a truth", "true"),
        ("null", "null"),
        (
            "a PEM block",
            "-----BEGIN X-----\nAAAA\nBBBB==\n-----END X-----\n",
        ),
    ]
    .into_iter()
    .map(|(label, text)| (label, text.as_bytes().to_vec()))
    .collect();
    values.extend([
        ("one NUL", vec![0]),
        ("NULs around", b"\0value\0".to_vec()),
        (
            "bytes that are not UTF-8",
            vec![0xff, 0xfe, 0x80, 0xc0, b'a', 0xed, 0xa0, 0x80],
        ),
        ("a cut-off character", "aé".as_bytes()[..2].to_vec()),
        ("every byte", every_byte),
        ("64 KiB", b"0123456789abcde\n".repeat(4096)),
        ("1 MiB", b"0123456789abcdef".repeat(65_536)),
    ]);
    values
}

/// Names that careless code changes, cuts or takes for something else, made of the given text.
pub(super) fn hostile_names(unique: &str) -> Vec<String> {
    let wrapped = [
        "plain",
        "with space",
        " space around ",
        "a.b",
        "a-b_c",
        "UPPER",
        "mixedCase",
        "a/b/c",
        "a_b_c",
        "a-b-c",
        "a b",
        "a%20b",
        " space around",
        "a//b",
        "a/./b",
        "100%",
        "%2e%2e%2f",
        "a+b",
        "a=b",
        "a:b",
        "a,b;c",
        "a|b&c",
        "a@b",
        "a#b",
        "a?b",
        "it's",
        "\"quoted\"",
        "`id`",
        "$HOME",
        "$(id)",
        "*",
        "?",
        "[a-z]",
        "{a,b}",
        "a\\b",
        "<tag>",
        "!",
        "schlüssel",
        "ключ",
        "鍵🔑",
        "e\u{301}",
        "\u{202e}rtl",
        "null",
        "con",
    ];
    let mut names: Vec<_> = wrapped
        .iter()
        .map(|name| format!("c{unique}_{name}"))
        .collect();
    names.extend([
        format!("-rf{unique}"),
        format!("--help={unique}"),
        format!("@{unique}"),
        format!("~{unique}"),
        format!(".{unique}"),
        format!("{unique}."),
        unique.to_owned(),
        format!("c{unique}_{}1", "n".repeat(187)),
        format!("c{unique}_{}2", "n".repeat(187)),
    ]);
    names
}

/// Every value comes back byte for byte: empty ones, NUL, bytes that are not text, newlines at
/// the end, 1 MiB. What the provider says it cannot hold is refused with `Invalid`.
pub async fn reads_back_every_byte(subject: &Subject) -> Verdict {
    for (index, (label, value)) in hostile_values().into_iter().enumerate() {
        let place = subject.fresh(&format!("value{index}"));
        if subject.can_hold(&value) {
            subject.plant(&[(place.clone(), value.clone())]).await?;
            subject.reads(label, &place, &value).await?;
        } else if subject.capabilities().write {
            let written = subject.set(&place, &value, &SetOptions::default()).await;
            must_fail(&format!("writing {label}"), &[Kind::Invalid], &written)?;
            let read = subject.get(&place).await;
            must_fail(
                &format!("reading {label} after it was refused"),
                &[Kind::NotFound],
                &read,
            )?;
        }
    }
    Ok(())
}

/// Names with spaces, slashes, `%`, quotes, shell and pattern characters, Unicode, 200 bytes, or a
/// leading `-` are names like any other, and no two of them are the same. What the limits say is
/// refused is refused with `Invalid`.
pub async fn holds_hostile_names(subject: &Subject) -> Verdict {
    let (refused, names): (Vec<_>, Vec<_>) = hostile_names(subject.nonce())
        .into_iter()
        .partition(|name| subject.limits().name_refused(name));
    // A store that nobody has written to yet may be `Absent` as a whole.
    subject.planted("neighbour").await?;
    let mut planted = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let place = subject.place(name);
        let absent = subject.get(&place).await;
        must_fail(
            &format!("reading `{place}` before it is set"),
            &[Kind::NotFound],
            &absent,
        )?;
        let value = subject.value(&format!("name{index}"));
        subject.plant(&[(place.clone(), value.clone())]).await?;
        planted.push((place, value));
    }
    for (place, value) in &planted {
        subject.reads(&format!("`{place}`"), place, value).await?;
    }
    for name in refused {
        let place = subject.place(&name);
        let misses = [Kind::Invalid, Kind::NotFound, Kind::NotApplicable];
        let read = subject.get(&place).await;
        must_fail(
            &format!("reading the refused name `{place}`"),
            &misses,
            &read,
        )?;
        if subject.capabilities().write {
            let written = subject.set(&place, b"value", &SetOptions::default()).await;
            must_fail(
                &format!("writing the refused name `{place}`"),
                &[Kind::Invalid],
                &written,
            )?;
        }
    }
    Ok(())
}

/// `key` and `KEY` are two values, unless the limits say that case does not count.
pub async fn keeps_names_apart_by_case(subject: &Subject) -> Verdict {
    let lower = format!("c{}_case", subject.nonce());
    let upper = lower.to_uppercase();
    if [&lower, &upper]
        .into_iter()
        .any(|name| subject.limits().name_refused(name))
    {
        return Ok(());
    }
    let (lower, upper) = (subject.place(&lower), subject.place(&upper));
    let (one, two) = (subject.value("lower"), subject.value("upper"));
    subject
        .plant(&[(lower.clone(), one.clone()), (upper.clone(), two.clone())])
        .await?;
    if subject.limits().is_case_insensitive() {
        ensure!(
            subject.get(&lower).await.is_ok() && subject.get(&upper).await.is_ok(),
            "where case does not count, either spelling finds the value"
        );
        return Ok(());
    }
    subject.reads("the lower-case name", &lower, &one).await?;
    subject.reads("the upper-case name", &upper, &two).await
}
