//! Numbers read from the traffic: every operand form of `byte_test`, `byte_jump`, `byte_extract`, `byte_math`,
//! byte orders, text bases, masks, reads at and beyond the edges of the buffer, base64, ASN.1.

use crate::tests::{PayloadRow, check_rows};

#[test]
fn byte_test_operators() {
    let rows: &[PayloadRow<'_>] = &[
        ("byte_test:1,=,5,0;", &[b"\x05"], &[b"\x04", b""]),
        ("byte_test:1,!=,5,0;", &[b"\x04"], &[b"\x05", b""]),
        ("byte_test:1,<,5,0;", &[b"\x04", b"\0"], &[b"\x05"]),
        ("byte_test:1,!<,5,0;", &[b"\x05"], &[b"\x04"]),
        ("byte_test:1,>,5,0;", &[b"\x06", b"\xff"], &[b"\x05"]),
        ("byte_test:1,<=,5,0;", &[b"\x05"], &[b"\x06"]),
        ("byte_test:1,>=,5,0;", &[b"\x05"], &[b"\x04"]),
        ("byte_test:1,&,0x81,0;", &[b"\x80", b"\x01", b"\x81"], &[b"\x7e", b"\0"]),
        ("byte_test:1,!&,0x81,0;", &[b"\x7e"], &[b"\x80"]),
        // ^ is exclusive or: it holds unless both are the same.
        ("byte_test:1,^,5,0;", &[b"\x04", b"\0"], &[b"\x05"]),
        ("byte_test:1,!^,5,0;", &[b"\x05"], &[b"\x04"]),
        ("byte_test:1,!,5,0;", &[b"\x04"], &[b"\x05"]),
        // Nothing to read is no match, negated or not.
        ("byte_test:1,!=,5,1;", &[], &[b"\x04"]),
        ("byte_test:2,!=,5,0;", &[], &[b"\x04"]),
    ];
    check_rows(rows);
}

