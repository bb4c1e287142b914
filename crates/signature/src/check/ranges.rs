//! Sorted, disjoint, inclusive ranges: the meaning of address and port lists.

/// Numbers that have a next and a previous one.
pub(crate) trait Step: Copy + Ord {
    /// Smallest.
    const MIN: Self;
    /// Largest.
    const MAX: Self;
    /// The next one up.
    fn next(self) -> Option<Self>;
    /// The next one down.
    fn previous(self) -> Option<Self>;
}

macro_rules! step {
    ($($number:ty),*) => {$(
        impl Step for $number {
            const MIN: Self = <$number>::MIN;
            const MAX: Self = <$number>::MAX;
            fn next(self) -> Option<Self> { self.checked_add(1) }
            fn previous(self) -> Option<Self> { self.checked_sub(1) }
        }
    )*};
}

step!(u16, u32, u128);

/// A set of numbers as ranges.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Ranges<T>(Box<[(T, T)]>);

impl<T: Step> Ranges<T> {
    /// Sorts and joins.
    pub(crate) fn new(mut ranges: Vec<(T, T)>) -> Self {
        ranges.sort_unstable();
        let mut joined: Vec<(T, T)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match joined.last_mut() {
                Some(last) if last.1.next().is_none_or(|next| low <= next) => {
                    last.1 = last.1.max(high);
                }
                _ => joined.push((low, high)),
            }
        }
        Self(joined.into())
    }

    pub(crate) fn all() -> Self {
        Self(Box::new([(T::MIN, T::MAX)]))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn is_all(&self) -> bool {
        matches!(self.0.as_ref(), [(low, high)] if *low == T::MIN && *high == T::MAX)
    }

    pub(crate) fn as_slice(&self) -> &[(T, T)] {
        &self.0
    }

    pub(crate) fn into_inner(self) -> Vec<(T, T)> {
        self.0.into_vec()
    }

    pub(crate) fn contains(&self, value: T) -> bool {
        let after = self.0.partition_point(|(low, _)| *low <= value);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, high)| value <= *high)
    }

    pub(crate) fn complement(&self) -> Self {
        let mut out = Vec::new();
        let mut from = Some(T::MIN);
        for (low, high) in &self.0 {
            if let (Some(start), Some(end)) = (from, low.previous())
                && start <= end
            {
                out.push((start, end));
            }
            from = high.next();
        }
        if let Some(start) = from {
            out.push((start, T::MAX));
        }
        Self(out.into())
    }

    pub(crate) fn without(&self, other: &Self) -> Self {
        // a - b = not (not a or b)
        let mut outside = self.complement().into_inner();
        outside.extend(other.0.iter().copied());
        Self::new(outside).complement()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn set_laws(
            a in proptest::collection::vec((any::<u16>(), any::<u16>()), 0..6),
            b in proptest::collection::vec((any::<u16>(), any::<u16>()), 0..6),
            probe: u16,
        ) {
            let sorted = |v: &[(u16, u16)]| v.iter().map(|(x, y)| (*x.min(y), *x.max(y))).collect::<Vec<_>>();
            let (a, b) = (sorted(&a), sorted(&b));
            let naive = |v: &[(u16, u16)]| v.iter().any(|(l, h)| *l <= probe && probe <= *h);
            let (ra, rb) = (Ranges::new(a.clone()), Ranges::new(b.clone()));
            prop_assert_eq!(ra.contains(probe), naive(&a));
            prop_assert_eq!(ra.complement().contains(probe), !naive(&a));
            prop_assert_eq!(ra.without(&rb).contains(probe), naive(&a) && !naive(&b));
        }
    }

    #[test]
    fn ends_of_the_number_line() {
        let all = Ranges::<u16>::all();
        assert!(all.is_all() && all.complement().is_empty());
        assert!(Ranges::<u16>::new(Vec::new()).complement().is_all());
        assert_eq!(Ranges::new(vec![(0_u16, 4), (5, u16::MAX)]), all);
    }
}
