//! Recorded orders: in which pods arrive, and which nodes come first among equals.

use super::text;
use crate::error::{Failure, io};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A recorded order.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) seed: u64,
    arrivals: PathBuf,
    ranks: PathBuf,
}

impl Order {
    /// Pods by arrival, as places in the list by name. Some come more than once.
    pub(super) fn pods(&self, count: usize) -> Result<Vec<usize>, Failure> {
        let pods = numbers(&self.arrivals, count)?;
        if pods.is_empty() {
            return Err(Failure::new(format!("{} names no pod", self.arrivals.display())));
        }
        Ok(pods)
    }

    /// The rank of every node, by name: each rank once.
    pub(super) fn ranks(&self, count: usize) -> Result<Vec<usize>, Failure> {
        let (ranks, path) = (numbers(&self.ranks, count)?, self.ranks.display());
        if ranks.len() != count {
            let found = ranks.len();
            return Err(Failure::new(format!(
                "{path} ranks {found} nodes, but the trace has {count}"
            )));
        }
        let mut seen = vec![false; count];
        for &rank in &ranks {
            if std::mem::replace(&mut seen[rank], true) {
                return Err(Failure::new(format!("{path} gives two nodes the rank {rank}")));
            }
        }
        Ok(ranks)
    }
}

/// The orders in a folder, by trace and seed: `TRACE.SEED.arrivals.txt` with `TRACE.SEED.noderank.txt`,
/// plain or gzip. Other files are passed over.
pub(super) fn orders(dir: &Path) -> Result<BTreeMap<String, Vec<Order>>, Failure> {
    let mut files: BTreeMap<(String, u64), [Option<PathBuf>; 2]> = BTreeMap::new();
    for entry in std::fs::read_dir(dir).map_err(|it| io("read the folder", dir, &it))? {
        let path = entry.map_err(|it| io("read the folder", dir, &it))?.path();
        let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        let Some(plain) = name.strip_suffix(".gz").unwrap_or(name).strip_suffix(".txt") else {
            continue;
        };
        let ends = [".arrivals", ".noderank"].map(|it| plain.strip_suffix(it));
        let Some(at) = ends.iter().position(Option::is_some) else { continue };
        let stem = ends[at].unwrap_or_default();
        let named =
            stem.rsplit_once('.').and_then(|it| Some((it.0.to_owned(), it.1.parse().ok()?)));
        let Some(key) = named else {
            return Err(Failure::new(format!("{} names no trace and seed", path.display()))
                .help("it should be TRACE.SEED.arrivals.txt.gz or TRACE.SEED.noderank.txt.gz"));
        };
        if let Some(other) = files.entry(key).or_default()[at].replace(path.clone()) {
            let (path, other) = (path.display(), other.display());
            return Err(Failure::new(format!("{path} is there twice: {other}"))
                .help("keep the plain file or the one in gzip"));
        }
    }
    if files.is_empty() {
        return Err(Failure::new(format!("{} holds no orders", dir.display()))
            .help("they are named TRACE.SEED.arrivals.txt.gz and TRACE.SEED.noderank.txt.gz"));
    }
    let mut orders: BTreeMap<String, Vec<Order>> = BTreeMap::new();
    for ((trace, seed), files) in files {
        let [Some(arrivals), Some(ranks)] = files else {
            let lacks = if files[0].is_none() { "arrivals" } else { "noderank" };
            let dir = dir.display();
            return Err(Failure::new(format!("{dir} lacks {trace}.{seed}.{lacks}.txt"))
                .help("an order consists of both files, plain or gzip"));
        };
        orders.entry(trace).or_default().push(Order { seed, arrivals, ranks });
    }
    Ok(orders)
}

