//! Databases made here, byte by byte.
#![expect(clippy::arithmetic_side_effects, reason = "numbers of the test itself")]

use expect_test::expect;

use super::*;

/// Where a branch of the tree leads.
#[derive(Clone, Copy)]
enum Branch {
    Nothing,
    Node(u32),
    /// Place in the data.
    Record(u32),
}

/// A MaxMind DB made by hand: format specification 2.0, records of 24 bits.
pub(crate) struct Database {
    nodes: Vec<[Branch; 2]>,
    data: Vec<u8>,
    version: u8,
}

fn string(text: &str) -> Vec<u8> {
    let mut out = vec![0x40 | u8::try_from(text.len()).unwrap()];
    out.extend_from_slice(text.as_bytes());
    out
}

impl Database {
    /// For addresses of an IP version; one of version 6 has those of version 4 below `::/96`.
    pub(crate) fn new(version: u8) -> Self {
        Self { nodes: vec![[Branch::Nothing; 2]], data: Vec::new(), version }
    }

    /// The bits of a network, as far as its prefix goes.
    fn bits(&self, network: &str) -> Vec<usize> {
        let (address, prefix, wide) = match network.parse().unwrap() {
            IpNet::V4(net) if self.version == 4 => {
                (u128::from(net.network().to_bits()) << 96, net.prefix_len(), 0)
            }
            IpNet::V4(net) => (u128::from(net.network().to_bits()), net.prefix_len(), 96),
            IpNet::V6(net) => (net.network().to_bits(), net.prefix_len(), 0),
        };
        (0..wide + prefix).map(|bit| usize::from(address >> (127 - bit) & 1 != 0)).collect()
    }

    fn set(&mut self, network: &str, branch: Branch) {
        let bits = self.bits(network);
        let (last, way) = bits.split_last().unwrap();
        let mut node = 0;
        for bit in way {
            node = match self.nodes[node][*bit] {
                Branch::Node(next) => next as usize,
                // What was said of the whole network goes on for the rest of it.
                said => {
                    self.nodes.push([said; 2]);
                    let next = self.nodes.len() - 1;
                    self.nodes[node][*bit] = Branch::Node(u32::try_from(next).unwrap());
                    next
                }
            };
        }
        self.nodes[node][*last] = branch;
    }

    /// A network with a record `{"country": {"iso_code": code}}`.
    pub(crate) fn country(self, network: &str, code: &str) -> Self {
        let inner = [vec![0xe1], string("iso_code"), string(code)].concat();
        self.record(network, &[vec![0xe1], string("country"), inner].concat())
    }

    /// A network with a record of these bytes.
    pub(crate) fn record(mut self, network: &str, bytes: &[u8]) -> Self {
        let at = u32::try_from(self.data.len()).unwrap();
        self.data.extend_from_slice(bytes);
        self.set(network, Branch::Record(at));
        self
    }

    /// A network that is the same branch as all of IPv4.
    fn alias_of_v4(mut self, network: &str) -> Self {
        let mut node = 0;
        for _ in 0..96 {
            let Branch::Node(next) = self.nodes[node][0] else { panic!("no IPv4") };
            node = next as usize;
        }
        self.set(network, Branch::Node(u32::try_from(node).unwrap()));
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let count = u32::try_from(self.nodes.len()).unwrap();
        let mut out = Vec::new();
        for branch in self.nodes.iter().flatten() {
            let value = match branch {
                Branch::Nothing => count,
                Branch::Node(node) => *node,
                Branch::Record(at) => count + 16 + at,
            };
            out.extend_from_slice(&value.to_be_bytes()[1..]);
        }
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(&self.data);
        out.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
        let count = [&[0xc4][..], &count.to_be_bytes()].concat();
        let epoch = vec![0x01, 0x02, 1];
        for part in [
            vec![0xe9],
            [string("node_count"), count].concat(),
            [string("record_size"), vec![0xa1, 24]].concat(),
            [string("ip_version"), vec![0xa1, self.version]].concat(),
            [string("database_type"), string("Test-Country")].concat(),
            [string("languages"), vec![0x00, 0x04]].concat(),
            [string("binary_format_major_version"), vec![0xa1, 2]].concat(),
            [string("binary_format_minor_version"), vec![0xa0]].concat(),
            [string("build_epoch"), epoch].concat(),
            [string("description"), vec![0xe0]].concat(),
        ] {
            out.extend_from_slice(&part);
        }
        out
    }
}

