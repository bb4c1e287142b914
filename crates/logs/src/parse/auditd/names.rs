//! Names of numbers: types of records, architectures, system calls, errors.
//!
//! Types are those of `linux/audit.h` and the numbers that user space has agreed on; system calls those of the crate
//! `syscalls`.

use nix::errno::Errno;

/// Types of the kernel and of user space.
const TYPES: &[(u16, &str)] = &[
    (1005, "USER"),
    (1006, "LOGIN"),
    (1100, "USER_AUTH"),
    (1101, "USER_ACCT"),
    (1102, "USER_MGMT"),
    (1103, "CRED_ACQ"),
    (1104, "CRED_DISP"),
    (1105, "USER_START"),
    (1106, "USER_END"),
    (1107, "USER_AVC"),
    (1108, "USER_CHAUTHTOK"),
    (1109, "USER_ERR"),
    (1110, "CRED_REFR"),
    (1111, "USYS_CONFIG"),
    (1112, "USER_LOGIN"),
    (1113, "USER_LOGOUT"),
    (1114, "ADD_USER"),
    (1115, "DEL_USER"),
    (1116, "ADD_GROUP"),
    (1117, "DEL_GROUP"),
    (1118, "DAC_CHECK"),
    (1119, "CHGRP_ID"),
    (1120, "TEST"),
    (1121, "TRUSTED_APP"),
    (1122, "USER_SELINUX_ERR"),
    (1123, "USER_CMD"),
    (1124, "USER_TTY"),
    (1125, "CHUSER_ID"),
    (1126, "GRP_AUTH"),
    (1127, "SYSTEM_BOOT"),
    (1128, "SYSTEM_SHUTDOWN"),
    (1129, "SYSTEM_RUNLEVEL"),
    (1130, "SERVICE_START"),
    (1131, "SERVICE_STOP"),
    (1132, "GRP_MGMT"),
    (1133, "GRP_CHAUTHTOK"),
    (1134, "MAC_CHECK"),
    (1135, "ACCT_LOCK"),
    (1136, "ACCT_UNLOCK"),
    (1137, "USER_DEVICE"),
    (1138, "SOFTWARE_UPDATE"),
    (1200, "DAEMON_START"),
    (1201, "DAEMON_END"),
    (1202, "DAEMON_ABORT"),
    (1203, "DAEMON_CONFIG"),
    (1300, "SYSCALL"),
    (1302, "PATH"),
    (1303, "IPC"),
    (1304, "SOCKETCALL"),
    (1305, "CONFIG_CHANGE"),
    (1306, "SOCKADDR"),
    (1307, "CWD"),
    (1309, "EXECVE"),
    (1311, "IPC_SET_PERM"),
    (1312, "MQ_OPEN"),
    (1313, "MQ_SENDRECV"),
    (1314, "MQ_NOTIFY"),
    (1315, "MQ_GETSETATTR"),
    (1316, "KERNEL_OTHER"),
    (1317, "FD_PAIR"),
    (1318, "OBJ_PID"),
    (1319, "TTY"),
    (1320, "EOE"),
    (1321, "BPRM_FCAPS"),
    (1322, "CAPSET"),
    (1323, "MMAP"),
    (1324, "NETFILTER_PKT"),
    (1325, "NETFILTER_CFG"),
    (1326, "SECCOMP"),
    (1327, "PROCTITLE"),
    (1328, "FEATURE_CHANGE"),
    (1329, "REPLACE"),
    (1330, "KERN_MODULE"),
    (1331, "FANOTIFY"),
    (1332, "TIME_INJOFFSET"),
    (1333, "TIME_ADJNTPVAL"),
    (1334, "BPF"),
    (1335, "EVENT_LISTENER"),
    (1336, "URINGOP"),
    (1337, "OPENAT2"),
    (1338, "DM_CTRL"),
    (1339, "DM_EVENT"),
    (1400, "AVC"),
    (1401, "SELINUX_ERR"),
    (1402, "AVC_PATH"),
    (1403, "MAC_POLICY_LOAD"),
    (1404, "MAC_STATUS"),
    (1405, "MAC_CONFIG_CHANGE"),
    (1423, "LANDLOCK_ACCESS"),
    (1424, "LANDLOCK_DOMAIN"),
    (1501, "APPARMOR_AUDIT"),
    (1502, "APPARMOR_ALLOWED"),
    (1503, "APPARMOR_DENIED"),
    (1504, "APPARMOR_HINT"),
    (1505, "APPARMOR_STATUS"),
    (1506, "APPARMOR_ERROR"),
    (1700, "ANOM_PROMISCUOUS"),
    (1701, "ANOM_ABEND"),
    (1702, "ANOM_LINK"),
    (1703, "ANOM_CREAT"),
    (1800, "INTEGRITY_DATA"),
    (1801, "INTEGRITY_METADATA"),
    (1802, "INTEGRITY_STATUS"),
    (1803, "INTEGRITY_HASH"),
    (1804, "INTEGRITY_PCR"),
    (1805, "INTEGRITY_RULE"),
    (1806, "INTEGRITY_EVM_XATTR"),
    (1807, "INTEGRITY_POLICY_RULE"),
    (2000, "KERNEL"),
    (2100, "ANOM_LOGIN_FAILURES"),
    (2103, "ANOM_LOGIN_ACCT"),
    (2112, "ANOM_EXEC"),
    (2114, "ANOM_ADD_ACCT"),
    (2115, "ANOM_DEL_ACCT"),
    (2116, "ANOM_MOD_ACCT"),
    (2117, "ANOM_ROOT_TRANS"),
    (2300, "USER_ROLE_CHANGE"),
    (2301, "ROLE_ASSIGN"),
    (2302, "ROLE_REMOVE"),
    (2404, "CRYPTO_KEY_USER"),
    (2407, "CRYPTO_SESSION"),
    (2500, "VIRT_CONTROL"),
    (2501, "VIRT_RESOURCE"),
    (2502, "VIRT_MACHINE_ID"),
];

