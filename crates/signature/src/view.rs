//! What the engine sees of the traffic: borrowed views that the sensor fills.
//!
//! Not a decoder and not a flow table. The sensor (which knows capture, flows and application parsers)
//! fills a [`PacketView`] per packet and implements [`Inspect`] for its transactions; the engine reads
//! them while scanning and keeps nothing that borrows from them.

use std::net::{IpAddr, Ipv4Addr};

use crate::{AppProto, Buffer};

/// Which way data goes within a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the initiator to the responder.
    ToServer,
    /// From the responder to the initiator.
    ToClient,
}

impl Direction {
    /// 0 for to-server, 1 for to-client.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::ToServer => 0,
            Self::ToClient => 1,
        }
    }

    /// The other way.
    #[must_use]
    pub const fn reverse(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// Fields of the IP header that keywords test. All in host byte order.
#[derive(Debug, Clone, Copy, Default)]
pub struct IpFields {
    /// 4 or 6; 0 for a packet without an IP header (rules then never match).
    pub version: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// IPv4 TOS byte or IPv6 traffic class.
    pub tos: u8,
    /// IPv4 identification (0 for IPv6).
    pub id: u16,
    /// IPv4 flags of the fragment word: bit 0 = more fragments, bit 1 = don't fragment, bit 2 = reserved.
    pub fragment_bits: u8,
    /// Fragment offset in 8-byte units; non-zero means ports are not available.
    pub fragment_offset: u16,
    /// IPv4 options present, one bit for each of [`IpOption`] (`1 << IpOption as u16`).
    pub options: u16,
}

/// IPv4 options that `ipopts` can name; used as bit numbers in [`IpFields::options`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum IpOption {
    /// Record route.
    Rr,
    /// Loose source route.
    Lsrr,
    /// End of list.
    Eol,
    /// No operation.
    Nop,
    /// Timestamp.
    Ts,
    /// Basic security.
    Sec,
    /// Extended security.
    Esec,
    /// Strict source route.
    Ssrr,
    /// Stream identifier.
    Satid,
    /// Router alert.
    RouterAlert,
    /// Quick start.
    QuickStart,
    /// Commercial security labels.
    Cipso,
}

/// Fields of the TCP header that keywords test. All in host byte order.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpFields {
    /// Flag byte: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
    pub flags: u8,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Window field, unscaled.
    pub window: u16,
    /// Maximum segment size option.
    pub mss: Option<u16>,
    /// Window scale option.
    pub wscale: Option<u8>,
}

/// Fields of an ICMPv4 or ICMPv6 header that keywords test. All in host byte order.
#[derive(Debug, Clone, Copy, Default)]
pub struct IcmpFields {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Identifier of echo and similar messages.
    pub id: Option<u16>,
    /// Sequence number of echo and similar messages.
    pub seq: Option<u16>,
    /// MTU of an ICMPv6 packet-too-big message.
    pub mtu: Option<u32>,
}

/// What keywords ask of an SCTP packet.
#[derive(Debug, Clone, Copy, Default)]
pub struct SctpFields<'a> {
    /// Verification tag.
    pub vtag: u32,
    /// Number of chunks.
    pub chunks: u32,
    /// Types of the first chunks.
    pub kinds: &'a [u8],
    /// User data of the first DATA chunk, for `sctp.chunk_data`.
    pub data: &'a [u8],
}

/// What rules may ask of the flow a packet belongs to.
#[derive(Debug, Clone, Copy, Default)]
pub struct FlowView {
    /// TCP: three-way handshake done (or picked up midstream). Others: packets seen both ways.
    pub established: bool,
    /// Application protocol detected so far.
    pub app: AppProto,
    /// Application protocol of the to-server and the to-client side, when they differ; else both `app`.
    pub app_by_direction: Option<[AppProto; 2]>,
    /// TCP bytes seen per direction, counted from the initial sequence number (`stream_size`): index by [`Direction::index`].
    pub stream_size: [u64; 2],
    /// Packets seen per direction.
    pub packets: [u64; 2],
    /// Bytes seen per direction.
    pub bytes: [u64; 2],
    /// Age in seconds, packet time.
    pub age: u64,
}

