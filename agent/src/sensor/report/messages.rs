//! Objects of transactions, and when those of protocols of plain messages are recorded.

use net::app::{Record, Transaction};
use net::{Direction, Flow};

use super::{Output, Place, Reporter, is_complete};
use crate::sensor::eve;
use crate::sensor::eve::fields::Fields;
use crate::sensor::settings::RecordOptions;

impl<O: Output> Reporter<O> {
    /// News of a protocol whose records are nothing but their objects.
    pub(super) fn message(&mut self, place: Place<'_>) {
        let tx = place.tx;
        let from_client = Place { dir: Direction::ToServer, ..place };
        match &tx.record {
            Record::Snmp(_) => self.plain("snmp", place),
            // What could not be read has no record, only its event.
            Record::Krb5(message) if message.kind == 0 => {}
            Record::Krb5(_) => self.plain("krb5", place),
            Record::Sip(_) => self.plain("sip", place),
            Record::Dhcp(message)
                if self.settings.records.dhcp_extended || eve::dhcp::gives_an_address(message) =>
            {
                self.plain("dhcp", place);
            }
            // What could not be read has no record, only its event.
            Record::Ntp(message) if message.version == 0 => {}
            Record::Ntp(_) => self.plain("ntp", place),
            Record::Tftp(_) => self.plain("tftp", place),
            Record::Pop3(_) if is_complete(tx) => self.plain("pop3", from_client),
            // What could not be read has no record, only its event.
            Record::Ldap(ldap) if ldap.request.is_none() && ldap.responses.is_empty() => {}
            Record::Ldap(_) if is_complete(tx) => self.plain("ldap", from_client),
            Record::Quic(quic)
                if quic.client.is_none() && quic.server.is_none() && quic.google.is_none() => {}
            Record::Quic(_) => self.plain("quic", place),
            Record::Rfb(_) if is_complete(tx) => self.plain("rfb", from_client),
            _ => {}
        }
    }
}

/// The application record inside an alert.
pub(super) fn tx_object<F: Fields>(
    record: &mut F,
    flow: &Flow,
    tx: Option<&Transaction>,
    options: &RecordOptions,
) {
    let Some(tx) = tx else { return };
    match &tx.record {
        Record::Http(http) => {
            record.object("http", |out| {
                eve::http::transaction(out, http, options);
                eve::http::bodies(out, http, options);
            });
        }
        Record::Dns(message) => {
            eve::dns::of_flow(record, flow, message, tx.id);
        }
        Record::Tls(tls) => record.object("tls", |out| eve::tls::session(out, tls, options)),
        Record::Smtp(smtp) => eve::smtp::both(record, smtp, &options.mail),
        Record::Ftp(ftp) => record.value("ftp", eve::ftp::command(ftp).into()),
        Record::FtpData(transfer) => record.value("ftp_data", eve::ftp::data(transfer)),
        Record::Ssh(ssh) => record.value("ssh", eve::ssh::connection(ssh).into()),
        Record::Dcerpc(call) => record.object("dcerpc", |out| eve::dcerpc::call(out, call)),
        Record::Snmp(message) => record.object("snmp", |out| eve::snmp::message(out, message)),
        Record::Krb5(message) if message.kind == 0 => {}
        Record::Krb5(message) => record.object("krb5", |out| eve::krb5::message(out, message)),
        Record::Sip(message) => record.object("sip", |out| eve::sip::message(out, message)),
        Record::Dhcp(message) => record.object("dhcp", |out| {
            eve::dhcp::message(out, message, options.dhcp_extended);
        }),
        Record::Ntp(message) => record.object("ntp", |out| eve::ntp::message(out, message)),
        Record::Ldap(ldap) => record.object("ldap", |out| eve::ldap::transaction(out, ldap)),
        Record::Pop3(pop3) => record.object("pop3", |out| eve::pop3::transaction(out, pop3)),
        Record::Quic(quic) => record.object("quic", |out| eve::quic::hello(out, quic, options)),
        Record::Tftp(request) => record.object("tftp", |out| eve::tftp::request(out, request)),
        Record::Rfb(rfb) => record.object("rfb", |out| eve::rfb::handshake(out, rfb)),
        Record::Smb(smb) => {
            record.object("smb", |out| eve::smb::transaction(out, smb, tx.id));
        }
        Record::Http2(http2) => {
            record.object("http", |out| eve::http2::transaction(out, http2));
            let message = http2.sides.to_client.dns.as_ref().or(http2.sides.to_server.dns.as_ref());
            if let Some(message) = message {
                record.object("dns", |out| eve::dns::message(out, message, tx.id));
            }
        }
        Record::Websocket(frame) => record.value("websocket", eve::websocket::frame(frame).into()),
    }
}
