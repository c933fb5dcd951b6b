//! The published values, read from the three files that hold them.

use super::Values;
use super::csv::Csv;
use crate::error::Failure;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What was published.
pub(super) struct Published {
    /// By trace, policy and seed: values at loads.
    pub(super) runs: BTreeMap<(String, String, u64), Vec<(usize, Values)>>,
    /// By trace and policy: number of seeds, then load with means and standard deviations.
    pub(super) means: BTreeMap<(String, String), Means>,
    /// By trace, policy and seed.
    pub(super) dropped: BTreeMap<(String, String, u64), u64>,
}

#[derive(Default)]
pub(super) struct Means {
    pub(super) seeds: usize,
    pub(super) loads: Vec<(usize, Values, Values)>,
}

impl Published {
    pub(super) fn read(dir: &Path) -> Result<Self, Failure> {
        let mut this =
            Self { runs: BTreeMap::new(), means: BTreeMap::new(), dropped: BTreeMap::new() };
        let per_seed = Csv::read(&dir.join("fgd_per_seed.csv"))?;
        let loads: BTreeSet<usize> = per_seed
            .header
            .iter()
            .filter_map(|it| it.strip_prefix("alloc_")?.parse().ok())
            .collect();
        for row in &per_seed.rows {
            let mut values = Vec::new();
            for &load in &loads {
                let allocated = per_seed.number(row, &format!("alloc_{load}"))?;
                let fragmented = per_seed.number(row, &format!("fragratio_{load}"))?;
                values.push((load, Values { allocated, fragmented }));
            }
            let (trace, policy) = (per_seed.text(row, "trace")?, per_seed.text(row, "policy")?);
            let seed = per_seed.whole(row, "seed")?;
            this.runs.insert((trace, policy, seed), values);
        }
        let means = Csv::read(&dir.join("fgd.csv"))?;
        for row in &means.rows {
            let key = (means.text(row, "trace")?, means.text(row, "policy")?);
            let values = |end: &str| -> Result<Values, Failure> {
                let allocated = means.number(row, &format!("alloc_pct_{end}"))?;
                let fragmented = means.number(row, &format!("fragratio_pct_{end}"))?;
                Ok(Values { allocated, fragmented })
            };
            let load = means.whole(row, "arrived_pct")? as usize;
            let entry = this.means.entry(key).or_default();
            entry.seeds = means.whole(row, "n_seeds")? as usize;
            entry.loads.push((load, values("mean")?, values("sd")?));
        }
        let dropped = Csv::read(&dir.join("fgd_dropped_pods.csv"))?;
        for row in &dropped.rows {
            let (trace, policy) = (dropped.text(row, "trace")?, dropped.text(row, "policy")?);
            let seed = dropped.whole(row, "seed")?;
            let failed = dropped.whole(row, "failed")?;
            this.dropped.insert((trace, policy, seed), failed);
        }
        Ok(this)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PER_SEED: &str = "trace,policy,seed,alloc_60,alloc_100,fragratio_60,fragratio_100\n\
                            a,06-FGD,42,59.5,90.25,10,20.5\n";
    const MEANS: &str = "trace,policy,arrived_pct,n_seeds,alloc_pct_mean,alloc_pct_sd,\
                         fragratio_pct_mean,fragratio_pct_sd\na,06-FGD,60,10,59.5,0.1,10,0.2\n";
    const DROPPED: &str = "trace,policy,seed,failed\na,06-FGD,42,7\n";

    fn read(per_seed: &str, means: &str, dropped: &str) -> Result<Published, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let files =
            [("fgd_per_seed.csv", per_seed), ("fgd.csv", means), ("fgd_dropped_pods.csv", dropped)];
        for (name, text) in files.into_iter().filter(|it| !it.1.is_empty()) {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        Published::read(dir.path())
    }

    #[test]
    fn values_are_found_by_the_names_of_columns() {
        let it = read(PER_SEED, MEANS, DROPPED).unwrap();
        let values = |allocated, fragmented| Values { allocated, fragmented };
        let (trace, policy) = ("a".to_owned(), "06-FGD".to_owned());
        let key = (trace.clone(), policy.clone(), 42);
        assert_eq!(it.runs[&key], [(60, values(59.5, 10.0)), (100, values(90.25, 20.5))]);
        assert_eq!(it.dropped[&key], 7);
        let means = &it.means[&(trace, policy)];
        assert_eq!(means.seeds, 10);
        assert_eq!(means.loads, [(60, values(59.5, 10.0), values(0.1, 0.2))]);
    }

    #[test]
    fn what_is_damaged_is_said_with_its_line() {
        for (from, to, want) in [
            ("59.5,90.25", "59.5,", "fgd_per_seed.csv:2: alloc_100 is \"\", which is no number"),
            ("90.25", "nan", "fgd_per_seed.csv:2: alloc_100 is \"nan\", which is no number"),
            (",20.5", "", "fgd_per_seed.csv:2: 6 cells, the header has 7"),
            (",seed", ",sead", "fgd_per_seed.csv:2: there is no column seed"),
            ("D,42", "D,-42", "fgd_per_seed.csv:2: seed is \"-42\", which is no whole number"),
            ("fragratio_60", "frag_60", "fgd_per_seed.csv:2: there is no column fragratio_60"),
        ] {
            let error = read(&PER_SEED.replace(from, to), MEANS, DROPPED).err().unwrap();
            assert!(error.to_string().ends_with(want), "{error}, not {want}");
        }
        for (from, to, want) in [
            ("60,10", "60.5,10", "fgd.csv:2: arrived_pct is \"60.5\", which is no whole number"),
            ("0.1", "inf", "fgd.csv:2: alloc_pct_sd is \"inf\", which is no number"),
        ] {
            let error = read(PER_SEED, &MEANS.replace(from, to), DROPPED).err().unwrap();
            assert!(error.to_string().ends_with(want), "{error}, not {want}");
        }
        let error = read(PER_SEED, MEANS, "").err().unwrap().to_string();
        assert!(error.contains("fgd_dropped_pods.csv"), "{error}");
    }
}
