//! One request and its response, whatever the protocol, and the list of those a flow has open.

use std::collections::VecDeque;

use super::file::File;
use super::{Protocol, dns, ftp, http, http2, smtp, ssh, tls, websocket};
use crate::flow::{Direction, PerDirection};

/// What a transaction is about.
#[derive(Debug)]
pub enum Record {
    /// HTTP/1 request and response.
    Http(Box<http::Http>),
    /// One DNS message.
    Dns(Box<dns::Message>),
    /// A TLS handshake.
    Tls(Box<tls::Tls>),
    /// A mail by SMTP.
    Smtp(Box<smtp::Smtp>),
    /// An FTP command.
    Ftp(Box<ftp::Ftp>),
    /// A file over a data channel of FTP.
    FtpData(Box<ftp::Transfer>),
    /// The beginning of an SSH connection.
    Ssh(Box<ssh::Ssh>),
    /// A stream of HTTP/2, or a frame of its connection.
    Http2(Box<http2::Http2>),
    /// A frame of WebSocket.
    Websocket(Box<websocket::Frame>),
}

impl Record {
    /// Progress at which a direction is complete.
    #[must_use]
    pub fn complete_at(&self, dir: Direction) -> u8 {
        match self {
            Self::Http(_) | Self::Http2(_) => http::progress::COMPLETE,
            Self::Dns(_) | Self::Websocket(_) => 1,
            Self::Tls(_) => tls::progress::complete(dir),
            Self::Smtp(_) => smtp::progress::DONE,
            Self::Ftp(_) | Self::FtpData(_) => ftp::progress::DONE,
            Self::Ssh(_) => ssh::progress::DONE,
        }
    }
}

/// Something wrong in a transaction, by the name of the `app-layer-event` keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Name without the protocol, for example `invalid_request_chunk_len`.
    pub name: &'static str,
    /// Side on which it happened.
    pub dir: Direction,
}

/// Events kept per transaction; more of them say nothing new.
const MAX_EVENTS: usize = 16;

/// A transaction: its record, how far each direction is, what is wrong with it.
#[derive(Debug)]
pub struct Transaction {
    /// Number within the flow, from 0.
    pub id: u64,
    /// What it is about.
    pub record: Record,
    /// What is wrong.
    pub events: Vec<Event>,
    /// Files it carries, of both directions, in the order in which they began.
    pub files: Vec<File>,
    progress: PerDirection<u8>,
    touched: PerDirection<bool>,
}

impl Transaction {
    /// How far a direction is; the numbers are those of the protocol's `progress` module.
    #[must_use]
    pub fn progress(&self, dir: Direction) -> u8 {
        *self.progress.get(dir)
    }

    /// True when nothing more comes in a direction.
    #[must_use]
    pub fn is_complete(&self, dir: Direction) -> bool {
        self.progress(dir) >= self.record.complete_at(dir)
    }

    /// Its protocol.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        match &self.record {
            Record::Http(_) => Protocol::Http,
            Record::Dns(_) => Protocol::Dns,
            Record::Tls(_) => Protocol::Tls,
            Record::Smtp(_) => Protocol::Smtp,
            Record::Ftp(_) => Protocol::Ftp,
            Record::FtpData(_) => Protocol::FtpData,
            Record::Ssh(_) => Protocol::Ssh,
            Record::Http2(http2) if http2.has_dns() => Protocol::Doh2,
            Record::Http2(_) => Protocol::Http2,
            Record::Websocket(_) => Protocol::Websocket,
        }
    }

    /// The HTTP record.
    #[must_use]
    pub fn http(&self) -> Option<&http::Http> {
        match &self.record {
            Record::Http(http) => Some(http),
            _ => None,
        }
    }

    /// Remembers something wrong; the same event only once.
    pub fn event(&mut self, dir: Direction, name: &'static str) {
        let event = Event { name, dir };
        if self.events.len() < MAX_EVENTS && !self.events.contains(&event) {
            self.events.push(event);
            self.touch(dir);
        }
    }

    /// Sets the progress of a direction, which only grows.
    pub fn reach(&mut self, dir: Direction, progress: u8) {
        let current = self.progress.get_mut(dir);
        *current = progress.max(*current);
        self.touch(dir);
    }

    /// Sets the progress of a direction that has nothing to say.
    pub(crate) fn close_silently(&mut self, dir: Direction, progress: u8) {
        *self.progress.get_mut(dir) = progress;
    }

    /// Says that a direction has news.
    pub fn touch(&mut self, dir: Direction) {
        *self.touched.get_mut(dir) = true;
    }

    fn both_complete(&self) -> bool {
        self.is_complete(Direction::ToServer) && self.is_complete(Direction::ToClient)
    }

    fn complete(&mut self, dir: Direction) {
        for file in self.files.iter_mut().filter(|file| file.dir == dir) {
            file.truncate();
        }
        if !self.is_complete(dir) {
            self.reach(dir, self.record.complete_at(dir));
        }
    }
}

