//! `dcerpc` objects.

use net::Direction;
use net::app::dcerpc::{Call, Half, Interface, kind, kind_name, procedure, service};

use super::fields::Fields;

/// The `dcerpc` object of a call over TCP or UDP.
pub(crate) fn call<F: Fields>(out: &mut F, call: &Call) {
    sides(out, call, true);
    out.number("call_id", call.call_id.into());
    let (major, minor) = call.version;
    if let Some((activity, sequence)) = &call.activity {
        out.text("activityuuid", &uuid(activity));
        out.number("seqnum", (*sequence).into());
    }
    out.text("rpc_version", &format!("{major}.{minor}"));
}

/// The `dcerpc` object inside that of SMB.
pub(crate) fn in_pipe<F: Fields>(out: &mut F, call: &Call) {
    sides(out, call, false);
    out.number("call_id", call.call_id.into());
}

fn name(half: &Half, lost: &str) -> String {
    match half.kind {
        Some(kind) => kind_name(kind).map_or_else(|| kind.to_string(), str::to_owned),
        None => lost.to_owned(),
    }
}

/// The number of the procedure stands beside or, over TCP and UDP, within what is asked.
fn sides<F: Fields>(out: &mut F, call: &Call, within: bool) {
    let (asked, answered) = (call.half(Direction::ToServer), call.half(Direction::ToClient));
    out.text("request", &name(asked, "REQUEST_LOST"));
    out.text("response", &name(answered, "UNREPLIED"));
    if asked.kind == Some(kind::REQUEST) {
        let opnum = call.opnum.map(u64::from);
        if let Some(opnum) = opnum.filter(|_| !within) {
            out.number("opnum", opnum);
        }
        out.object("req", |req| {
            if let Some(opnum) = opnum.filter(|_| within) {
                req.number("opnum", opnum);
            }
            half(req, asked);
        });
    }
    if answered.kind == Some(kind::RESPONSE) {
        out.object("res", |res| half(res, answered));
    }
    if !call.interfaces.is_empty() {
        let opnum = call.opnum.filter(|_| call.is_request());
        out.objects("interfaces", call.interfaces.iter(), |item, one| interface(item, one, opnum));
    }
}

fn half<F: Fields>(out: &mut F, half: &Half) {
    out.number("frag_cnt", half.fragments.into());
    out.number("stub_data_size", half.size);
}

fn interface<F: Fields>(out: &mut F, interface: &Interface, opnum: Option<u16>) {
    out.text("uuid", &uuid(&interface.uuid));
    let (major, minor) = interface.version;
    out.text("version", &format!("{major}.{minor}"));
    if let Some((result, reason)) = interface.answer {
        out.number("ack_result", result.into());
        out.number("ack_reason", reason.into());
    }
    if let Some(service) = service(&interface.uuid) {
        out.text("service", service);
    }
    if let Some(procedure) = opnum.and_then(|opnum| procedure(&interface.uuid, opnum)) {
        out.text("procedure", procedure);
    }
}

/// `8-4-4-4-12` hexadecimal digits.
fn uuid(bytes: &[u8; 16]) -> String {
    let mut text = format!("{:032x}", u128::from_be_bytes(*bytes));
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Object;
    use super::*;

    #[test]
    fn a_call_of_a_known_procedure() {
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&0x367a_bb81_9844_35f1_ad32_98f0_3800_1003_u128.to_be_bytes());
        let interface =
            Interface { uuid, version: (2, 0), context: 1, answer: Some((0, 0)), first: true };
        let mut made = Call { version: (5, 0), call_id: 7, opnum: Some(15), ..Call::default() };
        made.interfaces.push(interface);
        made.halves.to_server = Half { kind: Some(0), size: 20, fragments: 1, ..Half::default() };
        let mut record = Object::new();
        call(&mut record, &made);
        expect_test::expect![[r#"{"request":"REQUEST","response":"UNREPLIED","req":{"opnum":15,"frag_cnt":1,"stub_data_size":20},"interfaces":[{"uuid":"367abb81-9844-35f1-ad32-98f038001003","version":"2.0","ack_result":0,"ack_reason":0,"service":"svcctl","procedure":"OpenSCManagerW"}],"call_id":7,"rpc_version":"5.0"}"#]]
            .assert_eq(&serde_json::Value::from(record).to_string());
    }
}
