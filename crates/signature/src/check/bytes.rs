//! `byte_test`, `byte_jump`, `byte_extract`, `byte_math`, `base64_decode`, `base64_data`, `asn1`.

use crate::AppProto;
use crate::check::{
    builder::{Builder, none, text},
    number,
    rule::{
        Asn1, Base64, ByteExtract, ByteJump, ByteMath, ByteTest, Encoding, Field, Item, JumpFrom,
        MathOp, Num, Operand, TestOp,
    },
};
use crate::error::RuleError;

/// The modifiers that all byte keywords share.
#[derive(Default)]
struct Modifiers {
    relative: bool,
    little: Option<bool>,
    string: bool,
    dcerpc: bool,
    base: Option<u8>,
    bitmask: u32,
}

impl Modifiers {
    /// Takes one modifier; `false` when it is not a shared one.
    fn take(&mut self, part: &str) -> Option<bool> {
        match part {
            "relative" => self.relative = true,
            "big" => self.little = Some(false),
            "little" => self.little = Some(true),
            "dce" => self.dcerpc = true,
            "string" => self.string = true,
            "hex" => self.base = Some(16),
            "dec" => self.base = Some(10),
            "oct" => self.base = Some(8),
            other => match other.strip_prefix("bitmask") {
                Some(mask) => {
                    self.bitmask =
                        u32::try_from(number::parse(mask)?).ok().filter(|mask| *mask != 0)?;
                }
                None => return Some(false),
            },
        }
        Some(true)
    }

    fn encoding(&self) -> Encoding {
        if self.string {
            Encoding::Text(self.base.unwrap_or(10))
        } else if self.dcerpc {
            Encoding::Dcerpc
        } else if self.little == Some(true) {
            Encoding::Little
        } else {
            Encoding::Big
        }
    }

    /// The field, when count and encoding fit together.
    fn field(&self, bytes: Num, offset: Num) -> Option<Field> {
        let limit = if self.string { 23 } else { 8 };
        let fits = !matches!(bytes, Num::Const(n) if n < i32::from(!self.string) || n > limit);
        let fits = fits && !(self.dcerpc && (self.string || self.little.is_some()));
        (fits && (self.string || self.base.is_none())).then(|| Field {
            bytes,
            offset,
            relative: self.relative,
            encoding: self.encoding(),
            bitmask: self.bitmask,
        })
    }
}

