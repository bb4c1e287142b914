//! What rules see of SMTP and the mails in it.

use net::app::mime::Mail;
use net::app::smtp::Smtp;
use signature::{Buffer, View};

use super::non_empty;

/// Digests that rules look at as text, made once.
#[derive(Debug, Default)]
pub(super) struct Cache {
    body_md5: std::cell::OnceCell<String>,
}

/// A buffer; `complete` when nothing more comes from the client.
pub(super) fn buffer<'a>(
    smtp: &'a Smtp,
    cache: &'a Cache,
    buffer: Buffer,
    at: u32,
    complete: bool,
) -> View<'a> {
    let missing = if complete { View::Absent } else { View::Pending };
    let index = usize::try_from(at).unwrap_or(usize::MAX);
    let known = |bytes: &'a [u8]| if bytes.is_empty() { missing } else { View::whole(bytes) };
    match buffer {
        Buffer::SmtpRcptTo => smtp.rcpt_to.get(index).map_or(missing, |name| View::whole(name)),
        Buffer::SmtpHelo | Buffer::SmtpMailFrom if at > 0 => View::Absent,
        Buffer::SmtpHelo => known(&smtp.helo),
        Buffer::SmtpMailFrom => known(&smtp.mail_from),
        _ => {
            smtp.mail.as_ref().map_or(missing, |mail| of_mail(mail, cache, buffer, index, missing))
        }
    }
}

fn of_mail<'a>(
    mail: &'a Mail,
    cache: &'a Cache,
    buffer: Buffer,
    index: usize,
    missing: View<'a>,
) -> View<'a> {
    let name = match buffer {
        Buffer::EmailUrl => return mail.urls.get(index).map_or(missing, |url| View::whole(url)),
        Buffer::EmailBodyMd5 if index > 0 => return View::Absent,
        Buffer::EmailBodyMd5 => {
            let Some(digest) = mail.body_md5 else { return missing };
            let text = cache.body_md5.get_or_init(|| crate::sensor::eve::file::hex(&digest));
            return View::whole(text.as_bytes());
        }
        Buffer::EmailFrom => "from",
        Buffer::EmailTo => "to",
        Buffer::EmailCc => "cc",
        Buffer::EmailSubject => "subject",
        Buffer::EmailDate => "date",
        Buffer::EmailMessageId => "message-id",
        Buffer::EmailXMailer => "x-mailer",
        Buffer::EmailReceived => "received",
        _ => return View::Absent,
    };
    if !mail.has_header() {
        return missing;
    }
    if index > 0 && buffer != Buffer::EmailReceived {
        return View::Absent;
    }
    mail.all(name).nth(index).map_or(View::Absent, non_empty)
}
