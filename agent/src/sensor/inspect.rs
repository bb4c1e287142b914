//! Transactions as the signature engine sees them: a borrowed view, nothing copied that is there.
//!
//! One file per protocol; what files in transit show is the same for all of them ([`file`]).

mod dcerpc;
mod dns;
mod file;
mod frame;
mod ftp;
mod http;
mod http2;
mod krb5;
mod ldap;
pub(crate) mod magic;
mod messages;
mod quic;
mod sip;
mod smb;
mod smtp;
mod snmp;
mod ssh;
mod tls;
mod websocket;

pub(crate) use frame::FrameView;
use net::app::{Record, Transaction};
use signature::{AppProto, Buffer, Inspect, Number, View};

/// The signature engine's word for a direction.
pub(crate) fn direction(dir: net::Direction) -> signature::Direction {
    match dir {
        net::Direction::ToServer => signature::Direction::ToServer,
        net::Direction::ToClient => signature::Direction::ToClient,
    }
}

/// Our word for a direction.
pub(crate) fn our_direction(dir: signature::Direction) -> net::Direction {
    match dir {
        signature::Direction::ToServer => net::Direction::ToServer,
        signature::Direction::ToClient => net::Direction::ToClient,
    }
}

/// A transaction under inspection.
pub(crate) struct TxView<'a> {
    tx: &'a Transaction,
    protocol: AppProto,
    /// Raw stream around it, per direction.
    payload: [&'a [u8]; 2],
    cache: http::Cache,
    mail: smtp::Cache,
    /// Who opened the flow.
    client: std::net::IpAddr,
    /// The direction under inspection.
    dir: net::Direction,
    /// Version of QUIC as bytes.
    version: std::cell::OnceCell<[u8; 4]>,
    /// Text made of an address, or a fingerprint.
    address: std::cell::OnceCell<String>,
}

impl<'a> TxView<'a> {
    pub(crate) fn new(
        (tx, dir): (&'a Transaction, net::Direction),
        protocol: AppProto,
        client: std::net::IpAddr,
        payload: [&'a [u8]; 2],
    ) -> Self {
        Self {
            tx,
            dir,
            protocol,
            payload,
            cache: http::Cache::default(),
            mail: smtp::Cache::default(),
            client,
            version: std::cell::OnceCell::new(),
            address: std::cell::OnceCell::new(),
        }
    }

    /// The raw stream around the transaction.
    fn raw(&self, dir: signature::Direction, instance: u32) -> View<'_> {
        let raw = self.payload.get(dir.index()).copied().unwrap_or_default();
        let last = self.is_complete(dir);
        match (instance, raw.is_empty()) {
            (0, false) => View::Data { bytes: raw, offset: 0, last },
            (0, true) if !last => View::Pending,
            _ => View::Absent,
        }
    }
}

fn non_empty(bytes: &[u8]) -> View<'_> {
    if bytes.is_empty() { View::Absent } else { View::whole(bytes) }
}

