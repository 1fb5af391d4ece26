//! What is registered, how often, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{FingerprintKey, Options, Reason, Redactor, Registration, Replacement};

fn masked(redactor: &Redactor, name: &str, value: &[u8]) {
    assert!(
        redactor
            .register(name, value, Options::default())
            .is_masked()
    );
}

#[test]
fn short_and_common_values_are_not_masked_unless_forced() {
    let redactor = Redactor::new();
    let register = |value: &[u8]| redactor.register("x", value, Options::default());
    assert_eq!(register(b""), Registration::Unmasked(Reason::Empty));
    assert_eq!(register(b" \n\t"), Registration::Unmasked(Reason::Empty));
    assert_eq!(register(b"abc\n"), Registration::Unmasked(Reason::TooShort));
    assert_eq!(register(b"True"), Registration::Unmasked(Reason::Common));
    assert_eq!(register(b"5432"), Registration::Unmasked(Reason::Common));
    assert_eq!(redactor.redact(b"abc true 5432"), b"abc true 5432");
    assert!(redactor.register("x", b"q7", Options::force()).is_masked());
    assert!(
        redactor
            .register("x", b"true", Options::force())
            .is_masked()
    );
    assert_eq!(redactor.redact(b"q7 true 5432"), b"*** *** 5432");
    let forced_empty = redactor.register("x", b"", Options::force());
    assert_eq!(forced_empty, Registration::Unmasked(Reason::Empty));
}

#[test]
fn the_least_length_can_be_set() {
    let redactor = Redactor::builder().min_length(12).build();
    let registration = redactor.register("x", b"elevenbytes", Options::default());
    assert_eq!(registration, Registration::Unmasked(Reason::TooShort));
}

#[test]
fn a_value_is_masked_until_its_lingering_time_is_over() {
    let now = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&now);
    let redactor = Redactor::builder()
        .linger(Duration::from_mins(1))
        .clock(move || Duration::from_secs(clock.load(Ordering::SeqCst)))
        .build();
    masked(&redactor, "old", b"first-value");
    masked(&redactor, "other", b"other-value");
    redactor.unregister("old");
    now.store(59, Ordering::SeqCst);
    redactor.purge();
    assert_eq!(redactor.redact(b"first-value other-value"), b"*** ***");
    now.store(60, Ordering::SeqCst);
    redactor.purge();
    assert_eq!(
        redactor.redact(b"first-value other-value"),
        b"first-value ***"
    );
}

#[test]
fn registering_again_ends_the_lingering() {
    let redactor = Redactor::builder().linger(Duration::ZERO).build();
    masked(&redactor, "key", b"some-value");
    redactor.unregister("key");
    assert_eq!(redactor.redact(b"some-value"), b"some-value");
    masked(&redactor, "key", b"some-value");
    redactor.purge();
    assert_eq!(redactor.redact(b"some-value"), b"***");
}

#[test]
fn a_stream_masks_what_is_registered_after_it_began() {
    let redactor = Redactor::new();
    let (mut stream, mut out) = (redactor.stream(), Vec::new());
    stream.push(b"late-value ", &mut out);
    masked(&redactor, "late", b"late-value");
    stream.push(b"late-value ", &mut out);
    masked(&redactor.clone(), "later", b"later-value");
    stream.push(b"later-value", &mut out);
    stream.finish(&mut out);
    assert_eq!(out, b"late-value *** ***");
}

#[test]
fn a_value_of_two_names_is_called_by_the_first_in_order() {
    for names in [["b", "a"], ["a", "b"]] {
        let redactor = Redactor::builder().replacement(Replacement::Name).build();
        for name in names {
            masked(&redactor, name, b"shared-value");
            let _ = redactor.redact(b"");
        }
        assert_eq!(redactor.redact(b"<shared-value>"), b"<[a]>");
    }
}

#[test]
fn overlapping_secrets_are_one_mask_and_the_first_gives_its_name() {
    let redactor = Redactor::builder().replacement(Replacement::Name).build();
    masked(&redactor, "right", b"cdefgh");
    masked(&redactor, "left", b"abcdef");
    assert_eq!(redactor.redact(b"-abcdefgh-"), b"-[left]-");
    assert_eq!(redactor.redact(b"-cdefghabcdef-"), b"-[right]-");
}

#[test]
fn a_fingerprint_depends_on_value_and_key_and_shows_no_length() {
    let redact = |key: u8, value: &str| {
        let replacement = Replacement::Fingerprint(FingerprintKey::new([key; 32]));
        let redactor = Redactor::builder().replacement(replacement).build();
        masked(&redactor, "key", value.as_bytes());
        redactor.redact_text(value)
    };
    let (short, long) = (
        "short-value",
        "a value that is a good deal longer than that",
    );
    assert_eq!(redact(1, short), redact(1, short));
    assert_ne!(redact(1, short), redact(2, short));
    assert_ne!(redact(1, short), redact(1, long));
    assert_eq!(redact(1, short).len(), redact(1, long).len());
}

#[test]
fn a_name_cannot_control_a_terminal() {
    let redactor = Redactor::builder().replacement(Replacement::Name).build();
    masked(&redactor, "a\x1b[31m]b", b"some-value");
    assert_eq!(redactor.redact(b"some-value"), b"[a__31m_b]");
}

#[test]
fn nothing_is_printed_by_debug() {
    let key = FingerprintKey::new([7; 32]);
    let replacement = Replacement::Fingerprint(key.clone());
    let redactor = Redactor::builder().replacement(replacement.clone()).build();
    masked(&redactor, "key", b"some-value");
    let (mut stream, mut out) = (redactor.stream(), Vec::new());
    stream.push(b"some-val", &mut out);
    let printed = format!("{redactor:?} {stream:?} {key:?} {replacement:?}");
    assert!(
        !printed.contains("some") && !printed.contains('7'),
        "{printed}"
    );
}

#[test]
fn replacements_are_counted_by_name() {
    let redactor = Redactor::new();
    masked(&redactor, "a", b"value-of-a");
    masked(&redactor, "b", b"value-of-b");
    let (mut stream, mut out) = (redactor.stream(), Vec::new());
    stream.push(b"value-of-a value-of-b value-of-a", &mut out);
    stream.finish(&mut out);
    assert_eq!(stream.counts().collect::<Vec<_>>(), [("a", 2), ("b", 1)]);
    assert_eq!(stream.replaced(), 3);
}
