//! A vector of which the first few need no allocation: for what is many times short and seldom long.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Up to `N` in place, more on the heap.
#[derive(Clone, Default)]
pub(crate) enum Few<T, const N: usize> {
    #[default]
    Empty,
    Here {
        length: u8,
        items: [T; N],
    },
    Heap(Vec<T>),
}

impl<T, const N: usize> Deref for Few<T, N> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Self::Empty => &[],
            Self::Here { length, items } => &items[..usize::from(*length)],
            Self::Heap(items) => items,
        }
    }
}

impl<T, const N: usize> DerefMut for Few<T, N> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Empty => &mut [],
            Self::Here { length, items } => &mut items[..usize::from(*length)],
            Self::Heap(items) => items,
        }
    }
}

impl<T: Copy, const N: usize> Few<T, N> {
    pub(crate) fn insert(&mut self, at: usize, item: T) {
        match self {
            Self::Empty => *self = Self::Here { length: 1, items: [item; N] },
            Self::Here { length, items } if usize::from(*length) < N => {
                items.copy_within(at..usize::from(*length), at + 1);
                items[at] = item;
                *length += 1;
            }
            Self::Here { items, .. } => {
                let mut items = items.to_vec();
                items.insert(at, item);
                *self = Self::Heap(items);
            }
            Self::Heap(items) => items.insert(at, item),
        }
    }

    pub(crate) fn remove(&mut self, at: usize) {
        match self {
            Self::Empty => {}
            Self::Here { length, items } => {
                items.copy_within(at + 1..usize::from(*length), at);
                *length -= 1;
            }
            Self::Heap(items) => {
                items.remove(at);
            }
        }
    }
}

impl<T: fmt::Debug, const N: usize> fmt::Debug for Few<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: PartialEq, const N: usize> PartialEq for Few<T, N> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq, const N: usize> Eq for Few<T, N> {}

/// As a vector.
impl<T: Serialize, const N: usize> Serialize for Few<T, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de> + Copy, const N: usize> Deserialize<'de> for Few<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut few = Self::default();
        for item in Vec::<T>::deserialize(deserializer)? {
            few.insert(few.len(), item);
        }
        Ok(few)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The same as a vector, whatever comes and goes.
        #[test]
        fn agrees_with_a_vector(steps in prop::collection::vec((any::<bool>(), 0..9usize, 0..99u32), 0..40)) {
            let (mut few, mut model) = (Few::<u32, 3>::default(), Vec::new());
            for (comes, at, item) in steps {
                let at = at % (model.len() + 1);
                if comes {
                    few.insert(at, item);
                    model.insert(at, item);
                } else if at < model.len() {
                    few.remove(at);
                    model.remove(at);
                }
                prop_assert_eq!(&few[..], &model[..]);
                let bytes = postcard::to_stdvec(&few).unwrap();
                prop_assert_eq!(&bytes, &postcard::to_stdvec(&model).unwrap());
                prop_assert_eq!(postcard::from_bytes::<Few<u32, 3>>(&bytes).unwrap(), few.clone());
            }
        }
    }
}
