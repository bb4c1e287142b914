//! POP3 (RFC 1939): commands and their responses. Mails themselves are not read.
//!
//! A transaction is a command with its response; the greeting has no command. After a successful STLS
//! (RFC 2595) the flow is TLS. Passwords are not kept.

use std::collections::VecDeque;

use super::lines::Lines;
use super::{AppParser, Record, Switch, TxList};
use crate::flow::{Direction, PerDirection};

/// Bytes of a line that are kept; longer ones are cut.
const MAX_LINE: usize = 1024;
/// Lines of a response that are kept.
const MAX_DATA: usize = 256;
/// Commands that wait for their responses; of more, the oldest are given up.
const MAX_WAITING: usize = 64;

/// A command with its response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pop3 {
    /// The command.
    pub request: Option<Request>,
    /// The response.
    pub response: Option<Response>,
}

/// A command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Its name in capitals.
    pub command: Vec<u8>,
    /// Its arguments, without passwords.
    pub arguments: Vec<Vec<u8>>,
}

/// A response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// `+OK`.
    pub success: bool,
    /// The rest of its first line.
    pub header: Vec<u8>,
    /// Lines that follow, of lists.
    pub data: Vec<Vec<u8>>,
}

/// What the server's next line belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A new response.
    #[default]
    Status,
    /// The response of that transaction, whose lines are kept or not.
    Data { tx: u64, kept: bool },
}

/// Parser of one flow.
#[derive(Debug)]
pub struct Parser {
    lines: PerDirection<Lines>,
    waiting: VecDeque<u64>,
    state: State,
    /// The client's next line answers a challenge (RFC 5034).
    challenged: bool,
    switch: Option<Switch>,
}

impl Default for Parser {
    fn default() -> Self {
        let lines = || Lines::new(MAX_LINE);
        Self {
            lines: PerDirection { to_server: lines(), to_client: lines() },
            waiting: VecDeque::new(),
            state: State::Status,
            challenged: false,
            switch: None,
        }
    }
}

/// Whether a response with success has lines up to a full stop, and whether they are kept.
fn has_data(request: &Request) -> Option<bool> {
    let bare = request.arguments.is_empty();
    match request.command.as_slice() {
        b"LIST" | b"UIDL" => bare.then_some(true),
        b"CAPA" => Some(true),
        b"RETR" | b"TOP" => Some(false),
        _ => None,
    }
}

impl Parser {
    fn command(&mut self, line: &[u8], txs: &mut TxList) {
        if std::mem::take(&mut self.challenged) {
            return;
        }
        let mut words = line.split(|b| *b == b' ').filter(|word| !word.is_empty());
        let Some(command) = words.next() else { return };
        let command = command.to_ascii_uppercase();
        let secret = matches!(command.as_slice(), b"PASS" | b"APOP" | b"AUTH");
        let arguments = words.take(if secret { 0 } else { 8 }).map(<[u8]>::to_vec).collect();
        let request = Some(Request { command, arguments });
        let id = txs.push(Record::Pop3(Box::new(Pop3 { request, response: None })));
        if let Some(tx) = txs.get_mut(id) {
            tx.reach(Direction::ToServer, 1);
        }
        if self.waiting.len() >= MAX_WAITING
            && let Some(tx) = self.waiting.pop_front().and_then(|id| txs.get_mut(id))
        {
            tx.reach(Direction::ToClient, 1);
        }
        self.waiting.push_back(id);
    }

    fn reply(&mut self, line: &[u8], txs: &mut TxList) {
        match self.state {
            State::Status => self.status(line, txs),
            State::Data { tx: id, kept } => {
                let over = line == b".";
                if over {
                    self.state = State::Status;
                }
                let Some(tx) = txs.get_mut(id) else { return };
                if over {
                    tx.reach(Direction::ToClient, 1);
                } else if let Record::Pop3(pop3) = &mut tx.record
                    && let Some(response) = &mut pop3.response
                    && kept
                    && response.data.len() < MAX_DATA
                {
                    let line = line.strip_prefix(b".").unwrap_or(line);
                    response.data.push(line.to_vec());
                }
            }
        }
    }

