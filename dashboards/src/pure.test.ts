// Lossless JSON, queries from clicks, lines for people, CSV cells, hidden characters, the ledger.
// @ts-expect-error the runner's module has no types here
import assert from "node:assert/strict";
// @ts-expect-error as above
import { test } from "node:test";
import { parse, quoteLongIntegers, writeCursor } from "./json";
import { lost, residue } from "./ledger";
import { beforeStages, cell, csv, endpoints, field, flatten, narrow, summary, term } from "./query";
import { choices } from "./redact/dialog";
import { extent, iso, phrase } from "./redact/shared";
import { shares } from "./storage";
import { bars, ends, lines, shown, tableCsv } from "./search/result";
import type { Table } from "./types";
import { bytes, millis, plain, seconds } from "./text";

const equal = (got: unknown, want: unknown) => assert.deepEqual(got, want);

test("integers over 15 digits stay exact", () => {
  equal(parse('{"tie":12561785128885421342,"n":-9007199254740993,"small":12,"float":1.2345678901234567890}'),
    { tie: "12561785128885421342", n: "-9007199254740993", small: 12, float: 1.2345678901234567 });
  equal(parse('{"s":"x: 12561785128885421342, \\"12561785128885421342\\" \\\\"}'), { s: 'x: 12561785128885421342, "12561785128885421342" \\' });
  equal(quoteLongIntegers("[1e12345678901234567]"), "[1e12345678901234567]");
  equal(writeCursor({ time: 1795366342430617, tie: "12561785128885421342" }), '{"time":1795366342430617,"tie":12561785128885421342}');
  assert.throws(() => writeCursor({ time: 1, tie: '1},"limit":{' }));
});

test("clicks make queries that mean what was clicked", () => {
  equal(term("src_ip", "10.0.0.1"), "src_ip:10.0.0.1");
  equal(term("tls.sni", 'a "b" \\ c*'), 'tls.sni:"a \\"b\\" \\\\ c*"');
  equal(term("user.name", "OR"), 'user.name:"OR"');
  equal(term("src_ip", "2001:db8::1"), 'src_ip:"2001:db8::1"');
  equal(narrow("", "a:1"), "a:1");
  equal(narrow("a OR b", "c:1", true), "(a OR b) AND NOT c:1");
  equal(narrow("(a OR b)", "c:1"), "(a OR b) AND c:1");
  equal(narrow("x AND a:1", "a:1"), "x AND a:1");
});

test("clicks lead to events, whatever stages stand behind a query", () => {
  equal(beforeStages("a | stats count() by b"), "a");
  equal(beforeStages('"a | b" || c\\| | head'), '"a | b" || c\\|');
  equal(beforeStages("| stats count()"), "");
  equal(narrow("a | top 5 b", "b:1"), "a AND b:1");
});

test("tables become series, bars and files", () => {
  const at = (minute: number) => `2026-11-22T10:0${minute}:00.000000+0000`;
  const table: Table = {
    columns: [{ name: "timestamp", role: "time" }, { name: "host", role: "group" }, { name: "count", role: "value" }],
    rows: [[at(0), "a", 1], [at(1), "a", 2], [at(1), "b", 5]],
  };
  const drawn = lines(table)!;
  equal(drawn.series, [{ title: "b", values: [0, 5] }, { title: "a", values: [1, 2] }]);
  equal([drawn.times.length, drawn.hidden, bars(table)], [2, 0, null]);
  const groups: Table = { columns: table.columns.slice(1), rows: [["=1+1", 3], [null, 1]] };
  equal(bars(groups), [{ title: "=1+1", value: 3 }, { title: "", value: 1 }]);
  equal([lines(groups), bars({ ...groups, rows: [["a", 1]] })], [null, null]);
  equal(tableCsv(groups).split("\r\n")[1], "\"'=1+1\",3");
  equal(shown(["a", null, 1]), "a, , 1");
  equal([ends([600, 660], 600, 660), ends([600], 600, 86_400_600), ends([], null, null)], [[600, 660], [540, 660], [-60, 60]]);
});

