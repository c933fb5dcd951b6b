//! A small busybox image, made here: what `docker load` reads, from the machine's own static busybox.

use super::TestbedError;
use super::command::run;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The image's name on every host.
pub const IMAGE: &str = "busybox:latest";

/// The image as an archive. The same busybox gives the same bytes, and so the same image id.
///
/// # Errors
///
/// If busybox cannot be read or run.
pub(super) fn archive(busybox: &Path) -> Result<Bytes, TestbedError> {
    let program = fs::read(busybox).map_err(|it| TestbedError::Io {
        action: "reading",
        path: busybox.to_owned(),
        reason: it.to_string(),
    })?;
    let path = busybox.to_string_lossy();
    let applets = run("listing busybox's programs", "-", &[&path, "--list"], None)?;
    Ok(pack(&program, &applets).into())
}

fn pack(program: &[u8], applets: &str) -> Vec<u8> {
    let mut layer = Tar::default();
    for directory in ["bin/", "dev/", "etc/", "home/", "proc/", "root/", "sys/", "var/"] {
        layer.directory(directory, 0o755);
    }
    layer.directory("tmp/", 0o1777);
    layer.file("bin/busybox", 0o755, program);
    for applet in applets.lines().map(str::trim) {
        if !applet.is_empty() && applet != "busybox" {
            layer.link(&format!("bin/{applet}"), "busybox");
        }
    }
    layer.file(
        "etc/passwd",
        0o644,
        b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/home:/bin/false\n",
    );
    layer.file("etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n");
    let layer = layer.finish();

    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = serde_json::json!({
        "architecture": architecture,
        "os": "linux",
        "created": "2000-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", hex(&layer))]},
        "history": [{"created": "2000-01-01T00:00:00Z", "created_by": "bayplan testbed"}]
    })
    .to_string();
    let config_name = format!("{}.json", hex(config.as_bytes()));
    let manifest = serde_json::json!([
        {"Config": config_name, "RepoTags": [IMAGE], "Layers": ["layer.tar"]}
    ])
    .to_string();
    let mut image = Tar::default();
    image.file("manifest.json", 0o644, manifest.as_bytes());
    image.file(&config_name, 0o644, config.as_bytes());
    image.file("layer.tar", 0o644, &layer);
    image.finish()
}

/// SHA-256 in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, it| {
        let _ = write!(text, "{it:02x}");
        text
    })
}

/// A tape archive as POSIX.1-1988 has it ("ustar"): short names, no owners, no times.
#[derive(Default)]
struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    fn directory(&mut self, name: &str, mode: u32) {
        self.header(name, mode, 0, b'5', "");
    }

    fn link(&mut self, name: &str, target: &str) {
        self.header(name, 0o777, 0, b'2', target);
    }

    fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.header(name, mode, content.len(), b'0', "");
        self.bytes.extend_from_slice(content);
        let whole = self.bytes.len().next_multiple_of(512);
        self.bytes.resize(whole, 0);
    }

    fn header(&mut self, name: &str, mode: u32, size: usize, kind: u8, target: &str) {
        assert!(name.len() <= 100 && target.len() <= 100, "{name}: too long for a tar header");
        let mut block = [0_u8; 512];
        let mut put =
            |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, name);
        put(100, &format!("{mode:07o}"));
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{size:011o}"));
        put(136, "00000000000");
        // The sum is taken with blanks where it will stand.
        put(148, "        ");
        put(157, target);
        put(257, "ustar");
        put(263, "00");
        block[156] = kind;
        let sum: u32 = block.iter().map(|&it| u32::from(it)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        self.bytes.extend_from_slice(&block);
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 1024, 0);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn tar_reads_what_is_packed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image.tar");
        fs::write(&path, pack(b"not really busybox", "busybox\nls\nsh\n")).unwrap();
        let tar = |words: &[&str]| {
            let out = Command::new("tar").args(words).current_dir(dir.path()).output().unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            String::from_utf8(out.stdout).unwrap()
        };
        tar(&["xf", "image.tar"]);
        let names = tar(&["tf", "layer.tar"]);
        for name in ["bin/busybox", "bin/ls", "bin/sh", "tmp/"] {
            assert!(names.lines().any(|it| it == name), "{name} in {names}");
        }
        assert!(tar(&["tvf", "layer.tar", "bin/sh"]).contains("-> busybox"));
        let manifest = fs::read_to_string(dir.path().join("manifest.json")).unwrap();
        let config = manifest.split('"').find(|it| it.ends_with(".json")).unwrap();
        let layer = fs::read(dir.path().join("layer.tar")).unwrap();
        let config = fs::read_to_string(dir.path().join(config)).unwrap();
        assert!(config.contains(&hex(&layer)), "the config names the layer by its digest");
    }

    #[test]
    fn the_same_busybox_gives_the_same_image() {
        assert_eq!(pack(b"x", "sh\n"), pack(b"x", "sh\n"));
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex(b""), empty);
    }
}
