//! One request and its response, whatever the protocol, and the list of those a flow has open.

use super::file::File;
use super::{
    Protocol, dcerpc, dhcp, dns, ftp, http, http2, krb5, ldap, ntp, pop3, quic, rfb, sip, smb,
    smtp, snmp, ssh, tftp, tls, websocket,
};
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
    /// A call of DCERPC.
    Dcerpc(Box<dcerpc::Call>),
    /// An SMB request and its response, or a file that goes over several of them.
    Smb(Box<smb::Smb>),
    /// An SNMP message.
    Snmp(Box<snmp::Message>),
    /// A Kerberos message.
    Krb5(Box<krb5::Message>),
    /// A SIP message.
    Sip(Box<sip::Message>),
    /// A stream of HTTP/2, or a frame of its connection.
    Http2(Box<http2::Http2>),
    /// A frame of WebSocket.
    Websocket(Box<websocket::Frame>),
    /// A DHCP message.
    Dhcp(Box<dhcp::Message>),
    /// An NTP message.
    Ntp(Box<ntp::Message>),
    /// A TFTP request.
    Tftp(Box<tftp::Request>),
    /// An LDAP request and its responses.
    Ldap(Box<ldap::Ldap>),
    /// A POP3 command with its response.
    Pop3(Box<pop3::Pop3>),
    /// A hello of QUIC.
    Quic(Box<quic::Quic>),
    /// The handshake of RFB.
    Rfb(Box<rfb::Rfb>),
}

impl Record {
    /// Progress at which a direction is complete.
    #[must_use]
    pub fn complete_at(&self, dir: Direction) -> u8 {
        match self {
            Self::Http(_) | Self::Http2(_) => http::progress::COMPLETE,
            Self::Tls(_) => tls::progress::complete(dir),
            Self::Smtp(_) => smtp::progress::DONE,
            Self::Ftp(_) | Self::FtpData(_) => ftp::progress::DONE,
            Self::Ssh(_) => ssh::progress::DONE,
            Self::Dns(_)
            | Self::Websocket(_)
            | Self::Dcerpc(_)
            | Self::Smb(_)
            | Self::Snmp(_)
            | Self::Krb5(_)
            | Self::Dhcp(_)
            | Self::Ntp(_)
            | Self::Quic(_)
            | Self::Ldap(_)
            | Self::Pop3(_)
            | Self::Tftp(_)
            | Self::Rfb(_)
            | Self::Sip(_) => 1,
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

/// Complete transactions that may wait for an older one.
const HELD: usize = 16;

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
    /// News that rules have not seen yet.
    uninspected: PerDirection<bool>,
    /// What rules see of a direction they have seen in another transaction.
    told: PerDirection<bool>,
    /// Complete and told; kept for inspection alone.
    over: bool,
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
            Record::Dcerpc(_) => Protocol::Dcerpc,
            Record::Smb(_) => Protocol::Smb,
            Record::Snmp(_) => Protocol::Snmp,
            Record::Krb5(_) => Protocol::Krb5,
            Record::Sip(_) => Protocol::Sip,
            Record::Http2(http2) if http2.has_dns() => Protocol::Doh2,
            Record::Http2(_) => Protocol::Http2,
            Record::Websocket(_) => Protocol::Websocket,
            Record::Dhcp(_) => Protocol::Dhcp,
            Record::Ntp(_) => Protocol::Ntp,
            Record::Quic(_) => Protocol::Quic,
            Record::Ldap(_) => Protocol::Ldap,
            Record::Pop3(_) => Protocol::Pop3,
            Record::Tftp(_) => Protocol::Tftp,
            Record::Rfb(_) => Protocol::Rfb,
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

    /// Takes back the news of a direction, and all that will come: it was told before, in another
    /// transaction.
    pub(crate) fn told_already(&mut self, dir: Direction) {
        *self.told.get_mut(dir) = true;
        *self.touched.get_mut(dir) = false;
        *self.uninspected.get_mut(dir) = false;
    }

    /// Says that a direction has news.
    pub fn touch(&mut self, dir: Direction) {
        *self.touched.get_mut(dir) = true;
        *self.uninspected.get_mut(dir) = !*self.told.get(dir);
    }

    /// A direction has news that rules have not seen.
    #[must_use]
    pub fn has_uninspected(&self, dir: Direction) -> bool {
        *self.uninspected.get(dir)
    }

    fn waits(&self) -> bool {
        self.uninspected.to_server || self.uninspected.to_client
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

/// Most transactions that spare room is kept for.
const SPARE: usize = 4;

/// Room for transactions that goes from flow to flow: nearly all of them are there for one packet, and what is
/// allocated for each packet anew is seldom in the processor's cache.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    list: Vec<Transaction>,
    message: Option<Box<dns::Message>>,
}

/// The open transactions of a flow, oldest first.
#[derive(Debug)]
pub struct TxList {
    list: Vec<Transaction>,
    next_id: u64,
    limit: u32,
    any_touched: bool,
    any_uninspected: bool,
    /// What the flow spoke first, when that is another protocol than now.
    pub(super) original: Option<Protocol>,
    /// Frames that were not looked at yet.
    pub(super) frames: Option<Box<super::frame::Found>>,
    pub(super) sides: super::sides::Sides,
    /// Room for the next message, see [`Spare`].
    message: Option<Box<dns::Message>>,
}

impl Default for TxList {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            next_id: 0,
            limit: 512,
            any_touched: false,
            any_uninspected: false,
            original: None,
            frames: None,
            sides: super::sides::Sides::default(),
            message: None,
        }
    }
}

impl TxList {
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = u32::try_from(limit.max(1)).unwrap_or(u32::MAX);
    }

