//! Every format a capture file comes in, and every way in which one can be wrong.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::{FileReader, Order};
use crate::fuzz::fuzz_file;
use crate::tests::{Owned, read};

/// A file being written in one byte order.
struct Writer {
    order: Order,
    out: Vec<u8>,
}

impl Writer {
    fn new(order: Order) -> Self {
        Self { order, out: Vec::new() }
    }

    fn u16(&mut self, n: u16) -> &mut Self {
        self.out.extend(if self.order == Order::Little {
            n.to_le_bytes()
        } else {
            n.to_be_bytes()
        });
        self
    }

    fn u32(&mut self, n: u32) -> &mut Self {
        self.out.extend(if self.order == Order::Little {
            n.to_le_bytes()
        } else {
            n.to_be_bytes()
        });
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend(bytes);
        self
    }

    fn padded(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend(bytes);
        self.out.resize(self.out.len().next_multiple_of(4), 0);
        self
    }

    fn pcap(&mut self, magic: u32, link: u32) -> &mut Self {
        self.u32(magic).u16(2).u16(4).u32(0).u32(0).u32(65_535).u32(link)
    }

    fn record(&mut self, seconds: u32, fraction: u32, bytes: &[u8]) -> &mut Self {
        let len = u32::try_from(bytes.len()).unwrap();
        self.u32(seconds).u32(fraction).u32(len).u32(len + 100).bytes(bytes)
    }

    /// A pcapng block around what `body` writes.
    fn block(&mut self, kind: u32, body: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::new(self.order);
        body(&mut inner);
        let len = u32::try_from(inner.out.len() + 12).unwrap();
        self.u32(kind).u32(len).bytes(&inner.out).u32(len)
    }

    fn section(&mut self) -> &mut Self {
        self.block(0x0a0d_0d0a, |b| {
            b.u32(0x1a2b_3c4d).u16(1).u16(0).bytes(&[0xff; 8]);
        })
    }

    fn interface(&mut self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) -> &mut Self {
        self.block(1, |b| {
            b.u16(link).u16(0).u32(snaplen);
            for (code, value) in options {
                b.u16(*code).u16(u16::try_from(value.len()).unwrap()).padded(value);
            }
        })
    }

