//! The report. SMTP is spoken by hand here, so that the example needs no mail library; it is
//! enough for a server on the same machine.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use credchain::SecretText;

use crate::api::Order;

/// Mails the report (`smtp://USER@HOST:PORT`), or writes it to a file (`file:…`) for a first try
/// without a server.
pub(crate) fn report(
    url: &str,
    password: &SecretText,
    orders: &[Order],
) -> Result<(), Box<dyn Error>> {
    let total: i64 = orders.iter().map(|order| order.cents).sum();
    let message = format!(
        "From: pipeline@example.com\r\nTo: finance@example.com\r\nSubject: {count} orders\r\n\r\n\
         {count} orders, {}.{:02} in all\r\n",
        total / 100,
        total % 100,
        count = orders.len(),
    );
    if let Some(path) = url.strip_prefix("file:") {
        return Ok(fs::write(path, message)?);
    }
    let (user, address) = url
        .strip_prefix("smtp://")
        .and_then(|rest| rest.split_once('@'))
        .ok_or("the mail URL is not `smtp://USER@HOST:PORT`")?;
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut session = Session {
        reader: BufReader::new(stream.try_clone()?),
        writer: stream,
    };
    session.expect(220)?;
    session.command("EHLO localhost", 250)?;
    let plain = [b"\0", user.as_bytes(), b"\0", password.expose().as_bytes()].concat();
    session.command(&format!("AUTH PLAIN {}", STANDARD.encode(plain)), 235)?;
    session.command("MAIL FROM:<pipeline@example.com>", 250)?;
    session.command("RCPT TO:<finance@example.com>", 250)?;
    session.command("DATA", 354)?;
    session.command(&format!("{message}."), 250)?;
    session.command("QUIT", 221)
}

struct Session<R, W> {
    reader: R,
    writer: W,
}

impl<R: BufRead, W: Write> Session<R, W> {
    fn command(&mut self, line: &str, expected: u16) -> Result<(), Box<dyn Error>> {
        self.writer.write_all(format!("{line}\r\n").as_bytes())?;
        self.expect(expected)
    }

    /// Reads one reply, which may have several lines. Its text is not shown: a server may repeat
    /// what it was sent.
    fn expect(&mut self, expected: u16) -> Result<(), Box<dyn Error>> {
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line)? == 0 {
                return Err("the mail server hung up".into());
            }
            let code: Option<u16> = line.get(..3).and_then(|code| code.parse().ok());
            match (code, line.as_bytes().get(3)) {
                (Some(code), Some(b'-')) if code == expected => {}
                (Some(code), _) if code == expected => return Ok(()),
                (Some(code), _) => return Err(format!("the mail server answered {code}").into()),
                (None, _) => return Err("the mail server does not speak SMTP".into()),
            }
        }
    }
}
