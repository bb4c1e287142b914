//! The control channel.

use super::super::expect::{Expected, What};
use super::super::lines::{Line, Lines};
use super::super::{AppConfig, AppParser, Record, Switch, TxList};
use super::{Command, Config, Ftp, MAX_REPLIES, Reply, Transfer, address, progress};
use crate::flow::{Direction, PerDirection};

/// Parser of one flow.
#[derive(Debug)]
pub struct Parser {
    config: Config,
    commands: Lines,
    replies: Lines,
    /// Too many commands came before they were answered: nothing more is read.
    over: bool,
    /// Oldest transaction without its final reply.
    oldest: u64,
    /// Newest transaction.
    newest: Option<u64>,
    /// A reply of several lines began with these digits.
    long: Option<[u8; 3]>,
    /// Argument of the newest PORT or EPRT.
    asked: Vec<u8>,
    /// Where the next data channel will be, and whether the server opens it.
    channel: Option<(u16, bool)>,
    expected: Option<Expected>,
    upgraded: Option<Switch>,
    ended: PerDirection<bool>,
}

impl Parser {
    /// A parser of a new flow.
    #[must_use]
    pub fn new(config: &AppConfig) -> Self {
        Self {
            config: config.ftp,
            commands: Lines::new(config.ftp.max_line),
            replies: Lines::new(config.ftp.max_line),
            over: false,
            oldest: 0,
            newest: None,
            long: None,
            asked: Vec::new(),
            channel: None,
            expected: None,
            upgraded: None,
            ended: PerDirection::default(),
        }
    }

    fn command(&mut self, line: Line<'_>, txs: &mut TxList) {
        let Some((command, argument)) = Command::of(line.bytes) else { return };
        if self.is_full(txs) {
            return;
        }
        let mut ftp = Ftp { command: Some(command), cut: line.cut, ..Ftp::default() };
        ftp.argument = argument.to_vec();
        if let Command::Port | Command::Eprt = command {
            self.asked = argument.to_vec();
            let found = match command {
                Command::Port => address::host_port(argument),
                _ => address::extended(argument),
            };
            ftp.address = found.map(|(address, _)| address);
        }
        let id = txs.push(Record::Ftp(Box::new(ftp)));
        self.newest = Some(id);
        let Some(tx) = txs.get_mut(id) else { return };
        tx.touch(Direction::ToServer);
        if line.cut {
            tx.event(Direction::ToServer, "request_command_too_long");
        }
        if command.has_data() {
            let known = self.transfer(command, argument);
            if !known && matches!(command, Command::Retr | Command::Stor) {
                tx.event(Direction::ToServer, "file_before_port");
            }
        }
    }

    /// True, and an event, when one more command would be too many without an answer.
    fn is_full(&mut self, txs: &mut TxList) -> bool {
        let Some(newest) = self.newest else { return false };
        let open = newest.saturating_add(1).saturating_sub(self.oldest);
        if open < u64::try_from(self.config.max_transactions).unwrap_or(u64::MAX) {
            return false;
        }
        self.over = true;
        if let Some(tx) = txs.get_mut(newest) {
            tx.event(Direction::ToServer, "too_many_transactions");
        }
        true
    }

    /// Something will go over the data channel. False when none was agreed on.
    fn transfer(&mut self, command: Command, name: &[u8]) -> bool {
        let Some((port, active)) = self.channel.take() else { return false };
        let is_upload = command.is_upload();
        // The data flow's client is who opens it: the server in active mode.
        let dir = if is_upload == active { Direction::ToClient } else { Direction::ToServer };
        let transfer = Transfer { command, name: name.to_vec(), dir };
        self.expected = Some(Expected { port, what: What::FtpData(transfer) });
        true
    }

    fn reply(&mut self, line: Line<'_>, txs: &mut TxList) {
        let id = self.answering(txs);
        let is_final = self.is_final(line.bytes);
        let mut upgrade = false;
        let text = line.bytes;
        if let Some(tx) = txs.get_mut(id)
            && let Record::Ftp(ftp) = &mut tx.record
        {
            self.channel(ftp, line);
            upgrade = ftp.command == Some(Command::AuthTls) && text.starts_with(b"234");
            if ftp.replies.len() < MAX_REPLIES && !text.is_empty() {
                ftp.replies.push(reply_line(line));
            }
            ftp.answered |= is_final;
            tx.touch(Direction::ToClient);
            if line.cut {
                tx.event(Direction::ToClient, "response_command_too_long");
            }
            if is_final {
                // Rules of both directions may ask what the command came to.
                tx.reach(Direction::ToServer, progress::DONE);
                tx.reach(Direction::ToClient, progress::DONE);
                self.oldest = self.oldest.max(id.saturating_add(1));
            }
        }
        if upgrade {
            self.upgraded = Some(Switch::default());
        }
    }

