//! Names of application protocols.

macro_rules! protocols {
    ($($variant:ident => $name:literal,)+) => {
        /// An application protocol.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "the protocol's name says what the variant is")]
        pub enum Protocol {
            /// Not known yet.
            #[default]
            Unknown,
            /// Payload was seen and looks like nothing we know.
            Failed,
            $($variant,)+
        }

        impl Protocol {
            /// Every protocol.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name that rules and records use (`app_proto`).
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    Self::Unknown => "unknown",
                    Self::Failed => "failed",
                    $(Self::$variant => $name,)+
                }
            }

            /// The protocol of a name.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

protocols! {
    Http => "http",
    Http2 => "http2",
    Tls => "tls",
    Dns => "dns",
    Mdns => "mdns",
    Llmnr => "llmnr",
    Ssh => "ssh",
    Smtp => "smtp",
    Ftp => "ftp",
    FtpData => "ftp-data",
    Smb => "smb",
    Dcerpc => "dcerpc",
    Rdp => "rdp",
    Krb5 => "krb5",
    Snmp => "snmp",
    Ntp => "ntp",
    Dhcp => "dhcp",
    Sip => "sip",
    Rfb => "rfb",
    Mqtt => "mqtt",
    Quic => "quic",
    Ldap => "ldap",
    Pop3 => "pop3",
    Imap => "imap",
    Telnet => "telnet",
    Ike => "ike",
    Tftp => "tftp",
    Nfs => "nfs",
    Doh2 => "doh2",
    Websocket => "websocket",
    Modbus => "modbus",
    BittorrentDht => "bittorrent-dht",
}

impl Protocol {
    /// One bit per protocol, for sets of them.
    #[must_use]
    pub fn bit(self) -> u64 {
        1u64.checked_shl(u32::from(self as u8)).unwrap_or(0)
    }

    /// True when it is a protocol rather than the lack of one.
    #[must_use]
    pub fn is_known(self) -> bool {
        !matches!(self, Self::Unknown | Self::Failed)
    }
}
