//! `rfb` objects.

use net::app::rfb::{Rfb, Screen, Version};

use super::fields::Fields;

/// The `rfb` object of a handshake, as far as it came.
pub(crate) fn handshake<F: Fields>(out: &mut F, rfb: &Rfb) {
    for (name, version) in [
        ("server_protocol_version", rfb.server_version),
        ("client_protocol_version", rfb.client_version),
    ] {
        if let Some(version) = version {
            out.object(name, |inner| self::version(inner, version));
        }
    }
    out.object("authentication", |inner| authentication(inner, rfb));
    if let Some(shared) = rfb.shared {
        out.boolean("screen_shared", shared);
    }
    if let Some(screen) = &rfb.screen {
        out.object("framebuffer", |inner| framebuffer(inner, screen));
    }
}

fn version<F: Fields>(out: &mut F, (major, minor): Version) {
    out.bytes("major", &major);
    out.bytes("minor", &minor);
}

fn authentication<F: Fields>(out: &mut F, rfb: &Rfb) {
    if let Some(kind) = rfb.security_type {
        out.number("security_type", kind.into());
    }
    if let Some(challenge) = rfb.challenge {
        out.object("vnc", |vnc| {
            vnc.text("challenge", &hex(&challenge));
            if let Some(response) = rfb.response {
                vnc.text("response", &hex(&response));
            }
        });
    }
    match rfb.security_result {
        Some(0) => out.text("security_result", "OK"),
        Some(1) => out.text("security_result", "FAIL"),
        Some(2) => out.text("security_result", "TOOMANY"),
        Some(other) => out.text("security_result", &format!("UNKNOWN ({other})")),
        None => {}
    }
    if !rfb.failure_reason.is_empty() {
        out.bytes("security_failure_reason", &rfb.failure_reason);
    }
}

fn framebuffer<F: Fields>(out: &mut F, screen: &Screen) {
    out.number("width", screen.width.into());
    out.number("height", screen.height.into());
    out.bytes("name", &screen.name);
    out.object("pixel_format", |pixels| {
        let format = &screen.format;
        pixels.number("bits_per_pixel", format.bits_per_pixel.into());
        pixels.number("depth", format.depth.into());
        pixels.boolean("big_endian", format.big_endian);
        pixels.boolean("true_color", format.true_color);
        for (color, (max, shift)) in
            ["red", "green", "blue"].into_iter().zip(format.max.into_iter().zip(format.shift))
        {
            pixels.number(&format!("{color}_max"), max.into());
            pixels.number(&format!("{color}_shift"), shift.into());
        }
    });
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
