//! Putting ids and values into requests, encoded for where they stand.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use credchain_core::{Error, Kind, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use reqwest::Url;
use reqwest::header::HeaderValue;
use serde_json::Value;
use zeroize::Zeroizing;

use super::super::wrong;

/// What is not encoded in addresses and forms: RFC 3986 calls it unreserved.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Something that a description leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Id,
    Secret,
    Tag,
    Admin,
    /// Id and value, as HTTP Basic has them (RFC 7617).
    Basic,
}

impl Place {
    pub(super) const ALL: [Self; 5] = [Self::Id, Self::Secret, Self::Tag, Self::Admin, Self::Basic];

    /// How it is written.
    pub(super) const fn written(self) -> &'static str {
        match self {
            Self::Id => "{id}",
            Self::Secret => "{secret}",
            Self::Tag => "{tag}",
            Self::Admin => "{admin}",
            Self::Basic => "{basic}",
        }
    }
}

/// What goes into the places.
#[derive(Clone, Copy, Default)]
pub(super) struct Filling<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a [u8],
    pub(super) tag: &'a str,
    pub(super) admin: &'a [u8],
}

impl Filling<'_> {
    fn value(&self, place: Place) -> Result<Zeroizing<Vec<u8>>> {
        let value = match place {
            Place::Id => self.id.as_bytes(),
            Place::Secret => self.secret,
            Place::Tag => self.tag.as_bytes(),
            Place::Admin => self.admin,
            Place::Basic => return self.basic(),
        };
        if value.is_empty() && place != Place::Secret {
            let place = place.written();
            return Err(wrong(format!(
                "a request has `{place}`, and there is none here"
            )));
        }
        Ok(Zeroizing::new(value.to_vec()))
    }

    fn basic(&self) -> Result<Zeroizing<Vec<u8>>> {
        if self.id.contains(':') {
            let message = "an id with a colon cannot log in by HTTP Basic";
            return Err(Error::new(Kind::Invalid, message));
        }
        let mut both = Zeroizing::new(Vec::with_capacity(self.id.len() + 1 + self.secret.len()));
        both.extend_from_slice(self.id.as_bytes());
        both.push(b':');
        both.extend_from_slice(self.secret);
        Ok(Zeroizing::new(STANDARD.encode(&both).into_bytes()))
    }
}

/// Whether a description leaves this place open.
pub(super) fn mentions(text: &str, place: Place) -> bool {
    text.contains(place.written())
}

/// Fills in one text, in one pass: what is filled in has no places of its own.
fn fill(
    text: &str,
    filling: &Filling<'_>,
    mut put: impl FnMut(&mut Zeroizing<Vec<u8>>, &[u8]),
) -> Result<Zeroizing<Vec<u8>>> {
    let mut filled = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, after) = rest.split_at(open);
        credchain_core::append_piece(&mut filled, before.as_bytes());
        let place = Place::ALL
            .into_iter()
            .find(|place| after.starts_with(place.written()));
        let length = place.map_or(1, |place| place.written().len());
        let (written, behind) = after.split_at(length);
        match place {
            Some(place) => put(&mut filled, &filling.value(place)?),
            None => credchain_core::append_piece(&mut filled, written.as_bytes()),
        }
        rest = behind;
    }
    credchain_core::append_piece(&mut filled, rest.as_bytes());
    Ok(filled)
}

/// The address of a request.
///
/// # Errors
/// [`Kind::Invalid`] if what was filled in makes it another one than was described, as `..` would.
pub(super) fn path(base: &Url, text: &str, filling: &Filling<'_>) -> Result<Url> {
    let elsewhere = || Error::new(Kind::Invalid, "an id makes a request go elsewhere");
    let filled = fill(text, filling, |filled, value| {
        for piece in percent_encode(value, ENCODED) {
            credchain_core::append_piece(filled, piece.as_bytes());
        }
    })?;
    let filled = std::str::from_utf8(&filled).map_err(|_| elsewhere())?;
    if !filled.starts_with('/') || filled.contains('#') {
        return Err(elsewhere());
    }
    let origin = base.as_str().trim_end_matches('/');
    let written = format!("{origin}{filled}");
    let url = Url::parse(&written).map_err(|_| elsewhere())?;
    // SECURITY: whatever a parser changes, such as `/a/../b` to `/b`, was not what was meant.
    if url.as_str() == written {
        Ok(url)
    } else {
        Err(elsewhere())
    }
}

