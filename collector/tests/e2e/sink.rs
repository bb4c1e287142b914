//! A mail server that keeps what it is given.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Mails so far, whole, as sent.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    pub(crate) port: u16,
    mails: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sink = Self { port, mails: Arc::default() };
        let kept = Arc::clone(&sink.mails);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(stream, &kept));
            }
        });
        sink
    }

    /// What the collector's configuration says to use it.
    pub(crate) fn config(&self) -> String {
        format!(
            "[mail]\nhost = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\n\
             from = \"Pikett <pikett@example.com>\"\n",
            self.port
        )
    }

    pub(crate) fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, kept: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let _sent = stream.write_all(b"220 sink\r\n");
    while let Some(line) = lines.next() {
        let answer: &[u8] = match line.to_ascii_uppercase().as_str() {
            "DATA" => {
                let _sent = stream.write_all(b"354 go on\r\n");
                let body: Vec<String> = lines.by_ref().take_while(|line| line != ".").collect();
                kept.lock().unwrap().push(body.join("\n"));
                b"250 kept\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        if stream.write_all(answer).is_err() {
            return;
        }
    }
}
