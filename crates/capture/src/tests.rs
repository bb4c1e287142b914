//! Capture files made here, whole and damaged.

use std::io::Cursor;
use std::path::Path;

use super::*;

fn pcap(frames: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let mut out = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    out.extend([0; 8]);
    out.extend(65_535u32.to_le_bytes());
    out.extend(1u32.to_le_bytes());
    for (seconds, micros, bytes) in frames {
        let len = u32::try_from(bytes.len()).unwrap();
        for word in [*seconds, *micros, len, len + 4] {
            out.extend(word.to_le_bytes());
        }
        out.extend(*bytes);
    }
    out
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 12).unwrap();
    let mut out = kind.to_be_bytes().to_vec();
    out.extend(len.to_be_bytes());
    out.extend(body);
    out.extend(len.to_be_bytes());
    out
}

/// Big-endian, one interface with nanoseconds, three kinds of packet blocks.
fn pcapng() -> Vec<u8> {
    let mut section = 0x1a2b_3c4du32.to_be_bytes().to_vec();
    section.extend([0, 1, 0, 0]);
    section.extend([0xff; 8]);
    let mut out = block(0x0a0d_0d0a, &section);
    let mut interface = vec![0, 101, 0, 0, 0, 0, 0, 0];
    interface.extend([0, 9, 0, 1, 9, 0, 0, 0, 0, 0, 0, 0]);
    out.extend(block(1, &interface));
    let ts = 1_500_000_000_000_000_000u64 + 5_000;
    let mut packet = 0u32.to_be_bytes().to_vec();
    packet.extend(u32::try_from(ts >> 32).unwrap().to_be_bytes());
    packet.extend(u32::try_from(ts & 0xffff_ffff).unwrap().to_be_bytes());
    packet.extend(3u32.to_be_bytes());
    packet.extend(9u32.to_be_bytes());
    packet.extend(*b"abc\0");
    out.extend(block(6, &packet));
    out.extend(block(0xbad, b"skip"));
    let mut simple = 2u32.to_be_bytes().to_vec();
    simple.extend(*b"xy\0\0");
    out.extend(block(3, &simple));
    out
}

pub(crate) type Owned = (i64, u16, u32, Vec<u8>);

pub(crate) fn read(bytes: Vec<u8>) -> (Vec<Owned>, Option<String>) {
    let mut reader = match FileReader::new(Box::new(Cursor::new(bytes)), Path::new("test")) {
        Ok(reader) => reader,
        Err(e) => return (Vec::new(), Some(e.to_string())),
    };
    let mut frames = Vec::new();
    loop {
        match reader.next_frame() {
            Ok(Some(f)) => frames.push((f.ts, f.link, f.wire_len, f.bytes.to_vec())),
            Ok(None) => return (frames, None),
            Err(e) => {
                assert!(matches!(reader.next_frame(), Ok(None)), "one error, then the end");
                return (frames, Some(e.to_string()));
            }
        }
    }
}

#[test]
fn pcap_frames_come_out() {
    let (frames, error) = read(pcap(&[(7, 3, b"one"), (8, 0, b"")]));
    assert_eq!(error, None);
    assert_eq!(frames, [(7_000_003, 1, 7, b"one".to_vec()), (8_000_000, 1, 4, Vec::new())]);
}

#[test]
fn pcapng_frames_come_out() {
    let (frames, error) = read(pcapng());
    assert_eq!(error, None);
    let ts = 1_500_000_000_000_005;
    assert_eq!(frames, [(ts, 101, 9, b"abc".to_vec()), (ts, 101, 2, b"xy".to_vec())]);
}

#[test]
fn a_cut_file_gives_what_is_whole_and_says_where() {
    let whole = pcap(&[(1, 0, b"first"), (2, 0, b"second")]);
    let (frames, error) = read(whole[..whole.len() - 1].to_vec());
    assert_eq!(frames.len(), 1);
    expect_test::expect!["truncated at byte 45: packet"].assert_eq(&error.unwrap());
}

#[test]
fn every_cut_is_survived() {
    for file in [pcap(&[(1, 0, b"first"), (2, 0, b"second")]), pcapng()] {
        let all = read(file.clone()).0.len();
        for end in 0..file.len() {
            let (frames, _) = read(file[..end].to_vec());
            assert!(frames.len() <= all);
        }
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0xff;
            read(damaged);
        }
    }
}

#[test]
fn absurd_lengths_are_refused() {
    let mut file = pcap(&[(1, 0, b"x")]);
    file[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
    let (frames, error) = read(file);
    assert!(frames.is_empty());
    expect_test::expect!["corrupt at byte 24: record length"].assert_eq(&error.unwrap());
}

#[test]
fn compressed_files_are_read() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let plain = pcap(&[(1, 0, b"first")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let packed = [gzip.finish().unwrap(), zstd::encode_all(plain.as_slice(), 1).unwrap(), plain];
    for (n, bytes) in packed.iter().enumerate() {
        let path = folder.path().join(n.to_string());
        std::fs::write(&path, bytes).unwrap();
        let mut reader = FileReader::open(&path).unwrap();
        assert_eq!(reader.next_frame().unwrap().unwrap().bytes, b"first");
        assert!(reader.next_frame().unwrap().is_none());
    }
}

#[test]
fn what_is_no_capture_is_named() {
    let error = read(b"%PDF-1.7".to_vec()).1.unwrap();
    assert!(error.contains("not a capture file"), "{error}");
    let missing = FileReader::open(Path::new("/nonexistent/x.pcap")).unwrap_err();
    assert!(matches!(missing, FileError::Open { .. }));
}

#[test]
fn an_unknown_interface_is_an_error() {
    let error = Live::open(&LiveOptions::new("no-such-interface0")).unwrap_err();
    assert!(error.to_string().contains("no-such-interface0"));
}

#[test]
fn bursts_give_the_same_frames() {
    // Some are longer than what is read at once.
    let long = |n: usize| if n.is_multiple_of(9) { 90_000 } else { n % 7 };
    let all: Vec<Vec<u8>> =
        (0..60_usize).map(|n| vec![u8::try_from(n).unwrap(); long(n)]).collect();
    let frames: Vec<(u32, u32, &[u8])> = all.iter().map(|f| (1, 2, f.as_slice())).collect();
    for most in [1, 3, 16, 100] {
        let source = Box::new(Cursor::new(pcap(&frames)));
        let mut reader = FileReader::new(source, Path::new("test")).unwrap();
        assert!(reader.next_burst(0).unwrap().is_empty());
        let (mut given, mut longest) = (0, 0);
        loop {
            let burst = reader.next_burst(most).unwrap();
            longest = longest.max(burst.len());
            for frame in &burst {
                assert_eq!(frame.bytes, all[given]);
                given += 1;
            }
            if burst.is_empty() {
                break;
            }
        }
        assert_eq!((given, longest > 1), (60, most > 1));
        assert!(longest <= most.min(16));
    }
}

#[test]
fn what_is_cut_comes_after_the_frames_before_it() {
    let mut bytes = pcap(&[(1, 2, b"one"), (1, 2, b"two"), (1, 2, b"three")]);
    bytes.pop();
    let mut reader = FileReader::new(Box::new(Cursor::new(bytes)), Path::new("test")).unwrap();
    assert_eq!(reader.next_burst(16).unwrap().len(), 2);
    assert!(matches!(reader.next_burst(16), Err(FileError::Truncated { .. })));
    assert!(reader.next_burst(16).unwrap().is_empty());
}
