//! Leases of credentials that live only while somebody renews them.

use std::fmt;
use std::thread::JoinHandle;

use credchain_core::{Error, Kind, Leased, Link, Result, block_on};
use tokio::sync::oneshot;

use crate::Credchain;

impl Credchain {
    /// Goes on renewing, on the current runtime, the leases of what was resolved. This happens by
    /// itself where a credential is resolved; it is for those who resolved in one runtime and go
    /// on in another.
    pub fn resume_leases(&self) {
        let cx = self.resolver().context();
        self.leased(|leased| leased.resume(&cx));
    }

    /// Ends what was resolved, because nobody is going to use it any more: leases and logins are
    /// revoked at the links whose settings say `revoke_on_exit`.
    ///
    /// # Errors
    /// The first failure, after every link was told.
    pub async fn close(&self) -> Result<()> {
        let cx = self.resolver().context();
        let mut first = Ok(());
        for link in self.leasing() {
            if let Some(leased) = link.provider().as_leased() {
                let closed = leased.close(&cx).await;
                let closed = closed.map_err(|error| error.at(link.name().clone()));
                first = first.and(closed);
            }
        }
        first
    }

    fn leased(&self, each: impl Fn(&dyn Leased)) {
        let providers = self.leasing().map(Link::provider);
        providers
            .filter_map(|provider| provider.as_leased())
            .for_each(each);
    }

    fn leasing(&self) -> impl Iterator<Item = &Link> {
        let names = self.project().providers.keys();
        names.filter_map(|name| self.resolver().link(name))
    }
}

/// Keeps leases alive from a thread of its own, for a program that has no runtime, such as one
/// that waits for another program.
///
/// ```no_run
/// use credchain::{Credchain, LeaseKeeper};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let credentials = Credchain::open()?;
/// let password = credchain::block_on(credentials.get("db_password"))??;
/// let keeper = LeaseKeeper::start(credentials)?;
/// // The database user lives for as long as this takes.
/// keeper.finish()?;
/// # Ok(()) }
/// ```
pub struct LeaseKeeper {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<()>>,
}

impl LeaseKeeper {
    /// Starts renewing.
    ///
    /// # Errors
    /// [`Kind::Internal`] if the system refuses a thread.
    pub fn start(credchain: Credchain) -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let work = move || {
            block_on(async move {
                credchain.resume_leases();
                // Dropped without a word it ends as well.
                let _ = stopped.await;
                credchain.close().await
            })?
        };
        let thread = std::thread::Builder::new()
            .name("leases".into())
            .spawn(work);
        let thread = thread.map_err(|error| {
            Error::new(Kind::Internal, "no thread to be had").with_source(error)
        })?;
        Ok(Self { stop, thread })
    }

    /// Stops renewing and ends what is held, as [`Credchain::close`] does.
    ///
    /// # Errors
    /// Those of [`Credchain::close`].
    pub fn finish(self) -> Result<()> {
        drop(self.stop);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(Error::new(Kind::Internal, "the leases' thread was lost")))
    }
}

impl fmt::Debug for LeaseKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseKeeper")
    }
}
