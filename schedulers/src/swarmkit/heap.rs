//! A heap whose root is the worst, that moves its items as Go's does.
//!
//! Source: the contract of Go's `container/heap` (`Push`, `Pop`, `Init`, `Fix`): a binary heap in a slice.
//! Which of several equal nodes is kept, and in what order they come out, follows from its steps.

/// Appends an item and restores the order.
pub(super) fn push<T: Copy, K: Ord>(heap: &mut Vec<T>, item: T, key: impl Fn(T) -> K) {
    heap.push(item);
    let last = heap.len() - 1;
    up(heap, last, key);
}

/// Puts an item in the place of the worst.
pub(super) fn replace_root<T: Copy, K: Ord>(heap: &mut [T], item: T, key: impl Fn(T) -> K) {
    heap[0] = item;
    down(heap, 0, key);
}

/// Makes a heap of a slice, and of that a slice with the best in front.
pub(super) fn sort_slice<T: Copy, K: Ord>(items: &mut [T], key: impl Fn(T) -> K) {
    for at in (0..items.len() / 2).rev() {
        down(items, at, &key);
    }
    sort_heap(items, key);
}

/// Takes the worst again and again, each to the end of what is left: the best is in front then.
pub(super) fn sort_heap<T: Copy, K: Ord>(heap: &mut [T], key: impl Fn(T) -> K) {
    for end in (0..heap.len()).rev() {
        heap.swap(0, end);
        down(&mut heap[..end], 0, &key);
    }
}

fn up<T: Copy, K: Ord>(heap: &mut [T], mut at: usize, key: impl Fn(T) -> K) {
    while at > 0 {
        let parent = (at - 1) / 2;
        if key(heap[at]) <= key(heap[parent]) {
            return;
        }
        heap.swap(at, parent);
        at = parent;
    }
}

fn down<T: Copy, K: Ord>(heap: &mut [T], mut at: usize, key: impl Fn(T) -> K) {
    loop {
        let left = 2 * at + 1;
        if left >= heap.len() {
            return;
        }
        let right = left + 1;
        let has_worse_right = right < heap.len() && key(heap[right]) > key(heap[left]);
        let child = if has_worse_right { right } else { left };
        if key(heap[child]) <= key(heap[at]) {
            return;
        }
        heap.swap(at, child);
        at = child;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_best_come_out_in_order(items in prop::collection::vec((0..9u8, any::<u8>()), 0..40)) {
            let key = |it: (u8, u8)| it.0;
            let mut want: Vec<u8> = items.iter().map(|it| it.0).collect();
            want.sort_unstable();

            let mut pushed = Vec::new();
            items.iter().for_each(|&it| push(&mut pushed, it, key));
            sort_heap(&mut pushed, key);
            prop_assert_eq!(pushed.iter().map(|it| it.0).collect::<Vec<_>>(), want.clone());

            let mut sorted = items.clone();
            sort_slice(&mut sorted, key);
            prop_assert_eq!(sorted.iter().map(|it| it.0).collect::<Vec<_>>(), want.clone());

            // A heap of the best three.
            let mut best = Vec::new();
            for &it in &items {
                if best.len() < 3 {
                    push(&mut best, it, key);
                } else if it.0 < best[0].0 {
                    replace_root(&mut best, it, key);
                }
            }
            sort_heap(&mut best, key);
            want.truncate(3);
            prop_assert_eq!(best.iter().map(|it| it.0).collect::<Vec<_>>(), want);
        }
    }

    #[test]
    fn equal_items_move_as_in_go() {
        // Traced by hand through the four operations.
        let key = |_: char| 0;
        let mut heap = Vec::new();
        "abcd".chars().for_each(|it| push(&mut heap, it, key));
        assert_eq!(heap, ['a', 'b', 'c', 'd']);
        sort_heap(&mut heap, key);
        assert_eq!(heap, ['b', 'c', 'd', 'a']);

        // Of two equal children the left one moves up.
        let mut heap = vec![('z', 9), ('b', 5), ('c', 5), ('d', 1)];
        sort_heap(&mut heap, |it| it.1);
        assert_eq!(heap.iter().map(|it| it.0).collect::<String>(), "dcbz");
    }
}
