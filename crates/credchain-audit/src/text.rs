//! Text of strangers in a line of JSON.

use std::borrow::Cow;

use credchain_core::printable;

/// The longest that one text becomes, as it is written.
pub(crate) const MOST: usize = 256;

/// What stands where the rest of a text was left out.
const REST: &str = "…";

/// One member after another of an object, in a line that is being written.
pub(crate) struct Members<'a> {
    line: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Members<'a> {
    /// Starts an object.
    pub(crate) fn open(line: &'a mut Vec<u8>) -> Self {
        line.push(b'{');
        Self { line, first: true }
    }

    /// Goes on with an object that has members already.
    pub(crate) fn more(line: &'a mut Vec<u8>) -> Self {
        Self { line, first: false }
    }

    /// A text of whoever, escaped and cut.
    pub(crate) fn text(&mut self, key: &str, text: &str) -> &mut Self {
        self.key(key).push(b'"');
        escape(text, self.line);
        self.line.push(b'"');
        self
    }

    /// The same, if there is one.
    pub(crate) fn some(&mut self, key: &str, text: Option<&str>) -> &mut Self {
        if let Some(text) = text {
            self.text(key, text);
        }
        self
    }

    /// A number.
    pub(crate) fn number(&mut self, key: &str, number: u64) -> &mut Self {
        let digits = number.to_string();
        self.key(key).extend_from_slice(digits.as_bytes());
        self
    }

    /// `true`; what is not so is left out.
    pub(crate) fn flag(&mut self, key: &str, is_so: bool) -> &mut Self {
        if is_so {
            self.key(key).extend_from_slice(b"true");
        }
        self
    }

    /// What is JSON already.
    pub(crate) fn raw(&mut self, key: &str, json: &[u8]) -> &mut Self {
        self.key(key).extend_from_slice(json);
        self
    }

    /// Ends the object.
    pub(crate) fn close(&mut self) {
        self.line.push(b'}');
    }

    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.line.push(b',');
        }
        self.line.push(b'"');
        self.line.extend_from_slice(key.as_bytes());
        self.line.extend_from_slice(b"\":");
        self.line
    }
}

/// Writes a text as the inside of a JSON string, with everything that does something else than to
/// be seen as `\uXXXX`, and of at most [`MOST`] bytes.
fn escape(text: &str, out: &mut Vec<u8>) {
    let start = out.len();
    // Where the text would be cut to have room for the mark.
    let mut cut = start;
    for c in text.chars() {
        append(c, out);
        if out.len() - start <= MOST - REST.len() {
            cut = out.len();
        }
        if out.len() - start > MOST {
            out.truncate(cut);
            out.extend_from_slice(REST.as_bytes());
            return;
        }
    }
}

fn append(c: char, out: &mut Vec<u8>) {
    let mut bytes = [0; 4];
    let text = c.encode_utf8(&mut bytes);
    match c {
        '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
        ' '..='~' => out.push(c as u8),
        _ if matches!(printable(text), Cow::Borrowed(_)) => out.extend_from_slice(text.as_bytes()),
        _ => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(text: &str) -> String {
        let mut line = Vec::new();
        Members::open(&mut line).text("t", text).close();
        String::from_utf8(line).unwrap()
    }

    fn read(line: &str) -> String {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        value["t"].as_str().unwrap().to_owned()
    }

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        let text = "a\u{1b}[2J\n\u{2028}\u{202e}\u{7f}\u{85}\"\\\u{e0041}é🔑";
        let line = line(text);
        assert_eq!(
            line,
            r#"{"t":"a\u001b[2J\u000a\u2028\u202e\u007f\u0085\"\\\udb40\udc41é🔑"}"#
        );
        assert_eq!(read(&line), text);
    }

    #[test]
    fn a_text_is_cut_between_its_characters() {
        assert_eq!(read(&line(&"a".repeat(MOST))), "a".repeat(MOST));
        let cut = format!("{}…", "a".repeat(MOST - 3));
        assert_eq!(read(&line(&"a".repeat(MOST + 1))), cut);
        assert_eq!(
            read(&line(&"\n".repeat(100))),
            format!("{}…", "\n".repeat(42))
        );
    }

    proptest! {
        #[test]
        fn any_text_comes_back_from_one_printable_line_of_bounded_length(text in any::<String>()) {
            let line = line(&text);
            prop_assert!(line.len() <= MOST + 8);
            prop_assert!(matches!(printable(&line), Cow::Borrowed(_)));
            let read = read(&line);
            let whole = read == text;
            prop_assert!(whole || read.strip_suffix(REST).is_some_and(|cut| text.starts_with(cut)));
        }

        #[test]
        fn hostile_text_comes_back_as_well(text in r#"[\x00-\x1f"\\/\u{80}-\u{a0}\u{2020}-\u{2070}\u{feff}a,:{}]{0,40}"#) {
            prop_assert_eq!(read(&line(&text)), text);
        }
    }
}
