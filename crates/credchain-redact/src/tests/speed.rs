//! Texts that were made to be slow. A time limit would say something about the machine; instead
//! ten times as much must not take much more than ten times as long.

use std::time::{Duration, Instant};

use crate::{Options, Redactor};

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn time(redactor: &Redactor, text: &[u8], piece: usize) -> Duration {
    let start = Instant::now();
    let (mut stream, mut out) = (redactor.stream(), Vec::new());
    for piece in text.chunks(piece) {
        stream.push(piece, &mut out);
        out.clear();
    }
    stream.finish(&mut out);
    start.elapsed()
}

/// The best of a few, because something else may run.
fn best(redactor: &Redactor, text: &[u8], piece: usize) -> Duration {
    (0..3).map(|_| time(redactor, text, piece)).min().unwrap()
}

fn assert_linear(redactor: &Redactor, unit: &[u8], piece: usize) {
    let text = |len: usize| unit.iter().copied().cycle().take(len).collect::<Vec<u8>>();
    let small = best(redactor, &text(200_000), piece).max(Duration::from_millis(1));
    let large = best(redactor, &text(2_000_000), piece);
    assert!(
        large < 40 * small,
        "{small:?}, and ten times as much: {large:?}"
    );
}

fn redactor(values: impl IntoIterator<Item = Vec<u8>>) -> Redactor {
    let redactor = Redactor::new();
    for (i, value) in values.into_iter().enumerate() {
        let _ = redactor.register(&format!("value_{i}"), &value, Options::force());
    }
    redactor
}

#[test]
fn one_letter_against_a_long_value_of_it_is_linear() {
    let mut value = vec![b'a'; 100_000];
    value.push(b'b');
    let redactor = redactor([value]);
    assert_linear(&redactor, b"a", 64 << 10);
    assert_linear(&redactor, b"a", 7);
}

#[test]
fn values_that_begin_each_other_are_linear() {
    let redactor = redactor((4..400).map(|len| vec![b'a'; len]));
    assert_linear(&redactor, b"a", 64 << 10);
    assert_linear(&redactor, b"aaaaaaaaab", 1000);
}

#[test]
fn periodic_text_against_values_that_nearly_repeat_is_linear() {
    let values = (1..200).map(|i| [b"abcabcab".repeat(i), vec![b'x'; 9]].concat());
    let redactor = redactor(values);
    assert_linear(&redactor, b"abcabcab", 64 << 10);
    assert_linear(&redactor, b"abcabcababcabcabx", 100);
}

#[test]
fn lines_of_base64_without_an_end_are_linear() {
    let redactor = redactor([vec![b'M'; 3_000]]);
    let line = [&[b'T'; 76][..], b"\n"].concat();
    assert_linear(&redactor, &line, 64 << 10);
    assert_linear(&redactor, &line, 10);
}
