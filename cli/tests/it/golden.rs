//! Golden runs: one fixed workload, one fingerprint per policy. A change of any decision, of the journal's
//! encoding or of the generator shows here, in debug and in release, and must be meant.

use crate::binary::{column, put, succeed};

/// A workload small enough to be read: three zones, mixed sizes, two services, ties everywhere.
fn workload(dir: &std::path::Path) {
    let mut nodes = String::from("name,zone,cpu_cores,mem_gib,gpus,gpu_model,label:rack\n");
    for row in 0..18 {
        let zone = ["a", "b", "c"][row % 3];
        let (cpu, memory) = [(8, 32), (16, 32), (4, 64)][row / 3 % 3];
        let gpus = if row % 6 == 5 { "2,T4" } else { "0," };
        nodes += &format!("n{row},{zone},{cpu},{memory},{gpus},r{}\n", row / 4);
    }
    let mut tasks = String::from(
        "id,arrival_s,cpu_cores,mem_gib,gpus,gpu_milli,group,kind,priority,duration_s,withdrawn_s\n",
    );
    for id in 0u32..400 {
        let arrival = id / 4 * 3;
        let cpu = ["0.5", "1", "2", "4"][(id * 7 % 11 % 4) as usize];
        let memory = [1, 2, 8, 16][(id * 5 % 13 % 4) as usize];
        let gpus = if id % 9 == 0 { "1,500" } else { "0,0" };
        let (group, kind, duration) = match id % 5 {
            0 => ("web", "service", String::new()),
            1 => ("api", "service", (id * 37 % 400 + 50).to_string()),
            _ => ("", "job", (id * 91 % 300 + 5).to_string()),
        };
        let withdrawn = if id % 5 == 0 { (arrival + 200).to_string() } else { String::new() };
        tasks += &format!(
            "{id},{arrival},{cpu},{memory},{gpus},{group},{kind},{},{duration},{withdrawn}\n",
            id % 3
        );
    }
    put(dir, "nodes.csv", nodes);
    put(dir, "tasks.csv", tasks);
}

#[test]
fn every_policy_decides_as_it_always_did() {
    let dir = tempfile::tempdir().unwrap();
    workload(dir.path());
    let policies = [
        "best-fit",
        "best-fit:cpu",
        "best-fit:linf,tie=random",
        "dot-product",
        "ecs",
        "ecs:binpack(memory)",
        "ecs:spread(attribute:rack),binpack(cpu)",
        "ecs:random",
        "fgd",
        "fgd-best-fit",
        "fgd-dot-product",
        "fgd-random",
        "first-fit",
        "gpu-clustering",
        "gpu-packing",
        "next-fit",
        "norm-greedy",
        "power-of-d",
        "power-of-d:d=4",
        "random",
        "round-robin",
        "worst-fit",
        "worst-fit:open=first",
    ];
    let mut args: Vec<&str> = vec![
        "compare",
        "--trace",
        ".",
        "--seeds",
        "1",
        "--no-figures",
        "--quiet",
        "--check",
        "--fault",
        "zone-outage:b@120s+60s",
        "--fault",
        "drain:n3@60s+100s",
        "--startup",
        "lognormal:median=2s,sigma=0.5",
        "--out",
        "o",
    ];
    for policy in &policies {
        args.extend(["--policy", policy]);
    }
    succeed(dir.path(), &args);
    let manifest = std::fs::read_to_string(dir.path().join("o/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let waits = column(&dir.path().join("o/summary.csv"), "wait_us_mean");
    let lines: Vec<String> = manifest["fingerprints"]
        .as_array()
        .unwrap()
        .iter()
        .zip(waits)
        .map(|(it, wait)| {
            let (policy, print) =
                (it["policy"].as_str().unwrap(), it["fingerprint"].as_str().unwrap());
            format!("{policy:38} {} wait {}", &print[..16], wait.split('.').next().unwrap())
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
        best-fit                               ec430c3821e07e1a wait 154128650
        best-fit:cpu                           f57ecc744c4f3f28 wait 148554770
        best-fit:linf,tie=random               6c338d6cbd5ffd50 wait 133158829
        dot-product                            e5667639b741bfa7 wait 123395457
        ecs                                    31a279e9e842e492 wait 137312945
        ecs:binpack(memory)                    b55075ce67325bef wait 141916147
        ecs:spread(attribute:rack),binpack(cpu) f007bbafafddb651 wait 149449727
        ecs:random                             a3af4cd0d0c1ea3e wait 132412606
        fgd                                    6926204d889c7dc4 wait 138625204
        fgd-best-fit                           dd2232bc09ae221d wait 165061559
        fgd-dot-product                        4d536f9021e80b46 wait 167268611
        fgd-random                             27d78f4943a540af wait 153045937
        first-fit                              1994796822d458b4 wait 160136594
        gpu-clustering                         1994796822d458b4 wait 160136594
        gpu-packing                            1994796822d458b4 wait 160136594
        next-fit                               9a13ad16819a2de8 wait 135955254
        norm-greedy                            33798816cca25460 wait 154602308
        power-of-d                             1fcbfda9dbc85eea wait 136827143
        power-of-d:d=4                         1d0bab479c3f2223 wait 136744897
        random                                 a3af4cd0d0c1ea3e wait 132412606
        round-robin                            ae0fe7136393e12a wait 136987172
        worst-fit                              37aec5f391aaa67e wait 145006336
        worst-fit:open=first                   bf9c27247b43e94a wait 141014399
    ");
}

#[test]
fn the_generator_makes_what_it_always_made() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "simulate",
        "--trace",
        "builtin:small",
        "--seed",
        "1",
        "--policy",
        "first-fit",
        "--no-figures",
        "--quiet",
        "--random-faults",
        "node=1,zone=0.5",
    ];
    succeed(dir.path(), &args);
    let manifest = std::fs::read_to_string(dir.path().join("bayplan-out/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    insta::assert_snapshot!(manifest["fingerprints"][0]["fingerprint"].as_str().unwrap(), @"4e48808991915379824f4dfe1e8af74f");
}
