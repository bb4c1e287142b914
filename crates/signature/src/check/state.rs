//! Keywords with memory: `flowbits`, `xbits`, `hostbits`, `flowint`, `threshold`, `detection_filter`, `tag`.

use crate::{
    check::{
        builder::{Builder, none, text},
        number,
        rule::{
            BitOp, CountBy, Gate, IntTest, IntValue, Post, Tag, TagHost, TagMetric, Threshold,
            ThresholdKind, Track, UniqueOn,
        },
    },
    error::RuleError,
};

/// Most ports told apart by `unique_on`.
const MAX_UNIQUE: u32 = 256;

impl Builder<'_, '_> {
    /// Handles the keywords of this module.
    pub(super) fn state_option(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<bool, RuleError> {
        match name {
            "flowbits" => self.flowbits(text(name, value)?)?,
            "xbits" | "hostbits" => self.host_bits(name, text(name, value)?)?,
            "flowint" => self.flowint(text(name, value)?)?,
            "noalert" => {
                none(name, value)?;
                self.alert = Some(false);
            }
            "alert" => {
                none(name, value)?;
                self.alert = Some(true);
            }
            "threshold" | "detection_filter" => self.threshold(name, text(name, value)?)?,
            "tag" => {
                let tag = tag(text(name, value)?)?;
                self.posts.push(Post::Tag(tag));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn flowbits(&mut self, given: &str) -> Result<(), RuleError> {
        let bad = |why: &str| RuleError::value("flowbits", given.as_bytes(), why);
        let (command, names) = given.split_once(',').unwrap_or((given, ""));
        let command = command.trim().to_ascii_lowercase();
        if command == "noalert" {
            self.alert = Some(false);
            return Ok(());
        }
        if names.trim().is_empty() {
            return Err(bad("needs a name"));
        }
        let mut bits = Vec::new();
        for name in names.split('|').map(str::trim) {
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(bad("not a name"));
            }
            bits.push(self.checker.pool.flow_bits.number(name.into()));
        }
        let op = match command.as_str() {
            "isset" => {
                self.gates.push(Gate::FlowBits { bits, set: true });
                return Ok(());
            }
            "isnotset" => {
                self.gates.push(Gate::FlowBits { bits, set: false });
                return Ok(());
            }
            "set" => BitOp::Set,
            "unset" => BitOp::Unset,
            "toggle" => BitOp::Toggle,
            _ => return Err(bad("unknown command")),
        };
        if bits.len() > 1 {
            return Err(bad("| is only for isset and isnotset"));
        }
        self.posts.extend(bits.into_iter().map(|bit| Post::FlowBit { bit, op }));
        Ok(())
    }

    fn host_bits(&mut self, keyword: &str, given: &str) -> Result<(), RuleError> {
        let bad = |why: &str| RuleError::value(keyword, given.as_bytes(), why);
        let parts: Vec<&str> = given.split(',').map(str::trim).collect();
        let [command, name, rest @ ..] = parts.as_slice() else {
            return if *given == *"noalert" {
                self.alert = Some(false);
                Ok(())
            } else {
                Err(bad("expected command,name,track"))
            };
        };
        if name.is_empty() {
            return Err(bad("needs a name"));
        }
        let (mut track, mut expire) = (None, None);
        for part in rest {
            let word = part.strip_prefix("track").map_or(*part, str::trim);
            match word {
                "ip_src" | "src" => track = Some(Track::Src),
                "ip_dst" | "dst" => track = Some(Track::Dst),
                "ip_pair" | "both" => track = Some(Track::Pair),
                "tx" => return Err(RuleError::unsupported(keyword, "track tx")),
                other => {
                    let seconds = other.strip_prefix("expire").unwrap_or(other);
                    expire = Some(
                        seconds
                            .trim()
                            .parse::<u32>()
                            .ok()
                            .filter(|s| *s > 0)
                            .ok_or_else(|| bad("not understood"))?,
                    );
                }
            }
        }
        let track = match (track, keyword) {
            (Some(track), _) => track,
            (None, "hostbits") => Track::Src,
            _ => return Err(bad("needs track")),
        };
        let bit = self.checker.pool.host_bits.number(format!("{keyword} {name}").into());
        let op = match command.to_ascii_lowercase().as_str() {
            "isset" => {
                self.gates.push(Gate::HostBit { bit, track, set: true });
                return Ok(());
            }
            "isnotset" => {
                self.gates.push(Gate::HostBit { bit, track, set: false });
                return Ok(());
            }
            "set" => BitOp::Set,
            "unset" => BitOp::Unset,
            "toggle" => BitOp::Toggle,
            _ => return Err(bad("unknown command")),
        };
        let default = if keyword == "xbits" { 30 } else { 300 };
        self.posts.push(Post::HostBit { bit, track, op, expire: expire.unwrap_or(default) });
        Ok(())
    }

    fn flowint(&mut self, given: &str) -> Result<(), RuleError> {
        let bad = |why: &str| RuleError::value("flowint", given.as_bytes(), why);
        let mut parts = given.split(',').map(str::trim);
        let name =
            parts.next().filter(|name| !name.is_empty()).ok_or_else(|| bad("needs a name"))?;
        let op = parts.next().ok_or_else(|| bad("needs an operator"))?;
        let var = self.checker.pool.flow_ints.number(name.into());
        match op {
            "isset" => self.gates.push(Gate::FlowInt { var, test: IntTest::IsSet }),
            "isnotset" | "notset" | "!isset" => {
                self.gates.push(Gate::FlowInt { var, test: IntTest::NotSet });
            }
            _ => {
                let value = parts
                    .next()
                    .filter(|value| !value.is_empty())
                    .ok_or_else(|| bad("needs a value"))?;
                let value = match number::parse(value) {
                    Some(number) => {
                        IntValue::Const(u32::try_from(number).map_err(|_| bad("out of range"))?)
                    }
                    None if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                        return Err(bad("out of range"));
                    }
                    None => IntValue::Var(self.checker.pool.flow_ints.number(value.into())),
                };
                let test = match op {
                    "<" => IntTest::Lt(value),
                    "<=" => IntTest::Le(value),
                    "==" => IntTest::Eq(value),
                    "!=" => IntTest::Ne(value),
                    ">=" => IntTest::Ge(value),
                    ">" => IntTest::Gt(value),
                    "=" => {
                        self.posts.push(Post::FlowIntSet { var, value });
                        return Ok(());
                    }
                    "+" => {
                        self.posts.push(Post::FlowIntAdd { var, value });
                        return Ok(());
                    }
                    "-" => {
                        self.posts.push(Post::FlowIntSub { var, value });
                        return Ok(());
                    }
                    _ => return Err(bad("unknown operator")),
                };
                self.gates.push(Gate::FlowInt { var, test });
            }
        }
        Ok(())
    }

    fn threshold(&mut self, keyword: &str, given: &str) -> Result<(), RuleError> {
        let bad = |why: &str| RuleError::value(keyword, given.as_bytes(), why);
        let (mut kind, mut by, mut count, mut seconds) = (None, None, None, None);
        let (mut multiplier, mut unique) = (None, None);
        for part in given.split(',').map(str::trim) {
            let (word, argument) = part.split_once([' ', '\t']).unwrap_or((part, ""));
            let argument = argument.trim();
            let number = || argument.parse::<u32>().map_err(|_| bad("not a number"));
            match word {
                "type" if keyword == "threshold" => {
                    kind = Some(match argument {
                        "limit" => ThresholdKind::Limit,
                        "threshold" => ThresholdKind::Threshold,
                        "both" => ThresholdKind::Both,
                        "backoff" => ThresholdKind::Backoff { multiplier: 2 },
                        _ => return Err(bad("unknown type")),
                    });
                }
                "track" => {
                    by = Some(match argument {
                        "by_src" => CountBy::Src,
                        "by_dst" => CountBy::Dst,
                        "by_both" => CountBy::Both,
                        "by_rule" => CountBy::Rule,
                        "by_flow" => CountBy::Flow,
                        _ => return Err(bad("unknown track")),
                    });
                }
                "count" => count = Some(number()?).filter(|count| *count > 0),
                "seconds" => seconds = Some(number()?).filter(|seconds| *seconds > 0),
                "multiplier" => multiplier = Some(number()?).filter(|multiplier| *multiplier > 1),
                "unique_on" if keyword == "detection_filter" && unique.is_none() => {
                    unique = Some(match argument {
                        "src_port" => UniqueOn::SrcPort,
                        "dst_port" => UniqueOn::DstPort,
                        _ => return Err(bad("expected src_port or dst_port")),
                    });
                }
                _ => return Err(bad("unknown word")),
            }
        }
        if keyword == "detection_filter" {
            kind = Some(ThresholdKind::DetectionFilter);
        }
        let (Some(mut kind), Some(by), Some(count)) = (kind, by, count) else {
            return Err(bad("type, track and count are needed"));
        };
        if let ThresholdKind::Backoff { multiplier: by_default } = &mut kind {
            *by_default = multiplier.ok_or_else(|| bad("backoff needs a multiplier"))?;
            if by != CountBy::Flow {
                return Err(bad("backoff needs track by_flow"));
            }
            seconds = seconds.or(Some(u32::MAX));
        }
        let seconds = seconds.ok_or_else(|| bad("seconds are needed"))?;
        if unique.is_some() && count > MAX_UNIQUE {
            return Err(RuleError::unsupported(keyword, "unique_on with a count above 256"));
        }
        if self.threshold.replace(Threshold { kind, by, count, seconds, unique }).is_some() {
            return Err(RuleError::misplaced(
                keyword,
                "only one threshold or detection_filter a rule",
            ));
        }
        Ok(())
    }
}

fn tag(given: &str) -> Result<Tag, RuleError> {
    let bad = |why: &str| RuleError::value("tag", given.as_bytes(), why);
    let parts: Vec<&str> = given.split(',').map(str::trim).collect();
    let (kind, count, metric, side) = match parts.as_slice() {
        [kind] => (*kind, "256", "packets", None),
        [kind, count, metric] => (*kind, *count, *metric, None),
        [kind, count, metric, side] => (*kind, *count, *metric, Some(*side)),
        _ => return Err(bad("expected type,count,metric")),
    };
    let host = match (kind, side) {
        ("session", _) => None,
        ("host", Some("src")) => Some(TagHost::Src),
        ("host", Some("dst")) => Some(TagHost::Dst),
        _ => return Err(bad("expected session, or host with src or dst")),
    };
    let metric = match metric {
        "packets" => TagMetric::Packets,
        "bytes" => TagMetric::Bytes,
        "seconds" => TagMetric::Seconds,
        _ => return Err(bad("unknown metric")),
    };
    let count =
        count.parse().ok().filter(|count| *count > 0).ok_or_else(|| bad("count out of range"))?;
    Ok(Tag { host, count, metric })
}
