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
        "e-pvm",
        "failure-spread",
        "gke:optimize-utilization",
        "gke:optimize-utilization,preemption=off",
        "harmonic",
        "kubernetes",
        "kubernetes:preemption=off",
        "kubernetes:most-allocated",
        "least-stranded",
        "marathon",
        "marathon:constraint(@hostname,MAX_PER,3)",
        "mesos-drf",
        "mesos-drf:frameworks=one",
        "mesos-drf:weight(service,3),roles=kind",
        "move-to-front",
        "nilas",
        "nomad-binpack",
        "nomad-spread",
        "static-stability",
        "swarm-binpack",
        "swarm-random",
        "swarm-spread",
        "swarmkit",
        "tetris",
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
        "ecs:standalone=random",
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
        e-pvm                                  a9b27eadc3d29b4d wait 121696018
        failure-spread                         513fbddb0b5125e8 wait 144247650
        gke:optimize-utilization               82015ee327489193 wait 128340425
        gke:optimize-utilization,preemption=off e51adcc084244cbb wait 125737244
        harmonic                               d7e397c92c8521fc wait 140473444
        kubernetes                             6a45f4f373efe02a wait 116477780
        kubernetes:preemption=off              bd8dfb12ed2c2883 wait 120193636
        kubernetes:most-allocated              82015ee327489193 wait 128340425
        least-stranded                         94967200f1a1f3b1 wait 127846173
        marathon                               43bd9f75092765ab wait 121365005
        marathon:constraint(@hostname,MAX_PER,3) 0c6380d9679fb9ef wait 122266373
        mesos-drf                              d31c88028dfdfc88 wait 151210526
        mesos-drf:frameworks=one               308a6696450f0fdf wait 148897574
        mesos-drf:weight(service,3),roles=kind 98d6ab42e1776f61 wait 164624685
        move-to-front                          70ca63764ba7b1cd wait 134808041
        nilas                                  432d645f9baff81b wait 149129425
        nomad-binpack                          065e15490771e01e wait 138015013
        nomad-spread                           a08bab1d1840a573 wait 142108293
        static-stability                       f8184ef791a2cf3f wait 286264177
        swarm-binpack                          6928ad9b0bf2d2ec wait 146051197
        swarm-random                           0aaed81ecf9a0f99 wait 132412606
        swarm-spread                           e003be9dc5d9b473 wait 118076233
        swarmkit                               a0cf7fd6496f067a wait 139654533
        tetris                                 8e3c55a92fd53706 wait 146456232
        best-fit                               d5aef209ae23b400 wait 154128650
        best-fit:cpu                           cf86b3bf8f533d40 wait 148554770
        best-fit:linf,tie=random               3ae0f1a84b77ed2f wait 133158829
        dot-product                            3e4850ad3414fdb9 wait 123395457
        ecs                                    62460389bc8c0dc8 wait 137312945
        ecs:binpack(memory)                    1d8d809af5852385 wait 141916147
        ecs:spread(attribute:rack),binpack(cpu) d791fc30f43b794b wait 149449727
        ecs:random                             0aaed81ecf9a0f99 wait 132412606
        fgd                                    31af360e8b7de656 wait 138625204
        fgd-best-fit                           b7648e58056f46d9 wait 165061559
        fgd-dot-product                        0f77f63bf468e14d wait 167268611
        fgd-random                             9c12bcb30bf37ee7 wait 140463779
        first-fit                              1ae981c84f51f91e wait 160136594
        gpu-clustering                         1ae981c84f51f91e wait 160136594
        gpu-packing                            1ae981c84f51f91e wait 160136594
        next-fit                               c1b88ddffed515fd wait 135955254
        norm-greedy                            fa774dbfeb7cd680 wait 154602308
        power-of-d                             64f5bd147be564d8 wait 140510163
        power-of-d:d=4                         4bf0b8462f396d24 wait 137209404
        random                                 0aaed81ecf9a0f99 wait 132412606
        ecs:standalone=random                  60ad94c095f17f2d wait 138626132
        round-robin                            c0227251a5f368b3 wait 136987172
        worst-fit                              d46bd3ffd93804c3 wait 145006336
        worst-fit:open=first                   4798fe57837c00c5 wait 141014399
    ");
}

/// Two nodes, full of what does not matter when what does arrives.
#[test]
fn kubernetes_makes_room_for_what_matters_more() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "nodes.csv", "name,zone,cpu_cores,mem_gib\nn0,a,4,8\nn1,b,4,8\n");
    let mut tasks = String::from("id,arrival_s,cpu_cores,mem_gib,priority,duration_s\n");
    for (id, arrival, cpu, priority, duration) in [
        (0, 0, 2, 0, 600),
        (1, 0, 4, 1, 600),
        (2, 0, 2, 0, 600),
        (3, 60, 3, 5, 300),
        (4, 120, 1, 0, 60),
    ] {
        tasks += &format!("{id},{arrival},{cpu},1,{priority},{duration}\n");
    }
    put(dir.path(), "tasks.csv", tasks);
    let mut args = vec!["compare", "--trace", ".", "--seeds", "1", "--no-figures", "--quiet"];
    args.extend(["--check", "--out", "o"]);
    for policy in ["kubernetes", "kubernetes:preemption=off", "gke", "gke:preemption=off"] {
        args.extend(["--policy", policy]);
    }
    succeed(dir.path(), &args);
    let summary = dir.path().join("o/summary.csv");
    // Two of no importance leave for the one that matters most; without, it waits until they are done.
    assert_eq!(column(&summary, "evictions"), ["2", "0", "2", "0"]);
    let waits: Vec<String> = column(&summary, "wait_us_max");
    let secs = |it: &String| it.split('.').next().unwrap().parse::<u64>().unwrap() / 1_000_000;
    assert_eq!(waits.iter().map(secs).collect::<Vec<_>>(), [0, 540, 0, 540]);
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
    insta::assert_snapshot!(manifest["fingerprints"][0]["fingerprint"].as_str().unwrap(), @"db2bf5303f404448dc7e0c6531aff9a9");
}
