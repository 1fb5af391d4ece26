//! A relay before a server that keeps what clients say, and can lose the reply to a statement, or
//! the statement itself.

use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What is lost of a statement that has these words in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lose {
    Nothing,
    Statement(&'static str),
    Reply(&'static str),
}

pub(crate) struct Relay {
    address: SocketAddr,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Relay {
    pub(crate) fn start(upstream: SocketAddr, lose: Lose) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&said);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(upstream).unwrap();
                let keep = Arc::clone(&keep);
                thread::spawn(move || relay(&client, &server, lose, &keep));
            }
        });
        Self { address, said }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Everything that clients said so far.
    pub(crate) fn said(&self) -> Vec<u8> {
        self.said.lock().unwrap().clone()
    }
}

/// Hands on what either says; each piece of a conversation this short comes in one.
fn relay(client: &TcpStream, server: &TcpStream, lose: Lose, keep: &Mutex<Vec<u8>>) {
    let down = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let muted = Arc::new(Mutex::new(false));
    let is_muted = Arc::clone(&muted);
    let downwards = thread::spawn(move || {
        let (mut from, mut to) = down;
        pump(&mut from, |piece| {
            // The server has answered, so it is done; nobody hears of it.
            !*is_muted.lock().unwrap() && to.write_all(piece).is_ok()
        });
        drop(to.shutdown(Shutdown::Both));
        drop(from.shutdown(Shutdown::Both));
    });
    let (mut from, mut to) = (client, server);
    pump(&mut from, |piece| {
        keep.lock().unwrap().extend_from_slice(piece);
        match lose {
            Lose::Statement(words) if contains(piece, words.as_bytes()) => return false,
            Lose::Reply(words) if contains(piece, words.as_bytes()) => {
                *muted.lock().unwrap() = true;
            }
            _ => {}
        }
        to.write_all(piece).is_ok()
    });
    if matches!(lose, Lose::Statement(_)) {
        drop(client.shutdown(Shutdown::Both));
    }
    drop(server.shutdown(Shutdown::Write));
    drop(downwards.join());
}

fn pump(from: &mut impl Read, mut each: impl FnMut(&[u8]) -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !each(&buffer[..count]) {
            break;
        }
    }
}

pub(crate) fn contains(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|window| window == words)
}
