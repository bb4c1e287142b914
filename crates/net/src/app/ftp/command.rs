//! Names of commands.

macro_rules! commands {
    ($($variant:ident => $name:literal,)+) => {
        /// A command (RFC 959, 2428, 4217 and the drafts before them).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the command's name says what the variant is")]
        pub enum Command {
            $($variant,)+
        }

        const ALL: &[(Command, &str)] = &[$((Command::$variant, $name),)+];

        impl Command {
            /// Its name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

commands! {
    Port => "PORT",
    Eprt => "EPRT",
    AuthTls => "AUTH TLS",
    Pasv => "PASV",
    Retr => "RETR",
    Epsv => "EPSV",
    Stor => "STOR",
    Abor => "ABOR",
    Acct => "ACCT",
    Allo => "ALLO",
    Appe => "APPE",
    Cdup => "CDUP",
    Chmod => "CHMOD",
    Cwd => "CWD",
    Dele => "DELE",
    Help => "HELP",
    Idle => "IDLE",
    List => "LIST",
    Mail => "MAIL",
    Mdtm => "MDTM",
    Mkd => "MKD",
    Mlfl => "MLFL",
    Mode => "MODE",
    Mrcp => "MRCP",
    Mrsq => "MRSQ",
    Msam => "MSAM",
    Msnd => "MSND",
    Msom => "MSOM",
    Nlst => "NLST",
    Noop => "NOOP",
    Pass => "PASS",
    Pwd => "PWD",
    Quit => "QUIT",
    Rein => "REIN",
    Rest => "REST",
    Rmd => "RMD",
    Rnfr => "RNFR",
    Rnto => "RNTO",
    Site => "SITE",
    Size => "SIZE",
    Smnt => "SMNT",
    Stat => "STAT",
    Stou => "STOU",
    Stru => "STRU",
    Syst => "SYST",
    Type => "TYPE",
    Umask => "UMASK",
    User => "USER",
}

impl Command {
    /// What it asks for goes over a data channel.
    #[must_use]
    pub fn has_data(self) -> bool {
        matches!(self, Self::Retr | Self::List | Self::Nlst) || self.is_upload()
    }

    /// A file goes to the server.
    #[must_use]
    pub fn is_upload(self) -> bool {
        matches!(self, Self::Stor | Self::Appe | Self::Stou)
    }

    /// The command of a line, and its argument. A command stands alone or before a space.
    #[must_use]
    pub fn of(line: &[u8]) -> Option<(Self, &[u8])> {
        ALL.iter().find_map(|(command, name)| {
            let (head, rest) = line.split_at_checked(name.len())?;
            let fits = head.eq_ignore_ascii_case(name.as_bytes());
            match rest {
                [] if fits => Some((*command, rest)),
                [b' ' | b'\t', argument @ ..] if fits => Some((*command, argument)),
                _ => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_at_the_beginning_of_a_line() {
        for (line, expected) in [
            (&b"USER a b"[..], Some((Command::User, &b"a b"[..]))),
            (b"retr x", Some((Command::Retr, b"x"))),
            (b"PASV", Some((Command::Pasv, b""))),
            (b"auth tls", Some((Command::AuthTls, b""))),
            (b"AUTH SSL", None),
            (b"STORE x", None),
            (b"XPORT 1", None),
            (b"", None),
        ] {
            assert_eq!(Command::of(line), expected, "{}", line.escape_ascii());
        }
    }
}