    /// The protocol the flow began with, when it speaks another now.
    #[must_use]
    pub fn original_protocol(&self) -> Option<Protocol> {
        self.original
    }

    /// True when no transaction is open.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Takes over spare room, until [`Self::give_back`].
    #[inline]
    pub(crate) fn lend(&mut self, spare: &mut Spare) {
        if self.list.capacity() == 0 {
            std::mem::swap(&mut self.list, &mut spare.list);
        }
        self.message = spare.message.take();
    }

    /// Gives room that is free to other flows. After it an empty list has no room of its own.
    #[inline]
    pub(crate) fn give_back(&mut self, spare: &mut Spare) {
        if self.list.is_empty() && self.list.capacity() > 0 {
            let list = std::mem::take(&mut self.list);
            if list.capacity() <= SPARE {
                spare.list = list;
            }
        }
        if let Some(message) = self.message.take() {
            spare.message = Some(message);
        }
    }

    /// An empty message.
    pub(super) fn empty_message(&mut self) -> Box<dns::Message> {
        self.message.take().unwrap_or_default()
    }

    /// The last transaction is over: what can be used again is kept.
    fn recycle(&mut self) {
        if let Some(Transaction { record: Record::Dns(mut message), .. }) = self.list.pop()
            && message.empty()
        {
            self.message = Some(message);
        }
    }

    fn limit(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }

    /// What each side speaks, when that differs; the flow is parsed as the protocol that was known first.
    #[must_use]
    pub fn protocols(&self) -> Option<PerDirection<Protocol>> {
        self.sides.differing()
    }

    /// Events of the flow since the last call of `settle`, by the name of the `app-layer-event` keyword.
    #[must_use]
    pub fn flow_events(&self) -> &[&'static str] {
        self.sides.news()
    }

    /// Frames that were not looked at yet, oldest first.
    #[must_use]
    pub fn frames(&self) -> &[super::frame::Frame] {
        self.frames.as_ref().map_or(&[], |frames| frames.list())
    }

    /// Frames that nobody looked at before there were too many.
    #[must_use]
    pub fn frames_lost(&self) -> u64 {
        self.frames.as_ref().map_or(0, |frames| frames.lost())
    }

    /// Number of transactions ever made.
    #[must_use]
    pub fn created(&self) -> u64 {
        self.next_id
    }

    /// Adds a transaction and returns its id. When too many are open the oldest counts as complete.
    pub fn push(&mut self, record: Record) -> u64 {
        if self.list.len() >= self.limit()
            && let Some(open) = self.list.iter_mut().find(|tx| !tx.both_complete())
        {
            open.complete(Direction::ToServer);
            open.complete(Direction::ToClient);
        }
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        self.any_touched = true;
        if self.list.capacity() == 0 {
            // Most flows have one at a time; room for four would stay with each of them.
            self.list.reserve_exact(1);
        }
        self.list.push(Transaction {
            id,
            record,
            events: Vec::new(),
            files: Vec::new(),
            progress: PerDirection::default(),
            touched: PerDirection::default(),
            uninspected: PerDirection::default(),
            told: PerDirection::default(),
            over: false,
        });
        id
    }

    /// The newest transaction.
    pub(super) fn newest(&mut self) -> Option<&mut Transaction> {
        self.any_touched = true;
        self.list.last_mut().filter(|tx| !tx.over)
    }

    /// An open transaction.
    pub fn get_mut(&mut self, id: u64) -> Option<&mut Transaction> {
        let at = self.place(id)?;
        self.any_touched = true;
        let tx = self.list.get_mut(at)?;
        Some(tx).filter(|tx| !tx.over)
    }

