//! The loopback interface, where this user may read it.

use std::net::UdpSocket;

use super::*;

/// Loopback with a filter; `None` where capturing is not permitted.
fn loopback(filter: &str, group: Option<u16>) -> Option<Live> {
    let options = LiveOptions {
        filter: filter.to_owned(),
        buffer: 1 << 20,
        promiscuous: false,
        fanout_group: group,
        ..LiveOptions::new("lo")
    };
    match Live::open(&options) {
        Ok(live) => Some(live),
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
            while let Some(frame) = live.next_frame().unwrap() {
                assert!(frame.ts > 0 && frame.interface == 0);
                assert!(usize::try_from(frame.wire_len).unwrap() >= frame.bytes.len());
                *found += usize::from(frame.bytes.ends_with(payload));
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
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = receiver.local_addr().unwrap().port();
    let Some(live) = loopback(&format!("udp dst port {port}"), None) else { return };
    let mut lives = [live];
    assert!(lives[0].next_frame().unwrap().is_none(), "reading does not block");
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..3 {
        sender.send_to(b"through the filter", ("127.0.0.1", port)).unwrap();
    }
    sender.send_to(b"through the filter", ("127.0.0.1", port ^ 1)).unwrap();
    // The kernel shows a packet of the loopback as it leaves and as it arrives, libpcap once.
    assert_eq!(collect(&mut lives, b"through the filter", 3), [3]);
    let stats = lives[0].stats().unwrap();
    assert!(stats.received >= 3 && stats.dropped == 0, "{stats:?}");
}

#[test]
fn workers_of_a_group_share_an_interface() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = receiver.local_addr().unwrap().port();
    let filter = format!("udp dst port {port}");
    let group = Some(port);
    let (Some(a), Some(b)) = (loopback(&filter, group), loopback(&filter, group)) else { return };
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
    if loopback("udp", None).is_none() {
        return;
    }
    let options = LiveOptions { filter: "no such filter (".to_owned(), ..LiveOptions::new("lo") };
    let error = Live::open(&options).unwrap_err();
    assert_eq!(error.to_string(), "cannot capture on lo");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("syntax error"), "{cause}");
}