    fn status(&mut self, line: &[u8], txs: &mut TxList) {
        let (success, rest) = match (line.strip_prefix(b"+OK"), line.strip_prefix(b"-ERR")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => {
                // A challenge; other lines mean nothing.
                self.challenged = line.starts_with(b"+");
                return;
            }
        };
        let id = self.waiting.pop_front().unwrap_or_else(|| {
            let id = txs.push(Record::Pop3(Box::default()));
            if let Some(tx) = txs.get_mut(id) {
                tx.close_silently(Direction::ToServer, 1);
            }
            id
        });
        let Some(tx) = txs.get_mut(id) else { return };
        let Record::Pop3(pop3) = &mut tx.record else { return };
        let header = rest.trim_ascii().to_vec();
        pop3.response = Some(Response { success, header, data: Vec::new() });
        let request = pop3.request.as_ref().filter(|_| success);
        if request.is_some_and(|request| request.command == b"STLS") {
            self.switch = Some(Switch::default());
        }
        match request.and_then(has_data) {
            Some(kept) => self.state = State::Data { tx: id, kept },
            None => tx.reach(Direction::ToClient, 1),
        }
    }
}

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        let mut input = bytes;
        let mut lines = std::mem::replace(self.lines.get_mut(dir), Lines::new(1));
        while self.switch.is_none()
            && let Some(line) = lines.next(&mut input)
        {
            match dir {
                Direction::ToServer => self.command(line.bytes, txs),
                Direction::ToClient => self.reply(line.bytes, txs),
            }
        }
        *self.lines.get_mut(dir) = lines;
        if let Some(switch) = &mut self.switch {
            switch.rest.get_mut(dir).extend_from_slice(input);
        }
    }

    fn gap(&mut self, dir: Direction, _missing: u64, txs: &mut TxList) {
        self.lines.get_mut(dir).lose();
        if dir == Direction::ToClient {
            // Which responses were missed is not known.
            self.state = State::Status;
            for id in self.waiting.drain(..) {
                if let Some(tx) = txs.get_mut(id) {
                    tx.reach(Direction::ToClient, 1);
                }
            }
        }
    }

    fn end(&mut self, _dir: Direction, _txs: &mut TxList) {}

    fn switch(&mut self) -> Option<Switch> {
        self.switch.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Direction::{ToClient, ToServer};

    fn run(pieces: &[(Direction, &[u8])]) -> (Vec<String>, bool) {
        let (mut parser, mut txs) = (Parser::default(), TxList::default());
        let mut switched = false;
        for (dir, bytes) in pieces {
            parser.data(*dir, bytes, &mut txs);
            switched |= parser.switch().is_some();
        }
        let one = |tx: &super::super::Transaction| {
            let Record::Pop3(pop3) = &tx.record else { return String::new() };
            let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
            let request = pop3.request.as_ref().map(|request| {
                let arguments: Vec<String> = request.arguments.iter().map(|a| text(a)).collect();
                format!("{} {arguments:?}", text(&request.command))
            });
            let response = pop3.response.as_ref().map(|r| {
                let data: Vec<String> = r.data.iter().map(|line| text(line)).collect();
                format!("{} {} {data:?}", r.success, text(&r.header))
            });
            let (request, response) = (request.unwrap_or_default(), response.unwrap_or_default());
            format!("{request} -> {response}, {}", tx.is_complete(ToClient))
        };
        (txs.iter().map(one).collect(), switched)
    }

    const UP: &[u8] = b"USER me\r\nPASS secret\r\nLIST\r\nRETR 1\r\nLIST 1\r\nAUTH PLAIN\r\n";
    const DOWN: &[u8] = b"+OK ready\r\n+OK\r\n-ERR no\r\n+OK two\r\n1 10\r\n..2\r\n.\r\n+OK\r\nmail\r\n.\r\n+OK 1 10\r\n+ \r\n";

    #[test]
    fn a_session_whole_and_byte_by_byte() {
        let (greeting, rest) = DOWN.split_at(11);
        let whole =
            [(ToClient, greeting), (ToServer, UP), (ToClient, rest), (ToServer, b"AG1l\r\n")];
        let (found, _) = run(&whole);
        expect_test::expect![[r#"
            [
                " -> true ready [], true",
                "USER [\"me\"] -> true  [], true",
                "PASS [] -> false no [], true",
                "LIST [] -> true two [\"1 10\", \".2\"], true",
                "RETR [\"1\"] -> true  [], true",
                "LIST [\"1\"] -> true 1 10 [], true",
                "AUTH [] -> , false",
            ]
        "#]]
        .assert_debug_eq(&found);
        let single: Vec<(Direction, &[u8])> =
            whole.iter().flat_map(|(dir, bytes)| bytes.chunks(1).map(|b| (*dir, b))).collect();
        assert_eq!(run(&single).0, found);
    }

    #[test]
    fn stls_ends_it() {
        let pieces: [(Direction, &[u8]); 3] =
            [(ToClient, b"+OK\r\n"), (ToServer, b"STLS\r\n"), (ToClient, b"+OK go\r\n")];
        assert!(run(&pieces).1);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_in_any_pieces(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
            cut in 0..200_usize,
        ) {
            let (a, b) = bytes.split_at(cut.min(bytes.len()));
            let begin: [(Direction, &[u8]); 1] = [(ToServer, b"LIST\r\n")];
            let whole = [&begin[..], &[(ToClient, &bytes[..])]].concat();
            let parts = [&begin[..], &[(ToClient, a), (ToClient, b)]].concat();
            proptest::prop_assert_eq!(run(&parts), run(&whole));
        }
    }
}
