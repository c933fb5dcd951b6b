//! Lowering leaves nothing, whatever state the testbed is in and wherever its raising was interrupted.

use crate::room::{Room, Traces, Turn, block_on, folder, sleeper, unfit};
use runtime::engine::Created;
use runtime::hosts;
use runtime::testbed::{self, Death, Plan, Testbed, TestbedError};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Set for the process that raises a testbed to be killed at it; its value is the folder.
const VICTIM: &str = "BAYPLAN_TEST_VICTIM_DIR";

#[test]
fn a_testbed_in_pieces_is_lowered() {
    if unfit().is_some() {
        return;
    }
    let room = Room::raise(3);
    let text = std::fs::read_to_string(room.testbed.hosts_file()).unwrap();
    let listed = hosts::read(&text, "hosts.toml").unwrap();
    let zones: Vec<_> = listed.iter().filter_map(|it| it.zone.as_deref()).collect();
    assert_eq!(zones, ["zone-a", "zone-b", "zone-c"]);
    let again = testbed::up(room.testbed.dir(), &Plan::new(1));
    assert!(matches!(again, Err(TestbedError::AlreadyUp { .. })), "{again:?}");
    let typo = room.testbed.kill_daemon("n4").unwrap_err();
    assert_eq!(typo.help(), "did you mean \"n1\"?");

    block_on(async {
        for host in &listed {
            let engine = room.engine(&host.name, "me");
            let (node, warnings) = host.node_spec(&engine.info().await.unwrap());
            assert_eq!((node.name, node.zone), (host.name.clone(), host.zone.clone().unwrap()));
            assert_eq!(warnings, [], "a share of the machine is less than the machine");
            let Created::New(it) = engine.create(&sleeper("left")).await.unwrap() else { panic!() };
            engine.start(&it).await.unwrap();
        }
    });
    room.testbed.freeze_daemon("n1").unwrap();
    room.testbed.kill_daemon("n2").unwrap();
    room.testbed.kill_host("n3", Death::PowerCut).unwrap();
    println!("3 hosts in pieces lowered in {:.2?}", room.lower());
}

/// The victim. Only of use to the test below.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn victim_raises() {
    if let Some(dir) = std::env::var_os(VICTIM) {
        testbed::up(dir.as_ref(), &Plan::new(2)).unwrap();
    }
}

#[test]
fn a_testbed_whose_raising_was_killed_is_lowered() {
    if unfit().is_some() {
        return;
    }
    let _turn = Turn::take();
    let before = Traces::look();
    // Spread over all that raising does; the last finds it done.
    for delay_ms in [10, 30, 60, 100, 150, 250, 500, 900, 1400, 4000] {
        let (_folder, dir) = folder();
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "lowering::victim_raises", "--ignored"])
            .env(VICTIM, &dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        victim.kill().unwrap();
        victim.wait().unwrap();
        let stood = Testbed::open(&dir).is_ok();
        let began = Instant::now();
        let lowered = testbed::down(&dir).unwrap();
        let took = began.elapsed();
        assert_eq!(lowered.left, [], "killed after {delay_ms} ms");
        before.assert_nothing_new();
        assert!(!stood || !dir.exists(), "killed after {delay_ms} ms: the folder is gone");
        println!(
            "raising killed after {delay_ms} ms: lowered {} hosts in {took:.2?}",
            lowered.hosts
        );
    }
}

#[test]
fn a_daemon_that_does_not_start_is_reported_and_all_is_lowered() {
    if unfit().is_some() {
        return;
    }
    let _turn = Turn::take();
    let before = Traces::look();
    let (folder, dir) = folder();
    let broken = folder.path().join("dockerd");
    std::fs::write(&broken, "#!/bin/sh\necho cannot possibly work >&2\nexit 1\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&broken, mode).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lowering::victim_raises", "--ignored", "--nocapture"])
        .env(VICTIM, &dir)
        .env("PATH", path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&victim.stderr).into_owned();
    assert!(!victim.status.success() && said.contains("NotRaised"), "{said}");
    assert!(said.contains("cannot possibly work") && said.contains("left: []"), "{said}");
    before.assert_nothing_new();
    assert!(!dir.exists());
}

#[test]
fn a_folder_with_hosts_of_somebody_else_is_left_alone() {
    if unfit().is_some() {
        return;
    }
    let (_folder, dir) = folder();
    std::fs::create_dir_all(dir.join("hosts/mine")).unwrap();
    let refused = testbed::up(&dir, &Plan::new(1));
    assert!(matches!(refused, Err(TestbedError::Folder { .. })), "{refused:?}");
    assert_eq!(testbed::down(&dir).unwrap().left, []);
    assert!(dir.join("hosts/mine").exists());
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1, "nothing was added");
}
