//! What else a value is without being encoded: trimmed, in lines, and in parts that are secret.

use zeroize::Zeroizing;

use super::{Forms, SHORTEST};

/// Values that are secret for themselves because this one is: itself trimmed, the password in a
/// URL, payload and signature of a JSON Web Token.
pub(super) fn whole(value: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let trimmed = value.trim_ascii();
    let mut parts = Vec::new();
    if trimmed.len() < value.len() {
        parts.push(trimmed);
    }
    parts.extend(token_parts(trimmed));
    let mut parts: Vec<_> = parts
        .into_iter()
        .map(|part| Zeroizing::new(part.to_vec()))
        .collect();
    if let Some(password) = password(trimmed) {
        let decoded = decode_percent(password);
        if *decoded != password {
            parts.push(decoded);
        }
        parts.push(Zeroizing::new(password.to_vec()));
    }
    parts
}

/// Adds a value of several lines as logs show it: line by line, and with its line breaks replaced.
pub(super) fn add_lines(value: &[u8], forms: &mut Forms) {
    let value = value.trim_ascii();
    if !value.contains(&b'\n') {
        return;
    }
    let lines: Vec<&[u8]> = value
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .collect();
    for separator in ["\n", "\r\n", "\\n", "\\r\\n", " ", ""] {
        forms.write(|out| {
            for (i, line) in lines.iter().enumerate() {
                if i > 0 {
                    out.extend(separator.as_bytes());
                }
                out.extend(line);
            }
        });
    }
    for line in lines {
        let line = line.trim_ascii();
        if line.len() >= SHORTEST && !is_structure(line) {
            forms.add(line);
            forms.encode_text(line);
        }
    }
}

/// Lines that every such value has: armour, and what has no two letters side by side.
fn is_structure(line: &[u8]) -> bool {
    let armour = line.starts_with(b"-----") && line.ends_with(b"-----");
    let is_word = |pair: &[u8]| {
        pair.iter()
            .all(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
    };
    armour || !line.windows(2).any(is_word)
}

/// Payload and signature. The header is the same in every token.
fn token_parts(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let parts: Vec<&[u8]> = value.split(|&byte| byte == b'.').collect();
    let is_token = parts.len() == 3
        && value.starts_with(b"eyJ")
        && parts.iter().all(|part| part.iter().all(is_letter));
    let secret = if is_token { 1.. } else { parts.len().. };
    let secret: Vec<&[u8]> = parts[secret].to_vec();
    secret.into_iter().filter(|part| part.len() >= SHORTEST)
}

/// The password in `scheme://user:password@host`.
fn password(value: &[u8]) -> Option<&[u8]> {
    let after_scheme = memchr::memmem::find(value, b"://")? + 3;
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let scheme = &value[..after_scheme - 3];
    if scheme.is_empty() || !scheme.iter().all(is_scheme) {
        return None;
    }
    let rest = &value[after_scheme..];
    let authority = rest.split(|byte| b"/?#".contains(byte)).next()?;
    // Whoever forgot to encode an `@` or a `/` has the last `@` before the host all the same.
    let at = memchr::memrchr(b'@', authority).or_else(|| memchr::memrchr(b'@', rest))?;
    let colon = memchr::memchr(b':', &rest[..at])?;
    Some(&rest[colon + 1..at])
}

fn decode_percent(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let number = digit(text.get(at + 1)).zip(digit(text.get(at + 2)));
        match number.and_then(|(high, low)| u8::try_from(16 * high + low).ok()) {
            Some(number) if byte == b'%' => {
                decoded.push(number);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}
