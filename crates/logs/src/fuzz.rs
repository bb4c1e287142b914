//! Entry points for fuzzing: log lines, syslog streams, NetFlow, event logs of Windows. Whatever bytes come, nothing panics, hangs
//! or grows, and no byte of a line is lost without a trace.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use event::{Event, Kind, Timestamp};

use crate::config::Format;
use crate::evtx;
use crate::netflow::Decoder;
use crate::parse::{Library, MAX_FIELD, Parser, Zone};
use crate::source::syslog::frames;

/// 2026-11-22T15:04:05Z, the time of reading.
const NOW: i64 = 1_795_359_845;
/// Who sends flows.
const EXPORTER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 0);
const FORMATS: [Format; 5] =
    [Format::Auto, Format::Json, Format::Syslog, Format::Auditd, Format::Plain];
/// Formats of which a file names its columns.
const HEADED: [&str; 3] = ["iis", "windows_firewall", "w3c"];
/// Formats of records that are kept as fields.
const SENSORS: [Format; 2] = [Format::Eve, Format::Zeek];

fn text<'a>(event: &'a Event, name: &str) -> &'a str {
    event::get(&event.fields, name).and_then(|value| value.as_str()).unwrap_or_default()
}

/// Reads the bytes as one line of every format.
pub fn fuzz_line(data: &[u8]) {
    for format in FORMATS {
        read(&Parser::new(format, Zone::utc()), data);
    }
}

/// Reads the bytes behind the first as a line of the parser that the first chooses, as it is and as a syslog
/// message of its program.
pub fn fuzz_parsers(data: &[u8]) {
    let Some((first, line)) = data.split_first() else { return };
    let library = Library::built_in();
    let all = library.list();
    let Some(one) = all.get(usize::from(*first) % all.len().max(1)) else { return };
    let Some(format) = Format::named(&one.name) else { return };
    let Ok(parser) = Parser::with(&library, &format, Zone::utc()) else { return };
    read(&parser, line);
    for program in &one.programs {
        let head = format!("Nov 22 15:04:05 h {program}[1]: ");
        read(&Parser::new(Format::Auto, Zone::utc()), &[head.as_bytes(), line].concat());
    }
}

/// Reads the bytes as the records and the header of a chunk of a Windows event log.
pub fn fuzz_evtx(data: &[u8]) {
    let mut bytes = data.to_vec();
    bytes.resize(evtx::CHUNK, 0);
    if let Some(magic) = bytes.first_chunk_mut() {
        *magic = *b"ElfChnk\0";
    }
    let Ok(mut chunk) = evtx::Chunk::new(bytes, 0) else { return };
    let after = chunk.marks().into_iter().map(|mark| mark.id).min();
    std::hint::black_box(chunk.is_intact());
    for after in [None, after] {
        for record in chunk.records(after).into_iter().flatten().flatten() {
            assert!(Some(record.id) > after, "a record that was read comes again");
        }
    }
}

/// Reads the bytes as a file of a parser: it is refused with its problems, or can be used.
pub fn fuzz_parser_file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Library::check("mine", &text) {
        Ok(library) => {
            let Some(format) = Format::named("mine") else { return };
            let Ok(parser) = Parser::with(&library, &format, Zone::utc()) else { return };
            for line in
                ["", "Failed password for x from 192.0.2.7 port 1 ssh2", "a=1 b=2", "{\"a\":1}"]
            {
                let (event, _) = parser.event(line.as_bytes(), Timestamp::from_seconds(NOW));
                debug_assert!(event.kind == Kind::Log, "a line is a log event");
            }
        }
        Err(error) => debug_assert!(!error.to_string().is_empty(), "a problem is told"),
    }
}

/// What holds for every line of every parser.
fn read(parser: &Parser, data: &[u8]) {
    let (event, parsed) = parser.event(data, Timestamp::from_seconds(NOW));
    debug_assert!(event.kind == Kind::Log, "a line is a log event");
    let whole = String::from_utf8_lossy(data);
    let whole = whole.trim_end_matches(['\r', '\n', '\0']);
    let kept = whole.get(..whole.floor_char_boundary(MAX_FIELD)).unwrap_or_default();
    debug_assert!(text(&event, "event.original") == kept, "the original is kept");
    if !parsed {
        debug_assert!(text(&event, "message") == kept, "what is not parsed is whole");
    }
    debug_assert!(
        !event.fields.contains_key("event_type") && !event.fields.contains_key("timestamp"),
        "a line cannot forge the envelope"
    );
}