    /// An open transaction.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Transaction> {
        self.list.get(self.place(id)?)
    }

    /// Where a transaction is: mostly as far from the front as its number says.
    fn place(&self, id: u64) -> Option<usize> {
        let first = self.list.first()?.id;
        let at = usize::try_from(id.checked_sub(first)?).ok()?;
        if self.list.get(at).is_some_and(|tx| tx.id == id) {
            return Some(at);
        }
        self.list.binary_search_by_key(&id, |tx| tx.id).ok()
    }

    pub(super) fn complete_all(&mut self) {
        self.any_touched = true;
        for tx in &mut self.list {
            tx.complete(Direction::ToServer);
            tx.complete(Direction::ToClient);
        }
    }

    /// The news when it is one DNS message and nothing else, as it is of nearly all datagrams of DNS: its transaction's
    /// number and its direction.
    #[must_use]
    #[inline]
    pub fn only_message(&self) -> Option<(u64, Direction)> {
        let [tx] = self.list.as_slice() else { return None };
        let quiet = self.any_touched
            && tx.events.is_empty()
            && tx.files.is_empty()
            && self.original.is_none()
            && self.flow_events().is_empty();
        let dir = match (tx.touched.to_server, tx.touched.to_client) {
            (true, false) => Direction::ToServer,
            (false, true) => Direction::ToClient,
            _ => return None,
        };
        let whole = quiet && matches!(tx.record, Record::Dns(_)) && tx.both_complete();
        whole.then_some((tx.id, dir))
    }

    /// Takes that message, which nobody will ask for any more, for the room of another.
    #[inline]
    pub fn exchange(&mut self, room: &mut Box<dns::Message>) {
        if let [Transaction { record: Record::Dns(message), .. }] = self.list.as_mut_slice() {
            std::mem::swap(message, room);
        }
    }

    /// Transactions with news since the last call of `settle`, with the direction of the news.
    pub fn changed(&self) -> impl Iterator<Item = (&Transaction, Direction)> {
        let list = if self.any_touched { self.list.iter() } else { [].iter() };
        list.flat_map(|tx| {
            [Direction::ToServer, Direction::ToClient]
                .into_iter()
                .filter(|dir| *tx.touched.get(*dir))
                .map(move |dir| (tx, dir))
        })
    }

    /// Transactions with news that was not inspected: of one direction, or of both for `None`.
    pub fn to_inspect(
        &self,
        only: Option<Direction>,
    ) -> impl Iterator<Item = (&Transaction, Direction)> {
        let any = self.any_touched || self.any_uninspected;
        let list = if any { self.list.iter() } else { [].iter() };
        list.flat_map(move |tx| {
            [Direction::ToServer, Direction::ToClient]
                .into_iter()
                .filter(move |dir| only.is_none_or(|only| only == *dir))
                .filter(|dir| *tx.uninspected.get(*dir))
                .map(move |dir| (tx, dir))
        })
    }

    /// All open transactions, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Transaction> {
        self.list.iter()
    }

    /// The news was taken note of: forgets it, and every transaction that is complete. Of `inspected`
    /// (`None`: of both directions) it was inspected too; what was not keeps its transaction.
    #[inline]
    pub(crate) fn settle(&mut self, inspected: Option<Direction>) {
        self.sides.settle();
        if let Some(frames) = &mut self.frames {
            frames.settle(inspected);
        }
        if !std::mem::take(&mut self.any_touched) && !self.any_uninspected {
            return;
        }
        self.any_uninspected = false;
        match self.list.as_slice() {
            [] => {}
            [tx] if inspected.is_none() && tx.both_complete() => self.recycle(),
            _ => self.settle_each(inspected),
        }
    }

    #[inline(never)]
    fn settle_each(&mut self, inspected: Option<Direction>) {
        for tx in &mut self.list {
            tx.touched = PerDirection::default();
            match inspected {
                Some(dir) => *tx.uninspected.get_mut(dir) = false,
                None => tx.uninspected = PerDirection::default(),
            }
            tx.over = tx.both_complete();
            self.any_uninspected |= tx.waits();
            tx.files.iter_mut().for_each(File::settle);
        }
        let (limit, open) = (self.limit(), self.list.len());
        let done = self.list.iter().enumerate().take_while(|(at, tx)| {
            // Without a packet of the direction that is waited for, the limit holds nevertheless.
            tx.both_complete() && (!tx.waits() || open.saturating_sub(*at) > limit)
        });
        let done = done.count();
        self.list.drain(..done);
        // One that stays open for long (a file) does not hold those after it.
        if self.list.len() > HELD {
            let full = self.list.len() > limit;
            self.list.retain(|tx| !tx.both_complete() || tx.waits() && !full);
        }
    }
}
