//! From what an event says of itself to the searches it is put through.
//!
//! A route joins the classes of rules of all log sources that fit an event. Routes are remembered in the
//! scratch of a thread, by the texts the log sources follow from. What log sources an event has is decided
//! in `logsource`.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::{
    expression::FieldId,
    index::{Class, FieldIndex},
    load::RuleSet,
    logsource::{Source, Traits},
    record::Record,
};

/// Most routes remembered, and most texts that lead to them.
const MAX_ROUTES: usize = 1024;
/// Number of the class of all rules.
const WHOLE: usize = usize::MAX;

/// The searches for events of some log sources.
#[derive(Debug)]
pub(crate) struct Route {
    classes: Box<[usize]>,
    pub(crate) keywords: bool,
    pub(crate) always: Box<[u32]>,
    /// Where the searches of each field begin in `searches`; one more at the end.
    starts: Box<[u32]>,
    /// Class and field.
    searches: Box<[(usize, FieldId)]>,
}

/// Routes known to one thread.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    by_traits: HashMap<String, Arc<Route>>,
    by_sources: HashMap<Vec<Source>, Arc<Route>>,
    whole: Option<Arc<Route>>,
    key: String,
}

impl Route {
    fn new(set: &RuleSet, classes: Vec<usize>) -> Self {
        let all = || classes.iter().filter_map(|&at| class(set, at).map(|class| (at, class)));
        let mut searches: Vec<(usize, FieldId)> =
            all().flat_map(|(at, class)| class.fields().map(move |field| (at, field))).collect();
        searches.sort_unstable_by_key(|(at, field)| (*field, *at));
        let mut starts = vec![0; set.fields.len() + 1];
        for (_, field) in &searches {
            if let Some(count) = starts.get_mut(*field as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        Self {
            keywords: all().any(|(_, class)| class.keywords),
            always: all().flat_map(|(_, class)| class.always.iter().copied()).collect(),
            starts: starts.into_boxed_slice(),
            searches: searches.into_boxed_slice(),
            classes: classes.into_boxed_slice(),
        }
    }

    /// The searches of a field.
    pub(crate) fn of<'s>(
        &'s self,
        set: &'s RuleSet,
        field: FieldId,
    ) -> impl Iterator<Item = &'s FieldIndex> {
        let at = field as usize;
        let range = self.starts.get(at).zip(self.starts.get(at + 1));
        let searches = range.and_then(|(&from, &to)| self.searches.get(from as usize..to as usize));
        let found = searches.into_iter().flatten();
        found.filter_map(|(at, field)| class(set, *at)?.field(*field))
    }

    /// The searches of keywords.
    pub(crate) fn any<'s>(&'s self, set: &'s RuleSet) -> impl Iterator<Item = &'s FieldIndex> {
        self.classes.iter().filter_map(|&at| class(set, at)?.any())
    }
}

fn class(set: &RuleSet, at: usize) -> Option<&Class> {
    if at == WHOLE { Some(set.index.whole(set)) } else { set.index.class(at) }
}

impl Routes {
    /// For an event as it is.
    pub(crate) fn of(&mut self, set: &RuleSet, record: &Record<'_>) -> Arc<Route> {
        let traits = Traits::of(record);
        let mut key = std::mem::take(&mut self.key);
        let short = traits.key(&mut key);
        let known = if short { self.by_traits.get(&key).map(Arc::clone) } else { None };
        let route = known.unwrap_or_else(|| {
            let route = self.of_sources(set, traits.sources());
            if short {
                if self.by_traits.len() >= MAX_ROUTES {
                    self.by_traits.clear();
                }
                self.by_traits.insert(key.clone(), Arc::clone(&route));
            }
            route
        });
        self.key = key;
        route
    }

    /// For these log sources.
    pub(crate) fn of_sources(&mut self, set: &RuleSet, mut sources: Vec<Source>) -> Arc<Route> {
        sources.sort_unstable();
        if let Some(known) = self.by_sources.get(&sources) {
            return Arc::clone(known);
        }
        let fits = |rule: &rsigma_parser::LogSource| {
            let free = rule.product.is_none() && rule.category.is_none() && rule.service.is_none();
            free || sources.iter().any(|source| source.fits(rule))
        };
        let classes = set.sources.iter().enumerate();
        let classes = classes.filter(|(_, source)| fits(source)).map(|(at, _)| at).collect();
        let route = Arc::new(Route::new(set, classes));
        if self.by_sources.len() >= MAX_ROUTES {
            self.by_sources.clear();
        }
        self.by_sources.insert(sources, Arc::clone(&route));
        route
    }

    /// For all rules.
    pub(crate) fn whole(&mut self, set: &RuleSet) -> Arc<Route> {
        let route = self.whole.get_or_insert_with(|| Arc::new(Route::new(set, vec![WHOLE])));
        Arc::clone(route)
    }
}
