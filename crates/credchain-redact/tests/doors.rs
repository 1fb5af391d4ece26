//! The doors of the crate, each with a value in several forms.

#![expect(clippy::unwrap_used, reason = "a helper fails as a test does")]

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use base64::Engine as _;
use credchain_redact::tracing::RedactMakeWriter;
use credchain_redact::{Options, RedactWriter, Redactor, json, panic};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

const SECRET: &str = "correct \"horse\" & battery";

fn redactor() -> Redactor {
    let redactor = Redactor::new();
    assert!(
        redactor
            .register("api_key", SECRET.as_bytes(), Options::default())
            .is_masked()
    );
    redactor
}

fn base64() -> String {
    base64::engine::general_purpose::STANDARD.encode(SECRET)
}

/// Takes what is logged, and can be read by a test.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a careless program logs.
#[derive(Debug)]
#[expect(dead_code, reason = "its fields are printed with Debug")]
struct Client {
    key: String,
    encoded: String,
    url: String,
}

#[derive(Debug)]
struct Refused(io::Error);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the server refused")
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

fn log_everything() {
    let encoded = percent_encoding::utf8_percent_encode(SECRET, percent_encoding::NON_ALPHANUMERIC);
    let client = Client {
        key: SECRET.to_owned(),
        encoded: base64(),
        url: format!("https://example.com/?key={encoded}"),
    };
    let span = tracing::info_span!("connect", key = SECRET, pair = ?Some(SECRET));
    let _entered = span.enter();
    tracing::info!(?client, "made a client");
    tracing::warn!(url = %client.url, "asked {}", client.url);
    let error = Refused(io::Error::other(format!("wrong key {SECRET}")));
    tracing::error!(
        error = &error as &dyn std::error::Error,
        "failed with {SECRET}"
    );
}

#[test]
fn a_program_that_logs_its_secrets_with_tracing_shows_none() {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(RedactMakeWriter::new(move || writer.clone(), &redactor()))
        .finish();
    tracing::subscriber::with_default(subscriber, log_everything);
    let text = captured.text();
    assert_eq!(text.lines().count(), 3, "{text}");
    for part in ["correct", "horse", "battery", &base64()[..8]] {
        assert!(!text.contains(part), "{part} in {text}");
    }
    for kept in [
        "connect",
        "made a client",
        "https://example.com/?key=***",
        "the server refused",
    ] {
        assert!(text.contains(kept), "{kept} not in {text}");
    }
}

#[test]
fn one_call_protects_what_log_and_tracing_write_and_a_second_is_refused() {
    let redactor = redactor();
    credchain_redact::tracing::protect(&redactor, tracing::Level::INFO).unwrap();
    let again = credchain_redact::tracing::protect(&redactor, tracing::Level::INFO);
    assert_eq!(
        again,
        Err(credchain_redact::tracing::ProtectError::Subscriber)
    );
}

#[test]
fn a_writer_gives_back_what_is_below_and_keeps_what_is_no_secret() {
    let mut writer = RedactWriter::new(Vec::new(), &redactor());
    for piece in [
        b"key=".as_slice(),
        &SECRET.as_bytes()[..9],
        &SECRET.as_bytes()[9..],
        b" corr",
    ] {
        writer.write_all(piece).unwrap();
        writer.flush().unwrap();
    }
    assert_eq!(writer.stream().replaced(), 1);
    assert_eq!(writer.finish().unwrap(), b"key=*** corr");
}

#[test]
fn dropping_a_writer_ends_the_stream() {
    let captured = Captured::default();
    write!(
        RedactWriter::new(captured.clone(), &redactor()),
        "it is corr"
    )
    .unwrap();
    assert_eq!(captured.text(), "it is corr");
}

/// Takes one byte at a time, and refuses every second call.
#[derive(Default)]
struct Slow {
    taken: Vec<u8>,
    refuses: bool,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.refuses = !self.refuses;
        if self.refuses {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.taken.extend(bytes.first());
        Ok(bytes.len().min(1))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_slow_writer_loses_nothing() {
    let mut writer = RedactWriter::new(Slow::default(), &redactor());
    let text = format!("a {SECRET} b");
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match writer.write(rest) {
            Ok(count) => rest = &rest[count..],
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    while writer.flush().is_err() {}
    assert_eq!(writer.finish().unwrap().taken, b"a *** b");
}

struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_broken_pipe_is_told_to_the_one_who_writes() {
    let mut writer = RedactWriter::new(Broken, &redactor());
    let error = writer.write(b"anything").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn an_asynchronous_writer_masks_and_shuts_down() {
    let (near, mut far) = tokio::io::duplex(7);
    let mut writer = credchain_redact::tokio::RedactWriter::new(near, &redactor());
    let write = async {
        for byte in format!("<{SECRET}> {} corr", base64()).into_bytes() {
            writer.write_all(&[byte]).await.unwrap();
        }
        writer.shutdown().await.unwrap();
        drop(writer);
    };
    let mut text = String::new();
    let read = async { far.read_to_string(&mut text).await.unwrap() };
    tokio::join!(write, read);
    // Only the padding stays, which tells nothing.
    let rest = text
        .strip_prefix("<***> ***")
        .and_then(|rest| rest.strip_suffix(" corr"));
    assert!(
        rest.is_some_and(|rest| rest.trim_end_matches('=').is_empty()),
        "{text}"
    );
}

/// Gives one byte at a time.
struct Drops(std::vec::IntoIter<u8>);

impl AsyncRead for Drops {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(byte) = self.0.next() {
            buf.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn an_asynchronous_reader_is_masked_and_ends_once() {
    let text = format!("<{SECRET}> corr").into_bytes();
    let mut reader =
        credchain_redact::tokio::RedactReader::new(Drops(text.into_iter()), &redactor());
    let mut read = String::new();
    reader.read_to_string(&mut read).await.unwrap();
    assert_eq!(read, "<***> corr");
    assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0);
}

#[test]
fn json_values_are_masked_in_names_texts_numbers_and_lists_of_bytes() {
    let redactor = redactor();
    assert!(
        redactor
            .register("pin", b"4838291047", Options::default())
            .is_masked()
    );
    let mut value = serde_json::json!({
        SECRET: [null, true, 3, SECRET],
        "pin": 4_838_291_047_u64,
        "bytes": SECRET.as_bytes(),
        "deep": { "text": format!("a {} b", base64()) },
    });
    json::redact(&redactor, &mut value);
    let text = value.to_string();
    assert!(
        !text.contains("correct") && !text.contains("4838291047"),
        "{text}"
    );
    assert_eq!(value["***"], serde_json::json!([null, true, 3, "***"]));
    assert_eq!(
        (&value["pin"], &value["bytes"]),
        (&"***".into(), &"***".into())
    );
}

#[test]
fn a_panic_is_reported_without_the_secret() {
    let captured = Captured::default();
    let (redactor, out) = (redactor(), captured.clone());
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let _ = panic::report(&redactor, info, &mut out.clone());
    }));
    let panicked = std::thread::spawn(|| panic!("the key is {SECRET:?}")).join();
    std::panic::set_hook(before);
    assert!(panicked.is_err());
    let text = captured.text();
    assert!(
        text.contains("the key is \"***\"") && text.contains("doors.rs"),
        "{text}"
    );
}

#[test]
fn whatever_prints_can_be_printed_masked() {
    let redactor = redactor();
    let value = Some(SECRET);
    assert_eq!(format!("{:?}", redactor.display(&value)), "Some(\"***\")");
    assert_eq!(format!("{:>6}|", redactor.display(SECRET)), "   ***|");
}
