//! Commands, replies and the mails between them.

use std::collections::VecDeque;

use super::super::lines::{Line, Lines};
use super::super::mime::{Mail, Out, Parser as Mime};
use super::super::{AppConfig, AppParser, Record, Switch, Transaction, TxList};
use super::{Config, MAX_LINE, MAX_RECIPIENTS, MAX_WAITING, Smtp, progress};
use crate::app::file::FileConfig;
use crate::flow::{Direction, PerDirection};

/// What a reply is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// A greeting: begins the session anew when it is granted. True when there was a mail to do away with.
    Hello(bool),
    StartTls,
    Data,
    /// Not a command: the end of the mail, which is answered too.
    MailEnd,
    /// A chunk that is not the last of its mail.
    Chunk,
    Rset,
    Other,
}

/// How the bytes of the client are to be read.
#[derive(Debug, Default)]
pub(super) enum Mode {
    #[default]
    Commands,
    /// A mail up to the line with a dot.
    Mail(Dots),
    /// That many bytes of a chunk are still to come; whether it is the last.
    Chunk(u64, bool),
}

/// Where in a mail the reader is, as far as lines with a dot go.
#[derive(Debug, Default)]
pub(super) struct Dots {
    /// Something of the mail was seen.
    pub(super) begun: bool,
    /// Within a line.
    inside: bool,
    /// Beginning of a line that may be the last one: `.` or `.` and a carriage return.
    held: &'static [u8],
}

/// Parser of one flow.
#[derive(Debug)]
pub struct Parser {
    config: Config,
    files: FileConfig,
    commands: Lines,
    pub(super) replies: Lines,
    pub(super) mode: Mode,
    pub(super) mime: Option<Box<Mime>>,
    helo: Vec<u8>,
    /// The transaction that commands belong to.
    pub(super) tx: Option<u64>,
    /// It ends with the next mail: RSET was sent.
    pub(super) resetting: bool,
    pub(super) waiting: VecDeque<(Command, u64)>,
    pub(super) greeted: bool,
    pub(super) multiline: bool,
    /// The server takes commands before it has answered the last ones.
    pub(super) pipelining: bool,
    pub(super) upgraded: Option<Switch>,
    ended: PerDirection<bool>,
}

impl Parser {
    /// A parser of a new flow.
    #[must_use]
    pub fn new(config: &AppConfig) -> Self {
        Self {
            config: config.smtp,
            files: config.files,
            commands: Lines::new(MAX_LINE),
            replies: Lines::new(MAX_LINE),
            mode: Mode::Commands,
            mime: None,
            helo: Vec::new(),
            tx: None,
            resetting: false,
            waiting: VecDeque::new(),
            greeted: false,
            multiline: false,
            pipelining: false,
            upgraded: None,
            ended: PerDirection::default(),
        }
    }

    #[cfg(test)]
    pub(super) fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    fn read_client(&mut self, input: &mut &[u8], txs: &mut TxList) {
        while !input.is_empty() {
            match &mut self.mode {
                Mode::Commands => {
                    let mut lines = std::mem::replace(&mut self.commands, Lines::new(MAX_LINE));
                    if let Some(line) = lines.next(input) {
                        self.command(line, txs);
                    }
                    self.commands = lines;
                }
                Mode::Mail(_) => self.mail(input, txs),
                Mode::Chunk(..) => self.chunk(input, txs),
            }
        }
    }

