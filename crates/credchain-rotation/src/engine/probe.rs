//! Asking the target, and believing it only if it can say no.

use std::time::Duration;

use credchain_core::{Account, Context, Error, Kind, Result, Secret, Verdict, random_text};

use super::Rotation;
use super::work::Work;
use crate::record::Strategy;

/// How long a verdict is asked for again while a change spreads: at first, and at the most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often a new value has to be accepted in a row where changes spread.
const IN_A_ROW: u32 = 2;

/// Asks once.
pub(super) async fn once(rotation: &Rotation, account: &Account, cx: &Context) -> Result<Verdict> {
    rotation.target()?.probe(account, cx).await
}

/// A wrong value has to be refused; a target that accepts everything proves nothing.
pub(super) async fn refuses_what_is_wrong(
    rotation: &Rotation,
    account: &Account,
    cx: &Context,
) -> Result<()> {
    let length = account.secret.expose().len().clamp(16, 64);
    let wrong = random_text(
        length,
        "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789",
    )?;
    match once(rotation, &Account::new(account.id.clone(), wrong), cx).await? {
        Verdict::Refused => Ok(()),
        _ => Err(Error::new(
            Kind::Misconfigured,
            "the target accepts any value, so a login with it proves nothing",
        )
        .for_credential(&rotation.name)
        .with_hint(
            "look for a rule that lets this machine in without a password, such as `trust`",
        )),
    }
}

impl Work<'_> {
    /// Whether the target accepts a login, however long a change takes to spread.
    pub(super) async fn settled(&mut self, account: &Account) -> Result<Verdict> {
        let settling = self.rotation.target()?.abilities().settling;
        let needed = if settling.is_zero() { 1 } else { IN_A_ROW };
        let start = self.cx.clock().monotonic();
        let (mut pause, mut accepted) = (FIRST_PAUSE, 0);
        loop {
            let verdict = once(self.rotation, account, self.cx).await?;
            accepted = if verdict == Verdict::Accepted {
                accepted + 1
            } else {
                0
            };
            if accepted >= needed {
                return Ok(Verdict::Accepted);
            }
            if self.cx.clock().monotonic().saturating_sub(start) >= settling {
                return Ok(Verdict::Refused);
            }
            self.lease.keep(self.cx).await?;
            self.cx.clock().sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether the target accepts a login now.
    pub(super) async fn accepted(&self, account: &Account) -> Result<bool> {
        Ok(once(self.rotation, account, self.cx).await? == Verdict::Accepted)
    }

    /// Tells a target that we have not spoken to yet what works now.
    pub(super) async fn prepare(&mut self, current: &Account, next: Option<&str>) -> Result<()> {
        // An issuer's limit is full while the new key stands beside the old one.
        if !self.prepared && self.rotation.strategy != Strategy::Issue {
            self.rotation
                .target()?
                .preflight(current, next, self.cx)
                .await?;
            self.prepared = true;
        }
        Ok(())
    }

    pub(super) fn tell(&self, values: &[&Secret]) {
        for value in values {
            self.observer.value(value);
        }
    }
}
