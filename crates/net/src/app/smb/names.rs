//! Names of commands, results, dialects and control functions, as records show them.

use super::record::{Dialect, Status};

fn find<N: Ord + Copy>(table: &[(N, &'static str)], number: N) -> Option<&'static str> {
    let at = table.binary_search_by_key(&number, |(known, _)| *known).ok()?;
    table.get(at).map(|(_, name)| *name)
}

/// Name of a command of version 1 or 2; the number of an unknown one.
#[must_use]
pub fn command_name(version: u8, command: u16) -> String {
    let (table, prefix) =
        if version == 1 { (ONE, "SMB1_COMMAND_") } else { (TWO, "SMB2_COMMAND_") };
    match find(table, command) {
        Some(name) => format!("{prefix}{name}"),
        None => command.to_string(),
    }
}

/// Name and number of a result.
#[must_use]
pub fn status_name(status: Status) -> (String, String) {
    match status {
        Status::Nt(code) => {
            let number = format!("0x{code:x}");
            (find(NT, code).map_or_else(|| number.clone(), str::to_owned), number)
        }
        Status::Dos(class, code) => {
            let name = match class {
                1 => find(DOS, code).map(|name| format!("DOS_{name}")),
                2 => find(SERVER, code).map(|name| format!("SRV_{name}")),
                _ => None,
            };
            let name = name.unwrap_or_else(|| format!("UNKNOWN_{class:02x}_{code:04x}"));
            (name, format!("0x{code:04x}"))
        }
    }
}

/// Name of a dialect.
#[must_use]
pub fn dialect_name(dialect: &Dialect) -> String {
    match dialect {
        Dialect::Unknown => "unknown".to_owned(),
        Dialect::One(name) => String::from_utf8_lossy(name).into_owned(),
        Dialect::Two(
            number @ (0x0202 | 0x0210 | 0x0222 | 0x0224 | 0x0300 | 0x0302 | 0x0310 | 0x0311),
        ) => {
            format!("{}.{:02x}", number >> 8, number & 0xff)
        }
        Dialect::Two(0x02ff) => "2.??".to_owned(),
        Dialect::Two(number) => format!("(0x{number:04x})"),
    }
}

/// Name of a control function; the number of an unknown one.
#[must_use]
pub fn function_name(code: u32) -> String {
    find(FUNCTIONS, code).map_or_else(|| format!("0x{code:x}"), str::to_owned)
}

/// MS-CIFS section 2.2.2.1.
const ONE: &[(u16, &str)] = &[
    (0x00, "CREATE_DIRECTORY"),
    (0x01, "DELETE_DIRECTORY"),
    (0x02, "OPEN"),
    (0x03, "CREATE"),
    (0x04, "CLOSE"),
    (0x05, "FLUSH"),
    (0x06, "DELETE"),
    (0x07, "RENAME"),
    (0x08, "QUERY_INFORMATION"),
    (0x09, "SET_INFORMATION"),
    (0x0a, "READ"),
    (0x0b, "WRITE"),
    (0x0c, "LOCK_BYTE_RANGE"),
    (0x0d, "UNLOCK_BYTE_RANGE"),
    (0x0e, "CREATE_TEMPORARY"),
    (0x0f, "CREATE_NEW"),
    (0x10, "CHECK_DIRECTORY"),
    (0x11, "PROCESS_EXIT"),
    (0x12, "SEEK"),
    (0x13, "LOCK_AND_READ"),
    (0x14, "WRITE_AND_UNLOCK"),
    (0x1a, "READ_RAW"),
    (0x1b, "READ_MPX"),
    (0x1c, "READ_MPX_SECONDARY"),
    (0x1d, "WRITE_RAW"),
    (0x1e, "WRITE_MPX"),
    (0x1f, "WRITE_MPX_SECONDARY"),
    (0x20, "WRITE_COMPLETE"),
    (0x22, "SET_INFORMATION2"),
    (0x23, "QUERY_INFORMATION2"),
    (0x24, "LOCKING_ANDX"),
    (0x25, "TRANS"),
    (0x26, "TRANS_SECONDARY"),
    (0x27, "IOCTL"),
    (0x28, "IOCTL_SECONDARY"),
    (0x29, "COPY"),
    (0x2a, "MOVE"),
    (0x2b, "ECHO"),
    (0x2c, "WRITE_AND_CLOSE"),
    (0x2d, "OPEN_ANDX"),
    (0x2e, "READ_ANDX"),
    (0x2f, "WRITE_ANDX"),
    (0x30, "NEW_FILE_SIZE"),
    (0x31, "CLOSE_AND_TREE_DISC"),
    (0x32, "TRANS2"),
    (0x33, "TRANS2_SECONDARY"),
    (0x34, "FIND_CLOSE2"),
    (0x35, "FIND_NOTIFY_CLOSE"),
    (0x70, "TREE_CONNECT"),
    (0x71, "TREE_DISCONNECT"),
    (0x72, "NEGOTIATE_PROTOCOL"),
    (0x73, "SESSION_SETUP_ANDX"),
    (0x74, "LOGOFF_ANDX"),
    (0x75, "TREE_CONNECT_ANDX"),
    (0x80, "QUERY_INFO_DISK"),
    (0x81, "SEARCH"),
    (0x82, "FIND"),
    (0x83, "FIND_UNIQUE"),
    (0x84, "FIND_CLOSE"),
    (0xa0, "NT_TRANS"),
    (0xa1, "NT_TRANS_SECONDARY"),
    (0xa2, "NT_CREATE_ANDX"),
    (0xa4, "NT_CANCEL"),
    (0xa5, "NT_RENAME"),
    (0xc0, "OPEN_PRINT_FILE"),
    (0xc1, "WRITE_PRINT_FILE"),
    (0xc2, "CLOSE_PRINT_FILE"),
    (0xc3, "GET_PRINT_QUEUE"),
];

/// MS-SMB2 section 2.2.1.2.
const TWO: &[(u16, &str)] = &[
    (0x00, "NEGOTIATE_PROTOCOL"),
    (0x01, "SESSION_SETUP"),
    (0x02, "SESSION_LOGOFF"),
    (0x03, "TREE_CONNECT"),
    (0x04, "TREE_DISCONNECT"),
    (0x05, "CREATE"),
    (0x06, "CLOSE"),
    (0x07, "FLUSH"),
    (0x08, "READ"),
    (0x09, "WRITE"),
    (0x0a, "LOCK"),
    (0x0b, "IOCTL"),
    (0x0c, "CANCEL"),
    (0x0d, "KEEPALIVE"),
    (0x0e, "FIND"),
    (0x0f, "CHANGE_NOTIFY"),
    (0x10, "GET_INFO"),
    (0x11, "SET_INFO"),
    (0x12, "OPLOCK_BREAK"),
];

/// MS-ERREF section 2.3.
const NT: &[(u32, &str)] = &[
    (0x0000_0000, "STATUS_SUCCESS"),
    (0x0000_0103, "STATUS_PENDING"),
    (0x0000_010b, "STATUS_NOTIFY_CLEANUP"),
    (0x0000_010c, "STATUS_NOTIFY_ENUM_DIR"),
    (0x8000_0005, "STATUS_BUFFER_OVERFLOW"),
    (0x8000_0006, "STATUS_NO_MORE_FILES"),
    (0x8000_0016, "STATUS_VERIFY_REQUIRED"),
    (0x8000_001a, "STATUS_NO_MORE_ENTRIES"),
    (0x8000_002d, "STATUS_STOPPED_ON_SYMLINK"),
    (0xc000_0001, "STATUS_UNSUCCESSFUL"),
    (0xc000_0002, "STATUS_NOT_IMPLEMENTED"),
    (0xc000_0003, "STATUS_INVALID_INFO_CLASS"),
    (0xc000_0004, "STATUS_INFO_LENGTH_MISMATCH"),
    (0xc000_0005, "STATUS_ACCESS_VIOLATION"),
    (0xc000_0008, "STATUS_INVALID_HANDLE"),
    (0xc000_000d, "STATUS_INVALID_PARAMETER"),
    (0xc000_000e, "STATUS_NO_SUCH_DEVICE"),
    (0xc000_000f, "STATUS_NO_SUCH_FILE"),
    (0xc000_0010, "STATUS_INVALID_DEVICE_REQUEST"),
    (0xc000_0011, "STATUS_END_OF_FILE"),
    (0xc000_0016, "STATUS_MORE_PROCESSING_REQUIRED"),
    (0xc000_0017, "STATUS_NO_MEMORY"),
    (0xc000_0022, "STATUS_ACCESS_DENIED"),
    (0xc000_0023, "STATUS_BUFFER_TOO_SMALL"),
    (0xc000_0024, "STATUS_OBJECT_TYPE_MISMATCH"),
    (0xc000_0033, "STATUS_OBJECT_NAME_INVALID"),
    (0xc000_0034, "STATUS_OBJECT_NAME_NOT_FOUND"),
    (0xc000_0035, "STATUS_OBJECT_NAME_COLLISION"),
    (0xc000_0039, "STATUS_OBJECT_PATH_INVALID"),
    (0xc000_003a, "STATUS_OBJECT_PATH_NOT_FOUND"),
    (0xc000_003b, "STATUS_OBJECT_PATH_SYNTAX_BAD"),
    (0xc000_003e, "STATUS_DATA_ERROR"),
    (0xc000_0043, "STATUS_SHARING_VIOLATION"),
    (0xc000_0054, "STATUS_FILE_LOCK_CONFLICT"),
    (0xc000_0055, "STATUS_LOCK_NOT_GRANTED"),
    (0xc000_0056, "STATUS_DELETE_PENDING"),
    (0xc000_005e, "STATUS_NO_LOGON_SERVERS"),
    (0xc000_0061, "STATUS_PRIVILEGE_NOT_HELD"),
    (0xc000_0064, "STATUS_NO_SUCH_USER"),
    (0xc000_006a, "STATUS_WRONG_PASSWORD"),
    (0xc000_006d, "STATUS_LOGON_FAILURE"),
    (0xc000_006e, "STATUS_ACCOUNT_RESTRICTION"),
    (0xc000_006f, "STATUS_INVALID_LOGON_HOURS"),
    (0xc000_0070, "STATUS_INVALID_WORKSTATION"),
    (0xc000_0071, "STATUS_PASSWORD_EXPIRED"),
    (0xc000_0072, "STATUS_ACCOUNT_DISABLED"),
    (0xc000_007e, "STATUS_RANGE_NOT_LOCKED"),
    (0xc000_007f, "STATUS_DISK_FULL"),
    (0xc000_009a, "STATUS_INSUFFICIENT_RESOURCES"),
    (0xc000_00ab, "STATUS_INSTANCE_NOT_AVAILABLE"),
    (0xc000_00ac, "STATUS_PIPE_NOT_AVAILABLE"),
    (0xc000_00ad, "STATUS_INVALID_PIPE_STATE"),
    (0xc000_00ae, "STATUS_PIPE_BUSY"),
    (0xc000_00b0, "STATUS_PIPE_DISCONNECTED"),
    (0xc000_00b1, "STATUS_PIPE_CLOSING"),
    (0xc000_00b3, "STATUS_PIPE_LISTENING"),
    (0xc000_00b5, "STATUS_IO_TIMEOUT"),
    (0xc000_00ba, "STATUS_FILE_IS_A_DIRECTORY"),
    (0xc000_00bb, "STATUS_NOT_SUPPORTED"),
    (0xc000_00c9, "STATUS_NETWORK_NAME_DELETED"),
    (0xc000_00ca, "STATUS_NETWORK_ACCESS_DENIED"),
    (0xc000_00cb, "STATUS_BAD_DEVICE_TYPE"),
    (0xc000_00cc, "STATUS_BAD_NETWORK_NAME"),
    (0xc000_00d0, "STATUS_REQUEST_NOT_ACCEPTED"),
    (0xc000_00d4, "STATUS_NOT_SAME_DEVICE"),
    (0xc000_00d9, "STATUS_PIPE_EMPTY"),
    (0xc000_0101, "STATUS_DIRECTORY_NOT_EMPTY"),
    (0xc000_0103, "STATUS_NOT_A_DIRECTORY"),
    (0xc000_0120, "STATUS_CANCELLED"),
    (0xc000_0121, "STATUS_CANNOT_DELETE"),
    (0xc000_0123, "STATUS_FILE_DELETED"),
    (0xc000_0128, "STATUS_FILE_CLOSED"),
    (0xc000_014b, "STATUS_PIPE_BROKEN"),
    (0xc000_015b, "STATUS_LOGON_TYPE_NOT_GRANTED"),
    (0xc000_0184, "STATUS_INVALID_DEVICE_STATE"),
    (0xc000_0190, "STATUS_TRUST_FAILURE"),
    (0xc000_0193, "STATUS_ACCOUNT_EXPIRED"),
    (0xc000_0203, "STATUS_USER_SESSION_DELETED"),
    (0xc000_020c, "STATUS_CONNECTION_DISCONNECTED"),
    (0xc000_0224, "STATUS_PASSWORD_MUST_CHANGE"),
    (0xc000_0225, "STATUS_NOT_FOUND"),
    (0xc000_0234, "STATUS_ACCOUNT_LOCKED_OUT"),
    (0xc000_0257, "STATUS_PATH_NOT_COVERED"),
    (0xc000_035c, "STATUS_NETWORK_SESSION_EXPIRED"),
];

/// MS-CIFS section 2.2.2.4, class 1.
const DOS: &[(u16, &str)] = &[
    (0x01, "BADFUNC"),
    (0x02, "BADFILE"),
    (0x03, "BADPATH"),
    (0x04, "NOFIDS"),
    (0x05, "NOACCESS"),
    (0x06, "BADFID"),
    (0x07, "BADMCB"),
    (0x08, "NOMEM"),
    (0x09, "BADMEM"),
    (0x0a, "BADENV"),
    (0x0b, "BADFORMAT"),
    (0x0c, "BADACCESS"),
    (0x0d, "BADDATA"),
    (0x0f, "BADDRIVE"),
    (0x10, "REMCD"),
    (0x11, "DIFFDEVICE"),
    (0x12, "NOFILES"),
    (0x20, "BADSHARE"),
    (0x21, "LOCK"),
    (0x50, "FILEXISTS"),
    (0x57, "INVALIDPARAM"),
    (0xe6, "BADPIPE"),
    (0xe7, "PIPEBUSY"),
    (0xe8, "PIPECLOSING"),
    (0xe9, "NOTCONNECTED"),
    (0xea, "MOREDATA"),
];

/// MS-CIFS section 2.2.2.4, class 2.
const SERVER: &[(u16, &str)] = &[
    (0x01, "ERROR"),
    (0x02, "BADPW"),
    (0x04, "ACCESS"),
    (0x05, "INVNID"),
    (0x06, "INVNETNAME"),
    (0x07, "INVDEVICE"),
    (0x31, "QFULL"),
    (0x32, "QTOOBIG"),
    (0x34, "INVPFID"),
    (0x40, "SMBCMD"),
    (0x41, "SRVERROR"),
    (0x43, "FILESPECS"),
    (0x45, "BADLINK"),
    (0x47, "BADPERMITS"),
    (0x57, "NOROOM"),
    (0x5a, "TOOMANYUIDS"),
    (0x5b, "BADUID"),
    (0xfa, "USEMPX"),
    (0xfb, "USESTD"),
    (0xfc, "CONTMPX"),
    (0xfe, "NOSUPPORT"),
];

/// MS-FSCC section 2.3 and MS-SMB2 section 2.2.31.
const FUNCTIONS: &[(u32, &str)] = &[
    (0x0006_0194, "FSCTL_DFS_GET_REFERRALS"),
    (0x0006_01b0, "FSCTL_DFS_GET_REFERRALS_EX"),
    (0x0009_0000, "FSCTL_REQUEST_OPLOCK_LEVEL_1"),
    (0x0009_0004, "FSCTL_REQUEST_OPLOCK_LEVEL_2"),
    (0x0009_0008, "FSCTL_REQUEST_BATCH_OPLOCK"),
    (0x0009_0018, "FSCTL_LOCK_VOLUME"),
    (0x0009_001c, "FSCTL_UNLOCK_VOLUME"),
    (0x0009_0028, "FSCTL_IS_VOLUME_MOUNTED"),
    (0x0009_002c, "FSCTL_IS_PATHNAME_VALID"),
    (0x0009_003c, "FSCTL_GET_COMPRESSION"),
    (0x0009_00a4, "FSCTL_SET_REPARSE_POINT"),
    (0x0009_00a8, "FSCTL_GET_REPARSE_POINT"),
    (0x0009_00c0, "FSCTL_CREATE_OR_GET_OBJECT_ID"),
    (0x0009_00c4, "FSCTL_SET_SPARSE"),
    (0x0009_40cf, "FSCTL_QUERY_ALLOCATED_RANGES"),
    (0x0009_80c8, "FSCTL_SET_ZERO_DATA"),
    (0x0009_c040, "FSCTL_SET_COMPRESSION"),
    (0x0011_0018, "FSCTL_PIPE_WAIT"),
    (0x0011_400c, "FSCTL_PIPE_PEEK"),
    (0x0011_c017, "FSCTL_PIPE_TRANSCEIVE"),
    (0x0014_0078, "FSCTL_SRV_REQUEST_RESUME_KEY"),
    (0x0014_01d4, "FSCTL_LMR_REQUEST_RESILIENCY"),
    (0x0014_01fc, "FSCTL_QUERY_NETWORK_INTERFACE_INFO"),
    (0x0014_0204, "FSCTL_VALIDATE_NEGOTIATE_INFO"),
    (0x0014_4064, "FSCTL_SRV_ENUMERATE_SNAPSHOTS"),
    (0x0014_40f2, "FSCTL_SRV_COPYCHUNK"),
    (0x0014_41bb, "FSCTL_SRV_READ_HASH"),
    (0x0014_80f2, "FSCTL_SRV_COPYCHUNK_WRITE"),
];