/// Reads the bytes as the head of a file and a line, as sensors write them.
pub fn fuzz_sensor(data: &[u8]) {
    let at = data.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let (head, line) = data.split_at_checked(at).unwrap_or((&[], data));
    for format in SENSORS {
        let parser = Parser::new(format, Zone::utc()).of_file(head);
        let (event, parsed) = parser.event(line, Timestamp::from_seconds(NOW));
        debug_assert!(parsed || event.kind == Kind::Log, "what is not understood is a log event");
        debug_assert!(!matches!(event.kind, Kind::Health | Kind::Audit), "no records of ours");
    }
}

/// Reads the bytes as the head of a file that names its columns and a line of it.
pub fn fuzz_headed(data: &[u8]) {
    let at = data.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let (head, line) = data.split_at_checked(at).unwrap_or((&[], data));
    for format in HEADED.into_iter().filter_map(Format::named) {
        read(&Parser::new(format, Zone::utc()).of_file(head), line);
    }
}

/// Reads the bytes as the inside of a Windows event, alone and as a message of syslog.
pub fn fuzz_windows_xml(data: &[u8]) {
    let parser = Parser::new(Format::Auto, Zone::utc());
    for (before, after) in [
        ("<Event>", "</Event>"),
        ("<Event><System>", "</System></Event>"),
        ("<13>1 - h p - - <Event><EventData><Data Name='a'>", "</Data></EventData></Event>"),
        ("Nov 22 15:04:05 h p[1]: @cee: ", ""),
    ] {
        read(&parser, &[before.as_bytes(), data, after.as_bytes()].concat());
    }
}

/// Reads the bytes as a syslog stream, whole and in two pieces: the messages are the same, none is
/// longer than allowed.
pub fn fuzz_frames(data: &[u8]) {
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    let at = usize::from(*first).min(rest.len());
    let (left, right) = rest.split_at_checked(at).unwrap_or((rest, &[]));
    let whole = frames(&[rest]);
    debug_assert!(whole == frames(&[left, right]), "segments do not matter");
    let length: usize = whole.iter().map(|(bytes, _)| bytes.len()).sum();
    debug_assert!(length <= rest.len(), "no byte comes from nowhere");
}

/// Reads the bytes as datagrams of one exporter: each begins with its length.
pub fn fuzz_netflow(data: &[u8]) {
    let Ok(mut decoder) = Decoder::new(Arc::default()) else { return };
    let mut rest = data;
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(behind.len());
        let Some((datagram, behind)) = behind.split_at_checked(length) else { return };
        let events = decoder.datagram(EXPORTER, datagram, Timestamp::from_seconds(NOW));
        debug_assert!(events.len() <= length, "a record has at least one byte");
        for event in &events {
            debug_assert!(event.kind.as_str() == "netflow", "nothing but flows");
            debug_assert!(!event.fields.contains_key("event_type"), "no forged envelope");
        }
        rest = behind;
    }
}

/// Reads the bytes as lines of `audit.log`: what comes out in events is what came in.
pub fn fuzz_audit(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut bench = crate::source::audit::Bench::default();
    let mut marks = 0_usize;
    let mut length = 0_usize;
    for line in text.split('\n') {
        let mark = crate::parse::auditd::Head::of(line).is_some_and(|head| head.kind == "EOE");
        let bytes = if mark { &mut marks } else { &mut length };
        *bytes = bytes.saturating_add(line.len());
        bench.take(line.to_owned());
    }
    debug_assert!(bench.end() == length, "every record comes out once, marks of ends apart");
}