    /// The transaction that a reply belongs to: the oldest without a final one, else the newest
    /// while it is there (further lines of its reply), else a new one.
    fn answering(&mut self, txs: &mut TxList) -> u64 {
        if let Some(newest) = self.newest
            && self.oldest <= newest
            && txs.get(self.oldest).is_some()
        {
            return self.oldest;
        }
        match self.newest.filter(|newest| txs.get(*newest).is_some()) {
            Some(newest) => newest,
            None => {
                let id = txs.push(Record::Ftp(Box::default()));
                self.newest = Some(id);
                self.oldest = id;
                id
            }
        }
    }

    /// Whether a line is the last of a reply that no other one follows (RFC 959 section 4.2).
    fn is_final(&mut self, line: &[u8]) -> bool {
        let code = code(line);
        if let Some(begun) = self.long {
            if code != Some(begun) || line.get(3) == Some(&b'-') {
                return false;
            }
            self.long = None;
        } else if line.get(3) == Some(&b'-') {
            self.long = code;
            return false;
        }
        !matches!(code, Some([b'1', ..]))
    }

    /// What a reply says about the next data channel.
    fn channel(&mut self, ftp: &mut Ftp, line: Line<'_>) {
        let text = line.bytes;
        let channel = match ftp.command {
            Some(Command::Port) => address::host_port(&self.asked).map(|(_, port)| (port, true)),
            Some(Command::Eprt) => address::extended(&self.asked).map(|(_, port)| (port, true)),
            _ if line.cut => None,
            Some(Command::Pasv) if text.starts_with(b"227") => {
                address::host_port(text.get(4..).unwrap_or_default()).map(|(_, port)| (port, false))
            }
            Some(Command::Epsv) if text.starts_with(b"229") => {
                address::extended_port(text).map(|port| (port, false))
            }
            _ => None,
        };
        if let Some((port, active)) = channel.filter(|(port, _)| *port != 0) {
            self.channel = Some((port, active));
            ftp.port = Some(port);
            ftp.active = active;
        }
    }
}

/// The digits a line begins with.
fn code(line: &[u8]) -> Option<[u8; 3]> {
    let code: [u8; 3] = *line.first_chunk()?;
    let alone = matches!(line.get(3), None | Some(b' ' | b'-'));
    (alone && code.iter().all(u8::is_ascii_digit)).then_some(code)
}

fn reply_line(line: Line<'_>) -> Reply {
    let (code, text) = match code(line.bytes) {
        Some(code) => (code.to_vec(), line.bytes.get(4..).unwrap_or_default()),
        None => (Vec::new(), line.bytes),
    };
    Reply { code, text: text.trim_ascii().to_vec(), cut: line.cut }
}

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        let mut input = bytes;
        let lines = match dir {
            Direction::ToServer => &mut self.commands,
            Direction::ToClient => &mut self.replies,
        };
        let mut lines = std::mem::replace(lines, Lines::new(1));
        while self.upgraded.is_none() && !self.over {
            let Some(line) = lines.next(&mut input) else { break };
            match dir {
                Direction::ToServer => self.command(line, txs),
                Direction::ToClient => self.reply(line, txs),
            }
        }
        match dir {
            Direction::ToServer => self.commands = lines,
            Direction::ToClient => self.replies = lines,
        }
        if let Some(switch) = &mut self.upgraded {
            switch.rest = PerDirection { to_server: self.commands.take(), to_client: Vec::new() };
            switch.rest.get_mut(dir).extend_from_slice(input);
        }
    }

    fn gap(&mut self, dir: Direction, _missing: u64, _txs: &mut TxList) {
        match dir {
            Direction::ToServer => self.commands.lose(),
            Direction::ToClient => self.replies.lose(),
        }
    }

    fn end(&mut self, dir: Direction, txs: &mut TxList) {
        *self.ended.get_mut(dir) = true;
        if self.ended.to_server && self.ended.to_client {
            txs.complete_all();
        }
    }

    fn switch(&mut self) -> Option<Switch> {
        self.upgraded.take()
    }

    fn expect(&mut self) -> Option<Expected> {
        self.expected.take()
    }
}