/// The numbers of a file, each below `bound`.
fn numbers(path: &Path, bound: usize) -> Result<Vec<usize>, Failure> {
    let text = text(path)?;
    let number = |word: &str| match word.parse() {
        Ok(number) if number < bound => Ok(number),
        _ => Err(Failure::new(format!("{}: {word:?} is no number below {bound}", path.display()))
            .help("the orders belong to another list of pods or nodes")),
    };
    text.split_whitespace().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a folder with these files, a name and a text each; traces and seeds if nothing is
    /// wrong.
    #[track_caller]
    fn check(files: &[(&str, &str)], want: &str) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let shown = |order: &Order| {
            let (pods, ranks) = (order.pods(3)?, order.ranks(2)?);
            Ok::<_, Failure>(format!("{} {pods:?} {ranks:?}", order.seed))
        };
        let got = orders(dir.path()).and_then(|all| {
            let each =
                all.iter().flat_map(|(trace, orders)| orders.iter().map(move |it| (trace, it)));
            let each = each.map(|(trace, it)| Ok(format!("{trace} {}", shown(it)?)));
            Ok(each.collect::<Result<Vec<_>, Failure>>()?.join("; "))
        });
        let got = got.unwrap_or_else(|it| it.to_string());
        let folder = format!("{}/", dir.path().display());
        assert_eq!(got.replace(&folder, "").replace(folder.trim_end_matches('/'), "DIR"), want);
    }

    #[test]
    fn an_order_is_two_files() {
        let (pods, ranks) = ("2 0\n2 1", "1 0\n");
        check(
            &[
                ("b.10.arrivals.txt", pods),
                ("b.10.noderank.txt", ranks),
                ("b.9.arrivals.txt", "0"),
                ("b.9.noderank.txt", ranks),
                ("a.b.9.arrivals.txt", "1"),
                ("a.b.9.noderank.txt", ranks),
                ("README.md", "words"),
            ],
            "a.b 9 [1] [1, 0]; b 9 [0] [1, 0]; b 10 [2, 0, 2, 1] [1, 0]",
        );
        check(&[("a.1.arrivals.txt", pods)], "DIR lacks a.1.noderank.txt");
        check(&[("a.1.noderank.txt", ranks)], "DIR lacks a.1.arrivals.txt");
        check(&[("README.md", "words")], "DIR holds no orders");
    }

    #[test]
    fn what_is_wrong_with_an_order_is_said() {
        for (name, text, want) in [
            ("a.1.arrivals.txt", "", "a.1.arrivals.txt names no pod"),
            ("a.1.arrivals.txt", "0 3", "a.1.arrivals.txt: \"3\" is no number below 3"),
            ("a.1.arrivals.txt", "0 -1", "a.1.arrivals.txt: \"-1\" is no number below 3"),
            ("a.1.noderank.txt", "0", "a.1.noderank.txt ranks 1 nodes, but the trace has 2"),
            ("a.1.noderank.txt", "1 1", "a.1.noderank.txt gives two nodes the rank 1"),
            ("a.x.arrivals.txt", "0", "a.x.arrivals.txt names no trace and seed"),
            ("1.noderank.txt", "0 1", "1.noderank.txt names no trace and seed"),
        ] {
            let mut files = vec![("a.1.arrivals.txt", "0"), ("a.1.noderank.txt", "0 1")];
            files.retain(|it| it.0 != name);
            files.push((name, text));
            check(&files, want);
        }
    }

    #[test]
    fn the_same_order_twice_is_refused() {
        let files =
            [("a.1.arrivals.txt", "0"), ("a.1.arrivals.txt.gz", ""), ("a.1.noderank.txt", "0 1")];
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        assert!(orders(dir.path()).unwrap_err().to_string().contains("is there twice"));
    }

    #[test]
    fn what_is_no_gzip_is_refused() {
        let files = [("a.1.arrivals.txt.gz", "0 1 2 0 1 2 0"), ("a.1.noderank.txt", "0 1")];
        check(&files, "cannot read a.1.arrivals.txt.gz: invalid gzip header");
    }
}