/// Reads the bytes as what `journalctl --output=export` writes, and as a line of a container runtime.
pub fn fuzz_journal(data: &[u8]) {
    let kept = crate::source::journald::exported(data);
    debug_assert!(kept <= data.len(), "no byte comes from nowhere");
    crate::source::tail::unwrapped(data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINES: [&str; 12] = [
        "<38>1 2026-11-22T15:04:05.123Z web1 sshd 812 ID [a@1 k=\"v \\\" \\]\"] Failed password for invalid user x from 192.0.2.7 port 1 ssh2",
        "<13>Nov 22 15:04:05 h app[1]: text",
        "<189>45: *Nov 22 15:04:05.123 CET: %SYS-5-CONFIG_I: Configured from console",
        "Nov 22 15:04:05 h sudo:  alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh ; x",
        "Nov 22 15:04:05 h su[9]: FAILED SU (to root) bob on pts/1",
        "Nov 22 15:04:05 h x[9]: pam_unix(x:auth): authentication failure; rhost=192.0.2.9  user=c",
        "192.0.2.1 - frank [22/Nov/2026:16:04:05 +0100] \"GET /a HTTP/1.1\" 200 2326 \"-\" \"\\x41\"",
        "node=n type=EXECVE msg=audit(1795359845.123:77): argc=2 a0=\"sh\" a1=6563686F2068656C6C6F",
        "type=USER_LOGIN msg=audit(1.5:78): pid=8 msg='op=login acct=\"root\" addr=192.0.2.7 res=failed'",
        "{\"time\": 1795359845.5, \"msg\": \"hi\", \"event_type\": \"alert\", \"timestamp\": 1e400}",
        "{\"event\": \"a text where an object is wanted\", \"event.original\": 7, \"message\": []}",
        "{\"message\": {\"a\": 1}, \"event\": [1], \"log\": null, \"ts\": -9e99}",
    ];

    #[test]
    fn a_small_corpus_cut_and_damaged_at_every_byte() {
        for line in LINES {
            for at in 0..=line.len() {
                fuzz_line(&line.as_bytes()[..at]);
                let mut bad = line.as_bytes().to_vec();
                if let Some(byte) = bad.get_mut(at) {
                    *byte ^= 0x81;
                }
                fuzz_line(&bad);
                bad.extend(b"\r\n\0");
                fuzz_line(&bad);
            }
        }
    }

    #[test]
    fn a_journal_cut_and_damaged_at_every_byte() {
        let record = b"__CURSOR=s\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n_PID=7\n\nMESSAGE=x\n\n";
        let container = br#"{"log":"a\n","stream":"stdout","time":"2026-11-22T15:04:05Z"}"#;
        for sample in [&record[..], container, b"2026-11-22T15:04:05Z stdout F a"] {
            for at in 0..sample.len() {
                fuzz_journal(&sample[..at]);
                let mut bad = sample.to_vec();
                bad[at] ^= 0x81;
                fuzz_journal(&bad);
            }
        }
    }

    #[test]
    fn audit_records_cut_and_damaged() {
        const LOG: &[u8] = b"node=n type=SYSCALL msg=audit(9.1:7): arch=c000003e syscall=59 exit=-13 a0=1\n\
            type=EXECVE msg=audit(9.1:8): argc=2 a0=\"x\" a1[0]=41 a1[1]=42\ntype=PATH msg=audit(9.1:8): name=2F78 nametype=CREATE\n\
            node=n type=SOCKADDR msg=audit(9.1:7): saddr=0200003500\nnode=n type=EOE msg=audit(9.1:7): \ntype=PROCTITLE msg=audit(9.1:8): proctitle=78";
        for at in 0..=LOG.len() {
            fuzz_audit(&LOG[..at]);
            let mut bad = LOG.to_vec();
            if let Some(byte) = bad.get_mut(at) {
                *byte ^= 0x81;
            }
            fuzz_audit(&bad);
        }
    }

    #[test]
    fn both_framings_split_at_every_byte() {
        let stream = b"33 <13>Nov 22 15:04:05 h a: counted\n<13>Nov 22 h a: line\r\n\x00\x005 <1>x\n7 samurai\n99 <1>rest";
        for at in 0..=u8::try_from(stream.len()).unwrap() {
            fuzz_frames(&[&[at], &stream[..]].concat());
        }
        let messages = frames(&[stream]);
        let texts: Vec<_> =
            messages.iter().map(|(bytes, _)| String::from_utf8_lossy(bytes)).collect();
        assert_eq!(
            texts,
            [
                "<13>Nov 22 15:04:05 h a: counted\n",
                "<13>Nov 22 h a: line",
                "<1>x\n",
                "7 samurai",
                "<1>rest"
            ]
        );
    }

    #[test]
    fn lines_of_every_parser_cut_and_damaged() {
        for (number, _) in Library::built_in().list().iter().enumerate() {
            let number = u8::try_from(number).unwrap();
            for line in LINES {
                for at in (0..=line.len()).step_by(7) {
                    let mut bytes = [&[number], line.as_bytes().get(..at).unwrap()].concat();
                    fuzz_parsers(&bytes);
                    if let Some(byte) = bytes.get_mut(at / 2 + 1) {
                        *byte ^= 0x81;
                    }
                    fuzz_parsers(&bytes);
                }
            }
        }
    }

    #[test]
    fn heads_and_events_of_windows_cut_and_damaged_at_every_byte() {
        let headed = b"#Software: x\n#Fields: date time c-ip cs(Referer)\n2026-11-22 15:04:05 192.0.2.1 \"a b\"";
        let xml = b"<System><EventID Qualifiers='1'>7</EventID><Channel>S</Channel></System><EventData><Data Name='a'>&lt;&#65;<![CDATA[x]]></Data><Data/></EventData>";
        let json =
            b"{\"host\": \"x\", \"log\": {\"syslog\": 7}, \"message\": [], \"time\": 1795359845.5}";
        for at in 0..xml.len() {
            for (sample, run) in [
                (&headed[..], fuzz_headed as fn(&[u8])),
                (&xml[..], fuzz_windows_xml),
                (&json[..], fuzz_windows_xml),
            ] {
                let Some(head) = sample.get(..at) else { continue };
                run(head);
                let mut bad = sample.to_vec();
                bad[at % sample.len()] ^= 0x81;
                run(&bad);
            }
        }
    }

    #[test]
    fn event_logs_cut_and_damaged() {
        let whole = evtx::written::chunk(&[1, 2, 3], "a");
        let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
        for at in (0..end).step_by(7) {
            fuzz_evtx(&whole[..at]);
            for bits in [0x01, 0x80, 0xff] {
                let mut bad = whole.clone();
                bad[at] ^= bits;
                fuzz_evtx(&bad);
            }
        }
    }

    #[test]
    fn parser_files_cut_and_damaged() {
        const FILE: &str = "title = \"x\"\nhead = '%{@id}: '\nswitch = \"@id\"\nroom = \"kv\"\n[needs]\na = true\n\
            [map]\nb = [\"a:int\", \"c+d:t\"]\n[table.t]\n1 = 2\n[[pattern]]\nline = 'x %[y %{e:rest}%] %{@text}'\n\
            case = [\"1\"]\n[[part]]\nof = \"a\"\nline = ['%{f}']\n[[when]]\nif.a = [\"1*\"]\nset.g = 1\n";
        for at in 0..=FILE.len() {
            let mut bytes = FILE.as_bytes().get(..at).unwrap().to_vec();
            fuzz_parser_file(&bytes);
            bytes.extend(FILE.as_bytes().get(at.saturating_add(1)..).unwrap_or_default());
            fuzz_parser_file(&bytes);
        }
    }

    proptest! {
        #[test]
        fn any_template(text in "[%{}\\[\\]a:|_*@. 'restextip]{0,40}") {
            fuzz_parser_file(format!("title = \"x\"\n[[pattern]]\nline = \"{text}\"\n").as_bytes());
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            fuzz_line(&bytes);
            fuzz_parsers(&bytes);
            fuzz_frames(&bytes);
            fuzz_netflow(&bytes);
            fuzz_sensor(&bytes);
            fuzz_headed(&bytes);
            fuzz_windows_xml(&bytes);
            fuzz_journal(&bytes);
            fuzz_audit(&bytes);
            fuzz_evtx(&bytes);
        }

        #[test]
        fn any_json(text in "\\{(\"(event|message|time|log|host|event\\.original|a)\":([0-9e.-]{1,8}|\"[a-z]{0,3}\"|\\[\\]|null|\\{\\}),?){0,4}\\}") {
            fuzz_line(text.as_bytes());
        }

        #[test]
        fn any_mixture_of_frames(text in "[0-9 <>a\n\r]{0,60}", at in any::<u8>()) {
            fuzz_frames(&[&[at], text.as_bytes()].concat());
        }
    }
}