test("fields are found nested or flat, lists line by line", () => {
  const document = { a: { b: [1, { c: "x" }] }, "d.e": "flat", n: null };
  equal(flatten(document), [["a.b", "1"], ["a.b.c", "x"], ["d.e", "flat"], ["n", "null"]]);
  equal([field(document, "a.b"), field(document, "d.e"), field(document, "no.such")], ["1", "flat", ""]);
  let deep: never = {} as never;
  for (let n = 0; n < 500; n++) deep = { x: deep } as never;
  assert.ok(flatten(deep).length <= 2_000);
});

test("each kind of event has its line", () => {
  equal(summary({ event_type: "dns", dns: { type: "query", rrtype: "A", rrname: "a.example", rcode: "NXDOMAIN" } }), "query A a.example · NXDOMAIN");
  equal(summary({ event_type: "http", http: { http_method: "GET", hostname: "h", url: "/p", status: 404, length: 2048 } }), "GET h/p → 404 · 2.0 KiB");
  equal(summary({ event_type: "log", message: "hello", process: { name: "sshd" } }), "sshd: hello");
  equal(summary({ event_type: "strange", x: { y: 1 } }), "x.y=1");
  equal(endpoints({ src_ip: "fe80::1", src_port: 1, dest_ip: "10.0.0.1", dest_port: 53 }), "[fe80::1]:1 → 10.0.0.1:53");
});

test("a CSV cell is never a formula and never two cells", () => {
  for (const bad of ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\uff1d1", "\n=1"]) {
    assert.match(cell(bad), /^"?'/, JSON.stringify(bad));
  }
  equal(cell('a,"b"'), '"a,""b"""');
  equal(cell("plain"), "plain");
  equal(csv([{ timestamp: "t", event_type: "log", message: "=cmd|' /C calc'!A0" }]).split("\r\n")[1], `t,log,,,,,,,,,,"'=cmd|' /C calc'!A0"`);
});

test("hidden characters are visible", () => {
  equal(plain("a\u001b[2J\u202egpj\u0000\u200b\u{e0041}\n\t"), "a\\x1b[2J\\u202egpj\\x00\\u200b\\u{e0041}\\n\\t");
  equal(plain("\ud800x grüezi 漢字 🙂"), "\\ud800x grüezi 漢字 🙂");
});

test("figures for people", () => {
  equal([bytes(0), bytes(1536), bytes(3_456_789)], ["0 B", "1.5 KiB", "3.3 MiB"]);
  equal([seconds(59), seconds(3_700), seconds(90_000)], ["59 s", "1 h 1 min", "1 d 1 h"]);
  equal(millis("2026-11-22T15:04:05.123456+0000"), Date.UTC(2026, 10, 22, 15, 4, 5, 123));
});

test("a ledger that balances has no residue, and loss counts all that went missing", () => {
  const one = { seen: 100, processed: 80, shed: { full: 5 }, dropped: 10, pending: 2 };
  equal([residue(one), lost(one)], [3, 0.18]);
  equal(lost({ seen: 0, processed: 0, shed: {}, dropped: 0, pending: 0 }), 0);
});

test("what may be redacted by itself, and the phrase that confirms it", () => {
  equal(choices([{ timestamp: "t", event: { id: "a/1/1", original: "x" }, message: "m", agent: { id: "a" } }, { user: { name: "b" } }]), ["event.original", "message", "user.name"]);
  equal([1, 12, 1000].map(phrase), ["redact 1 event", "redact 12 events", "redact 1000 events"]);
  equal([extent([]), extent(["a", "b"])], ["whole", "only the fields a, b"]);
  equal(iso("1795359845000000"), "2026-11-22T15:04:05.000Z");
});

test("shares of a disk add up, and are none of one that is away", () => {
  const folder = { path: "/x", warm: false, there: true, partitions: 1, bytes: 20, free: 50, size: 100 };
  equal(shares(folder), [20, 30, 50]);
  equal(shares({ ...folder, bytes: 500 }), [50, 0, 50]);
  equal(shares({ ...folder, there: false }), [0, 0, 0]);
  equal(shares({ ...folder, free: null, size: null }), [0, 0, 0]);
});