/// The open transactions of a flow, oldest first.
#[derive(Debug)]
pub struct TxList {
    list: VecDeque<Transaction>,
    next_id: u64,
    limit: usize,
    any_touched: bool,
    /// What the flow spoke first, when that is another protocol than now.
    pub(super) original: Option<Protocol>,
}

impl Default for TxList {
    fn default() -> Self {
        Self { list: VecDeque::new(), next_id: 0, limit: 512, any_touched: false, original: None }
    }
}

impl TxList {
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit.max(1);
    }

    /// The protocol the flow began with, when it speaks another now.
    #[must_use]
    pub fn original_protocol(&self) -> Option<Protocol> {
        self.original
    }

    /// Number of transactions ever made.
    #[must_use]
    pub fn created(&self) -> u64 {
        self.next_id
    }

    /// Adds a transaction and returns its id. When too many are open the oldest counts as complete.
    pub fn push(&mut self, record: Record) -> u64 {
        if self.list.len() >= self.limit
            && let Some(open) = self.list.iter_mut().find(|tx| !tx.both_complete())
        {
            open.complete(Direction::ToServer);
            open.complete(Direction::ToClient);
        }
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        self.any_touched = true;
        self.list.push_back(Transaction {
            id,
            record,
            events: Vec::new(),
            files: Vec::new(),
            progress: PerDirection::default(),
            touched: PerDirection::default(),
        });
        id
    }

    /// An open transaction.
    pub fn get_mut(&mut self, id: u64) -> Option<&mut Transaction> {
        let first = self.list.front()?.id;
        self.any_touched = true;
        self.list.get_mut(usize::try_from(id.checked_sub(first)?).ok()?)
    }

    /// An open transaction.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Transaction> {
        let first = self.list.front()?.id;
        self.list.get(usize::try_from(id.checked_sub(first)?).ok()?)
    }

    pub(super) fn complete_all(&mut self) {
        self.any_touched = true;
        for tx in &mut self.list {
            tx.complete(Direction::ToServer);
            tx.complete(Direction::ToClient);
        }
    }

    /// Transactions with news since the last call of `settle`, with the direction of the news.
    pub fn changed(&self) -> impl Iterator<Item = (&Transaction, Direction)> {
        let list = if self.any_touched { self.list.iter() } else { EMPTY.iter() };
        list.flat_map(|tx| {
            [Direction::ToServer, Direction::ToClient]
                .into_iter()
                .filter(|dir| *tx.touched.get(*dir))
                .map(move |dir| (tx, dir))
        })
    }

    /// All open transactions, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Transaction> {
        self.list.iter()
    }

    /// The news was taken note of: forgets it, and every transaction that is complete.
    pub(crate) fn settle(&mut self) {
        if !std::mem::take(&mut self.any_touched) {
            return;
        }
        for tx in &mut self.list {
            tx.touched = PerDirection::default();
            tx.files.iter_mut().for_each(File::settle);
        }
        while self.list.front().is_some_and(Transaction::both_complete) {
            self.list.pop_front();
        }
    }
}

static EMPTY: VecDeque<Transaction> = VecDeque::new();
