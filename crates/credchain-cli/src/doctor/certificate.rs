//! When certificates end: as much of X.509 (RFC 5280, 4.1) as says that, and nothing is trusted
//! because of it.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// When the last of the certificates in a PEM text ends, counted from 1970; nothing if there is
/// none that can be read. While an authority changes its certificate, the old one may have ended.
pub(crate) fn last_end(pem: &str) -> Option<Duration> {
    let blocks = pem.split(BEGIN).skip(1);
    let ends = blocks.filter_map(|block| {
        let (body, _) = block.split_once(END)?;
        let body: String = body.split_ascii_whitespace().collect();
        not_after(&BASE64_STANDARD.decode(body).ok()?)
    });
    ends.max()
}

fn not_after(der: &[u8]) -> Option<Duration> {
    let (certificate, _) = expect(SEQUENCE, der)?;
    let (signed, _) = expect(SEQUENCE, certificate)?;
    let after_version = expect(VERSION, signed).map_or(signed, |(_, rest)| rest);
    let (_, rest) = expect(INTEGER, after_version)?;
    let (_algorithm, rest) = expect(SEQUENCE, rest)?;
    let (_issuer, rest) = expect(SEQUENCE, rest)?;
    let (validity, _) = expect(SEQUENCE, rest)?;
    let (_, _not_before, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    time(tag, str::from_utf8(text).ok()?)
}

/// The content of the element that comes first, if it has this tag, and what comes after it.
fn expect(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(der)?;
    (found == tag).then_some((content, rest))
}

/// Tag, content, rest.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk()?;
    let (length, rest) = match first {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let fits = (1..=4).contains(&digits.len());
            let add = |sum: usize, digit: &u8| sum << 8 | usize::from(*digit);
            (fits.then(|| digits.iter().fold(0, add))?, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ`, which is from 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &str) -> Option<Duration> {
    let digits = text.strip_suffix('Z')?;
    let is_right = digits.bytes().all(|byte| byte.is_ascii_digit());
    let (year, rest) = digits.split_at_checked(match tag {
        UTC_TIME => 2,
        GENERALIZED_TIME => 4,
        _ => return None,
    })?;
    if !is_right || rest.len() != 10 {
        return None;
    }
    let year: u64 = match (tag, year.parse().ok()?) {
        (UTC_TIME, short @ 0..50) => 2000 + short,
        (UTC_TIME, short) => 1900 + short,
        (_, year) => year,
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<u64>().ok();
    let days = days(year, two(0)?, two(2)?)?;
    let seconds = two(4)? * 3600 + two(6)? * 60 + two(8)?;
    Some(Duration::from_secs(days * 86_400 + seconds))
}

/// The days from 1970 to a date of the Gregorian calendar; what ended before has just ended.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March have their leap day at the end, and months of a regular length.
    let year = if month <= 2 {
        year.checked_sub(1)?
    } else {
        year
    };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let since_march_of_0 = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    Some(since_march_of_0.saturating_sub(719_468))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted_as_the_calendar_has_them() {
        for (tag, text, seconds) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "000301000001Z", Some(951_868_801)),
            (UTC_TIME, "240229120000Z", Some(1_709_208_000)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (UTC_TIME, "500101000000Z", Some(0)),
            (GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (UTC_TIME, "241301000000Z", None),
            (UTC_TIME, "2401010000Z", None),
            (UTC_TIME, "240101000000+0100", None),
            (INTEGER, "240101000000Z", None),
        ] {
            assert_eq!(time(tag, text), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn what_is_cut_short_or_lies_about_its_length_is_no_certificate() {
        for der in [
            &[][..],
            &[0x30],
            &[0x30, 0x05, 0x30],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00],
            &[0x30, 0x80, 0x30, 0x80],
            &[0x30, 0xff, 0x01],
            &[0x30, 0x02, 0x30, 0x00],
        ] {
            assert_eq!(not_after(der), None, "{der:x?}");
        }
        assert_eq!(
            last_end(&format!("{BEGIN}\n!!\n{END}\n{BEGIN}\nMAA=")),
            None
        );
    }
}
