//! Each form is decoded by somebody else's code.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::Forms;

const VALUES: [&str; 6] = [
    "correct horse battery",
    "p%40ss/w+rd&x=1?#~*!'()",
    "quo\"te 'n' back\\slash <tag> $HOME `id`",
    "tab\tand\u{7f}bell\u{7}!",
    "naïve–Schlüssel 🔑 pass",
    "0123456789abcdef\u{0}end",
];

fn contains(value: &[u8], form: &[u8]) -> bool {
    let forms = Forms::of(value, |_| true);
    forms
        .spans()
        .iter()
        .any(|span| &forms.bytes()[span.start..][..span.len as usize] == form)
}

fn all(value: &[u8]) -> Vec<Vec<u8>> {
    let forms = Forms::of(value, |_| true);
    let text = |span: &super::Form| forms.bytes()[span.start..][..span.len as usize].to_vec();
    forms.spans().iter().map(text).collect()
}

#[test]
fn base64_at_every_place_of_a_group_has_a_form_inside() {
    for value in VALUES {
        for before in ["", "u", "us", "use", "user:"] {
            for after in ["", "x", "xy", "xyz"] {
                let plain = format!("{before}{value}{after}");
                for encoded in [STANDARD.encode(&plain), URL_SAFE.encode(&plain)] {
                    let forms = all(value.as_bytes());
                    let inside = |form: &Vec<u8>| {
                        let padding = encoded.len() - encoded.trim_end_matches('=').len();
                        // All but the letters that the neighbours have a part in.
                        form.len() + 4 + padding + 4 * (before.len() + after.len()).div_ceil(3)
                            >= encoded.len()
                            && memchr::memmem::find(encoded.as_bytes(), form).is_some()
                    };
                    assert!(forms.iter().any(inside), "{encoded}");
                }
            }
        }
    }
}

#[test]
fn hexadecimal_decimal_and_utf_16_have_their_forms() {
    for value in VALUES {
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(contains(value.as_bytes(), hex.as_bytes()));
        assert!(contains(value.as_bytes(), hex.to_uppercase().as_bytes()));
        let debug = format!("{:?}", value.as_bytes());
        assert!(contains(
            value.as_bytes(),
            debug.trim_matches(['[', ']']).as_bytes()
        ));
        let json = serde_json::to_string(value.as_bytes()).unwrap();
        assert!(contains(
            value.as_bytes(),
            json.trim_matches(['[', ']']).as_bytes()
        ));
        let little: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = value.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert!(contains(value.as_bytes(), &little) && contains(value.as_bytes(), &big));
    }
    assert!(contains(b"deadbeef01", b"DEADBEEF01"));
}

#[test]
fn json_and_rust_literals_have_their_forms() {
    for value in VALUES {
        let within = |literal: &str| literal[1..literal.len() - 1].to_owned();
        let json = within(&serde_json::to_string(value).unwrap());
        assert!(contains(value.as_bytes(), json.as_bytes()), "{json}");
        let debug = within(&format!("{value:?}"));
        assert!(contains(value.as_bytes(), debug.as_bytes()), "{debug}");
        let default = value.escape_default().to_string();
        assert!(contains(value.as_bytes(), default.as_bytes()), "{default}");
        let ascii = value.as_bytes().escape_ascii().to_string();
        assert!(contains(value.as_bytes(), ascii.as_bytes()), "{ascii}");
    }
}

#[test]
fn percent_encoding_has_its_forms() {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'!')
        .remove(b'~')
        .remove(b'*')
        .remove(b'\'')
        .remove(b'(')
        .remove(b')');
    const PATH: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b'/');
    for value in VALUES {
        for set in [COMPONENT, PATH] {
            let encoded = utf8_percent_encode(value, set).to_string();
            assert!(contains(value.as_bytes(), encoded.as_bytes()), "{encoded}");
        }
    }
}

/// What Python prints for expressions over `v`, which is the value.
fn python(expressions: &[&str], value: &str) -> Vec<Vec<u8>> {
    let script = format!(
        "import sys, json, html, shlex, urllib.parse as url\n\
         v = bytes.fromhex(sys.argv[1]).decode()\n\
         for text in [{}]: print(text.encode().hex())",
        expressions.join(", ")
    );
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    let output = Command::new("python3")
        .args(["-c", &script, &hex])
        .output()
        .unwrap();
    assert!(output.status.success());
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let line = |line: &str| line.as_bytes().chunks(2).map(byte).collect();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(line)
        .collect()
}