/// Two countries and a network of neither, in both versions.
pub(crate) fn small() -> Database {
    Database::new(6)
        .country("10.0.0.0/8", "CH")
        .country("10.1.0.0/16", "US")
        .record("172.16.0.0/12", &[0xe0])
        .country("2001:db8::/32", "US")
        .country("2001:db9::/32", "T1")
}

fn codes(database: &Database, addresses: &[&str]) -> Vec<Option<Country>> {
    let countries = countries(&database.bytes()).unwrap();
    addresses.iter().map(|address| countries.at(address.parse().unwrap())).collect()
}

#[test]
fn addresses_have_the_country_of_their_network() {
    let database = Database::new(6)
        .country("10.0.0.0/9", "CH")
        .country("10.128.0.0/16", "US")
        .record("172.16.0.0/12", &[0xe0])
        .country("2001:db8::/32", "US")
        .country("2001:db9::/32", "unknown")
        .alias_of_v4("2002::/16");
    let found = codes(
        &database,
        &[
            "10.0.0.0",
            "10.127.255.255",
            "10.128.0.1",
            "10.129.0.0",
            "9.255.255.255",
            "172.16.0.1",
            "255.255.255.255",
            "2001:db8::1",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db9::",
            "2001:dba::",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            // An address of 6to4 holds one of IPv4.
            "2002:a00:1::1",
            "2002:a81:1::1",
        ],
    );
    let (ch, us) = (Country::new("CH"), Country::new("US"));
    let other = Some(Country::OTHER);
    assert_eq!(found, [ch, ch, us, None, None, None, None, us, us, other, None, None, ch, None]);
}

#[test]
fn databases_of_one_version() {
    let four = Database::new(4).country("128.0.0.0/1", "CH");
    let ch = Country::new("CH");
    assert_eq!(codes(&four, &["128.0.0.1", "127.0.0.1", "::1", "8000::"]), [ch, None, None, None]);
    let six = Database::new(6).country("::/1", "CH");
    assert_eq!(codes(&six, &["1.2.3.4", "255.0.0.0", "7fff::", "8000::"]), [ch, ch, ch, None]);
}

#[test]
fn codes_are_two_capitals() {
    assert!(Country::new("CH").is_some() && Country::new("T1").is_some());
    for code in ["", "C", "CHE", "ch", "1C", "C-", "ÀÀ", "!C"] {
        assert_eq!(Country::new(code), None, "{code}");
    }
}

/// Why bytes are refused.
fn why(bytes: Vec<u8>) -> String {
    let mut report = Report::default();
    let source = Source { name: "c.mmdb".to_owned(), text: bytes };
    assert!(read(&source, &mut report).is_none());
    let [one] = report.rejected.as_slice() else { panic!("{report:?}") };
    format!("{}:{}:{} {}", one.file, one.line, one.column, one.error)
}

#[test]
fn what_is_no_database_of_countries_is_refused() {
    let begin = "c.mmdb:1:1 not a usable database of countries: ";
    for bytes in [Vec::new(), b"no database".to_vec(), b"\xab\xcd\xefMaxMind.com".to_vec()] {
        assert!(why(bytes).starts_with(begin));
    }
    let systems = Database::new(4).record("10.0.0.0/8", &[0xe0]);
    expect!["c.mmdb:1:1 not a usable database of countries: no record has country.iso_code; a Country or City database has"]
        .assert_eq(&why(systems.bytes()));
    // A code that is a number; a pointer out of the file.
    let number = [vec![0xe1], string("country"), vec![0xe1], string("iso_code"), vec![0xa1, 7]];
    assert!(
        why(Database::new(4).record("10.0.0.0/8", &number.concat()).bytes()).starts_with(begin)
    );
    assert!(why(Database::new(4).record("10.0.0.0/8", &[0x2f, 0xff]).bytes()).starts_with(begin));
}

#[test]
fn a_tree_of_shared_branches_does_not_run_on() {
    // Both branches of each node lead to the next: two to the power of 100 networks in 600 bytes.
    let next = |node: u32| if node < 100 { Branch::Node(node + 1) } else { Branch::Record(0) };
    let mut database = Database::new(6).country("::/1", "CH");
    database.nodes = (0..101).map(|node| [next(node); 2]).collect();
    assert_eq!(countries(&database.bytes()).unwrap_err(), "more than 808 networks");
    // The same with nothing at the end, and with the branch of IPv4.
    database.nodes[100] = [Branch::Nothing; 2];
    assert_eq!(countries(&database.bytes()).unwrap_err(), "more than 808 networks");
    // A branch that leads back.
    database.nodes[100] = [Branch::Node(0); 2];
    assert!(countries(&database.bytes()).is_err());
}
