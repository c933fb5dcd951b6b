//! How images get onto a host that lacks them.

use super::{Desk, container, job};
use crate::room::{Room, shell};
use bollard::query_parameters as q;
use bollard::{ClientVersion, Docker};
use cluster::event::{Report, StartFailure};
use cluster::ids::TaskId;
use futures_util::TryStreamExt;
use runtime::agent::{Job, News, Order};
use runtime::engine::{Container, ContainerSpec, Created, Engine, Force, Network};
use runtime::program::{ContainerProgram, PullPolicy};
use runtime::testbed::IMAGE;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A client without the engine's rule that only our own things are touched.
fn docker(room: &Room) -> Docker {
    let version = ClientVersion { major_version: 1, minor_version: 41 };
    let address = room.testbed.address("n1").unwrap().to_string();
    Docker::connect_with_http(&address, 30, &version).unwrap()
}

async fn forget(docker: &Docker, image: &str) {
    let options = q::RemoveImageOptionsBuilder::new().force(true).build();
    docker.remove_image(image, Some(options), None).await.unwrap();
}

fn with(task: u64, image: &str, pull: PullPolicy, archive: Option<PathBuf>) -> Job {
    let main = container("main", "exit 0");
    job(task, vec![ContainerProgram { image: image.into(), pull, archive, ..main }])
}

pub(super) async fn from_an_archive(room: &Room, desk: &mut Desk) {
    let docker = docker(room);
    let parts: Vec<_> = docker.export_image(IMAGE).try_collect().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("image.tar");
    std::fs::write(&archive, parts.concat()).unwrap();
    let damaged = folder.path().join("damaged.tar");
    std::fs::write(&damaged, "not an image").unwrap();

    forget(&docker, IMAGE).await;
    for (task, image, path, why) in [
        (60, IMAGE, damaged, "damaged.tar"),
        (61, IMAGE, folder.path().join("none.tar"), "none.tar"),
        (62, "other:1", archive.clone(), "does not hold other:1"),
    ] {
        desk.order(Order::Start(with(task, image, PullPolicy::IfMissing, Some(path))));
        let detail = desk.detail(task, Report::Failed { why: StartFailure::Image }).await;
        assert!(detail.reason.contains(why), "{}", detail.reason);
    }
    forget(&docker, IMAGE).await;
    // Two at once: it is loaded for both.
    let both = [63, 64].map(|it| with(it, IMAGE, PullPolicy::Never, Some(archive.clone())));
    for job in both {
        desk.run(job, 0).await;
    }
}

/// A registry with one image, on the testbed's bridge. What it was asked for is counted.
struct Registry {
    port: u16,
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
    server: tokio::task::JoinHandle<()>,
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, it| {
        let _ = write!(text, "{it:02x}");
        text
    })
}

impl Registry {
    async fn open(room: &Room, layer: Vec<u8>) -> Self {
        let config = serde_json::json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": {"Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]}
        });
        let config = config.to_string().into_bytes();
        let kind = |it: &str| format!("application/vnd.docker.{it}");
        let image = kind("distribution.manifest.v2+json");
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": image,
            "config": {
                "mediaType": kind("container.image.v1+json"),
                "size": config.len(), "digest": digest(&config)
            },
            "layers": [{
                "mediaType": kind("image.rootfs.diff.tar.gzip"),
                "size": layer.len(), "digest": digest(&layer)
            }]
        });
        let manifest = manifest.to_string().into_bytes();
        let blob = "application/octet-stream".to_owned();
        let files = BTreeMap::from([
            ("/v2/".to_owned(), (blob.clone(), Vec::new())),
            (format!("/v2/far/manifests/{}", digest(&manifest)), (image.clone(), manifest.clone())),
            ("/v2/far/manifests/1".to_owned(), (image, manifest)),
            (format!("/v2/far/blobs/{}", digest(&config)), (blob.clone(), config)),
            (format!("/v2/far/blobs/{}", digest(&layer)), (blob, layer)),
        ]);
        let bridge = room.testbed.record().unwrap().subnet.address(1);
        let listener = TcpListener::bind((bridge, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<BTreeMap<String, usize>>>::default();
        let (files, count) = (Arc::new(files), asked.clone());
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, files.clone(), count.clone()));
            }
        });
        Self { port, asked, server }
    }

    fn asked(&self, what: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|it| it.0.contains(what)).map(|it| it.1).sum()
    }
}