/// One packet as rules see it. Build it with `PacketView { ..Default::default() }`.
#[derive(Debug, Clone, Copy)]
pub struct PacketView<'a> {
    /// Packet time in microseconds since the epoch.
    pub time: u64,
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Source port; `None` for protocols without ports and for later fragments.
    pub src_port: Option<u16>,
    /// Destination port, likewise.
    pub dst_port: Option<u16>,
    /// IP protocol number of the transport (6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6, 132 SCTP, ...).
    pub ip_proto: u8,
    /// IP header fields.
    pub ip: IpFields,
    /// TCP header fields, when TCP.
    pub tcp: Option<TcpFields>,
    /// ICMP header fields, when ICMPv4 or ICMPv6.
    pub icmp: Option<IcmpFields>,
    /// SCTP header fields and chunks, when SCTP.
    pub sctp: Option<SctpFields<'a>>,
    /// Message type, when IGMP.
    pub igmp: Option<u8>,
    /// The packet is an ARP message.
    pub is_arp: bool,
    /// VLAN identifiers, from the outside in.
    pub vlan: &'a [u16],
    /// Network identifier of the VXLAN the packet was found in.
    pub vni: Option<u32>,
    /// Ethernet header, for `ether.hdr`.
    pub link_header: &'a [u8],
    /// What follows the IP header, for checksums: transport header and payload.
    pub ip_payload: &'a [u8],
    /// Transport payload (or IP payload where the transport is unknown).
    pub payload: &'a [u8],
    /// Length of the whole packet with its link layer, in bytes.
    pub wire_len: u32,
    /// Raw transport header (TCP, UDP, ICMP, IGMP or SCTP) with options, for `tcp.hdr`, `udp.hdr`, `icmpv4.hdr`, `icmpv6.hdr`.
    pub transport_header: &'a [u8],
    /// Raw IP header with options or extension headers, for `ipv4.hdr`, `ipv6.hdr`.
    pub ip_header: &'a [u8],
    /// Direction within the flow; `None` without a flow.
    pub direction: Option<Direction>,
    /// The flow; `None` for packets that have none (of the words of `flow`, only those that
    /// ask for no direction and no established flow then hold).
    pub flow: Option<FlowView>,
    /// True when the TCP payload went into the stream: pure stream rules then skip the packet,
    /// since the same bytes come by [`crate::Scan::stream`].
    pub in_stream: bool,
    /// True for the pseudo packet made from reassembled data when a flow ends: packet keywords do not see it.
    pub pseudo: bool,
    /// Names of decoder, stream and flow-level application events of this packet as `decode-event`, `stream-event`
    /// and `app-layer-event` name them: `ipv4.pkt_too_small`, `stream.3whs_ack_in_wrong_dir`,
    /// `app-layer.applayer_mismatch_protocol_both_directions`, ... with the prefix `decoder.` left out.
    pub events: &'a [&'a str],
}

impl PacketView<'_> {
    /// True when there is nothing in it that a rule could ask for.
    pub(crate) fn is_empty(&self) -> bool {
        self.ip.version == 0 && self.events.is_empty() && self.link_header.is_empty()
    }
}

impl Default for PacketView<'_> {
    fn default() -> Self {
        Self {
            time: 0,
            src: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            dst: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            src_port: None,
            dst_port: None,
            ip_proto: 0,
            ip: IpFields::default(),
            tcp: None,
            icmp: None,
            sctp: None,
            igmp: None,
            is_arp: false,
            vlan: &[],
            vni: None,
            link_header: &[],
            ip_payload: &[],
            payload: &[],
            wire_len: 0,
            transport_header: &[],
            ip_header: &[],
            direction: None,
            flow: None,
            in_stream: false,
            pseudo: false,
            events: &[],
        }
    }
}

