//! What rows each stage gives, and whether the names it uses are given by the one before.

use serde::{Deserialize, Serialize};

use super::{Function, Measure, Name, Stage, Verb};
use crate::search::parse::ParseError;
use crate::search::suggest::nearest;
use crate::search::value::{field, searchable_name};

/// What a column of a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Begin of a span of time.
    Time,
    /// What groups are made by, or a field's values.
    Group,
    /// Something worked out.
    Value,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it is.
    pub role: Role,
}

impl Column {
    fn new(name: &str, role: Role) -> Self {
        Self { name: name.to_owned(), role }
    }
}

/// What rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Events.
    Events,
    /// Rows with these columns.
    Table(Vec<Column>),
}

/// What each stage gives, in their order.
///
/// # Errors
/// [`ParseError`] at a name that is no field, or that the stage before does not give.
pub fn check(stages: &[Stage]) -> Result<Vec<Shape>, ParseError> {
    let mut out = Vec::new();
    let mut shape = Shape::Events;
    for stage in stages {
        shape = next(stage, &shape)?;
        out.push(shape.clone());
    }
    Ok(out)
}

fn next(stage: &Stage, before: &Shape) -> Result<Shape, ParseError> {
    Ok(match &stage.verb {
        Verb::Stats { measures, by } => {
            let columns = groups(before, by)?;
            Shape::Table(with_measures(columns, before, measures)?)
        }
        Verb::Timechart { measures, by, .. } => {
            if *before != Shape::Events {
                return Err(ParseError {
                    column: stage.column,
                    what: "timechart wants events".to_owned(),
                    hint: "put it before the stage that makes a table".into(),
                });
            }
            let mut columns = vec![Column::new("timestamp", Role::Time)];
            columns.extend(groups(before, by.as_slice())?);
            Shape::Table(with_measures(columns, before, measures)?)
        }
        Verb::Top { fields, .. } => {
            let mut columns = groups(before, fields)?;
            for title in ["count", "percent"] {
                let column = stage.column;
                add(&mut columns, &Name { text: title.to_owned(), column }, Role::Value)?;
            }
            Shape::Table(columns)
        }
        Verb::Sort(keys) => {
            keys.iter().try_for_each(|key| known(before, &key.name))?;
            before.clone()
        }
        Verb::Dedup(names) => {
            names.iter().try_for_each(|name| known(before, name))?;
            before.clone()
        }
        Verb::Fields(names) => match before {
            Shape::Events => Shape::Table(groups(before, names)?),
            Shape::Table(columns) => {
                let mut kept = Vec::new();
                for name in names {
                    known(before, name)?;
                    let role = columns.iter().find(|c| c.name == name.text).map(|c| c.role);
                    add(&mut kept, name, role.unwrap_or(Role::Group))?;
                }
                Shape::Table(kept)
            }
        },
        Verb::Without(names) => {
            names.iter().try_for_each(|name| known(before, name))?;
            match before {
                Shape::Events => Shape::Events,
                Shape::Table(columns) => {
                    let gone = |column: &&Column| names.iter().any(|name| name.text == column.name);
                    Shape::Table(columns.iter().filter(|c| !gone(c)).cloned().collect())
                }
            }
        }
        Verb::Head(_) => before.clone(),
    })
}

fn groups(before: &Shape, names: &[Name]) -> Result<Vec<Column>, ParseError> {
    let mut columns = Vec::new();
    for name in names {
        known(before, name)?;
        add(&mut columns, name, Role::Group)?;
    }
    Ok(columns)
}

fn with_measures(
    mut columns: Vec<Column>,
    before: &Shape,
    measures: &[Measure],
) -> Result<Vec<Column>, ParseError> {
    for Measure { function, field, title, column } in measures {
        if let Some(name) = field {
            known(before, name)?;
            numeric(*function, name)?;
        }
        add(&mut columns, &Name { text: title.clone(), column: *column }, Role::Value)?;
    }
    Ok(columns)
}

/// Refuses what can only be nothing: sums of what the dictionary knows to be no numbers.
fn numeric(function: Function, name: &Name) -> Result<(), ParseError> {
    let wants = matches!(function, Function::Sum | Function::Avg | Function::Percentile(_));
    match field(&name.text) {
        Some(known) if wants && known.kind != event::FieldType::Number => Err(ParseError {
            column: name.column,
            what: format!("{} holds no numbers", name.text),
            hint: "count(field), dc(field), min(field) and max(field) take any".into(),
        }),
        _ => Ok(()),
    }
}

fn add(columns: &mut Vec<Column>, name: &Name, role: Role) -> Result<(), ParseError> {
    if columns.iter().any(|column| column.name == name.text) {
        return Err(ParseError {
            column: name.column,
            what: format!("column {} is there already", name.text),
            hint: "leave one out, or name it: count() as total".into(),
        });
    }
    columns.push(Column::new(&name.text, role));
    Ok(())
}

fn known(before: &Shape, name: &Name) -> Result<(), ParseError> {
    let wrong = |what: String, hint: String| {
        Err(ParseError { column: name.column, what, hint: hint.into() })
    };
    match before {
        Shape::Events if field(&name.text).is_some() || searchable_name(&name.text) => Ok(()),
        Shape::Events => {
            let hint = "names are dotted words such as src_ip or dns.rrname".to_owned();
            wrong(format!("{:?} is no field name", name.text), hint)
        }
        Shape::Table(columns) if columns.iter().any(|column| column.name == name.text) => Ok(()),
        Shape::Table(columns) => {
            let names = || columns.iter().map(|column| column.name.as_str());
            let hint = match nearest(&name.text, names(), 1).pop() {
                Some(near) => format!("did you mean {near}"),
                None => format!("columns here are {}", names().collect::<Vec<_>>().join(", ")),
            };
            wrong(format!("there is no column {}", name.text), hint)
        }
    }
}