#[test]
fn what_python_writes_has_its_forms() {
    let expressions = [
        "repr(v)[1:-1]",
        "ascii(v)[1:-1]",
        "repr(v.encode())[2:-1]",
        "json.dumps(v)[1:-1]",
        "json.dumps(v, ensure_ascii=False)[1:-1]",
        "json.dumps(v)[1:-1].replace('/', '\\\\/')",
        "html.escape(v)",
        "html.escape(v, quote=False)",
        "url.quote(v)",
        "url.quote(v, safe='')",
        "url.quote_plus(v)",
        "shlex.quote(v)[1:-1]",
    ];
    for value in VALUES {
        for (expression, form) in expressions.iter().zip(python(&expressions, value)) {
            assert!(
                contains(value.as_bytes(), &form),
                "{expression} of {value:?}"
            );
        }
    }
}

#[test]
fn entities_are_decoded_to_the_value() {
    let value = VALUES[2];
    let hex: Vec<String> = all(value.as_bytes())
        .into_iter()
        .filter_map(|form| String::from_utf8(form).ok())
        .filter(|form| form.contains("&lt;") || form.contains("&#60;") || form.contains("&#x3c;"))
        .collect();
    assert!(hex.len() >= 6);
    for form in hex {
        assert_eq!(
            python(&["html.unescape(v)"], &form),
            [value.as_bytes()],
            "{form}"
        );
    }
}

#[test]
fn a_shell_reads_the_value_back() {
    let value = VALUES[2];
    let forms: Vec<String> = all(value.as_bytes())
        .into_iter()
        .filter_map(|form| String::from_utf8(form).ok())
        .collect();
    let read = |script: String| {
        // A form of another kind may hold what no argument can.
        let output = Command::new("sh")
            .args(["-c", &script])
            .env_clear()
            .output()
            .ok()?;
        output.status.success().then_some(output.stdout)
    };
    for (open, close) in [("'", "'"), ("\"", "\""), ("", "")] {
        let reads = |form: &&String| {
            let script = format!("printf %s {open}{form}{close}");
            read(script).is_some_and(|text| text == value.as_bytes())
        };
        assert!(
            forms.iter().skip(1).any(|form| reads(&form)),
            "between {open:?}"
        );
    }
}

#[test]
fn a_value_of_lines_has_its_lines_and_their_joins() {
    let marker = |word: &str| format!("-----{word} KEY-----");
    let value = format!(
        "{}\nline-number-one\r\n  line-number-two\n}}\n",
        marker("BEGIN")
    );
    let has = |form: &str| contains(value.as_bytes(), form.as_bytes());
    assert!(has("line-number-one") && has("line-number-two"));
    assert!(!has(&marker("BEGIN")) && !has("}"));
    assert!(has(&format!(
        "{} line-number-one   line-number-two }}",
        marker("BEGIN")
    )));
    assert!(has(&format!(
        "{}\\nline-number-one\\n  line-number-two\\n}}",
        marker("BEGIN")
    )));
    assert!(contains(b"  padded-value\n", b"padded-value"));
}

#[test]
fn parts_of_urls_and_tokens_are_values_of_their_own() {
    let url = b"postgres://app:p%40ss-word%2F1@db.example.com:5432/app";
    assert!(contains(url, b"p%40ss-word%2F1") && contains(url, b"p@ss-word/1"));
    assert!(!contains(url, b"db.example.com"));
    let part = |text: &str| URL_SAFE.encode(text).trim_end_matches('=').to_owned();
    let (head, body) = (part("{\"alg\":\"none\"}"), part("{\"sub\":\"somebody\"}"));
    let token = format!("{head}.{body}.c2lnbmF0dXJl");
    assert!(contains(token.as_bytes(), body.as_bytes()));
    assert!(contains(token.as_bytes(), b"c2lnbmF0dXJl"));
    assert!(!contains(token.as_bytes(), head.as_bytes()));
}

#[test]
fn derived_forms_that_are_too_short_are_left_out() {
    assert_eq!(all(b"\"b"), [b"\"b".to_vec()]);
    assert!(
        all(b"abcd")
            .iter()
            .skip(1)
            .all(|form| form.len() >= super::SHORTEST)
    );
}
