//! What a server asks for before it lets somebody in.
//!
//! A login proves something only if the password was needed for it, and the client library does
//! not tell: it also goes in where nobody asks (`trust`, `peer`, a certificate), and it would hand
//! the password itself to a server that asks for it. So the first message of the server is looked
//! at before the library sees it, and nothing but SCRAM passes.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// A message's type, its length, and the number that says what is asked for.
const HEAD: usize = 9;

/// What a server asks for instead of SCRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing: it lets us in.
    Nothing,
    /// The password itself.
    Cleartext,
    /// A hash of the password that is easy to reverse.
    Md5,
    /// Something that is no password at all, such as Kerberos.
    Other,
    /// A password, and there is none to prove.
    Password,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "for no password",
            Self::Cleartext => "for the password in clear",
            Self::Md5 => "for an MD5 of the password",
            Self::Other => "for something that is no password",
            Self::Password => "for a password that there is none of",
        })
    }
}

impl std::error::Error for Asked {}

/// Who is let through besides those who prove a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// Nobody: the login is to be judged.
    Judge,
    /// Whoever is let in without being asked. A password is still not given away.
    Enter,
    /// Only whoever is let in without being asked: there is no password.
    Known,
}

/// What is to be known afterwards of how a login went.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    encrypted: AtomicBool,
    scram: AtomicBool,
}

impl Seen {
    /// Whether the server asked for SCRAM. What it refused before that was not the password.
    pub(super) fn scram(&self) -> bool {
        self.0.scram.load(Ordering::SeqCst)
    }

    /// Whether the server was ready to encrypt.
    pub(super) fn encrypted(&self) -> bool {
        self.0.encrypted.load(Ordering::SeqCst)
    }
}

/// A stream from a server, whose first message has to ask for SCRAM.
pub(super) struct Gate<S> {
    stream: S,
    policy: Policy,
    seen: Seen,
    /// The beginning of the first message.
    head: [u8; HEAD],
    read: usize,
    given: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Looking,
    Open,
}

impl<S> Gate<S> {
    pub(super) fn new(stream: S, policy: Policy, seen: Seen) -> Self {
        Self {
            stream,
            policy,
            seen,
            head: [0; HEAD],
            read: 0,
            given: 0,
            state: State::Looking,
        }
    }

    /// Whether the first message may pass; it may also be an error, or not be a whole one.
    fn judge(&self) -> io::Result<()> {
        let [b'R', _, _, _, _, number @ ..] = self.head else {
            return Ok(());
        };
        if self.read < HEAD {
            return Ok(());
        }
        let asked = match u32::from_be_bytes(number) {
            10 if self.policy != Policy::Known => {
                self.seen.0.scram.store(true, Ordering::SeqCst);
                return Ok(());
            }
            0 if self.policy != Policy::Judge => return Ok(()),
            _ if self.policy == Policy::Known => Asked::Password,
            0 => Asked::Nothing,
            3 => Asked::Cleartext,
            5 => Asked::Md5,
            _ => Asked::Other,
        };
        Err(io::Error::other(asked))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let gate = &mut *self;
        while gate.state == State::Looking {
            let mut head = ReadBuf::new(&mut gate.head[gate.read..]);
            ready!(Pin::new(&mut gate.stream).poll_read(cx, &mut head))?;
            let count = head.filled().len();
            gate.read += count;
            // A message of another type may be shorter. The library takes none but a request at
            // this place, so that nothing comes in behind one.
            let other = gate.read > 0 && gate.head[0] != b'R';
            if count == 0 || gate.read == HEAD || other {
                gate.judge()?;
                gate.state = State::Open;
            }
        }
        if gate.given < gate.read {
            let kept = &gate.head[gate.given..gate.read];
            let count = kept.len().min(buffer.remaining());
            buffer.put_slice(&kept[..count]);
            gate.given += count;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut gate.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Gate<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// Encrypts, and looks at what arrives inside.
pub(super) struct Gated<C> {
    pub(super) tls: C,
    pub(super) policy: Policy,
    pub(super) seen: Seen,
}

impl<S, C> TlsConnect<S> for Gated<C>
where
    S: Send + 'static,
    C: TlsConnect<S> + Send + 'static,
    C::Future: Send + 'static,
    C::Stream: Send,
{
    type Stream = Gate<C::Stream>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, C::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let Self { tls, policy, seen } = self;
        seen.0.encrypted.store(true, Ordering::SeqCst);
        let connecting = tls.connect(stream);
        Box::pin(async move { Ok(Gate::new(connecting.await?, policy, seen)) })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// What comes through, when the server sends these bytes one by one.
    async fn through(sent: &[u8], policy: Policy) -> (Result<Vec<u8>, Option<Asked>>, bool) {
        let (mut server, client) = tokio::io::duplex(1);
        let seen = Seen::default();
        let mut gate = Gate::new(client, policy, seen.clone());
        let sent = sent.to_vec();
        let sending = tokio::spawn(async move { server.write_all(&sent).await });
        let mut read = Vec::new();
        let came = gate.read_to_end(&mut read).await;
        drop(gate);
        let _ = sending.await.unwrap();
        let asked = |error: io::Error| {
            let asked = error.get_ref().and_then(|it| it.downcast_ref::<Asked>());
            asked.copied()
        };
        (came.map(|_| read).map_err(asked), seen.scram())
    }

    fn request(number: u32) -> Vec<u8> {
        [b"R\0\0\0\x08", &number.to_be_bytes()[..], b"more"].concat()
    }

    #[tokio::test]
    async fn only_scram_passes() {
        let scram = request(10);
        assert_eq!(
            through(&scram, Policy::Judge).await,
            (Ok(scram.clone()), true)
        );
        for (number, asked) in [
            (0, Asked::Nothing),
            (3, Asked::Cleartext),
            (5, Asked::Md5),
            (7, Asked::Other),
            (9, Asked::Other),
            (11, Asked::Other),
        ] {
            let found = through(&request(number), Policy::Judge).await;
            assert_eq!(found, (Err(Some(asked)), false), "{number}");
        }
        let (entered, scram) = through(&request(0), Policy::Enter).await;
        assert!(entered.is_ok() && !scram);
        let (given, _) = through(&request(3), Policy::Enter).await;
        assert_eq!(given, Err(Some(Asked::Cleartext)));
        let (known, _) = through(&request(0), Policy::Known).await;
        assert!(known.is_ok());
        for number in [3, 5, 10] {
            let (given, _) = through(&request(number), Policy::Known).await;
            assert_eq!(given, Err(Some(Asked::Password)), "{number}");
        }
    }

    #[tokio::test]
    async fn errors_and_broken_messages_pass_as_they_are() {
        for sent in [&b"E\0\0\0\x05x"[..], b"E", b"R\0\0\0", b""] {
            let found = through(sent, Policy::Judge).await;
            assert_eq!(found, (Ok(sent.to_vec()), false));
        }
    }
}