impl Builder<'_, '_> {
    /// Handles the keywords of this module.
    pub(super) fn byte_option(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<bool, RuleError> {
        match name {
            "byte_test" => self.byte_test(text(name, value)?)?,
            "byte_jump" => self.byte_jump(text(name, value)?)?,
            "byte_extract" => self.byte_extract(text(name, value)?)?,
            "byte_math" => self.byte_math(text(name, value)?)?,
            "base64_decode" => self.base64_decode(value)?,
            "base64_data" => {
                none(name, value)?;
                // Outside of sticky buffers it may have followed a content into the buffer of a modifier.
                let at = match (self.current, self.last_block) {
                    (None, Some(last)) => last,
                    _ => self.target(),
                };
                if !matches!(
                    self.blocks.get(at).and_then(|block| block.items.last()),
                    Some(Item::Base64(_))
                ) {
                    return Err(RuleError::misplaced(name, "must follow base64_decode"));
                }
                self.in_base64 = Some(at);
            }
            "asn1" => self.asn1(text(name, value)?)?,
            _ => return Ok(false),
        }
        // The byte order is that of a message of DCERPC, which SMB may carry.
        let dcerpc = name.starts_with("byte_")
            && text(name, value)?.split([',', ' ']).any(|word| word == "dce");
        if dcerpc && self.protocol.app != Some(AppProto::Smb) {
            self.imply(name, AppProto::Dcerpc)?;
        }
        Ok(true)
    }

    fn byte_test(&mut self, given: &str) -> Result<(), RuleError> {
        let bad = |why: &str| RuleError::value("byte_test", given.as_bytes(), why);
        let parts: Vec<&str> = given.split(',').map(str::trim).collect();
        let [bytes, op, value, offset, modifiers @ ..] = parts.as_slice() else {
            return Err(bad("expected bytes,operator,value,offset"));
        };
        let (negated, op) = match op.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, *op),
        };
        let op = match op {
            "<" => TestOp::Lt,
            ">" => TestOp::Gt,
            "=" | "" => TestOp::Eq,
            "<=" => TestOp::Le,
            ">=" => TestOp::Ge,
            "&" => TestOp::And,
            "^" => TestOp::Or,
            _ => return Err(bad("unknown operator")),
        };
        let mut shared = Modifiers::default();
        for part in modifiers {
            match (shared.take(part), *part) {
                (Some(true), _) => {}
                _ => return Err(bad("unknown modifier")),
            }
        }
        let value =
            self.operand(value).ok_or_else(|| bad("value is neither a number nor read before"))?;
        let bytes = self.number_or_variable("byte_test", bytes)?;
        let offset = self.number_or_variable("byte_test", offset)?;
        let field =
            shared.field(bytes, offset).ok_or_else(|| bad("byte count and encoding do not fit"))?;
        self.push(Item::ByteTest(Box::new(ByteTest { field, negated, op, value })));
        Ok(())
    }

    fn operand(&self, text: &str) -> Option<Operand> {
        number::parse(text)
            .map(Operand::Const)
            .or_else(|| self.variable(text.trim()).map(Operand::Var))
    }

    fn byte_jump(&mut self, given: &str) -> Result<(), RuleError> {
        let bad = |why: &str| RuleError::value("byte_jump", given.as_bytes(), why);
        let parts: Vec<&str> = given.split(',').map(str::trim).collect();
        let [bytes, offset, modifiers @ ..] = parts.as_slice() else {
            return Err(bad("expected bytes,offset"));
        };
        let mut shared = Modifiers::default();
        let (mut multiplier, mut align, mut post_offset, mut from) = (1, false, 0, JumpFrom::Here);
        for part in modifiers {
            let (word, argument) = part.split_once([' ', '\t']).unwrap_or((part, ""));
            match word {
                "align" => align = true,
                "from_beginning" => from = JumpFrom::Beginning,
                "from_end" => from = JumpFrom::End,
                "multiplier" => {
                    multiplier = argument
                        .trim()
                        .parse()
                        .ok()
                        .filter(|m| *m > 0)
                        .ok_or_else(|| bad("multiplier out of range"))?;
                }
                "post_offset" => {
                    post_offset = number::signed(argument)
                        .and_then(|n| i32::try_from(n).ok())
                        .filter(|n| (-65_535..=65_535).contains(n))
                        .ok_or_else(|| bad("post_offset out of range"))?;
                }
                _ if shared.take(part) == Some(true) => {}
                _ => return Err(bad("unknown modifier")),
            }
        }
        let bytes = self.number_or_variable("byte_jump", bytes)?;
        let offset = self.number_or_variable("byte_jump", offset)?;
        // A jump of no bytes moves by its post_offset alone.
        let one = if bytes == Num::Const(0) { Num::Const(1) } else { bytes };
        let field =
            shared.field(one, offset).ok_or_else(|| bad("byte count and encoding do not fit"))?;
        let field = Field { bytes, ..field };
        self.push(Item::ByteJump(Box::new(ByteJump {
            field,
            multiplier,
            align,
            post_offset,
            from,
        })));
        Ok(())
    }

    fn byte_extract(&mut self, given: &str) -> Result<(), RuleError> {
        let bad = |why: &str| RuleError::value("byte_extract", given.as_bytes(), why);
        let parts: Vec<&str> = given.split(',').map(str::trim).collect();
        let [bytes, offset, name, modifiers @ ..] = parts.as_slice() else {
            return Err(bad("expected bytes,offset,name"));
        };
        let mut shared = Modifiers::default();
        let (mut multiplier, mut align) = (1, 0);
        for part in modifiers {
            let (word, argument) = part.split_once([' ', '\t']).unwrap_or((part, ""));
            match word {
                "multiplier" => {
                    multiplier = argument
                        .trim()
                        .parse()
                        .ok()
                        .filter(|m| *m > 0)
                        .ok_or_else(|| bad("multiplier out of range"))?;
                }
                "align" => {
                    align = argument
                        .trim()
                        .parse()
                        .ok()
                        .filter(|a| matches!(a, 2 | 4))
                        .ok_or_else(|| bad("align must be 2 or 4"))?;
                }
                _ if shared.take(part) == Some(true) => {}
                _ => return Err(bad("unknown modifier")),
            }
        }
        let bytes = self.number_or_variable("byte_extract", bytes)?;
        let offset = self.number_or_variable("byte_extract", offset)?;
        let field =
            shared.field(bytes, offset).ok_or_else(|| bad("byte count and encoding do not fit"))?;
        let var = self.define(name).ok_or_else(|| bad("too many values, or not a name"))?;
        self.push(Item::ByteExtract(Box::new(ByteExtract { field, multiplier, align, var })));
        Ok(())
    }

    /// Number for a value that is read from the traffic under `name`.
    fn define(&mut self, name: &str) -> Option<u8> {
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        if let Some(known) = self.variable(name) {
            return Some(known);
        }
        let number = u8::try_from(self.variables.len())
            .ok()
            .filter(|number| usize::from(*number) < MAX_VALUES)?;
        self.variables.push(name.to_owned());
        Some(number)
    }

    fn byte_math(&mut self, given: &str) -> Result<(), RuleError> {
        let bad = |why: &str| RuleError::value("byte_math", given.as_bytes(), why);
        let mut shared = Modifiers::default();
        let (mut bytes, mut offset, mut op, mut value, mut result) = (None, None, None, None, None);
        for part in given.split(',').map(str::trim) {
            let (word, argument) = part.split_once([' ', '\t']).unwrap_or((part, ""));
            let argument = argument.trim();
            match word {
                "bytes" => bytes = Some(self.number_or_variable("byte_math", argument)?),
                "offset" => offset = Some(self.number_or_variable("byte_math", argument)?),
                "rvalue" => value = self.operand(argument),
                "result" => result = Some(argument),
                "oper" => {
                    op = match argument {
                        "+" => Some(MathOp::Add),
                        "-" => Some(MathOp::Sub),
                        "*" => Some(MathOp::Mul),
                        "/" => Some(MathOp::Div),
                        "<<" => Some(MathOp::Shl),
                        ">>" => Some(MathOp::Shr),
                        _ => None,
                    };
                }
                "endian" | "string" if !argument.is_empty() => {
                    shared.string |= word == "string";
                    if shared.take(argument) != Some(true) {
                        return Err(bad("unknown modifier"));
                    }
                }
                _ if shared.take(part) == Some(true) => {}
                _ => return Err(bad("unknown modifier")),
            }
        }
        let (Some(bytes), Some(offset), Some(op), Some(value), Some(result)) =
            (bytes, offset, op, value, result)
        else {
            return Err(bad("bytes, offset, oper, rvalue and result are needed"));
        };
        let field =
            shared.field(bytes, offset).ok_or_else(|| bad("byte count and encoding do not fit"))?;
        let var = self.define(result).ok_or_else(|| bad("too many values, or not a name"))?;
        self.push(Item::ByteMath(Box::new(ByteMath { field, op, value, var })));
        Ok(())
    }

    fn base64_decode(&mut self, value: Option<&[u8]>) -> Result<(), RuleError> {
        let mut decode = Base64 { bytes: None, offset: 0, relative: false, items: Vec::new() };
        if value.is_some_and(|value| !value.is_empty()) {
            let given = text("base64_decode", value)?;
            let bad = || {
                RuleError::value(
                    "base64_decode",
                    given.as_bytes(),
                    "expected bytes N, offset N, relative",
                )
            };
            for part in given.split(',').map(str::trim) {
                let (word, argument) = part.split_once([' ', '\t']).unwrap_or((part, ""));
                let argument =
                    || argument.trim().parse::<u32>().ok().filter(|n| *n <= 65_535).ok_or_else(bad);
                match word {
                    "bytes" => decode.bytes = Some(argument()?).filter(|n| *n > 0),
                    "offset" => decode.offset = argument()?,
                    "relative" => decode.relative = true,
                    _ => return Err(bad()),
                }
            }
        }
        self.in_base64 = None;
        self.push(Item::Base64(Box::new(decode)));
        Ok(())
    }

    fn asn1(&mut self, given: &str) -> Result<(), RuleError> {
        let bad = |why: &str| RuleError::value("asn1", given.as_bytes(), why);
        let mut asn1 = Asn1 {
            bitstring_overflow: false,
            double_overflow: false,
            oversize: None,
            absolute: None,
            relative: None,
        };
        for part in given.split(',').map(str::trim) {
            let (word, argument) = part.split_once([' ', '\t']).unwrap_or((part, ""));
            match word {
                "bitstring_overflow" => asn1.bitstring_overflow = true,
                "double_overflow" => asn1.double_overflow = true,
                "oversize_length" => {
                    asn1.oversize = Some(argument.trim().parse().map_err(|_| bad("not a number"))?);
                }
                "absolute_offset" => {
                    asn1.absolute = Some(argument.trim().parse().map_err(|_| bad("not a number"))?);
                }
                "relative_offset" => {
                    asn1.relative = Some(
                        number::signed(argument)
                            .and_then(|n| i32::try_from(n).ok())
                            .filter(|n| n.abs() <= 65_535)
                            .ok_or_else(|| bad("not a number"))?,
                    );
                }
                _ => return Err(bad("unknown modifier")),
            }
        }
        self.push(Item::Asn1(Box::new(asn1)));
        Ok(())
    }
}

/// Most values a rule may read from the traffic.
pub(crate) const MAX_VALUES: usize = 16;
