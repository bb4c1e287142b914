//! Names of indices: all events are in the index `pikett`, and those that came by `_bulk` also in the
//! one they were sent to.
//!
//! A path may name several with commas, with `*`, and leave some out with `-` before them. `_all`, `*`
//! and whatever fits `pikett` mean everything. An index that no event was sent to is empty.

use crate::search::Node;
use crate::search::plan::{FieldRef, Leaf};
use crate::search::wildcard::{Part, Wildcard};

use super::Wrong;

/// The index that everything is in.
pub(super) const ALL: &str = "pikett";
/// Field with the index an event was sent to.
pub(super) const FIELD: &str = "elastic.index";
/// Most names in one request.
const MAX_NAMES: usize = 1000;

/// What restricts a search to indices; `None` when it is not restricted.
///
/// # Errors
/// [`Wrong`] when there are too many or too long names.
pub(super) fn restrict(names: &str) -> Result<Option<Node>, Wrong> {
    let names: Vec<&str> = names.split(',').map(str::trim).filter(|n| !n.is_empty()).collect();
    if names.len() > MAX_NAMES {
        return Err(Wrong::argument(format!("more than {MAX_NAMES} names of indices")));
    }
    let (out, within): (Vec<&str>, Vec<&str>) =
        names.iter().partition(|name| name.starts_with('-'));
    let mut all = Vec::new();
    let everything = within.is_empty() || within.iter().any(|name| covers(name));
    if !everything {
        all.push(Node::Or(within.iter().map(|name| test(name)).collect::<Result<_, _>>()?));
    }
    for name in out {
        let name = name.strip_prefix('-').unwrap_or(name);
        all.push(Node::Not(Box::new(if covers(name) { Node::All } else { test(name)? })));
    }
    Ok(match all.len() {
        0 => None,
        1 => Some(all.remove(0)),
        _ => Some(Node::And(all)),
    })
}

/// Whether a name means everything.
pub(super) fn covers(name: &str) -> bool {
    name == "_all" || pattern(name).is_some_and(|pattern| pattern.matches(ALL))
}

/// A name with `*` as a pattern.
pub(super) fn pattern(name: &str) -> Option<Wildcard> {
    let part = |c| if c == '*' { Part::Many } else { Part::Char(c) };
    Wildcard::new(name.chars().map(part).collect())
}

fn test(name: &str) -> Result<Node, Wrong> {
    let long = || Wrong::argument("a name of an index has more than 255 characters");
    if name.len() > 255 {
        return Err(long());
    }
    let field = FieldRef::new(FIELD);
    Ok(Node::Leaf(if name.contains('*') {
        Leaf::KeywordLike(field, pattern(name).ok_or_else(long)?)
    } else {
        Leaf::Keyword(field, name.to_owned())
    }))
}
