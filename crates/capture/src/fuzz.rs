//! Entry points for fuzzers: any bytes, no panic, no unbounded work.

use std::io::Cursor;
use std::path::Path;

use crate::FileReader;

/// A block of the kernel's ring.
#[cfg(target_os = "linux")]
pub fn fuzz_block(data: &[u8]) {
    crate::live::fuzz_block(data);
}

/// A capture file of any format, compressed or not.
///
/// # Panics
/// When a frame is longer than the file could hold, or when reading goes on after an error.
pub fn fuzz_file(data: &[u8]) {
    let source = Box::new(Cursor::new(data.to_vec()));
    let Ok(mut reader) = FileReader::detect(source, Path::new("fuzzed")) else { return };
    // A frame costs at least a header of 12 bytes of what was decompressed: the fuzzer's inputs are
    // small, but what they unpack to may not be.
    for _ in 0..100_000 {
        match reader.next_frame() {
            Ok(Some(frame)) => assert!(frame.bytes.len() <= 16 << 20, "a block has a limit"),
            Ok(None) => return,
            Err(_) => {
                assert!(matches!(reader.next_frame(), Ok(None)), "one error, then the end");
                return;
            }
        }
    }
}