impl Inspect for TxView<'_> {
    fn protocol(&self) -> AppProto {
        self.protocol
    }

    fn id(&self) -> u64 {
        self.tx.id
    }

    fn buffer(&self, buffer: Buffer, dir: signature::Direction, instance: u32) -> View<'_> {
        if buffer == Buffer::Payload {
            return self.raw(dir, instance);
        }
        match &self.tx.record {
            Record::Http(http) => self.http(http, buffer, our_direction(dir), instance),
            _ if matches!(buffer, Buffer::FileData | Buffer::FileName) => {
                file::buffer(self.tx, buffer, our_direction(dir), instance)
            }
            Record::Http2(http2) => {
                let dir = our_direction(dir);
                let state = (instance, self.tx.is_complete(dir));
                http2::buffer(http2, buffer, dir, state)
                    .unwrap_or_else(|| self.http(&http2.http, buffer, dir, instance))
            }
            Record::Websocket(frame) => websocket::buffer(frame, buffer, instance),
            Record::Dns(message) => dns::buffer(message, buffer, instance),
            Record::Tls(session) => tls::buffer(session, buffer, instance, dir),
            Record::Smtp(smtp) => {
                smtp::buffer(smtp, &self.mail, buffer, instance, self.is_complete(dir))
            }
            Record::Ftp(ftp) => ftp::buffer(ftp, buffer, instance, self.is_complete(dir)),
            Record::FtpData(_) => View::Absent,
            Record::Ssh(ssh) => {
                let dir = our_direction(dir);
                ssh::buffer(ssh, buffer, instance, (dir, self.tx.progress(dir)))
            }
            Record::Dcerpc(call) => dcerpc::buffer(self, call, (buffer, instance), dir),
            Record::Smb(smb) => smb::buffer(self, smb, (buffer, instance), dir),
            Record::Snmp(message) => self.snmp(message, buffer, instance),
            Record::Krb5(message) => krb5::buffer(message, buffer, instance),
            Record::Sip(message) => sip::buffer(message, buffer, instance),
            Record::Ldap(ldap) => ldap::buffer(ldap, buffer, instance, self.is_complete(dir)),
            Record::Quic(quic) => self.quic(quic, buffer, instance),
            Record::Dhcp(_)
            | Record::Ntp(_)
            | Record::Tftp(_)
            | Record::Rfb(_)
            | Record::Pop3(_) => messages::buffer(&self.tx.record, buffer, instance),
        }
    }

    fn number(&self, number: Number, dir: signature::Direction) -> Option<u64> {
        match &self.tx.record {
            Record::Tls(session) => tls::number(session, number, dir),
            Record::Http2(http2) => http2::number(http2, number, our_direction(dir), 0),
            Record::Websocket(frame) => websocket::number(frame, number),
            Record::Dns(message) => dns::number(message, number, 0),
            Record::Http(http) if number == Number::FileSize && self.is_complete(dir) => {
                http::file_size(http, our_direction(dir))
            }
            Record::Ftp(ftp) => ftp::number(ftp, number, dir, self.is_complete(dir), self.client),
            Record::FtpData(transfer) => ftp::data_number(transfer, number),
            Record::Dcerpc(call) => dcerpc::number(call, number, our_direction(dir)),
            Record::Smb(smb) => smb::number(smb, number, our_direction(dir)),
            Record::Snmp(message) => snmp::number(message, number),
            Record::Krb5(message) => krb5::number(message, number),
            Record::Dhcp(_)
            | Record::Ntp(_)
            | Record::Tftp(_)
            | Record::Rfb(_)
            | Record::Pop3(_) => messages::number(&self.tx.record, number, dir),
            Record::Http(_)
            | Record::Smtp(_)
            | Record::Ssh(_)
            | Record::Sip(_)
            | Record::Quic(_) => None,
            Record::Ldap(ldap) => ldap::number(ldap, number, dir, 0),
        }
    }

    fn interface(&self) -> Option<([u8; 16], u16, bool)> {
        match &self.tx.record {
            Record::Dcerpc(call) => dcerpc::interface(call),
            Record::Smb(smb) => smb.call().and_then(dcerpc::interface),
            _ => None,
        }
    }

    fn file(&self, dir: signature::Direction, instance: u32) -> Option<signature::FileFacts<'_>> {
        file::facts(self.tx, our_direction(dir), instance)
    }

    fn number_at(&self, number: Number, dir: signature::Direction, instance: u32) -> Option<u64> {
        match &self.tx.record {
            Record::Http2(http2) => http2::number(http2, number, our_direction(dir), instance),
            Record::Dns(message) => dns::number(message, number, instance),
            Record::Ldap(ldap) => ldap::number(ldap, number, dir, instance),
            _ if instance == 0 => self.number(number, dir),
            _ => None,
        }
    }

    fn has_event(&self, name: &str) -> bool {
        let name = name.split_once('.').map_or(name, |(_, name)| name);
        // After what breaks a handshake off, nothing is left to see in the other direction.
        let here = matches!(self.tx.record, Record::Tls(_));
        self.tx
            .events
            .iter()
            .any(|event| event.name.eq_ignore_ascii_case(name) && (!here || event.dir == self.dir))
    }

    fn is_complete(&self, dir: signature::Direction) -> bool {
        match &self.tx.record {
            Record::Tls(session) if session.encrypted => true,
            _ => self.tx.is_complete(our_direction(dir)),
        }
    }
}
