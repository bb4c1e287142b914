//! How often a piece of text is to be expected in the values of logs.
//!
//! Estimated from a sample of usual values, written by hand: what stands in it is common, other text is as
//! likely as its pairs of letters. Only the order matters: a wrong estimate costs time, never a match.

use std::sync::LazyLock;

use hashbrown::HashMap;

/// Usual values of logs, in lower case.
const SAMPLE: &str = r"c:\windows\system32\svchost.exe -k netsvcs -p -s schedule
c:\windows\system32\cmd.exe /c c:\windows\system32\windowspowershell\v1.0\powershell.exe -noprofile -command
c:\program files\microsoft office\root\office16\winword.exe /n c:\users\user\documents\report.docx
c:\program files (x86)\microsoft\edge\application\msedge.exe --type=renderer --lang=en-us
c:\program files\google\chrome\application\chrome.exe
c:\users\administrator\appdata\local\temp\setup.tmp
c:\users\public\downloads\appdata\roaming\microsoft\windows\start menu\programs\startup
c:\programdata\microsoft\windows defender\platform\msmpeng.exe
c:\windows\explorer.exe c:\windows\syswow64\rundll32.exe shell32.dll,control_rundll
c:\windows\system32\services.exe c:\windows\system32\lsass.exe c:\windows\system32\wbem\wmiprvse.exe
c:\windows\system32\conhost.exe 0xffffffff -forcev1 c:\windows\system32\taskhostw.exe
c:\windows\system32\kernel32.dll c:\windows\system32\ntdll.dll c:\windows\microsoft.net\framework64\v4.0.30319
hklm\system\currentcontrolset\services\tcpip\parameters hklm\software\microsoft\windows\currentversion\run
hkcu\software\microsoft\windows\currentversion\explorer hku\s-1-5-21-1234567890 hklm\software\policies\microsoft
hklm\software\microsoft\windows nt\currentversion\winlogon hklm\software\wow6432node\classes\clsid\
nt authority\system nt authority\network service nt authority\local service microsoft corporation
microsoft windows operating system windows powershell microsoft-windows-sysmon/operational
microsoft-windows-security-auditing microsoft-windows-powershell/operational s-1-5-18 s-1-5-19 0x3e7
{00000000-0000-0000-0000-000000000000} 2026-01-01 00:00:00.000 10.0.0.1 192.168.1.1 127.0.0.1 ::1 443 80
sha1=0123456789abcdef,md5=0123456789abcdef,sha256=0123456789abcdef,imphash=0123456789abcdef
system.management.automation.pscmdlet import-module get-content get-item new-object write-host select-object
where-object foreach-object parameter $true $false $null function param return string [system.text.encoding]
http://www.example.com/index.html https://www.microsoft.com/en-us/download get /images/logo.png http/1.1 200
mozilla/5.0 (windows nt 10.0; win64; x64) applewebkit/537.36 (khtml, like gecko) chrome/120.0.0.0 safari/537.36
/usr/bin/python3 /usr/sbin/sshd -d /bin/sh -c /usr/bin/bash /etc/passwd /var/log/syslog /tmp/file /usr/lib/systemd
/home/user/.config /opt/application /dev/null sudo apt-get install root session opened for user by
accepted password for root from port ssh2 failed connection closed systemd started cron.daily
/library/application support /users/shared/ /applications/safari.app/contents/macos kernel error warning info
";

/// Values of the sample, about: what a count is divided by.
const VALUES: u64 = 80;

#[derive(Debug, Default)]
struct Model {
    pairs: HashMap<[u8; 2], u64>,
    singles: HashMap<u8, u64>,
    windows: HashMap<[u8; 4], u64>,
    total: u64,
}

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let mut model = Model::default();
    for line in SAMPLE.lines() {
        let bytes = line.as_bytes();
        for &byte in bytes {
            *model.singles.entry(byte).or_default() += 1;
            model.total += 1;
        }
        for pair in bytes.windows(2).filter_map(<[u8]>::first_chunk) {
            *model.pairs.entry(*pair).or_default() += 1;
        }
        for window in bytes.windows(4).filter_map(<[u8]>::first_chunk) {
            *model.windows.entry(*window).or_default() += 1;
        }
    }
    model
});

/// Expected number of a window in a million values of a hundred bytes.
fn expected(window: [u8; 4]) -> u64 {
    let model = &*MODEL;
    let seen = model.windows.get(&window).copied().unwrap_or_default() * 1_000_000 / VALUES;
    // The first byte, and each further one given the one before, with a floor for unseen pairs.
    let [a, ..] = window;
    let single = |byte: u8| model.singles.get(&byte).copied().unwrap_or_default();
    let mut guess = 100 * 1_000_000 * (single(a) + 1) / (model.total + 256);
    for pair in window.windows(2).filter_map(<[u8]>::first_chunk::<2>) {
        let together = model.pairs.get(pair).copied().unwrap_or_default();
        guess = guess * (together * 4 + 1) / (single(pair[0]) * 4 + 256);
    }
    seen.max(guess)
}

/// The rarest window of a text: its place, its bytes in order, and how often it is to be expected in a
/// million values. `None` when the text is too short to have one.
pub(super) fn rarest(text: &[u8]) -> Option<(usize, u32, u64)> {
    text.windows(4)
        .enumerate()
        .filter_map(|(at, window)| Some((at, *window.first_chunk::<4>()?)))
        .map(|(at, window)| (at, u32::from_le_bytes(window), expected(window)))
        .min_by_key(|(.., count)| *count)
}

/// How often a text itself is to be expected in a million values.
pub(super) fn frequency(text: &str) -> u64 {
    let seen = memchr::memmem::find_iter(SAMPLE.as_bytes(), text).count();
    let seen = u64::try_from(seen).unwrap_or(u64::MAX).saturating_mul(1_000_000 / VALUES);
    let longer = u32::try_from(text.len().saturating_sub(4)).unwrap_or(u32::MAX);
    let guess = match rarest(text.as_bytes()) {
        Some((.., window)) => window.checked_shr(longer.saturating_mul(2)).unwrap_or_default(),
        None => 3_000_000_u64 >> text.len().saturating_mul(4).min(63),
    };
    seen.max(guess)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_text_is_common_and_strange_text_is_rare() {
        let order = ["\\windows\\", ".exe", "powershell", "-encodedcommand", "mimikatz", "zqxjk"];
        let counts: Vec<u64> = order.iter().map(|text| frequency(text)).collect();
        assert!(
            counts[0] > counts[3] && counts[1] > counts[3] && counts[2] > counts[3],
            "{counts:?}"
        );
        assert!(counts[3] >= counts[5] && counts[4] < counts[2], "{counts:?}");
        assert!(frequency("a") > frequency("ab") && frequency("ab") > frequency("abzq"));
    }

    #[test]
    fn the_rarest_window_of_a_path_is_its_own_part() {
        let (at, ..) = rarest(b"\\windows\\system32\\qzxw.exe").unwrap();
        assert!((16..22).contains(&at), "{at}");
        assert_eq!(rarest(b"abc"), None);
    }
}