#[test]
fn widths_and_byte_orders() {
    let rows: &[PayloadRow<'_>] = &[
        ("byte_test:2,=,0x0102,0;", &[b"\x01\x02"], &[b"\x02\x01", b"\x01"]),
        ("byte_test:2,=,0x0102,0,big;", &[b"\x01\x02"], &[b"\x02\x01"]),
        ("byte_test:2,=,0x0102,0,little;", &[b"\x02\x01"], &[b"\x01\x02"]),
        ("byte_test:3,=,0x010203,0;", &[b"\x01\x02\x03"], &[b"\x03\x02\x01"]),
        ("byte_test:4,=,0x01020304,0,little;", &[b"\x04\x03\x02\x01"], &[b"\x04\x03\x02"]),
        (
            "byte_test:8,=,18446744073709551615,0;",
            &[b"\xff\xff\xff\xff\xff\xff\xff\xff"],
            &[b"\xff"],
        ),
        (
            "byte_test:8,>,0x7fffffffffffffff,0;",
            &[b"\x80\0\0\0\0\0\0\0"],
            &[b"\x7f\xff\xff\xff\xff\xff\xff\xff"],
        ),
        ("byte_test:1,=,7,2;", &[b"\0\0\x07"], &[b"\0\x07", b"\x07\0\0"]),
        (
            r#"content:"ab"; byte_test:1,=,7,1,relative;"#,
            &[b"ab\0\x07", b"ab-ab-\x07"],
            &[b"ab\x07", b"\x07ab"],
        ),
        (r#"content:"ab"; byte_test:1,=,0x61,-2,relative;"#, &[b"ab", b"aab-"], &[b"b"]),
        (r#"content:"ab"; byte_test:1,=,0x61,-3,relative;"#, &[b"aab"], &[b"ab", b"xab"]),
    ];
    check_rows(rows);
}

#[test]
fn numbers_as_text() {
    let rows: &[PayloadRow<'_>] = &[
        ("byte_test:3,=,123,0,string,dec;", &[b"123", b"1234"], &[b"12", b"x12", b"124", b" 12"]),
        ("byte_test:3,=,12,0,string,dec;", &[b" 12", b"12x", b"+12", b"012"], &[b"123"]),
        ("byte_test:2,=,255,0,string,hex;", &[b"ff", b"FF", b"fF"], &[b"f", b"0f", b"fe"]),
        ("byte_test:4,=,255,0,string,hex;", &[b"0xff", b"00ff", b"ff--"], &[b"0x0f"]),
        ("byte_test:3,=,8,0,string,oct;", &[b"010", b"10 "], &[b"10", b"008", b"100"]),
        ("byte_test:0,=,65535,0,string,dec;", &[b"65535", b"65535 more"], &[b"655350", b""]),
        ("byte_test:10,>,4294967295,0,string,dec;", &[b"4294967296"], &[b"4294967295"]),
        (
            r#"content:"n="; byte_test:0,>,9,0,relative,string,dec;"#,
            &[b"n=10", b"n=1;n=11"],
            &[b"n=9", b"n="],
        ),
    ];
    check_rows(rows);
}

#[test]
fn masks_shift_down_to_their_lowest_bit() {
    let rows: &[PayloadRow<'_>] = &[
        ("byte_test:1,=,0x0a,0,bitmask 0xf0;", &[b"\xa0", b"\xa5"], &[b"\x0a"]),
        ("byte_test:1,=,5,0,bitmask 0x0f;", &[b"\xa5"], &[b"\x50"]),
        ("byte_test:2,=,1,0,bitmask 0x8000;", &[b"\x80\0", b"\xff\xff"], &[b"\x7f\xff"]),
        (
            "byte_extract:1,0,n,bitmask 0xc0; byte_test:1,=,n,1;",
            &[b"\xc0\x03", b"\x7f\x01"],
            &[b"\xc0\xc0"],
        ),
        (
            r#"byte_jump:1,0,bitmask 0xf0; content:"x"; within:1;"#,
            &[b"\x20..x", b"\x2f..x"],
            &[b"\x02..x"],
        ),
        // byte_math masks what it computed, not what it read.
        (
            "byte_math:bytes 1,offset 0,oper +,rvalue 1,result r,bitmask 0xf0; byte_test:1,=,r,1;",
            &[b"\x0f\x01", b"\x1f\x02"],
            &[b"\x0f\0", b"\x10\x02"],
        ),
    ];
    check_rows(rows);
}

#[test]
fn byte_jump_moves_the_cursor() {
    let rows: &[PayloadRow<'_>] = &[
        (r#"byte_jump:1,0; content:"x"; within:1;"#, &[b"\0x", b"\x01-x"], &[b"\x01x", b"\x02-x"]),
        (r#"byte_jump:1,1; content:"x"; within:1;"#, &[b"-\0x"], &[b"\0x"]),
        (r#"byte_jump:2,0,little; content:"x"; within:1;"#, &[b"\x01\0-x"], &[b"\0\x01-x"]),
        (r#"byte_jump:1,0,multiplier 2; content:"x"; within:1;"#, &[b"\x01--x"], &[b"\x01-x"]),
        (
            r#"byte_jump:1,0,align; content:"x"; within:1;"#,
            &[b"\x01----x", b"\x04----x", b"\0x"],
            &[b"\x01-x"],
        ),
        (r#"byte_jump:1,0,post_offset 2; content:"x"; within:1;"#, &[b"\0--x"], &[b"\0x"]),
        (r#"byte_jump:1,0,post_offset -1; content:"x"; within:1;"#, &[b"\x01x"], &[b"\x01-x"]),
        // Alignment is of the jump, before the post offset.
        (
            r#"byte_jump:1,0,align,post_offset 1; content:"x"; within:1;"#,
            &[b"\x01-----x"],
            &[b"\x01----x"],
        ),
        (
            r#"byte_jump:1,0,multiplier 3,align; content:"x"; within:1;"#,
            &[b"\x01----x"],
            &[b"\x01---x"],
        ),
        (
            r#"byte_jump:1,0,from_beginning; content:"x"; within:1;"#,
            &[b"\x02-x", b"\x01x"],
            &[b"\x02x"],
        ),
        (r#"byte_jump:1,0,from_beginning; content:"|00|"; within:1;"#, &[b"\0"], &[b"\x01\x01"]),
        (
            r#"byte_jump:1,0,from_end,post_offset -1; content:"x"; within:1;"#,
            &[b"\0---x"],
            &[b"\0--x-"],
        ),
        (r#"byte_jump:3,0,string,dec; content:"x"; within:1;"#, &[b"002--x"], &[b"002-x"]),
        (
            r#"content:"ab"; byte_jump:1,0,relative; content:"x"; within:1;"#,
            &[b"ab\x01-x", b"ab\x09ab\x01-x"],
            &[b"ab\x02-x"],
        ),
        // Nothing is read: the cursor moves by the post offset alone.
        (
            r#"content:"abcd"; byte_jump:0,0,relative,post_offset -4; content:"ab"; within:2;"#,
            &[b"abcd-"],
            &[b"ab"],
        ),
        // A jump out of the data, forward, backward and to its very end.
        (r#"byte_jump:1,0;"#, &[b"\0x", b"\x01-x"], &[b"\x01", b"\xff-", b"\0", b""]),
        (r#"byte_jump:1,0,post_offset -3;"#, &[b"\x02-", b"\x03-"], &[b"\x01-", b"\0-"]),
        (
            r#"byte_jump:8,0,multiplier 65535;"#,
            &[b"\0\0\0\0\0\0\0\0-"],
            &[b"\xff\xff\xff\xff\xff\xff\xff\xff-"],
        ),
    ];
    check_rows(rows);
}

#[test]
fn extracted_numbers_go_anywhere_a_number_may_stand() {
    let rows: &[PayloadRow<'_>] = &[
        (r#"byte_extract:1,0,n; content:"x"; offset:n;"#, &[b"\x02-x", b"\x01-x"], &[b"\x03-x"]),
        (
            r#"byte_extract:1,0,n; content:"x"; depth:n;"#,
            &[b"\x02x", b"\x03-x"],
            &[b"\x02-x", b"\x01x", b"\0x"],
        ),
        // With both read from the traffic, depth counts from the offset.
        (
            r#"byte_extract:1,0,n; byte_extract:1,1,m; content:"x"; offset:n; depth:m;"#,
            &[b"\x02\x01x", b"\x02\x02-x"],
            &[b"\x02\x01-x", b"\x03\x01x"],
        ),
        (
            r#"byte_extract:1,0,n; content:"a"; content:"x"; distance:n;"#,
            &[b"\x01a-x"],
            &[b"\x01ax"],
        ),
        (
            r#"byte_extract:1,0,n; content:"a"; content:"x"; within:n;"#,
            &[b"\x01ax", b"\x02a-x"],
            &[b"\x01a-x", b"\0ax"],
        ),
        ("byte_extract:1,0,n; byte_test:1,>,n,1;", &[b"\x01\x02"], &[b"\x02\x02"]),
        ("byte_extract:1,0,n; byte_test:1,=,7,n;", &[b"\x02-\x07"], &[b"\x01-\x07", b"\x03-\x07"]),
        (
            "byte_extract:1,0,n; byte_test:n,=,7,1;",
            &[b"\x01\x07", b"\x02\0\x07"],
            &[b"\x02\x07", b"\x09\x07"],
        ),
        (
            r#"byte_extract:1,0,n; byte_jump:1,n; content:"x"; within:1;"#,
            &[b"\x02-\0x"],
            &[b"\x01-\0x"],
        ),
        (
            "byte_extract:1,0,n; byte_math:bytes 1,offset n,oper *,rvalue n,result r; byte_test:1,=,r,1;",
            &[b"\x02\x06\x03"],
            &[b"\x02\x05\x03"],
        ),
        ("byte_extract:1,0,n,multiplier 3; byte_test:1,=,n,1;", &[b"\x02\x06"], &[b"\x02\x02"]),
        (
            "byte_extract:1,0,n,align 4; byte_test:1,=,n,1;",
            &[b"\x01\x04", b"\x04\x04", b"\0\0"],
            &[b"\x01\x01", b"\x05\x05"],
        ),
        (
            "byte_extract:1,0,n,align 2,multiplier 3; byte_test:1,=,n,1;",
            &[b"\x01\x04"],
            &[b"\x01\x03"],
        ),
        ("byte_extract:2,0,n,little; byte_test:1,=,n,2;", &[b"\x05\0\x05"], &[b"\0\x05\x05"]),
        ("byte_extract:2,0,n,string,hex; byte_test:1,=,n,2;", &[b"1f\x1f"], &[b"1f\x13"]),
        // The cursor stands behind what was read.
        (r#"byte_extract:1,1,n; content:"x"; within:1;"#, &[b"-\0x"], &[b"-\0-x"]),
        // Going back for another start reads the number again.
        (
            r#"content:"n="; byte_extract:1,0,n,relative; content:"x"; distance:n; within:1;"#,
            &[b"n=\x01-x", b"n=\x05n=\x01-x"],
            &[b"n=\x01x", b"n=\x02-x"],
        ),
        // A second extraction under the same name replaces the number.
        (
            "byte_extract:1,0,n; byte_extract:1,1,n; byte_test:1,=,n,2;",
            &[b"\x01\x02\x02"],
            &[b"\x01\x02\x01"],
        ),
        ("byte_extract:1,5,n;", &[b"------"], &[b"-----"]),
    ];
    check_rows(rows);
}

#[test]
fn byte_math_operators() {
    let math = |op: &str, rvalue: &str| {
        format!("byte_math:bytes 1,offset 0,oper {op},rvalue {rvalue},result r; byte_test:2,=,r,1;")
    };
    let cases: &[(&str, &str, &[u8], &[u8])] = &[
        ("+", "2", b"\x03\0\x05", b"\x03\0\x01"),
        ("-", "2", b"\x03\0\x01", b"\x03\0\x05"),
        ("*", "300", b"\x02\x02\x58", b"\x02\0\x58"),
        ("/", "2", b"\x07\0\x03", b"\x07\0\x04"),
        ("<<", "4", b"\x12\x01\x20", b"\x12\0\x20"),
        (">>", "4", b"\x12\0\x01", b"\x12\0\x12"),
        ("<<", "64", b"\x12\0\0", b"\x12\0\x12"),
        (">>", "0x40", b"\x12\0\0", b"\x12\0\x12"),
    ];
    for (op, rvalue, yes, no) in cases {
        check_rows(&[(&math(op, rvalue), &[yes], &[no])]);
    }
    let rows: &[PayloadRow<'_>] = &[
        // Dividing by zero is no match, whatever follows.
        ("byte_math:bytes 1,offset 0,oper /,rvalue 0,result r;", &[], &[b"\x07", b"\0"]),
        (
            "byte_extract:1,0,n; byte_math:bytes 1,offset 1,oper /,rvalue n,result r; byte_test:1,=,r,2;",
            &[b"\x02\x06\x03"],
            &[b"\0\x06\x06"],
        ),
        // 3 - 5 wraps in 64 bits.
        (
            "byte_math:bytes 1,offset 0,oper -,rvalue 5,result r; byte_test:8,=,r,1;",
            &[b"\x03\xff\xff\xff\xff\xff\xff\xff\xfe"],
            &[b"\x03\0\0\0\0\0\0\0\x02"],
        ),
        (
            "byte_math:bytes 2,offset 0,oper +,rvalue 1,result r,endian little; byte_test:1,=,r,2;",
            &[b"\x04\0\x05"],
            &[b"\0\x04\x05"],
        ),
        (
            "byte_math:bytes 2,offset 0,oper +,rvalue 1,result r,string hex; byte_test:1,=,r,2;",
            &[b"0f\x10"],
            &[b"0f\x0f"],
        ),
        (
            "byte_math:bytes 0,offset 0,oper +,rvalue 1,result r,string dec; byte_test:1,=,r,3;",
            &[b"41 *"],
            &[b"42 *"],
        ),
        (
            r#"content:"ab"; byte_math:bytes 1,offset 1,oper +,rvalue 1,result r,relative; content:"x"; distance:r; within:1;"#,
            &[b"ab-\0-x"],
            &[b"ab-\x01-x", b"ab\0-x"],
        ),
    ];
    check_rows(rows);
}

#[test]
fn base64_in_payload() {
    let rows: &[PayloadRow<'_>] = &[
        // "hello" is aGVsbG8=, "help" is aGVscA==.
        (
            r#"base64_decode; base64_data; content:"hello";"#,
            &[b"aGVsbG8=", b"aGVsbG8"],
            &[b"aGVscA==", b"-aGVsbG8=", b""],
        ),
        (
            r#"base64_decode:offset 2; base64_data; content:"hello"; startswith; endswith;"#,
            &[b"k=aGVsbG8="],
            &[b"aGVsbG8="],
        ),
        (
            r#"base64_decode:bytes 4,offset 0; base64_data; content:"hel"; endswith;"#,
            &[b"aGVsbG8="],
            &[b"aGU="],
        ),
        (
            r#"content:"k="; base64_decode:relative; base64_data; content:"hello";"#,
            &[b"k=aGVsbG8=", b"k=-k=aGVsbG8="],
            &[b"k-aGVsbG8="],
        ),
        (
            r#"content:"k="; base64_decode:offset 1,relative; base64_data; content:"he"; depth:2;"#,
            &[b"k= aGVsbG8=", b"k=:aGVsbG8="],
            &[b"k=x"],
        ),
        // Line ends inside the text are no end of it.
        (r#"base64_decode; base64_data; content:"hello";"#, &[b"aGVs\r\nbG8="], &[b"aGVs*bG8="]),
        (
            r#"base64_decode; base64_data; content:"a"; content:"b"; within:1; pcre:"/^c/R";"#,
            &[b"YWJj"],
            &[b"YWJk"],
        ),
        // Decoding alone asks that there is something to decode.
        ("base64_decode;", &[b"aGVs"], &[b"-", b"a", b""]),
        (r#"base64_decode; base64_data; content:!"x";"#, &[b"aGVs"], &[b"eA==", b"-"]),
        (
            r#"base64_decode; base64_data; byte_test:1,=,0x68,0; isdataat:!3;"#,
            &[b"aGVs"],
            &[b"aGVsbG8="],
        ),
        // What follows pkt_data is the payload again.
        (
            r#"base64_decode; base64_data; content:"hel"; pkt_data; content:"aGVs";"#,
            &[b"aGVs"],
            &[b"aGVt"],
        ),
    ];
    check_rows(rows);
}

#[test]
fn asn1_elements() {
    let rows: &[PayloadRow<'_>] = &[
        // A primitive element of 0x100 bytes is announced; only the announcement is there.
        (
            "asn1:oversize_length 255,absolute_offset 0;",
            &[b"\x04\x82\x01\x00"],
            &[b"\x04\x81\xff", b"\x04\x05hello", b"\x04", b""],
        ),
        (
            "asn1:oversize_length 256,absolute_offset 0;",
            &[b"\x04\x82\x01\x01"],
            &[b"\x04\x82\x01\x00"],
        ),
        (
            "asn1:oversize_length 4,absolute_offset 2;",
            &[b"--\x04\x05"],
            &[b"\x04\x05", b"-\x04\x05"],
        ),
        (
            r#"content:"ab"; asn1:oversize_length 4,relative_offset 0;"#,
            &[b"ab\x04\x05", b"-ab\x04\x05"],
            &[b"ab\x04\x04", b"ab"],
        ),
        (r#"content:"ab"; asn1:oversize_length 4,relative_offset -2;"#, &[b"ab"], &[b"a", b"b"]),
        // Bits unused in the last byte: never more than there are bits.
        (
            "asn1:bitstring_overflow,absolute_offset 0;",
            &[b"\x03\x01\x01", b"\x03\x02\x20\x00"],
            &[b"\x03\x02\x07\x00", b"\x04\x01\x01"],
        ),
        // A real number in text form longer than 256 bytes.
        (
            "asn1:double_overflow,absolute_offset 0;",
            &[b"\x09\x82\x01\x01\x00"],
            &[b"\x09\x82\x01\x01\x80", b"\x09\x82\x01\x00\x00"],
        ),
        (
            "asn1:oversize_length 9,bitstring_overflow,double_overflow,absolute_offset 0;",
            &[b"\x03\x01\x01", b"\x04\x0a"],
            &[b"\x04\x09"],
        ),
    ];
    check_rows(rows);
}
