//! Windows events as XML, as `wevtutil`, NXLog, Snare and collectors of forwarded events send them: the object that
//! EVTX writers make of the same event, so that one parser and the same rules serve for both.
//!
//! An element with a text alone is that text, one with attributes has them below `#attributes`; a `Data` with a name
//! is a field of that name. Nothing outside the text is read: no document types, no entities but those of XML.
//! Format: Microsoft, "Event Schema" (`http://schemas.microsoft.com/win/2004/08/events/event`).

use event::Object;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};
use serde_json::Value;

use super::library::raw::MAX_PAIRS;
use super::{Entry, entry, work};

/// Deepest element that is read; an event has few levels.
const MAX_DEPTH: usize = 16;

/// Whether a text looks like an event of Windows.
pub(super) fn begins(text: &str) -> bool {
    let rest = text.strip_prefix("<Event");
    rest.is_some_and(|rest| rest.starts_with(['>', ' ', '\t']))
}

/// Reads one event; false when it is none, is not closed, or is not well formed.
pub(super) fn read(text: &str, out: &mut Entry) -> bool {
    let mut elements = Elements::default();
    let mut reader = Reader::from_str(text);
    let root = loop {
        let Ok(event) = reader.read_event() else { return false };
        work::spend(1);
        let done = match event {
            Event::Start(start) => elements.open(&start),
            Event::Empty(start) => elements.open(&start).and_then(|()| elements.close()),
            Event::End(_) => elements.close(),
            Event::Text(text) => elements.text(&text),
            Event::CData(text) => elements.text(&text),
            Event::GeneralRef(reference) => elements.reference(&reference),
            Event::Eof | Event::DocType(_) => return false,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => Some(()),
        };
        if done.is_none() {
            return false;
        }
        if let Some(root) = elements.root.take() {
            break root;
        }
    };
    if elements.cut {
        out.flag("too_many_fields");
    }
    let message = root.get("RenderingInfo").and_then(|info| info.get("Message")?.as_str());
    if let Some(message) = message {
        let message = message.trim().to_owned();
        out.text("message", &message);
    }
    out.fields.insert("Event".to_owned(), Value::Object(root));
    true
}

/// The elements that are open, and the outermost once it is closed.
#[derive(Default)]
struct Elements {
    open: Vec<Element>,
    root: Option<Object>,
    /// Whether elements found no room.
    cut: bool,
}

#[derive(Default)]
struct Element {
    name: String,
    /// Of a `Data`, what it is called.
    called: Option<String>,
    attributes: Object,
    children: Object,
    /// How many children were closed, also those without room.
    held: usize,
    text: String,
}

impl Elements {
    fn open(&mut self, start: &BytesStart<'_>) -> Option<()> {
        if self.open.len() >= MAX_DEPTH {
            return None;
        }
        let mut element =
            Element { name: start.local_name().into_inner().to_owned(), ..Element::default() };
        let mut attributes = start.attributes();
        // Looking for repetitions costs the square of their number; the first counts.
        for attribute in attributes.with_checks(false).take(MAX_PAIRS) {
            let attribute = attribute.ok()?;
            let name = attribute.key.local_name().into_inner();
            work::spend(attribute.value.len());
            let value = quick_xml::escape::unescape(&attribute.value).ok()?;
            if name == "Name" && element.name == "Data" {
                element.called.get_or_insert_with(|| value.into_owned());
            } else if !attribute.key.as_ref().starts_with("xmlns")
                && let Some(value) = entry::text(&value)
            {
                element.attributes.entry(name).or_insert(value);
            }
        }
        self.open.push(element);
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        let element = self.open.pop()?;
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(element.children);
            return Some(());
        };
        parent.held = parent.held.saturating_add(1);
        if parent.held > MAX_PAIRS {
            self.cut = true;
            return Some(());
        }
        let in_system = parent.name == "System";
        let name = element.called.clone().unwrap_or_else(|| element.name.clone());
        add(&mut parent.children, name, element.value(in_system));
        Some(())
    }

    fn text(&mut self, text: &str) -> Option<()> {
        work::spend(text.len());
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return None,
        }
        Some(())
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Option<()> {
        let mut text = [0; 4];
        let text = match reference.resolve_char_ref().ok()? {
            Some(character) => character.encode_utf8(&mut text),
            None => quick_xml::escape::resolve_predefined_entity(reference)?,
        };
        self.text(text)
    }
}

