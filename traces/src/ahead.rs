//! Going through many drawn things on one core while the next are drawn on another.

use std::sync::mpsc;

/// Fewer are not worth a thread.
const MANY: u64 = if cfg!(test) { 100 } else { 1 << 20 };

/// How many are handed over together.
const TOGETHER: usize = if cfg!(test) { 7 } else { 1 << 10 };

/// Visits every item in order. `count` is about how many there are.
pub(crate) fn each<T: Send>(
    count: u64,
    mut items: impl Iterator<Item = T> + Send,
    mut visit: impl FnMut(&T),
) {
    if count < MANY {
        return items.for_each(|it| visit(&it));
    }
    std::thread::scope(|scope| {
        // A few ahead, so that memory stays small.
        let (filled, next_filled) = mpsc::sync_channel::<Vec<T>>(4);
        let (emptied, next_emptied) = mpsc::channel::<Vec<T>>();
        scope.spawn(move || {
            loop {
                let mut some = next_emptied.try_recv().unwrap_or_default();
                some.extend(items.by_ref().take(TOGETHER));
                // The other side stops early only if it panics.
                if some.is_empty() || filled.send(some).is_err() {
                    return;
                }
            }
        });
        for mut some in next_filled {
            some.iter().for_each(&mut visit);
            some.clear();
            // At the end nobody wants them any more.
            let _ = emptied.send(some);
        }
    });
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_are_visited_in_order() {
        for count in [0, 1, 99, 100, 105, 1000] {
            let mut seen = Vec::new();
            super::each(count, 0..count, |it| seen.push(*it));
            assert_eq!(seen, (0..count).collect::<Vec<_>>());
        }
    }
}
