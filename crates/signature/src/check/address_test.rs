//! Keywords on what is known of addresses: `iprep` and `geoip`.
//!
//! Sources: Suricata user guide, "IP Reputation Keyword" and "IP Keywords: geoip".

use crate::{
    check::{
        builder::{Builder, text},
        hint, number,
        rule::{Cmp, CountryTest, Ends, Test},
    },
    error::RuleError,
    load::Country,
};

/// Most countries of one keyword.
const MAX_COUNTRIES: usize = 64;

impl Builder<'_, '_> {
    /// Handles the keywords of this module.
    pub(super) fn address_option(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<bool, RuleError> {
        let test = match name {
            "iprep" => self.reputation(text(name, value)?)?,
            "geoip" => self.country(text(name, value)?)?,
            _ => return Ok(false),
        };
        self.tests.push(test);
        Ok(true)
    }

    /// `iprep:side,category,operator,score` and `iprep:side,category,isset`.
    fn reputation(&mut self, given: &str) -> Result<Test, RuleError> {
        let bad = |why: &str| RuleError::value("iprep", given.as_bytes(), why);
        let parts: Vec<&str> = given.split(',').map(str::trim).collect();
        let (side, category, score) = match parts.as_slice() {
            [side, category, "isset"] => (side, category, Some(Cmp::Ge(0))),
            [side, category, "isnotset"] => (side, category, None),
            [side, category, op @ ("<" | ">" | "=" | "<=" | ">=" | "!="), score] => {
                let digits = score.bytes().all(|byte| byte.is_ascii_digit());
                let cmp = number::compare(&format!("{op}{score}"), 127).filter(|_| digits);
                (side, category, Some(cmp.ok_or_else(|| bad("the score is not from 0 to 127"))?))
            }
            [_, _, _, _] => return Err(bad("the operator is none of < > = <= >= !=")),
            _ => {
                return Err(bad("expected side,category,operator,score or side,category,isset"));
            }
        };
        let ends = ends(side).ok_or_else(|| bad("the side is none of src, dst, any, both"))?;
        let category = self.category(category)?;
        self.checker.pool.categories |= 1 << category;
        Ok(Test::Reputation { ends, category, score })
    }

    /// Number of a category.
    fn category(&self, name: &str) -> Result<u8, RuleError> {
        let lacks = |what: &str, key: &str| {
            let why = format!("no {what} is loaded; set rules.reputation.{key}");
            Err(RuleError::unsupported("iprep", why))
        };
        let known = &self.checker.known;
        let Some(file) = &known.categories.file else {
            return lacks("file of categories", "categories");
        };
        let Some(number) = known.categories.number(name) else {
            let names = known.categories.names();
            let meant = hint::closest(name, names.into_iter())
                .map_or_else(String::new, |close| format!(", did you mean {close}?"));
            let why = format!("no such category in {file}{meant}");
            return Err(RuleError::value("iprep", name.as_bytes(), why));
        };
        if !known.has_scores {
            return lacks("file of reputations", "files");
        }
        Ok(number)
    }

    /// `geoip:side,US,CA` and `geoip:side,!US,CA`; the side is `any` when it is left out.
    fn country(&mut self, given: &str) -> Result<Test, RuleError> {
        let bad = |why: &str| RuleError::value("geoip", given.as_bytes(), why);
        let mut parts: Vec<&str> = given.split(',').map(str::trim).collect();
        let side = parts.first().and_then(|first| ends(first));
        if side.is_some() {
            parts.remove(0);
        }
        if parts.is_empty() || parts.len() > MAX_COUNTRIES {
            return Err(bad(&format!("expected 1 to {MAX_COUNTRIES} countries")));
        }
        // One mark of negation is for all of them.
        let negated = parts.iter().any(|part| part.starts_with('!'));
        let code = |part: &&str| Country::new(part.strip_prefix('!').unwrap_or(part).trim());
        let codes: Option<Box<[Country]>> = parts.iter().map(code).collect();
        let codes = codes.ok_or_else(|| {
            bad("expected src, dst, any or both, then codes of countries in capitals, as US")
        })?;
        if !self.checker.known.has_countries {
            let why = "no database of countries is loaded; set rules.geoip_database";
            return Err(RuleError::unsupported("geoip", why));
        }
        self.checker.pool.countries_used = true;
        let ends = side.unwrap_or(Ends::Any);
        Ok(Test::Country(Box::new(CountryTest { ends, negated, codes })))
    }
}

fn ends(word: &str) -> Option<Ends> {
    Some(match word {
        "src" => Ends::Src,
        "dst" => Ends::Dst,
        "any" => Ends::Any,
        "both" => Ends::Both,
        _ => return None,
    })
}
