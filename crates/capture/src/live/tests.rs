//! The loopback interface, where this user may read it.

use std::net::UdpSocket;

use super::*;

/// Each way of reading; the first is what one gets where there is no ring.
const METHODS: [Method; 2] = [Method::Libpcap, Method::Auto];

/// Loopback with a filter; `None` where capturing is not permitted.
fn loopback(method: Method, filter: &str, group: Option<u16>) -> Option<Live> {
    let options = LiveOptions {
        method,
        filter: filter.to_owned(),
        buffer: 1 << 20,
        promiscuous: false,
        fanout_group: group,
        ..LiveOptions::new("lo")
    };
    match Live::open(&options) {
        Ok(live) => {
            if let Some(error) = live.fallback() {
                eprintln!("no ring: {error}: {:?}", std::error::Error::source(error));
            }
            Some(live)
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            assert!(error.to_string().contains("on lo"), "{error}");
            eprintln!("skipped: {error}: {cause:?}");
            None
        }
    }
}

/// Frames of at least the payload, from all of these, until there are enough.
fn collect(lives: &mut [Live], payload: &[u8], enough: usize) -> Vec<usize> {
    let mut found = vec![0; lives.len()];
    for _ in 0..200 {
        for (live, found) in lives.iter_mut().zip(&mut found) {
            live.wait(10).unwrap();
            for most in [1, 5, 16].into_iter().cycle() {
                let burst = live.next_burst(most).unwrap();
                assert!(burst.len() <= most);
                for frame in &burst {
                    assert!(frame.ts > 0 && frame.interface == 0);
                    assert!(usize::try_from(frame.wire_len).unwrap() >= frame.bytes.len());
                    *found += usize::from(frame.bytes.ends_with(payload));
                }
                if burst.is_empty() {
                    break;
                }
            }
        }
        if found.iter().sum::<usize>() >= enough {
            break;
        }
    }
    found
}

#[test]
fn packets_that_pass_the_filter_come_out() {
    METHODS.into_iter().for_each(filtered);
}

fn filtered(method: Method) {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = receiver.local_addr().unwrap().port();
    let Some(live) = loopback(method, &format!("udp dst port {port}"), None) else { return };
    let mut lives = [live];
    assert!(lives[0].next_burst(16).unwrap().is_empty(), "reading does not block");
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..3 {
        sender.send_to(b"through the filter", ("127.0.0.1", port)).unwrap();
    }
    sender.send_to(b"through the filter", ("127.0.0.1", port ^ 1)).unwrap();
    // The kernel shows a packet of the loopback as it leaves and as it arrives; we see it once.
    assert_eq!(collect(&mut lives, b"through the filter", 3), [3]);
    let stats = lives[0].stats().unwrap();
    assert!(stats.received >= 3 && stats.dropped == 0, "{stats:?}");
    if lives[0].method() == Method::Ring {
        let exactly = LiveStats { received: 3, ..LiveStats::default() };
        assert_eq!((stats, lives[0].stats().unwrap()), (exactly, exactly), "not counted anew");
    }
}

#[test]
fn workers_of_a_group_share_an_interface() {
    METHODS.into_iter().for_each(shared);
}

fn shared(method: Method) {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = receiver.local_addr().unwrap().port();
    let filter = format!("udp dst port {port}");
    let group = Some(port ^ u16::from(method == Method::Auto));
    let open = || loopback(method, &filter, group);
    let (Some(a), Some(b)) = (open(), open()) else { return };
    let mut lives = [a, b];
    let mut sent = 0;
    for _ in 0..16 {
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..2 {
            sender.send_to(b"shared", ("127.0.0.1", port)).unwrap();
            sent += 1;
        }
    }
    let found = collect(&mut lives, b"shared", sent);
    assert_eq!(found.iter().sum::<usize>(), sent, "each packet at one worker: {found:?}");
}

#[test]
fn a_wrong_filter_says_what_is_wrong() {
    if loopback(Method::Auto, "udp", None).is_none() {
        return;
    }
    let options = LiveOptions { filter: "no such filter (".to_owned(), ..LiveOptions::new("lo") };
    let error = Live::open(&options).unwrap_err();
    assert_eq!(error.to_string(), "cannot capture on lo");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("syntax error"), "{cause}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_ring_drops_what_is_counted_and_goes_on() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = receiver.local_addr().unwrap().port();
    let Some(live) = loopback(Method::Ring, &format!("udp dst port {port}"), None) else { return };
    let mut lives = [live];
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    // Four times what the ring holds, then some more once there is room again.
    let (payload, sent) = (vec![7; 8_000], 524);
    for _ in 0..sent {
        sender.send_to(&payload, ("127.0.0.1", port)).unwrap();
    }
    let first = collect(&mut lives, &payload, sent)[0];
    for _ in 0..10 {
        sender.send_to(b"afterwards", ("127.0.0.1", port)).unwrap();
    }
    let second = collect(&mut lives, b"afterwards", 10)[0];
    let stats = lives[0].stats().unwrap();
    let seen = u64::try_from(first + second).unwrap();
    assert!(stats.dropped > 300 && second == 10, "{stats:?}, {first} seen, then {second}");
    assert_eq!((stats.received, seen + stats.dropped), (534, 534), "{stats:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_missing_interface_is_named_with_what_was_tried() {
    let options = LiveOptions { method: Method::Ring, ..LiveOptions::new("no-such-dev") };
    let error = Live::open(&options).unwrap_err();
    let denied = error.to_string().contains("open a socket");
    let expected = "cannot find the interface for the capture ring on no-such-dev";
    assert!(denied || error.to_string() == expected, "{error}");
}

#[test]
fn workers_that_share_by_hosts_see_all_packets_of_two_hosts() {
    let open = || {
        let options = LiveOptions {
            filter: "udp dst port 9 and src net 127.0.1.0/24".to_owned(),
            buffer: 1 << 20,
            promiscuous: false,
            fanout_group: Some(4711),
            share: Share::Hosts,
            ..LiveOptions::new("lo")
        };
        Live::open(&options).ok()
    };
    let (Some(a), Some(b)) = (open(), open()) else { return };
    let mut lives = [a, b];
    for last in 1..=20 {
        // Two flows of each pair of hosts.
        for _ in 0..2 {
            let sender = UdpSocket::bind((std::net::Ipv4Addr::new(127, 0, 1, last), 0)).unwrap();
            sender.send_to(b"by hosts", ("127.0.0.1", 9)).unwrap();
        }
    }
    let found = collect(&mut lives, b"by hosts", 40);
    assert!(found.iter().all(|count| *count > 0 && *count % 2 == 0), "{found:?}");
    assert_eq!(found.iter().sum::<usize>(), 40, "{found:?}");
}

#[test]
fn a_longer_packet_is_cut_and_its_length_told() {
    for method in METHODS {
        let options =
            LiveOptions { method, snaplen: 60, buffer: 1 << 20, ..LiveOptions::new("lo") };
        let Ok(mut live) = Live::open(&options) else { return };
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(&[0x5a; 300], ("127.0.0.1", 9)).unwrap();
        let cut = (0..200).any(|_| {
            live.wait(10).unwrap();
            let burst = live.next_burst(1).unwrap();
            burst.first().is_some_and(|frame| (frame.bytes.len(), frame.wire_len) == (60, 342))
        });
        assert!(cut, "{method:?}");
    }
}
