//! Listens in the state folder, and hands what is asked to the controller.

use super::{Answer, Request};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

/// Its name in the state folder.
const NAME: &str = "control.sock";

/// A request, and where its answer goes.
pub(crate) type Asked = (Request, oneshot::Sender<Answer>);

/// A path to the socket that fits into the 108 bytes that the kernel takes, however deep the folder is. The
/// file must live as long as the path is used.
pub(crate) fn short_path(dir: &Path) -> io::Result<(PathBuf, Option<File>)> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        let folder = File::open(dir)?;
        let path = format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd());
        Ok((path.into(), Some(folder)))
    }
    #[cfg(not(target_os = "linux"))]
    Ok((dir.join(NAME), None))
}

/// Begins to listen. Whoever holds the state folder may take over a socket that is left there.
pub(crate) fn listen(dir: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(dir.join(NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (path, _folder) = short_path(dir)?;
    UnixListener::bind(path)
}

/// Serves until nobody takes what is asked any longer. Each conversation holds `talking` as long as it lasts.
pub(crate) async fn serve(
    listener: UnixListener,
    asked: mpsc::UnboundedSender<Asked>,
    talking: mpsc::Sender<()>,
) {
    while !asked.is_closed() {
        // One that failed to connect is no fault of ours.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, asked.clone(), talking.clone()));
        }
    }
}

async fn converse(
    stream: UnixStream,
    asked: mpsc::UnboundedSender<Asked>,
    _talking: mpsc::Sender<()>,
) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = match serde_json::from_str::<Request>(&line) {
            Ok(request) => {
                let (reply, answer) = oneshot::channel();
                if asked.send((request, reply)).is_err() {
                    return;
                }
                // Without an answer the controller has ended.
                let Ok(answer) = answer.await else { return };
                answer
            }
            Err(error) => Answer::Refused {
                what: format!("not a request of this version: {error}"),
                help: "use the same version of bayplan as the controller".to_owned(),
            },
        };
        let Ok(mut bytes) = serde_json::to_vec(&answer) else { return };
        bytes.push(b'\n');
        if write.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