    /// The transaction that a command belongs to, a new one when the last is over.
    fn current<'a>(&mut self, command: &[u8], txs: &'a mut TxList) -> Option<&'a mut Transaction> {
        let open = self
            .tx
            .and_then(|id| txs.get(id))
            .is_some_and(|tx| tx.progress(Direction::ToServer) < progress::DONE);
        let stays = open || is(command, "rset") || is(command, "quit");
        let id = match self.tx.filter(|_| stays) {
            Some(id) => id,
            None => {
                self.resetting = false;
                let smtp = Smtp { helo: self.helo.clone(), ..Smtp::default() };
                txs.push(Record::Smtp(Box::new(smtp)))
            }
        };
        self.tx = Some(id);
        txs.get_mut(id)
    }

    fn command(&mut self, line: Line<'_>, txs: &mut TxList) {
        let text = line.bytes;
        if self.resetting && is(text, "mail from") {
            self.close(txs);
        }
        let greeted = self.greeted;
        if let Some(tx) = self.current(text, txs) {
            tx.touch(Direction::ToServer);
            if !greeted {
                tx.event(Direction::ToServer, "no_server_welcome_message");
            }
            if line.cut {
                tx.event(Direction::ToServer, "truncated_line");
            }
        }
        let command = self.take_in(text, txs);
        self.wait(command, txs);
    }

    /// What a command line means; sets the mode for what follows it.
    fn take_in(&mut self, text: &[u8], txs: &mut TxList) -> Command {
        if is(text, "starttls") {
            return Command::StartTls;
        }
        if is(text, "data") {
            return self.data_command(txs);
        }
        if is(text, "bdat") {
            return self.bdat_command(text, txs);
        }
        if is(text, "helo") || is(text, "ehlo") {
            let anew = self.tx.is_some_and(|id| has_envelope(id, txs));
            self.hello(argument(text, 5), txs);
            return Command::Hello(anew);
        }
        if is(text, "mail from") {
            self.with(txs, |events, smtp| {
                if smtp.mail_from.is_empty() {
                    smtp.mail_from = argument(text, 10).to_vec();
                } else {
                    events.push("duplicate_fields");
                }
            });
        } else if is(text, "rcpt to") {
            self.with(txs, |events, smtp| {
                if smtp.rcpt_to.len() < MAX_RECIPIENTS {
                    smtp.rcpt_to.push(argument(text, 8).to_vec());
                } else {
                    events.push("too_many_recipients");
                }
            });
        } else if is(text, "rset") {
            self.resetting = true;
            self.mime = None;
            return Command::Rset;
        }
        Command::Other
    }

    fn hello(&mut self, name: &[u8], txs: &mut TxList) {
        if !self.helo.is_empty() {
            self.event(Direction::ToServer, "duplicate_fields", txs);
            return;
        }
        self.helo = name.to_vec();
        self.with(txs, |_, smtp| smtp.helo = name.to_vec());
    }

    fn data_command(&mut self, txs: &mut TxList) -> Command {
        if self.mime.is_some() || matches!(self.mode, Mode::Mail(_)) {
            self.event(Direction::ToServer, "unparsable_content", txs);
            return Command::Other;
        }
        self.begin_mail(txs);
        // A server that takes commands ahead may be sent the mail ahead too.
        if self.pipelining {
            self.mode = Mode::Mail(Dots::default());
        }
        Command::Data
    }

    /// `BDAT size [LAST]` (RFC 3030 section 2).
    fn bdat_command(&mut self, text: &[u8], txs: &mut TxList) -> Command {
        let argument = text.get(4..).unwrap_or_default().trim_ascii();
        let end = argument.iter().position(|b| *b == b' ').unwrap_or(argument.len());
        let (size, rest) = argument.split_at_checked(end).unwrap_or((argument, &[]));
        let last = rest.trim_ascii();
        let size = std::str::from_utf8(size).ok().and_then(|size| size.parse::<u64>().ok());
        let Some(size) = size.filter(|_| last.is_empty() || last.eq_ignore_ascii_case(b"last"))
        else {
            self.event(Direction::ToServer, "invalid_bdat", txs);
            return Command::Other;
        };
        if self.mime.is_none() {
            self.begin_mail(txs);
        }
        let last = !last.is_empty();
        self.mode = Mode::Chunk(size, last);
        if size == 0 {
            self.chunk_done(last, txs);
        }
        if last { Command::MailEnd } else { Command::Chunk }
    }

    fn begin_mail(&mut self, txs: &mut TxList) {
        if !self.config.decode_mime {
            return;
        }
        let mime = Mime::new(Direction::ToServer, &self.config.mime, &self.files);
        self.mime = Some(Box::new(mime));
        self.with(txs, |_, smtp| {
            smtp.mail.get_or_insert_default();
        });
    }

    /// Bytes of a mail, dots at the beginning of lines undone (RFC 5321 section 4.5.2).
    fn mail(&mut self, input: &mut &[u8], txs: &mut TxList) {
        let Mode::Mail(dots) = &mut self.mode else { return };
        dots.begun = true;
        if !dots.inside {
            let held = std::mem::replace(&mut dots.held, b"");
            match (held, *input) {
                (b"", [b'.', rest @ ..]) => {
                    dots.held = b".";
                    *input = rest;
                    return;
                }
                (b".", [b'\r', rest @ ..]) => {
                    dots.held = b".\r";
                    *input = rest;
                    return;
                }
                (b"." | b".\r", [b'\n', rest @ ..]) => {
                    *input = rest;
                    return self.mail_done(txs);
                }
                (b"", _) => {}
                (b".\r", _) => {
                    self.with_mail(txs, |mime, _| mime.left_out(b"."));
                    self.read(b"\r", txs);
                }
                _ => self.with_mail(txs, |mime, _| mime.left_out(b".")),
            }
        }
        let Mode::Mail(dots) = &mut self.mode else { return };
        let end = memchr::memmem::find(input, b"\n.").map(|at| at.saturating_add(1));
        let (now, later) =
            input.split_at_checked(end.unwrap_or(input.len())).unwrap_or((input, &[]));
        dots.inside = now.last() != Some(&b'\n');
        *input = later;
        self.read(now, txs);
    }

    /// The mail ends; its answer is waited for.
    fn mail_done(&mut self, txs: &mut TxList) {
        self.mode = Mode::Commands;
        self.finish_mail(txs);
        self.wait(Command::MailEnd, txs);
        self.close(txs);
    }

    fn chunk(&mut self, input: &mut &[u8], txs: &mut TxList) {
        let Mode::Chunk(left, last) = self.mode else { return };
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        let (now, later) = input.split_at_checked(room).unwrap_or((input, &[]));
        *input = later;
        self.read(now, txs);
        let left = left.saturating_sub(u64::try_from(room).unwrap_or(u64::MAX));
        self.mode = Mode::Chunk(left, last);
        if left == 0 {
            self.chunk_done(last, txs);
        }
    }

    fn chunk_done(&mut self, last: bool, txs: &mut TxList) {
        self.mode = Mode::Commands;
        if last {
            self.finish_mail(txs);
            self.close(txs);
        }
    }

    /// Hands bytes to the mail under way.
    fn read(&mut self, bytes: &[u8], txs: &mut TxList) {
        self.with_mail(txs, |mime, out| mime.data(bytes, out));
    }

    fn finish_mail(&mut self, txs: &mut TxList) {
        self.with_mail(txs, |mime, out| mime.end(out));
        self.mime = None;
    }

    fn with_mail(&mut self, txs: &mut TxList, act: impl FnOnce(&mut Mime, &mut Out<'_>)) {
        let Some(tx) = self.tx.and_then(|id| txs.get_mut(id)) else { return };
        let Some(mime) = &mut self.mime else { return };
        let Record::Smtp(smtp) = &mut tx.record else { return };
        let mut events = Vec::new();
        let mail: &mut Mail = smtp.mail.get_or_insert_default();
        act(mime, &mut Out { mail, files: &mut tx.files, events: &mut events });
        tx.touch(Direction::ToServer);
        for name in events {
            tx.event(Direction::ToServer, name);
        }
    }

    /// Changes the current transaction; the names in the list become events.
    fn with(&mut self, txs: &mut TxList, act: impl FnOnce(&mut Vec<&'static str>, &mut Smtp)) {
        let Some(tx) = self.tx.and_then(|id| txs.get_mut(id)) else { return };
        let Record::Smtp(smtp) = &mut tx.record else { return };
        let mut events = Vec::new();
        act(&mut events, smtp);
        for name in events {
            tx.event(Direction::ToServer, name);
        }
    }

    pub(super) fn event(&mut self, dir: Direction, name: &'static str, txs: &mut TxList) {
        if let Some(tx) = self.tx.and_then(|id| txs.get_mut(id)) {
            tx.event(dir, name);
        }
    }

    /// Nothing more of the client belongs to the current transaction.
    fn close(&mut self, txs: &mut TxList) {
        self.resetting = false;
        if let Some(tx) = self.tx.and_then(|id| txs.get_mut(id)) {
            tx.reach(Direction::ToServer, progress::DONE);
        }
    }

    fn wait(&mut self, command: Command, txs: &mut TxList) {
        let Some(id) = self.tx else { return };
        // These end a group of commands (RFC 2920 section 3.1).
        let last = self.waiting.back().map(|(command, _)| *command);
        if matches!(last, Some(Command::StartTls | Command::Data)) {
            self.event(Direction::ToServer, "invalid_pipelined_sequence", txs);
        }
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back((command, id));
        }
    }
}