/// The value of a header.
///
/// # Errors
/// [`Kind::Invalid`] for what no header can hold, such as a line break.
pub(super) fn header(text: &str, filling: &Filling<'_>) -> Result<HeaderValue> {
    let filled = fill(text, filling, |filled, value| {
        credchain_core::append_piece(filled, value);
    })?;
    // A tab would be taken, and is in no id and no value that a header can carry unchanged.
    let refused = filled.iter().any(u8::is_ascii_control);
    let value = (!refused).then(|| HeaderValue::from_bytes(&filled).ok());
    let mut value = value.flatten().ok_or_else(|| {
        Error::new(
            Kind::Invalid,
            "a value with a control character cannot go into a header",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A body of JSON.
pub(super) fn json(template: &Value, filling: &Filling<'_>) -> Result<Zeroizing<Vec<u8>>> {
    let filled = Wiped(value(template, filling)?);
    let mut body = Body(Zeroizing::new(Vec::new()));
    serde_json::to_writer(&mut body, &filled.0)
        .map_err(|_| Error::new(Kind::Internal, "a request's body cannot be written"))?;
    Ok(body.0)
}

fn value(template: &Value, filling: &Filling<'_>) -> Result<Value> {
    Ok(match template {
        Value::String(text) => {
            let mut filled = fill(text, filling, |filled, value| {
                credchain_core::append_piece(filled, value);
            })?;
            let text = String::from_utf8(std::mem::take(&mut *filled)).map_err(|error| {
                drop(Zeroizing::new(error.into_bytes()));
                Error::new(Kind::Invalid, "a value that is no text cannot go into JSON")
            })?;
            Value::String(text)
        }
        Value::Array(items) => {
            let mut filled = Wiped(Value::Array(Vec::with_capacity(items.len())));
            for item in items {
                let item = value(item, filling)?;
                if let Value::Array(filled) = &mut filled.0 {
                    filled.push(item);
                }
            }
            filled.0.take()
        }
        Value::Object(members) => {
            let mut filled = Wiped(Value::Object(serde_json::Map::new()));
            for (name, member) in members {
                let member = value(member, filling)?;
                if let Value::Object(filled) = &mut filled.0 {
                    filled.insert(name.clone(), member);
                }
            }
            filled.0.take()
        }
        other => other.clone(),
    })
}

/// A form.
pub(super) fn form(
    fields: &[(String, String)],
    filling: &Filling<'_>,
) -> Result<Zeroizing<Vec<u8>>> {
    let mut body = Zeroizing::new(Vec::new());
    for (name, text) in fields {
        if !body.is_empty() {
            credchain_core::append_piece(&mut body, b"&");
        }
        let filled = fill(text, filling, |filled, value| {
            credchain_core::append_piece(filled, value);
        })?;
        let name = percent_encode(name.as_bytes(), ENCODED);
        for piece in name.chain(["="]).chain(percent_encode(&filled, ENCODED)) {
            credchain_core::append_piece(&mut body, piece.as_bytes());
        }
    }
    Ok(body)
}

/// JSON whose texts are wiped when it is dropped.
pub(super) struct Wiped(pub(super) Value);

impl Drop for Wiped {
    fn drop(&mut self) {
        fn wipe(value: &mut Value) {
            match value {
                Value::String(text) => zeroize::Zeroize::zeroize(text),
                Value::Array(items) => items.iter_mut().for_each(wipe),
                Value::Object(members) => members.values_mut().for_each(wipe),
                _ => {}
            }
        }
        wipe(&mut self.0);
    }
}

/// A body that is wiped, also where it was before it grew.
struct Body(Zeroizing<Vec<u8>>);

impl std::io::Write for Body {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        credchain_core::append_piece(&mut self.0, piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filling<'a>(id: &'a str, secret: &'a str) -> Filling<'a> {
        Filling {
            id,
            secret: secret.as_bytes(),
            tag: "t",
            admin: b"root",
        }
    }

    #[test]
    fn an_id_stays_where_it_stands_in_an_address() {
        let base = Url::parse("https://h/v1/").unwrap();
        let of = |id| path(&base, "/keys/{id}/x?q={id}", &filling(id, ""));
        for (id, expected) in [
            ("k1", "https://h/v1/keys/k1/x?q=k1"),
            ("a/b", "https://h/v1/keys/a%2Fb/x?q=a%2Fb"),
            (
                "a?b#c&d",
                "https://h/v1/keys/a%3Fb%23c%26d/x?q=a%3Fb%23c%26d",
            ),
            ("../../x", "https://h/v1/keys/..%2F..%2Fx/x?q=..%2F..%2Fx"),
            ("a\r\nb", "https://h/v1/keys/a%0D%0Ab/x?q=a%0D%0Ab"),
            ("é", "https://h/v1/keys/%C3%A9/x?q=%C3%A9"),
            (
                "{secret}",
                "https://h/v1/keys/%7Bsecret%7D/x?q=%7Bsecret%7D",
            ),
            ("%2e%2e", "https://h/v1/keys/%252e%252e/x?q=%252e%252e"),
        ] {
            assert_eq!(of(id).unwrap().as_str(), expected);
        }
        for id in [".", ".."] {
            assert_eq!(of(id).unwrap_err().kind(), Kind::Invalid, "{id}");
        }
        assert_eq!(of("").unwrap_err().kind(), Kind::Misconfigured);
    }

    #[test]
    fn a_header_holds_no_second_one() {
        let of = |id, secret| header("{id} {secret}", &filling(id, secret));
        assert_eq!(of("a", "b {id}").unwrap().as_bytes(), b"a b {id}");
        for bad in ["b\r\nx: y", "b\n", "b\0", "\u{7f}", "a\tb"] {
            assert_eq!(of("a", bad).unwrap_err().kind(), Kind::Invalid, "{bad:?}");
        }
        let basic = header("Basic {basic}", &filling("user", "pass")).unwrap();
        let expected = STANDARD.encode("user:pass");
        assert_eq!(basic.as_bytes(), format!("Basic {expected}").as_bytes());
        let error = header("{basic}", &filling("us:er", "pass")).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
    }

    #[test]
    fn bodies_are_encoded_as_a_whole() {
        let template = json!({"{id}": ["{secret}", 1], "by": "{admin}/{tag}"});
        let body = json(&template, &filling("i", "a\"b\\\n{tag}")).unwrap();
        let read: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            read,
            serde_json::json!({"{id}": ["a\"b\\\n{tag}", 1], "by": "root/t"})
        );
        let fields = [
            ("a b".to_owned(), "x{secret}".to_owned()),
            ("c".into(), "{id}".into()),
        ];
        let body = form(&fields, &filling("i&j", "s=t u")).unwrap();
        assert_eq!(&**body, b"a%20b=xs%3Dt%20u&c=i%26j");
    }
}