    fn packet(&mut self, interface: u32, ts: u64, bytes: &[u8]) -> &mut Self {
        let len = u32::try_from(bytes.len()).unwrap();
        self.block(6, |b| {
            b.u32(interface).u32(u32::try_from(ts >> 32).unwrap());
            b.u32(u32::try_from(ts & 0xffff_ffff).unwrap()).u32(len).u32(len + 100).padded(bytes);
        })
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

const ORDERS: [Order; 2] = [Order::Little, Order::Big];

/// Frames as `time link wire-length bytes`, and the error.
fn show(file: Vec<u8>) -> String {
    let (frames, error) = read(file);
    let one =
        |(ts, link, wire, bytes): &Owned| format!("{ts} {link} {wire} {}", bytes.escape_ascii());
    frames.iter().map(one).chain(error).collect::<Vec<_>>().join("\n")
}

/// What a file written in either order gives.
fn check(write: impl Fn(&mut Writer), expected: &Expect) {
    for order in ORDERS {
        let mut writer = Writer::new(order);
        write(&mut writer);
        expected.assert_eq(&show(writer.take()));
    }
}

#[test]
fn pcap_in_both_orders_and_resolutions() {
    check(
        |w| {
            w.pcap(0xa1b2_c3d4, 113).record(7, 999_999, b"micro").record(8, 0, b"");
        },
        &expect![[r#"
            7999999 113 105 micro
            8000000 113 100 "#]],
    );
    check(
        |w| {
            w.pcap(0xa1b2_3c4d, 1).record(7, 999_999_999, b"nano");
        },
        &expect!["7999999 1 104 nano"],
    );
    // Eight more bytes per record; frame check sequence and class bits above the link type.
    check(
        |w| {
            w.pcap(0xa1b2_cd34, 0xf400_0001)
                .u32(7)
                .u32(1)
                .u32(4)
                .u32(4)
                .bytes(&[9; 8])
                .bytes(b"kuzn");
        },
        &expect!["7000001 1 4 kuzn"],
    );
    // The last second that fits.
    check(
        |w| {
            w.pcap(0xa1b2_c3d4, 1).record(u32::MAX, 999_999, b"2106");
        },
        &expect!["4294967295999999 1 104 2106"],
    );
}

#[test]
fn pcapng_in_both_orders_with_many_interfaces() {
    check(
        |w| {
            w.section();
            w.interface(1, 0, &[]);
            // Nanoseconds; 2^-10 seconds; seconds; an hour later.
            w.interface(101, 0, &[(2, b"eth1"), (9, &[9])]);
            w.interface(102, 0, &[(9, &[0x8a]), (0, b""), (9, &[6])]);
            w.interface(103, 0, &[(9, &[0])]);
            let hour = if w.order == Order::Little {
                3600i64.to_le_bytes()
            } else {
                3600i64.to_be_bytes()
            };
            w.interface(104, 0, &[(14, &hour)]);
            w.packet(0, 5_000_001, b"micro").packet(1, 5_000_001_999, b"nano");
            w.packet(2, 5 * 1024 + 512, b"binary").packet(3, 5, b"whole").packet(4, 1, b"later");
        },
        &expect![[r#"
            5000001 1 105 micro
            5000001 101 104 nano
            5500000 102 106 binary
            5000000 103 105 whole
            3600000001 104 105 later"#]],
    );
}

#[test]
fn sections_begin_anew_even_in_the_other_order() {
    for order in ORDERS {
        let other = if order == Order::Little { Order::Big } else { Order::Little };
        let mut first = Writer::new(order);
        first.section().interface(1, 0, &[]).packet(0, 1, b"one");
        let mut second = Writer::new(other);
        second.section().interface(101, 0, &[]).packet(0, 2, b"two");
        let mut bare = Writer::new(other);
        bare.section().packet(0, 3, b"no interface");
        let both = [first.take(), second.take()].concat();
        assert_eq!(show(both.clone()), "1 1 103 one\n2 101 103 two");
        let place = both.len() + 28;
        let expected =
            format!("1 1 103 one\n2 101 103 two\ncorrupt at byte {place}: interface number");
        assert_eq!(show([both, bare.take()].concat()), expected);
    }
}

#[test]
fn simple_packets_end_at_the_snap_length() {
    check(
        |w| {
            w.section().interface(1, 5, &[]).packet(0, 42, b"first");
            w.block(3, |b| {
                b.u32(900).padded(b"fives");
            });
            w.block(3, |b| {
                b.u32(3).padded(b"abc");
            });
        },
        &expect![[r#"
            42 1 105 first
            42 1 900 fives
            42 1 3 abc"#]],
    );
}

#[test]
fn blocks_of_other_kinds_are_passed_over() {
    check(
        |w| {
            w.section().interface(1, 0, &[]);
            for kind in [4, 5, 10, 0x0bad, 0x8000_0001] {
                w.block(kind, |b| {
                    b.padded(b"names, counters, secrets");
                });
            }
            // The packet block of old: interface and drops share a word.
            w.block(2, |b| {
                b.u16(0).u16(7).u32(0).u32(9).u32(3).u32(3).padded(b"old");
            });
            w.block(0x0bad, |_| {});
        },
        &expect!["9 1 3 old"],
    );
}

/// A message, and the file that causes it.
type Case<'a> = (&'a str, &'a dyn Fn(&mut Writer));

#[test]
fn what_is_corrupt_is_named_with_its_place() {
    let cases: &[Case<'_>] = &[
        ("corrupt at byte 24: record length", &|w| {
            w.pcap(0xa1b2_c3d4, 1).u32(0).u32(0).u32((1 << 20) + 1).u32(0);
        }),
        ("corrupt at byte 0: byte order", &|w| {
            w.block(0x0a0d_0d0a, |b| {
                b.u32(0x1a2b_3c4e).bytes(&[0; 12]);
            });
        }),
        ("corrupt at byte 28: interface number", &|w| {
            w.section().packet(0, 1, b"early");
        }),
        ("corrupt at byte 28: block length", &|w| {
            w.section().u32(1).u32(11).u32(0).u32(11);
        }),
        ("corrupt at byte 28: block length", &|w| {
            w.section().u32(1).u32(8);
        }),
        ("corrupt at byte 28: block length", &|w| {
            w.section().u32(1).u32(22).bytes(&[0; 14]);
        }),
        ("corrupt at byte 28: block length", &|w| {
            w.section().u32(1).u32((16 << 20) + 4);
        }),
        // The two lengths of a block differ.
        ("corrupt at byte 28: block length", &|w| {
            w.section().u32(1).u32(20).bytes(&[0; 8]).u32(24);
        }),
        ("corrupt at byte 28: interface description", &|w| {
            w.section().block(1, |b| {
                b.u32(1);
            });
        }),
        // Ten to the 20th does not fit; two to the 64th neither.
        ("corrupt at byte 28: interface description", &|w| {
            w.section().interface(1, 0, &[(9, &[20])]);
        }),
        ("corrupt at byte 28: interface description", &|w| {
            w.section().interface(1, 0, &[(9, &[0xc0])]);
        }),
        ("corrupt at byte 48: packet block", &|w| {
            w.section().interface(1, 0, &[]).block(6, |b| {
                b.u32(0).u32(0);
            });
        }),
        ("corrupt at byte 48: packet length", &|w| {
            w.section().interface(1, 0, &[]).block(6, |b| {
                b.u32(0).u32(0).u32(1).u32(1000).u32(1000).bytes(b"less");
            });
        }),
        // A packet may not borrow the length that follows it.
        ("corrupt at byte 48: packet length", &|w| {
            w.section().interface(1, 0, &[]).block(6, |b| {
                b.u32(0).u32(0).u32(1).u32(8).u32(8).bytes(b"four");
            });
        }),
        ("corrupt at byte 68: timestamp", &|w| {
            w.section().interface(1, 0, &[(9, &[0])]).block(5, |_| {}).packet(0, u64::MAX, b"when");
        }),
    ];
    for (expected, write) in cases {
        for order in ORDERS {
            let mut writer = Writer::new(order);
            write(&mut writer);
            assert_eq!(show(writer.take()), *expected, "{order:?}");
        }
    }
}

#[test]
fn too_many_interfaces_are_damage() {
    let file = |count: usize| {
        let mut w = Writer::new(Order::Little);
        w.section();
        for _ in 0..count {
            w.interface(1, 0, &[]);
        }
        w.take()
    };
    assert_eq!(show(file(4096)), "");
    let place = 28 + 4096 * 20;
    assert_eq!(show(file(4097)), format!("corrupt at byte {place}: interface description"));
}

#[test]
fn every_cut_is_told_except_between_records() {
    let mut pcap = Writer::new(Order::Little);
    pcap.pcap(0xa1b2_c3d4, 1).record(1, 0, b"first").record(2, 0, b"second");
    // Where records begin: after a cut there the file is shorter, not damaged.
    check_cuts(&pcap.take(), &[24, 45, 67], 24);
    let mut pcapng = Writer::new(Order::Big);
    pcapng.section().interface(1, 0, &[]).packet(0, 1, b"first").packet(0, 2, b"second");
    check_cuts(&pcapng.take(), &[28, 48, 88, 128], 28);
}

fn check_cuts(file: &[u8], ends: &[usize], header: usize) {
    for end in 0..=file.len() {
        let (_, error) = read(file[..end].to_vec());
        if ends.contains(&end) {
            assert_eq!(error, None, "{end} bytes");
            continue;
        }
        let begin = ends.iter().rev().find(|e| **e <= end).copied().unwrap_or(0);
        let what = if end < header { "" } else { ": " };
        let expected = format!("truncated at byte {begin}{what}");
        assert!(error.as_ref().unwrap().starts_with(&expected), "{end} bytes: {error:?}");
    }
}

#[test]
fn what_is_no_capture_is_named_by_its_first_bytes() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "truncated at byte 0: file header"),
        (b"\xd4\xc3", "truncated at byte 0: file header"),
        (b"%PDF-1.7", "test is not a capture file (it begins with [25, 50, 44, 46])"),
        (b"\xd4\xc3\xb2\xa2____", "test is not a capture file (it begins with [d4, c3, b2, a2])"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(show(bytes.to_vec()), *expected);
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// Number of frames in a file that may be compressed, and the error.
fn count(bytes: &[u8]) -> (usize, Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, bytes).unwrap();
    let mut reader = match FileReader::open(&path) {
        Ok(reader) => reader,
        Err(error) => return (0, Some(error.to_string())),
    };
    let mut frames = 0;
    loop {
        match reader.next_frame() {
            Ok(Some(_)) => frames += 1,
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error.to_string())),
        }
    }
}

#[test]
fn a_compressed_file_that_is_cut_is_told_even_between_records() {
    let mut w = Writer::new(Order::Little);
    w.pcap(0xa1b2_c3d4, 1);
    for n in 0..50 {
        w.record(n, 0, &n.wrapping_mul(0x9e37_79b9).to_le_bytes());
    }
    let plain = w.take();
    for packed in [gzip(&plain), zstd::encode_all(plain.as_slice(), 1).unwrap()] {
        assert_eq!(count(&packed), (50, None));
        for end in 5..packed.len() {
            let (frames, error) = count(&packed[..end]);
            let error =
                error.unwrap_or_else(|| panic!("{end} of {} bytes are no file", packed.len()));
            assert!(frames <= 50 && error.starts_with("truncated at byte "), "{end}: {error}");
        }
    }
    // Files are joined as they are: each member goes on where the one before ended.
    let (head, tail) = plain.split_at(100);
    assert_eq!(count(&[gzip(head), gzip(tail)].concat()), (50, None));
    let two = [zstd::encode_all(head, 1).unwrap(), zstd::encode_all(tail, 1).unwrap()].concat();
    assert_eq!(count(&two), (50, None));
}

#[test]
fn damaged_compression_is_an_error_with_its_place() {
    let mut w = Writer::new(Order::Little);
    w.pcap(0xa1b2_c3d4, 1).record(1, 0, &[7; 5000]);
    let mut packed = zstd::encode_all(w.take().as_slice(), 1).unwrap();
    let end = packed.len();
    packed[end - 6..].fill(0xff);
    let (_, error) = count(&packed);
    let error = error.unwrap();
    let places = ["cannot read on after byte ", "truncated at byte "];
    assert!(places.iter().any(|p| error.starts_with(p)), "{error}");
}

#[test]
fn fuzz_entries_survive_whole_and_damaged_files() {
    let mut w = Writer::new(Order::Big);
    w.section().interface(1, 0, &[(9, &[9])]).packet(0, 1, b"first");
    let plain = w.take();
    for file in [plain.clone(), gzip(&plain), zstd::encode_all(plain.as_slice(), 1).unwrap()] {
        for at in 0..file.len() {
            fuzz_file(&file[..at]);
            let mut damaged = file.clone();
            damaged[at] ^= 0xff;
            fuzz_file(&damaged);
        }
    }
}

proptest! {
    /// What is written is read, in either order, format and compression.
    #[test]
    fn what_is_written_is_read(
        frames in proptest::collection::vec((any::<u32>(), 0u32..1_000_000, proptest::collection::vec(any::<u8>(), 0..50)), 0..20),
        little in any::<bool>(),
        ng in any::<bool>(),
    ) {
        let mut w = Writer::new(if little { Order::Little } else { Order::Big });
        if ng {
            w.section().interface(7, 0, &[]);
        } else {
            w.pcap(0xa1b2_c3d4, 7);
        }
        let mut expected: Vec<Owned> = Vec::new();
        for (seconds, micros, bytes) in &frames {
            let ts = u64::from(*seconds) * 1_000_000 + u64::from(*micros);
            if ng {
                w.packet(0, ts, bytes);
            } else {
                w.record(*seconds, *micros, bytes);
            }
            let wire = u32::try_from(bytes.len()).unwrap() + 100;
            expected.push((i64::try_from(ts).unwrap(), 7, wire, bytes.clone()));
        }
        prop_assert_eq!(read(w.take()), (expected, None));
    }

    /// Any bytes after any beginning: one error at most, then the end.
    #[test]
    fn any_bytes_are_survived(begin in 0usize..4, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut w = Writer::new(Order::Little);
        match begin {
            0 => w.pcap(0xa1b2_c3d4, 1),
            1 => w.section(),
            2 => w.section().interface(1, 64, &[]),
            _ => &mut w,
        };
        w.bytes(&bytes);
        fuzz_file(&w.take());
    }
}
