//! What nobody sends on purpose, and what somebody does.

use crate::{Options, Redactor};

fn redactor(values: &[&[u8]]) -> Redactor {
    let redactor = Redactor::new();
    for (i, value) in values.iter().enumerate() {
        let name = format!("value_{i}");
        assert!(
            redactor
                .register(&name, value, Options::force())
                .is_masked()
        );
    }
    redactor
}

#[test]
fn bytes_that_are_no_text_pass_unchanged() {
    let redactor = redactor(&[b"some-value"]);
    let mut text: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    text.extend_from_slice(b"\xff\xfe\x00\x00\r\x1b[2K\xc3");
    assert_eq!(redactor.redact(&text), text);
}

#[test]
fn a_value_with_nul_and_invalid_utf_8_is_masked() {
    let redactor = redactor(&[b"\x00\xff\xfe value \x80\x00"]);
    assert_eq!(redactor.redact(b"<\x00\xff\xfe value \x80\x00>"), b"<***>");
}

#[test]
fn a_secret_that_is_the_mask_gets_another_mask() {
    let redactor = redactor(&[b"***", b"other-value"]);
    let once = redactor.redact(b"*** other-value ****");
    assert_eq!(once, b"[redacted] [redacted] [redacted]");
    assert_eq!(redactor.redact(&once), once);
}

#[test]
fn a_secret_that_ends_like_the_mask_begins_is_no_trap() {
    let redactor = redactor(&[b"passw*", b"hidden-value"]);
    let once = redactor.redact(b"passwhidden-value passw*");
    assert_eq!(once, b"passw[redacted] [redacted]");
    assert_eq!(redactor.redact(&once), once);
}

#[test]
fn a_secret_of_a_mebibyte_is_masked_in_pieces_of_any_size() {
    let secret: Vec<u8> = (0..1_u64 << 20)
        .map(|i| b"abcdefghijklmnopqrstuvw"[(i * i % 23) as usize])
        .collect();
    let redactor = redactor(&[&secret]);
    for size in [1, 1000, 65_536, 3 << 20] {
        let (mut stream, mut out) = (redactor.stream(), Vec::new());
        let text = [b"<", &secret[..], b">", &secret[..1000], b"."].concat();
        for piece in text.chunks(size) {
            stream.push(piece, &mut out);
        }
        stream.finish(&mut out);
        assert_eq!(out.len(), b"<***>.".len() + 1000, "in pieces of {size}");
        assert!(out.starts_with(b"<***>"));
    }
}

#[test]
fn a_prompt_appears_at_once() {
    let redactor = redactor(&[b"some-value", b"\nvalue\nof lines"]);
    let (mut stream, mut out) = (redactor.stream(), Vec::new());
    stream.push(b"Password: ", &mut out);
    assert_eq!(out, b"Password: ");
}

#[test]
fn the_memory_of_an_endless_line_is_constant() {
    let redactor = redactor(&[b"some-value"]);
    let (mut stream, mut out) = (redactor.stream(), Vec::new());
    for _ in 0..1_000 {
        out.clear();
        stream.push(&[b'x'; 10_000], &mut out);
        stream.push(b"some-val", &mut out);
        assert!(stream.held() < b"some-value".len());
        assert!(out.capacity() < 100_000);
    }
}

#[test]
fn secrets_that_touch_repeat_and_nest_leave_no_byte() {
    let redactor = redactor(&[b"abcabc", b"bcab", b"abcabcabc"]);
    assert_eq!(redactor.redact(b"-abcabcabcabcabc-"), b"-***-");
    assert_eq!(redactor.redact(b"-abcabc abcab-"), b"-*** a***-");
}

#[test]
fn an_end_within_a_secret_comes_out_as_it_is() {
    let redactor = redactor(&[b"some-value"]);
    assert_eq!(redactor.redact(b"some-valu"), b"some-valu");
}

#[test]
fn a_stream_can_be_used_again_after_its_end() {
    let redactor = redactor(&[b"some-value"]);
    let (mut stream, mut out) = (redactor.stream(), Vec::new());
    for piece in [&b"some-"[..], b"value", b"some-value"] {
        stream.push(piece, &mut out);
        stream.finish(&mut out);
    }
    assert_eq!(out, b"some-value***");
}