impl Element {
    /// What it holds; the header's numbers are numbers, as EVTX has them.
    fn value(self, in_system: bool) -> Value {
        let Self { mut attributes, mut children, text, .. } = self;
        let text = if children.is_empty() { text.as_str() } else { text.trim() };
        let number = in_system.then(|| text.parse::<u64>().ok()).flatten().map(Value::from);
        let text = number.or_else(|| entry::text(text));
        if attributes.is_empty() && children.is_empty() {
            return text.unwrap_or_else(|| Value::String(String::new()));
        }
        if !attributes.is_empty() {
            let attributes = std::mem::take(&mut attributes);
            children.insert("#attributes".to_owned(), Value::Object(attributes));
        }
        if let Some(text) = text {
            children.insert("#text".to_owned(), text);
        }
        Value::Object(children)
    }
}

/// Adds a child; several of one name become a list.
fn add(children: &mut Object, name: String, value: Value) {
    match children.get_mut(&name) {
        None => {
            children.insert(name, value);
        }
        Some(Value::Array(list)) => list.push(value),
        Some(there) => *there = Value::Array(vec![there.take(), value]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::Timestamp;

    fn show(text: &str) -> String {
        let mut entry = Entry::new(Timestamp::EPOCH);
        if !begins(text) || !read(text, &mut entry) {
            assert!(entry.fields.is_empty());
            return "no".to_owned();
        }
        Value::Object(entry.fields).to_string()
    }

    #[test]
    fn elements_as_evtx_writers_have_them() {
        for (text, expected) in [
            (
                "<Event xmlns='http://x.example'><System><Provider Name='P' Guid='{1}'/><EventID Qualifiers='0'>7036</EventID>\
                 <Level>4</Level><Execution ProcessID='4'/><Channel>System</Channel></System>\
                 <EventData><Data Name='a'>1 &lt; &#50;</Data><Data Name='b'/><Data>x</Data><Data>y</Data></EventData></Event>",
                r##"{"Event":{"System":{"Provider":{"#attributes":{"Name":"P","Guid":"{1}"}},"EventID":{"#attributes":{"Qualifiers":"0"},"#text":7036},"Level":4,"Execution":{"#attributes":{"ProcessID":"4"}},"Channel":"System"},"EventData":{"a":"1 < 2","b":"","Data":["x","y"]}}}"##,
            ),
            (
                "<Event>\n <UserData><x:Own xmlns:x='u'><x:A><![CDATA[<b>]]></x:A></x:Own></UserData>\n</Event>",
                r#"{"Event":{"UserData":{"Own":{"A":"<b>"}}}}"#,
            ),
            (
                "<Event><RenderingInfo Culture='en-US'><Message>Hi\nthere </Message></RenderingInfo></Event>",
                r##"{"message":"Hi\nthere","Event":{"RenderingInfo":{"Message":"Hi\nthere ","#attributes":{"Culture":"en-US"}}}}"##,
            ),
            ("<Event><A>&unknown;</A></Event>", "no"),
            ("<!DOCTYPE e [<!ENTITY a 'b'>]><Event><A>&a;</A></Event>", "no"),
            ("<Event><A></Event>", "no"),
            ("<Event><A a='1></A></Event>", "no"),
            ("<Event>", "no"),
            ("<Events/>", "no"),
        ] {
            assert_eq!(show(text), expected, "{text}");
        }
    }

    #[test]
    fn what_comes_of_hostile_events_is_bounded() {
        let deep = format!("<Event>{}{}</Event>", "<a>".repeat(100_000), "</a>".repeat(100_000));
        assert_eq!(show(&deep), "no");
        let many: String = (0..10_000).map(|at| format!("<Data Name='n{at}'>x</Data>")).collect();
        let text = show(&format!("<Event><EventData>{many}</EventData></Event>"));
        assert!(text.contains("too_many_fields") && text.len() < 20_000, "{}", text.len());
        let same = format!("<Event>{}</Event>", "<a/>".repeat(10_000));
        assert!(show(&same).len() < 4_000);
        let attributes: String = (0..10_000).map(|at| format!(" a{at}='x'")).collect();
        assert!(show(&format!("<Event><A{attributes}/></Event>")).len() < 20_000);
    }
}
