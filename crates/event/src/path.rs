//! Dotted field names into nested JSON objects.
//!
//! A name is looked up both nested (`{"a":{"b":1}}`) and flat (`{"a.b":1}`), because shippers send
//! either; the longest literal key wins at each level.

use serde_json::Value;

use crate::Object;

/// Deepest nesting that is followed; deeper parts are left as they are.
const MAX_DEPTH: usize = 32;

/// The value of a dotted name, or `None`.
#[must_use]
pub fn get<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(name) {
        return Some(value);
    }
    let mut end = name.len();
    while let Some(dot) = name.get(..end).and_then(|head| head.rfind('.')) {
        let (head, rest) = (name.get(..dot)?, name.get(dot.checked_add(1)?..)?);
        if let Some(Value::Object(inner)) = object.get(head)
            && let Some(found) = get(inner, rest)
        {
            return Some(found);
        }
        end = dot;
    }
    None
}

/// Sets the value of a dotted name, making the objects on its way. A scalar on the way is replaced.
pub fn set(object: &mut Object, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            object.insert(name.to_owned(), value);
        }
        Some((head, rest)) => {
            let slot = object.entry(head).or_insert_with(|| Value::Object(Object::new()));
            if !slot.is_object() {
                *slot = Value::Object(Object::new());
            }
            if let Value::Object(inner) = slot {
                set(inner, rest, value);
            }
        }
    }
}

/// Calls `visit(dotted name, scalar)` for every scalar below `object`; the elements of a list come
/// one after the other under the list's name. Nesting beyond 32 levels is not followed.
pub fn flatten<'a>(object: &'a Object, visit: &mut dyn FnMut(&str, &'a Value)) {
    let mut name = String::new();
    for (key, value) in object {
        name.clear();
        name.push_str(key);
        walk(value, &mut name, 0, visit);
    }
}

fn walk<'a>(
    value: &'a Value,
    name: &mut String,
    depth: usize,
    visit: &mut dyn FnMut(&str, &'a Value),
) {
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::Object(map) => {
            let length = name.len();
            for (key, inner) in map {
                name.push('.');
                name.push_str(key);
                walk(inner, name, depth.saturating_add(1), visit);
                name.truncate(length);
            }
        }
        Value::Array(items) => {
            for item in items {
                walk(item, name, depth.saturating_add(1), visit);
            }
        }
        scalar => visit(name, scalar),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Object {
        let Value::Object(map) = value else { panic!("an object") };
        map
    }

    #[test]
    fn nested_and_flat_names() {
        let map = object(json!({"a": {"b": {"c": 1}, "b.d": 2}, "x.y": 3, "x": {"z": 4}}));
        for (name, expected) in
            [("a.b.c", 1), ("a.b.d", 2), ("x.y", 3), ("x.z", 4)].map(|(n, v)| (n, json!(v)))
        {
            assert_eq!(get(&map, name), Some(&expected), "{name}");
        }
        for name in ["", ".", "a.", ".a", "a.c", "x.y.z", "a..b"] {
            assert_eq!(get(&map, name), None, "{name}");
        }
    }

    #[test]
    fn set_then_get() {
        let mut map = Object::new();
        set(&mut map, "a.b.c", json!(1));
        set(&mut map, "a.b.d", json!("x"));
        assert_eq!(Value::Object(map.clone()), json!({"a": {"b": {"c": 1, "d": "x"}}}));
        set(&mut map, "a.b.c.e", json!(2));
        assert_eq!(get(&map, "a.b.c.e"), Some(&json!(2)));
    }

    #[test]
    fn flatten_visits_scalars_and_list_elements() {
        let map = object(json!({"a": {"b": [1, {"c": 2}]}, "d": null}));
        let mut seen = Vec::new();
        flatten(&map, &mut |name, value| seen.push(format!("{name}={value}")));
        assert_eq!(seen, ["a.b=1", "a.b.c=2", "d=null"]);
    }

    #[test]
    fn flatten_stops_at_hostile_depth() {
        let mut value = json!(1);
        for _ in 0..200 {
            value = json!({ "n": value });
        }
        let mut count = 0;
        flatten(&object(value), &mut |_, _| count += 1);
        assert_eq!(count, 0);
    }
}
