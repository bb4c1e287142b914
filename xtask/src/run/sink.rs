//! A small SMTP server that keeps what it is given, so that pages can be seen without a mail server.
//!
//! Only for `cargo xtask run`: loopback, no TLS, one mail at a time per connection.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};

use super::Place;
use crate::steps::{self, root};

/// Most bytes of one mail.
const MAX_MAIL: usize = 1024 * 1024;

/// One mail that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) arrived: Instant,
    pub(crate) text: String,
}

impl Mail {
    /// Its subject line.
    pub(crate) fn subject(&self) -> &str {
        self.text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or("")
    }
}

/// What has arrived so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sink {
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl Sink {
    /// Folder where mails are kept as files.
    pub(crate) fn folder(&self, place: &Place) -> PathBuf {
        place.data.join("mail")
    }

    /// Mails so far.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Listens on loopback.
pub(crate) fn start(port: u16) -> Result<Sink> {
    let listener = TcpListener::bind(("127.0.0.1", port)).with_context(|| {
        format!("cannot listen on port {port}; is another one running? (--port)")
    })?;
    let sink = Sink::default();
    let folder = root().join("data/mail");
    fs::create_dir_all(&folder)?;
    let kept = sink.clone();
    std::thread::Builder::new().name("mail-sink".to_owned()).spawn(move || {
        for stream in listener.incoming().flatten() {
            let (kept, folder) = (kept.clone(), folder.clone());
            std::thread::spawn(move || {
                if let Err(error) = serve(stream, &kept, &folder) {
                    eprintln!("mail sink: {error}");
                }
            });
        }
    })?;
    Ok(sink)
}

fn serve(mut stream: TcpStream, sink: &Sink, folder: &std::path::Path) -> std::io::Result<()> {
    stream.write_all(b"220 pikett sink\r\n")?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut mail: Option<String> = None;
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let text = line.trim_end();
        let answer: &[u8] = match &mut mail {
            Some(body) if text == "." => {
                keep(sink, folder, body)?;
                mail = None;
                b"250 kept\r\n"
            }
            Some(body) => {
                if body.len() < MAX_MAIL {
                    body.push_str(text);
                    body.push('\n');
                }
                b""
            }
            None if text.eq_ignore_ascii_case("DATA") => {
                mail = Some(String::new());
                b"354 go on\r\n"
            }
            None if text.eq_ignore_ascii_case("QUIT") => {
                return stream.write_all(b"221 bye\r\n");
            }
            None => b"250 ok\r\n",
        };
        stream.write_all(answer)?;
    }
}

fn keep(sink: &Sink, folder: &std::path::Path, body: &str) -> std::io::Result<()> {
    let mail = Mail { arrived: steps::now(), text: body.to_owned() };
    let mut mails = sink.mails.lock().unwrap_or_else(PoisonError::into_inner);
    mails.push(mail);
    let name = format!("{}-{:04}.eml", std::process::id(), mails.len());
    fs::write(folder.join(name), body)
}