/// In-order TCP data of one direction, contiguous, as rules on raw streams see it.
#[derive(Debug, Clone, Copy)]
pub struct ChunkView<'a> {
    /// Which way it went.
    pub direction: Direction,
    /// Position of the first byte within its direction, 0 = first byte after the SYN.
    pub offset: u64,
    /// The bytes. May begin before what was scanned last time (overlap), so that a pattern across two
    /// chunks is found: a rule fires once for one packet, however often its pattern is seen.
    pub data: &'a [u8],
    /// No more data will come in this direction (closed, depth reached).
    pub last: bool,
}

/// One buffer of a transaction at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View<'a> {
    /// Not parsed yet; may still come.
    Pending,
    /// Never comes: the protocol went past it, or there is no such instance.
    Absent,
    /// The buffer, or for bodies and files the window of it that is to be inspected now.
    Data {
        /// Normalised bytes.
        bytes: &'a [u8],
        /// Position of the first byte within the whole (0 except for bodies and files inspected in windows).
        offset: u64,
        /// True when nothing follows these bytes.
        last: bool,
    },
}

impl<'a> View<'a> {
    /// A complete buffer.
    #[must_use]
    pub const fn whole(bytes: &'a [u8]) -> Self {
        Self::Data { bytes, offset: 0, last: true }
    }
}

/// Numbers of a transaction that keywords compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Number {
    /// Negotiated TLS version as on the wire: 0x0300 SSLv3 .. 0x0304 TLS 1.3.
    TlsVersion,
    /// DNS header opcode.
    DnsOpcode,
    /// DNS header response code.
    DnsRcode,
    /// Types of the questions of a request, of the answers of a response.
    DnsRrtype,
    /// FTP data channel: 1 when the server opens it, 0 when the client does.
    FtpMode,
    /// Port of the FTP data channel a command asked for or was told.
    FtpDynamicPort,
    /// 1 when an FTP command was answered in full, 0 when it never was.
    FtpReplyReceived,
    /// 1 when PORT or EPRT names another address than the client's.
    FtpBounce,
    /// FTP data channel: 1 for RETR, 2 for STOR.
    FtpDataCommand,
    /// HTTP/2: types of frames (RFC 9113 section 6).
    Http2FrameType,
    /// HTTP/2: error codes of GOAWAY and RST_STREAM.
    Http2ErrorCode,
    /// HTTP/2: weights of PRIORITY and HEADERS frames, as sent.
    Http2Priority,
    /// HTTP/2: bytes of WINDOW_UPDATE frames.
    Http2Window,
    /// HTTP/2: sizes that header blocks give the table.
    Http2SizeUpdate,
    /// HTTP/2: settings, identifier in the upper 32 bits and value in the lower.
    Http2Setting,
    /// WebSocket: operation code.
    WebsocketOpcode,
    /// WebSocket: masking key.
    WebsocketMask,
    /// WebSocket: FIN 0x80, RSV1 0x40.
    WebsocketFlags,
    /// TLS: certificates of the chain.
    TlsChainLength,
    /// TLS: beginning of the certificate's validity, seconds since the epoch.
    TlsNotBefore,
    /// TLS: its end.
    TlsNotAfter,
    /// Bytes of the file seen so far (`filesize`), only once complete.
    FileSize,
    /// Version of SMB: 1 or 2.
    SmbVersion,
    /// Version of SNMP: 1, 2 or 3.
    SnmpVersion,
    /// Kind of SNMP PDU, from 0 (get).
    SnmpPduType,
    /// Type of a Kerberos message: 10 (AS-REQ) .. 30 (error).
    Krb5MsgType,
    /// Code of a Kerberos error.
    Krb5ErrCode,
    /// Cipher of a Kerberos ticket: 32 bits in two's complement.
    Krb5TicketEncryption,
    /// 1 when that cipher is weak, 0 when it is not.
    Krb5TicketWeak,
    /// DHCP: seconds of the lease.
    DhcpLeaseTime,
    /// DHCP: seconds until the lease is to be renewed.
    DhcpRenewalTime,
    /// DHCP: seconds until any server may be asked.
    DhcpRebindingTime,
    /// LDAP: operation of the request (RFC 4511 appendix B).
    LdapRequestOperation,
    /// LDAP: operations of responses.
    LdapResponsesOperation,
    /// LDAP: how many responses there are.
    LdapResponsesCount,
    /// LDAP: codes of results.
    LdapResponsesResultCode,
    /// NTP: version.
    NtpVersion,
    /// NTP: mode (RFC 5905 figure 10).
    NtpMode,
    /// NTP: stratum.
    NtpStratum,
    /// RFB: kind of authentication chosen.
    RfbSecurityType,
    /// RFB: result of the authentication, 0 for success.
    RfbSecurityResult,
    /// Number of the procedure that a DCERPC request calls.
    DcerpcOpnum,
    /// 1 when numbers of the DCERPC message are little endian, 0 when big endian.
    DcerpcLittleEndian,
}

