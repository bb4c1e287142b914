//! Application protocols and what of them the sensor can detect and parse.

/// Application protocol of a flow, as `alert http`, `app-layer-protocol:http` name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u8)]
#[expect(missing_docs, reason = "each variant is the protocol of that name")]
pub enum AppProto {
    /// Not detected yet.
    #[default]
    Unknown,
    /// Detection gave up.
    Failed,
    Http,
    Http2,
    Dns,
    Tls,
    Smtp,
    Ftp,
    FtpData,
    Smb,
    Ssh,
    Dcerpc,
    Imap,
    Pop3,
    Nfs,
    Ntp,
    Tftp,
    Ike,
    Krb5,
    Quic,
    Dhcp,
    Sip,
    Rfb,
    Mqtt,
    Telnet,
    Rdp,
    Snmp,
    Modbus,
    Enip,
    Dnp3,
    Pgsql,
    Ldap,
    Websocket,
    Bittorrent,
    Mdns,
    Llmnr,
    /// Rules only: HTTP/1 and not HTTP/2.
    Http1,
    Doh2,
}

/// Every protocol with its name in rules.
const NAMES: &[(AppProto, &str)] = &[
    (AppProto::Unknown, "unknown"),
    (AppProto::Failed, "failed"),
    (AppProto::Http, "http"),
    (AppProto::Http2, "http2"),
    (AppProto::Dns, "dns"),
    (AppProto::Tls, "tls"),
    (AppProto::Smtp, "smtp"),
    (AppProto::Ftp, "ftp"),
    (AppProto::FtpData, "ftp-data"),
    (AppProto::Smb, "smb"),
    (AppProto::Ssh, "ssh"),
    (AppProto::Dcerpc, "dcerpc"),
    (AppProto::Imap, "imap"),
    (AppProto::Pop3, "pop3"),
    (AppProto::Nfs, "nfs"),
    (AppProto::Ntp, "ntp"),
    (AppProto::Tftp, "tftp"),
    (AppProto::Ike, "ike"),
    (AppProto::Krb5, "krb5"),
    (AppProto::Quic, "quic"),
    (AppProto::Dhcp, "dhcp"),
    (AppProto::Sip, "sip"),
    (AppProto::Rfb, "rfb"),
    (AppProto::Mqtt, "mqtt"),
    (AppProto::Telnet, "telnet"),
    (AppProto::Rdp, "rdp"),
    (AppProto::Snmp, "snmp"),
    (AppProto::Modbus, "modbus"),
    (AppProto::Enip, "enip"),
    (AppProto::Dnp3, "dnp3"),
    (AppProto::Pgsql, "pgsql"),
    (AppProto::Ldap, "ldap"),
    (AppProto::Websocket, "websocket"),
    (AppProto::Bittorrent, "bittorrent-dht"),
    (AppProto::Mdns, "mdns"),
    (AppProto::Llmnr, "llmnr"),
    (AppProto::Http1, "http1"),
    (AppProto::Doh2, "doh2"),
];

impl AppProto {
    /// Name in rules and events.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(proto, _)| *proto == self).map_or("unknown", |(_, name)| name)
    }

    /// By its name in rules; some have a second name (`ssl`, `http1`, `ikev2`).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = match name {
            "ssl" => "tls",
            "ikev2" => "ike",
            "ftpdata" => "ftp-data",
            other => other,
        };
        NAMES.iter().find(|(_, known)| *known == name).map(|(proto, _)| *proto)
    }

    /// The protocol with that number.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        NAMES.iter().map(|(proto, _)| *proto).find(|proto| *proto as u8 == number)
    }

    /// The protocols of flows that a rule on this one is about: HTTP is also HTTP/2, and DNS over HTTP/2
    /// is HTTP/2 as well as DNS; SMB carries DCERPC.
    #[must_use]
    pub fn covers(self) -> ProtoSet {
        match self {
            Self::Http => ProtoSet::of(&[Self::Http, Self::Http2, Self::Doh2]),
            Self::Http1 => ProtoSet::of(&[Self::Http]),
            Self::Http2 => ProtoSet::of(&[Self::Http2, Self::Doh2]),
            Self::Dns => ProtoSet::of(&[Self::Dns, Self::Doh2]),
            Self::Dcerpc => ProtoSet::of(&[Self::Dcerpc, Self::Smb]),
            other => ProtoSet::of(&[other]),
        }
    }

    /// Whether flows of UDP can be of this protocol.
    #[must_use]
    pub const fn is_over_udp(self) -> bool {
        !matches!(
            self,
            Self::Http
                | Self::Http1
                | Self::Http2
                | Self::Doh2
                | Self::Tls
                | Self::Smtp
                | Self::Ftp
                | Self::FtpData
                | Self::Smb
                | Self::Ssh
                | Self::Imap
                | Self::Pop3
                | Self::Rfb
                | Self::Mqtt
                | Self::Telnet
                | Self::Rdp
                | Self::Modbus
                | Self::Pgsql
                | Self::Websocket
        )
    }

    const fn bit(self) -> u64 {
        1 << (self as u8)
    }
}

/// A set of application protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ProtoSet(u64);

impl ProtoSet {
    /// The set of these.
    #[must_use]
    pub fn of(protocols: &[AppProto]) -> Self {
        Self(protocols.iter().fold(0, |set, proto| set | proto.bit()))
    }

    /// Whether it has `proto`.
    #[must_use]
    pub const fn contains(self, proto: AppProto) -> bool {
        self.0 & proto.bit() != 0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Protocols two parts of a rule have in common. HTTP and DNS meet in DNS over HTTP/2, which a rule has
    /// to ask for by name.
    pub(crate) fn common(self, other: Self) -> Self {
        let (both, doh) = (self.intersection(other), AppProto::Doh2.covers());
        if both == doh && self != doh && other != doh { Self::default() } else { both }
    }

    /// True when it holds none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What the sensor can do; a rule that needs more is refused by name.
#[derive(Debug, Clone, Copy)]
pub struct Support {
    /// Protocols recognised on flows ([`crate::FlowView::app`]).
    pub detected: ProtoSet,
    /// Protocols parsed into transactions with all their buffers.
    pub parsed: ProtoSet,
    /// Descriptions that [`crate::FileFacts::magic`] can have, or begin with.
    pub file_magic: &'static [&'static str],
}

impl Default for Support {
    /// Parsed: HTTP, DNS and its relatives, TLS, SMTP, FTP with its data channels, SSH, SMB, DCERPC, SNMP,
    /// Kerberos, SIP, DHCP, NTP, TFTP, RFB, LDAP, POP3 and QUIC.
    fn default() -> Self {
        let parsed = ProtoSet::of(&[
            AppProto::Http,
            AppProto::Dns,
            AppProto::Mdns,
            AppProto::Llmnr,
            AppProto::Tls,
            AppProto::Smtp,
            AppProto::Ftp,
            AppProto::FtpData,
            AppProto::Ssh,
            AppProto::Smb,
            AppProto::Dcerpc,
            AppProto::Snmp,
            AppProto::Krb5,
            AppProto::Sip,
            AppProto::Http1,
            AppProto::Http2,
            AppProto::Doh2,
            AppProto::Websocket,
            AppProto::Dhcp,
            AppProto::Ntp,
            AppProto::Tftp,
            AppProto::Rfb,
            AppProto::Quic,
            AppProto::Ldap,
            AppProto::Pop3,
        ]);
        let others = ProtoSet::of(&[]);
        Self { detected: parsed.union(others), parsed, file_magic: &[] }
    }
}
