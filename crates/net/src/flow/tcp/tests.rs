//! Connections segment by segment: what is accepted, what is named, where they end up.

use proptest::prelude::*;

use super::*;

const CLIENT: u32 = 1000;
const SERVER: u32 = 5000;

/// A connection under test; sequence and acknowledgement numbers are relative to the first ones.
struct Line {
    track: TcpTrack,
    rules: Rules,
}

#[derive(Clone, Copy)]
struct Say<'a> {
    dir: Direction,
    flags: u8,
    seq: i32,
    ack: i32,
    payload: u32,
    options: &'a [u8],
}

fn to_server(flags: u8, seq: i32, ack: i32) -> Say<'static> {
    Say { dir: Direction::ToServer, flags, seq, ack, payload: 0, options: &[] }
}

fn to_client(flags: u8, seq: i32, ack: i32) -> Say<'static> {
    Say { dir: Direction::ToClient, flags, seq, ack, payload: 0, options: &[] }
}

const S: u8 = tcp_flags::SYN;
const A: u8 = tcp_flags::ACK;
const F: u8 = tcp_flags::FIN;
const R: u8 = tcp_flags::RST;

impl Line {
    fn new() -> Self {
        Self { track: TcpTrack::default(), rules: Rules::default() }
    }

    fn open() -> Self {
        let mut line = Self::new();
        for say in [to_server(S, 0, 0), to_client(S | A, 0, 1), to_server(A, 1, 1)] {
            assert_eq!(line.say(say), "accept");
        }
        assert_eq!(line.track.state, TcpState::Established);
        line
    }

    /// What a segment comes to: `accept`, `ignore`, with the names of events.
    fn say(&mut self, say: Say<'_>) -> String {
        let (own, other) = match say.dir {
            Direction::ToServer => (CLIENT, SERVER),
            Direction::ToClient => (SERVER, CLIENT),
        };
        let acknowledges = say.flags & A != 0;
        let tcp = Tcp {
            src_port: 1,
            dst_port: 2,
            seq: own.wrapping_add_signed(say.seq),
            ack: if acknowledges { other.wrapping_add_signed(say.ack) } else { 0 },
            flags: say.flags,
            window: 1000,
            options: say.options,
            header: &[],
        };
        let mut wrong = Anomalies::default();
        let verdict = self.track.segment((&tcp, say.dir), say.payload, self.rules, &mut wrong);
        let mut out = match verdict {
            Verdict::Accept => "accept".to_owned(),
            Verdict::Ignore => "ignore".to_owned(),
            Verdict::Midstream { swap } => format!("midstream {swap}"),
        };
        for event in wrong.iter() {
            out.push(' ');
            out.push_str(event.name().trim_start_matches("stream."));
        }
        out
    }
}

#[test]
fn split_handshakes_open_a_connection() {
    // Four messages: SYN, SYN, SYN/ACK of the client, ACK of the server.
    let mut four = Line::new();
    for say in [to_server(S, 0, 0), to_client(S, 0, 0), to_server(S | A, 0, 1), to_client(A, 1, 1)]
    {
        assert_eq!(four.say(say), "accept");
    }
    assert_eq!(four.track.state, TcpState::Established);
    let mut wrong = Line::new();
    wrong.say(to_server(S, 0, 0));
    wrong.say(to_client(S, 0, 0));
    assert_eq!(wrong.say(to_server(S | A, 0, 9)), "ignore 4whs_synack_with_wrong_ack");
    assert_eq!(wrong.say(to_server(S | A, 9, 1)), "ignore 4whs_synack_with_wrong_syn");
    wrong.say(to_server(S | A, 0, 1));
    assert_eq!(wrong.say(to_client(A, 9, 1)), "ignore 4whs_wrong_seq");
    assert_eq!(wrong.say(to_client(A, 1, 9)), "ignore 4whs_invalid_ack");
    assert_eq!(wrong.track.state, TcpState::SynRecv);
}

#[test]
fn syns_with_other_numbers_are_remembered_within_bounds() {
    let mut line = Line::new();
    for n in 0..11 {
        assert_eq!(line.say(to_server(S, n * 10, 0)), "accept", "{n}");
    }
    assert_eq!(line.say(to_server(S, 999, 0)), "accept 3whs_syn_flood");
    // The server answers an earlier one.
    assert_eq!(line.say(to_client(S | A, 0, 21)), "accept");
    assert_eq!(line.say(to_server(A, 21, 1)), "accept");
    assert_eq!(line.track.state, TcpState::Established);
}

#[test]
fn the_client_says_which_synack_it_took() {
    let mut line = Line::new();
    line.say(to_server(S, 0, 0));
    line.say(to_client(S | A, 0, 1));
    assert_eq!(line.say(to_client(S | A, 400, 1)), "ignore 3whs_synack_resend_with_diff_seq");
    for n in 2..6 {
        line.say(to_client(S | A, n * 1000, 1));
    }
    let flood = "ignore 3whs_synack_resend_with_diff_seq 3whs_synack_flood";
    assert_eq!(line.say(to_client(S | A, 9000, 1)), flood);
    assert_eq!(line.say(to_server(A, 1, 401)), "accept");
    assert_eq!(line.track.next(Direction::ToClient), SERVER + 401);
}