/// What is known of one file in transfer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileFacts<'a> {
    /// Its name, with or without a path; empty without one.
    pub name: &'a [u8],
    /// Bytes seen so far.
    pub size: u64,
    /// Digest of the whole content, once [`FileFacts::complete`].
    pub md5: Option<[u8; 16]>,
    /// Likewise.
    pub sha1: Option<[u8; 20]>,
    /// Likewise.
    pub sha256: Option<[u8; 32]>,
    /// Type told by the content.
    pub magic: Option<&'a str>,
    /// Nothing more will come: the size stands, and so do digests, if the file is whole.
    pub complete: bool,
    /// It ended early (limits, gaps, closed flow): only lower bounds of the size can still hold.
    pub truncated: bool,
}

/// A transaction (request and response of one application protocol exchange) as rules see it.
///
/// Buffers are asked for by name, direction and instance number (0, 1, 2, ... until [`View::Absent`]);
/// the answer borrows from the transaction, which normalises lazily and caches.
/// The raw stream around the transaction is [`Buffer::Payload`] (for rules mixing `content` on the stream with buffers).
pub trait Inspect {
    /// Its protocol.
    fn protocol(&self) -> AppProto;

    /// Number within the flow, from 0.
    fn id(&self) -> u64;

    /// Instance `instance` of `buffer` as it is now in `direction`.
    ///
    /// Single buffers answer [`View::Absent`] for instances above 0; of a multi-instance buffer
    /// (several files, queries, certificates) the first instance not there yet is [`View::Pending`]
    /// while more may come.
    fn buffer(&self, buffer: Buffer, direction: Direction, instance: u32) -> View<'_>;

    /// Its kind, when it is a frame rather than a transaction; [`Buffer::Frame`] has its bytes.
    fn frame(&self) -> Option<&str> {
        None
    }

    /// A number; `None` while unknown.
    fn number(&self, _number: Number, _direction: Direction) -> Option<u64> {
        None
    }

    /// The interface that a DCERPC call is of: UUID, major version, and whether it was bound in the first
    /// fragment. `None` when it is none, or not accepted by the server.
    fn interface(&self) -> Option<([u8; 16], u16, bool)> {
        None
    }

    /// One of several numbers (0, 1, 2, ... until `None`).
    fn number_at(&self, number: Number, direction: Direction, instance: u32) -> Option<u64> {
        if instance == 0 { self.number(number, direction) } else { None }
    }

    /// File `instance` (0, 1, 2, ... until `None`) that goes that way in this transaction.
    fn file(&self, _direction: Direction, _instance: u32) -> Option<FileFacts<'_>> {
        None
    }

    /// Whether the application-layer event of that name (as `http.request_header_invalid`) is set.
    fn has_event(&self, _name: &str) -> bool {
        false
    }

    /// True when nothing more will come in that direction.
    fn is_complete(&self, direction: Direction) -> bool;
}