/// Something was sent that a new greeting does away with.
fn has_envelope(id: u64, txs: &TxList) -> bool {
    txs.get(id).is_some_and(|tx| match &tx.record {
        Record::Smtp(smtp) => {
            !smtp.mail_from.is_empty() || !smtp.rcpt_to.is_empty() || smtp.mail.is_some()
        }
        _ => false,
    })
}

fn is(line: &[u8], command: &str) -> bool {
    line.get(..command.len()).is_some_and(|head| head.eq_ignore_ascii_case(command.as_bytes()))
}

/// The argument of a command from that place on: up to the next space, which parameters follow.
fn argument(line: &[u8], from: usize) -> &[u8] {
    let rest = line.get(from..).unwrap_or_default();
    let blank = rest.iter().take_while(|b| **b == b' ').count();
    let rest = rest.get(blank..).unwrap_or_default();
    let end = rest.iter().position(|b| *b == b' ').unwrap_or(rest.len());
    rest.get(..end).unwrap_or(rest)
}

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        let mut input = bytes;
        match dir {
            Direction::ToServer => self.read_client(&mut input, txs),
            Direction::ToClient => self.read_server(&mut input, txs),
        }
        if let Some(switch) = &mut self.upgraded {
            switch.rest = PerDirection { to_server: self.commands.take(), to_client: Vec::new() };
            switch.rest.get_mut(dir).extend_from_slice(input);
        }
    }

    fn gap(&mut self, dir: Direction, missing: u64, txs: &mut TxList) {
        match (dir, &mut self.mode) {
            (Direction::ToClient, _) => self.replies.lose(),
            (Direction::ToServer, Mode::Mail(dots)) => {
                *dots = Dots { begun: true, inside: true, held: b"" };
                self.with_mail(txs, |mime, out| mime.gap(missing, out));
            }
            (Direction::ToServer, Mode::Chunk(left, last)) => {
                let (over, last) = (missing >= *left, *last);
                *left = left.saturating_sub(missing);
                self.with_mail(txs, |mime, out| mime.gap(missing, out));
                if over {
                    self.chunk_done(last, txs);
                    self.commands.lose();
                }
            }
            (Direction::ToServer, _) => self.commands.lose(),
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
}