/// Beginnings of types whose records are always alone in their event, as user space writes them.
const ALONE: [&str; 17] = [
    "USER",
    "CRED_",
    "DAEMON_",
    "ADD_",
    "DEL_",
    "SERVICE_",
    "SYSTEM_",
    "GRP_",
    "ACCT_",
    "CRYPTO_",
    "VIRT_",
    "ROLE_",
    "CHGRP_",
    "CHUSER_",
    "SOFTWARE_",
    "TEST",
    "KERNEL",
];

/// The name of a type, `UNKNOWN[n]` as auditd writes it when there is none.
pub(crate) fn type_name(number: u16) -> std::borrow::Cow<'static, str> {
    match TYPES.binary_search_by_key(&number, |(number, _)| *number) {
        Ok(at) => TYPES.get(at).map_or("", |(_, name)| name).into(),
        Err(_) => format!("UNKNOWN[{number}]").into(),
    }
}

/// How a record stands to the end of its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It is the whole event.
    Whole,
    /// Further records follow.
    Some,
    /// It is the last one with something in it; the kernel's own mark of the end may follow.
    Last,
    /// It says that the event is over, and nothing more.
    End,
}

/// What a record of this type is to its event.
pub(crate) fn part_of(kind: &str) -> Part {
    match kind {
        "EOE" => Part::End,
        "PROCTITLE" => Part::Last,
        "KERNEL_OTHER" => Part::Some,
        _ if ALONE.iter().any(|head| kind.starts_with(head)) => Part::Whole,
        _ => Part::Some,
    }
}

/// The name of an architecture (`AUDIT_ARCH_*`), as uname gives it.
pub(super) fn architecture(number: &str) -> Option<&'static str> {
    Some(match u32::from_str_radix(number, 16).ok()? {
        0xc000_003e => "x86_64",
        0x4000_0003 => "i386",
        0xc000_00b7 => "aarch64",
        0x4000_0028 => "arm",
        0xc000_00f3 => "riscv64",
        0x8000_0016 => "s390x",
        0xc000_0015 => "ppc64le",
        _ => return None,
    })
}

/// The name of a system call.
pub(super) fn system_call(architecture: &str, number: &str) -> Option<&'static str> {
    let number = number.parse().ok()?;
    match architecture {
        "x86_64" => syscalls::x86_64::Sysno::new(number).map(|call| call.name()),
        "i386" => syscalls::x86::Sysno::new(number).map(|call| call.name()),
        "aarch64" => syscalls::aarch64::Sysno::new(number).map(|call| call.name()),
        "arm" => syscalls::arm::Sysno::new(number).map(|call| call.name()),
        "riscv64" => syscalls::riscv64::Sysno::new(number).map(|call| call.name()),
        _ => None,
    }
}

/// The name of an error by the `exit` of a call, such as `EACCES` for -13.
pub(super) fn error(exit: &str) -> Option<String> {
    let number: i32 = exit.strip_prefix('-')?.parse().ok()?;
    // Those that only the kernel knows: a call that is begun again.
    let name = match number {
        512 => "ERESTARTSYS".to_owned(),
        513 => "ERESTARTNOINTR".to_owned(),
        514 => "ERESTARTNOHAND".to_owned(),
        516 => "ERESTART_RESTARTBLOCK".to_owned(),
        _ => match Errno::from_raw(number) {
            Errno::UnknownErrno => return None,
            known => format!("{known:?}"),
        },
    };
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_names() {
        assert!(TYPES.is_sorted_by_key(|(number, _)| *number));
        assert_eq!((&*type_name(1300), &*type_name(4711)), ("SYSCALL", "UNKNOWN[4711]"));
        let call = |arch, number| system_call(architecture(arch).unwrap(), number);
        assert_eq!(call("c000003e", "59"), Some("execve"));
        assert_eq!(call("40000003", "11"), Some("execve"));
        assert_eq!(call("c00000b7", "221"), Some("execve"));
        assert_eq!(call("c000003e", "99999"), None);
        assert_eq!((architecture("zz"), architecture("1")), (None, None));
        assert_eq!(error("-13").as_deref(), Some("EACCES"));
        assert_eq!(error("-115").as_deref(), Some("EINPROGRESS"));
        assert_eq!((error("3"), error("-4000"), error("-99999999999")), (None, None, None));
    }

    #[test]
    fn parts_of_events() {
        for (kind, part) in [
            ("USER_LOGIN", Part::Whole),
            ("SYSCALL", Part::Some),
            ("CONFIG_CHANGE", Part::Some),
            ("LOGIN", Part::Some),
            ("PROCTITLE", Part::Last),
            ("EOE", Part::End),
            ("UNKNOWN[1999]", Part::Some),
        ] {
            assert_eq!(part_of(kind), part, "{kind}");
        }
    }
}
