//! Ten years of a hundred thousand credentials, with a timer that is sometimes off: what is due is
//! done, once.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use credchain_rotation::{Calendar, Policy, Zone};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const CREDENTIALS: usize = 100_000;
const YEARS: u32 = 10;

/// When the timer, which goes off every hour, is there for something that is due now: not during
/// the first two days of every hundredth day, as after a holiday.
fn next_run(due: SystemTime) -> SystemTime {
    let since = due.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let hour = since.div_ceil(HOUR.as_secs()) * HOUR.as_secs();
    let day = hour / DAY.as_secs();
    let hour = match day % 100 {
        0 => (day + 2) * DAY.as_secs(),
        1 => (day + 1) * DAY.as_secs(),
        _ => hour,
    };
    UNIX_EPOCH + Duration::from_secs(hour)
}

#[test]
fn nothing_is_missed_and_nothing_is_done_twice() {
    let start = UNIX_EPOCH + 20_000 * DAY;
    let end = start + YEARS * 365 * DAY;
    let ages = [30, 90, 365].map(|days| days * DAY);
    let policies = ages.map(|age| (age, Policy::every(age).unwrap()));
    let mut runs = 0_u64;
    for number in 0..CREDENTIALS {
        let name = format!("credential_{number}");
        let (age, policy) = &policies[number % policies.len()];
        // Made at any time before.
        let mut created = start - Duration::from_secs(number as u64 * 7919 % age.as_secs());
        loop {
            let run = next_run(policy.due(&name, created).unwrap());
            if run > end {
                break;
            }
            // Two days off are less than what is left when it is due, for all but the youngest.
            let over = policy.expires(&name, created).unwrap();
            assert!(
                run <= over || *age <= 30 * DAY && run <= over + 2 * DAY,
                "{name} was late"
            );
            assert!(
                run.duration_since(created).unwrap() >= (*age * 11 / 12).checked_sub(DAY).unwrap(),
                "{name} twice"
            );
            created = run;
            runs += 1;
        }
    }
    // A third of them each: about 133, 43 and 10 times.
    assert!((5_800_000..6_600_000).contains(&runs), "{runs}");
}

#[test]
fn a_calendar_that_was_missed_is_made_up_for_once() {
    let zone = Zone::named("Europe/Berlin").unwrap();
    let calendar = Calendar::new("30 2 * * SUN", zone).unwrap();
    let policy = Policy::calendar(calendar.clone());
    let start = UNIX_EPOCH + 20_000 * DAY;
    let end = start + YEARS * 365 * DAY;
    for number in 0..20 {
        let name = format!("credential_{number}");
        let mut created = start;
        let mut runs = 0;
        loop {
            let due = policy.due(&name, created).unwrap();
            let run = next_run(due);
            if run > end {
                break;
            }
            // Between what it was due for and its run there is no other turn that was left out,
            // unless the timer was off.
            let turn = calendar.next(created).unwrap();
            assert!(turn <= due && due <= turn + 6 * HOUR);
            created = run;
            runs += 1;
        }
        // Every Sunday of ten years, whether or not a clock was changed on it.
        assert!((520..=522).contains(&runs), "{runs}");
    }
}