#[test]
fn a_reset_has_to_fit_the_receivers_system() {
    let reset = |policy, seq: i32| {
        let mut line = Line::open();
        line.rules.receiver = policy;
        line.say(to_server(R, seq, 0))
    };
    let refused = "ignore rst_invalid_ack";
    for (policy, seq, expected) in [
        (OsPolicy::Bsd, 1, "accept"),
        (OsPolicy::Bsd, 50, refused),
        (OsPolicy::Windows, 50, refused),
        (OsPolicy::Linux, 50, "accept"),
        (OsPolicy::Linux, 5000, refused),
        (OsPolicy::Linux, -50, refused),
        (OsPolicy::Hpux11, 5000, "accept"),
        (OsPolicy::Hpux11, -50, refused),
    ] {
        assert_eq!(reset(policy, seq), expected, "{policy:?} {seq}");
    }
}

#[test]
fn who_goes_on_after_its_own_reset_did_not_send_it() {
    let mut line = Line::open();
    assert_eq!(line.say(to_client(R, 1, 0)), "accept");
    assert_eq!(line.track.state, TcpState::Closed);
    let late = Say { payload: 5, ..to_server(A, 1, 1) };
    assert_eq!(line.say(late), "accept", "on its way already");
    assert_eq!(line.track.state, TcpState::Closed);
    let data = Say { payload: 5, ..to_client(A, 1, 6) };
    assert_eq!(line.say(data), "accept suspected_rst_inject");
    assert_eq!(line.track.state, TcpState::Established);
}

#[test]
fn timestamps_only_go_forward() {
    let stamp = |value: u32| [&[8, 10][..], &value.to_be_bytes(), &[0; 4]].concat();
    let mut line = Line::new();
    for (say, value) in
        [(to_server(S, 0, 0), 100), (to_client(S | A, 0, 1), 200), (to_server(A, 1, 1), 101)]
    {
        let options = stamp(value);
        assert_eq!(line.say(Say { options: &options, ..say }), "accept");
    }
    let old = stamp(50);
    let data = Say { payload: 4, options: &old, ..to_server(A, 1, 1) };
    assert_eq!(line.say(data), "ignore pkt_invalid_timestamp");
    assert_eq!(line.say(Say { flags: R, ..data }), "accept", "resets are exempt");
    let mut without = Line::open();
    assert_eq!(without.say(data), "accept", "nobody agreed on timestamps");
}

#[test]
fn segments_beyond_the_window_and_wrong_acknowledgements_are_left_out() {
    let mut line = Line::open();
    let data = |seq, payload| Say { payload, ..to_server(A, seq, 1) };
    assert_eq!(line.say(data(1, 1000)), "accept", "as much as the window");
    assert_eq!(line.say(data(1001, 100)), "ignore est_packet_out_of_window");
    assert_eq!(line.say(to_client(A, 1, 1001)), "accept");
    assert_eq!(line.say(data(1001, 100)), "accept");
    let again = "accept est_pkt_before_last_ack pkt_spurious_retransmission";
    assert_eq!(line.say(data(1, 100)), again);
    assert_eq!(line.say(to_client(A, 1, 90_000)), "ignore est_invalid_ack pkt_invalid_ack");
    assert_eq!(line.say(to_server(A, 1100, 1)), "ignore", "a keep-alive");
}

#[test]
fn closings_name_what_does_not_fit() {
    let mut line = Line::open();
    assert_eq!(line.say(to_server(F | A, 1, 1)), "accept");
    assert_eq!(line.track.state, TcpState::CloseWait);
    assert_eq!(line.say(to_server(S, 0, 0)), "ignore shutdown_syn_resend");
    assert_eq!(line.say(to_client(A, 9000, 2)), "ignore closewait_ack_out_of_window");
    assert_eq!(line.say(to_client(F | A, 9000, 2)), "ignore closewait_fin_out_of_window");
    assert_eq!(line.say(to_client(F | A, 1, 2)), "accept");
    assert_eq!(line.track.state, TcpState::LastAck);
    let wrong = "ignore lastack_invalid_ack pkt_invalid_ack";
    assert_eq!(line.say(to_server(A, 2, 90_000)), wrong);
    assert_eq!(line.say(to_server(A, 2, 2)), "accept");
    assert_eq!(line.track.state, TcpState::Closed);
}

#[test]
fn one_side_is_enough_when_asked_for() {
    let mut line = Line::new();
    line.rules.one_sided = true;
    assert_eq!(line.say(to_server(S, 0, 0)), "accept");
    assert_eq!(line.say(to_server(A, 5, 77)), "ignore 3whs_async_wrong_seq");
    assert_eq!(line.say(to_server(A, 1, 77)), "accept");
    assert!(line.track.is_one_sided());
    let data = Say { payload: 50_000, ..to_server(A, 1, 90_000) };
    assert_eq!(line.say(data), "accept", "nothing is known of the other side");
    let mut strict = Line::new();
    strict.say(to_server(S, 0, 0));
    assert_eq!(strict.say(to_server(A, 1, 77)), "ignore");
}

proptest! {
    /// Whatever is said, nothing panics and the memory of offers stays within its bounds.
    #[test]
    fn any_segments_are_survived(
        segments in proptest::collection::vec(
            (any::<bool>(), any::<u8>(), -3000i32..3000, -3000i32..3000, 0u32..70_000), 0..200,
        ),
        midstream: bool,
        one_sided: bool,
    ) {
        let mut line = Line::new();
        line.rules = Rules { midstream, one_sided, ..Rules::default() };
        for (client, flags, seq, ack, payload) in segments {
            let dir = if client { Direction::ToServer } else { Direction::ToClient };
            line.say(Say { dir, flags, seq, ack, payload, options: &[] });
        }
        if let Some(detail) = &line.track.detail {
            prop_assert!(detail.offers.count() <= 15);
        }
    }
}
