//! One value as one word, for each kind of reader.

/// A word for a POSIX shell: everything is literal between single quotes (POSIX.1 XCU 2.2.2).
pub(crate) fn sh(value: &[u8]) -> Vec<u8> {
    let mut word = vec![b'\''];
    for byte in value {
        match byte {
            b'\'' => word.extend_from_slice(br"'\''"),
            other => word.push(*other),
        }
    }
    word.push(b'\'');
    word
}

/// A word for fish: between single quotes only `\` and `'` are special; bytes that are no UTF-8
/// stand outside of them as `\XHH`.
pub(super) fn fish(value: &[u8]) -> Vec<u8> {
    let mut word = vec![b'\''];
    for chunk in value.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            if matches!(byte, b'\\' | b'\'') {
                word.push(b'\\');
            }
            word.push(byte);
        }
        for byte in chunk.invalid() {
            word.extend_from_slice(format!("'\\X{byte:02x}'").as_bytes());
        }
    }
    word.push(b'\'');
    word
}

/// A word for PowerShell: between single quotes only quotes are special, and they are doubled.
/// The typographic ones count as quotes, too (see PowerShell's `about_Quoting_Rules`).
pub(super) fn pwsh(value: &str) -> String {
    let mut word = String::from("'");
    for character in value.chars() {
        if matches!(
            character,
            '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}'
        ) {
            word.push(character);
        }
        word.push(character);
    }
    word.push('\'');
    word
}

/// A word for systemd's `EnvironmentFile=`: between double quotes, `"`, `\`, `` ` `` and `$` are
/// escaped (systemd.exec(5)).
pub(super) fn systemd(value: &str) -> String {
    let mut word = String::from("\"");
    for character in value.chars() {
        if matches!(character, '"' | '\\' | '`' | '$') {
            word.push('\\');
        }
        word.push(character);
    }
    word.push('"');
    word
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    const HOSTILE: &[&[u8]] = &[
        b"",
        b"plain",
        b"it's \"quoted\" `id` $(id) $HOME ${HOME} \\ \\' !x",
        b"line\nbreak\r\n\ttab",
        b"'; touch /tmp/x; '",
        b"\xff\xfe raw \xc3(",
        "é ‘curly’ 🔑".as_bytes(),
        b"-n",
    ];

    fn evaluate(shell: &str, word: &[u8]) -> Vec<u8> {
        let mut child = Command::new(shell)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("`{shell}` is needed by this test: {error}"));
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(b"printf %s ").unwrap();
        stdin.write_all(word).unwrap();
        stdin.write_all(b"\n").unwrap();
        drop(stdin);
        child.wait_with_output().unwrap().stdout
    }

    #[test]
    fn posix_shells_read_back_the_same_bytes() {
        for value in HOSTILE {
            for shell in ["sh", "bash"] {
                // `printf %s -n` is fine; `printf %s ''` prints nothing, as it should.
                assert_eq!(evaluate(shell, &sh(value)), *value, "{shell}");
            }
        }
    }

    #[test]
    fn fish_reads_back_the_same_bytes() {
        for value in HOSTILE {
            assert_eq!(evaluate("fish", &fish(value)), *value);
        }
    }

    #[test]
    fn powershell_quotes_are_doubled_in_every_shape() {
        assert_eq!(pwsh("a'b‘c’d"), "'a''b‘‘c’’d'");
        assert_eq!(pwsh("$x `n"), "'$x `n'");
    }

    #[test]
    fn systemd_escapes_what_it_would_interpret() {
        assert_eq!(systemd("a\"b\\c$d`e\nf"), "\"a\\\"b\\\\c\\$d\\`e\nf\"");
    }
}