async fn answer(
    mut stream: TcpStream,
    files: Arc<BTreeMap<String, (String, Vec<u8>)>>,
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            // The first byte of TLS, which comes first and is not spoken here.
            Ok(0x16) | Err(_) => return,
            Ok(byte) => head.push(byte),
        }
    }
    let head = String::from_utf8(head).unwrap();
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    *asked.lock().unwrap().entry(format!("{method} {path}")).or_default() += 1;
    let (status, kind, body) = match files.get(path) {
        Some((kind, body)) => ("200 OK", kind.as_str(), body.as_slice()),
        None => ("404 Not Found", "text/plain", &b"nothing here"[..]),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Docker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    if method == "GET" {
        let _ = stream.write_all(body).await;
    }
}

/// A stranger's container on the host's own network.
async fn listen(stranger: &Engine, name: &str, line: &str) -> Container {
    let spec = ContainerSpec { network: Network::Host, ..shell(name, line) };
    let Created::New(container) = stranger.create(&spec).await.unwrap() else {
        panic!("{name} is new");
    };
    stranger.start(&container).await.unwrap();
    container
}

async fn a_registry_that_says_nothing(room: &Room, desk: &mut Desk) {
    let stranger = room.engine("n1", "you");
    let silent = listen(&stranger, "silent", "nc -ll -p 5001 -e sleep 1000").await;
    let image = "127.0.0.1:5001/far:1";
    desk.order(Order::Start(with(80, image, PullPolicy::IfMissing, None)));
    let detail = desk.detail(80, Report::Failed { why: StartFailure::Image }).await;
    assert!(detail.reason.contains("no progress for 3 s"), "{}", detail.reason);

    let two = ["main", "more"].map(|it| ContainerProgram {
        image: if it == "main" { image } else { IMAGE }.into(),
        ..container(it, "sleep 1000")
    });
    desk.order(Order::Start(job(81, two.to_vec())));
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Did it wait for the pull, it would fail.
    assert_eq!(desk.stop(81).await.containers, [], "none was made");
    stranger.remove(&silent, Force::Yes).await.unwrap();
}

pub(super) async fn from_a_registry(room: &Room, desk: &mut Desk) {
    let docker = docker(room);
    let layer: Vec<_> = docker.export_container("decoy").try_collect().await.unwrap();
    let registry = Registry::open(room, layer.concat()).await;
    // Docker asks without TLS only on localhost, so what listens there passes it on.
    let stranger = room.engine("n1", "you");
    let bridge = room.testbed.record().unwrap().subnet.address(1);
    let line = format!("nc -ll -p 5000 -e nc {bridge} {}", registry.port);
    let proxy = listen(&stranger, "proxy", &line).await;

    let image = "127.0.0.1:5000/far:1";
    for task in [70, 71] {
        desk.order(Order::Start(with(task, image, PullPolicy::IfMissing, None)));
    }
    let mut ended = 0;
    while ended < 2 {
        match desk.next().await {
            News::Task { report: Report::Started, .. } => {}
            News::Task { report: Report::Exited { code: 0 }, .. } => ended += 1,
            other => panic!("{other:?}: {:?}", registry.asked),
        }
    }
    for task in [70, 71].map(TaskId) {
        desk.order(Order::Acknowledge { task, attempt: 1 });
    }
    assert_eq!(registry.asked("HEAD /v2/far/manifests/1"), 1, "once for both");
    desk.run(with(72, image, PullPolicy::IfMissing, None), 0).await;
    assert_eq!(registry.asked("HEAD /v2/far/manifests/1"), 1, "the host has it");
    desk.run(with(73, image, PullPolicy::Always, None), 0).await;
    assert_eq!(registry.asked("HEAD /v2/far/manifests/1"), 2, "asked each time");

    a_registry_that_says_nothing(room, desk).await;

    registry.server.abort();
    stranger.remove(&proxy, Force::Yes).await.unwrap();
    desk.run(with(74, image, PullPolicy::Always, None), 0).await;
    forget(&docker, image).await;
    desk.order(Order::Start(with(75, image, PullPolicy::Always, None)));
    let detail = desk.detail(75, Report::Failed { why: StartFailure::Image }).await;
    assert!(detail.reason.contains("connection refused"), "{}", detail.reason);
}
