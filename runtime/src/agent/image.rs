//! How an image gets onto the host.

use super::runner::Shared;
use crate::engine::{Call, EngineError};
use crate::program::{ContainerProgram, PullPolicy};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Mutex as Turn;

/// Whose turn it is to fetch what: several tasks often lack the same image at the same time.
#[derive(Debug, Default)]
pub(super) struct Images {
    by_name: Mutex<BTreeMap<String, Arc<Turn<()>>>>,
    /// An archive is held in memory as a whole, so one at a time.
    archive: Turn<()>,
}

impl Images {
    fn turn(&self, image: &str) -> Arc<Turn<()>> {
        let mut all = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(image.to_owned()).or_default().clone()
    }
}

/// Fetches the image as the program's [`PullPolicy`] says. The outer error is one of contact; the inner
/// says why the image cannot be had.
pub(super) async fn fetch(
    shared: &Shared,
    program: &ContainerProgram,
) -> Result<Result<(), String>, EngineError> {
    let (image, archive) = (&program.image, program.archive.clone());
    let turn = shared.images.turn(image);
    let _turn = turn.lock().await;
    let pulled = match program.pull {
        PullPolicy::Always => Some(pull(shared, image).await?),
        PullPolicy::IfMissing | PullPolicy::Never => None,
    };
    if let Some(Ok(())) = pulled {
        return Ok(Ok(()));
    }
    if shared.engine.has_image(image).await? {
        return Ok(Ok(()));
    }
    match (archive, pulled, program.pull) {
        (Some(archive), ..) => load(shared, archive).await,
        (None, Some(failed), _) => Ok(failed),
        (None, None, PullPolicy::Never) => {
            Ok(Err(format!("the host has no {image}, which is never pulled")))
        }
        (None, None, PullPolicy::Always | PullPolicy::IfMissing) => pull(shared, image).await,
    }
}

async fn pull(shared: &Shared, image: &str) -> Result<Result<(), String>, EngineError> {
    let limits = shared.limits;
    let pulling = shared.engine.pull_image(image, limits.pull_silence);
    match tokio::time::timeout(limits.pull_timeout, pulling).await {
        Ok(Ok(())) => Ok(Ok(())),
        Ok(Err(EngineError::Refused { message, .. })) => Ok(Err(message)),
        // Trying again would give the same.
        Ok(Err(error @ EngineError::Garbled { .. })) => Ok(Err(error.to_string())),
        // A host that has gone silent altogether is noticed by its pings.
        Ok(Err(EngineError::Unknown { call: Call::PullImage, waited, .. }))
            if waited == limits.pull_silence =>
        {
            Ok(Err(format!("pulling {image}: no progress for {} s", waited.as_secs())))
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Ok(Err(format!("pulling {image} took over {} s", limits.pull_timeout.as_secs()))),
    }
}

async fn load(shared: &Shared, archive: PathBuf) -> Result<Result<(), String>, EngineError> {
    let _turn = shared.images.archive.lock().await;
    let path = archive.clone();
    let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return Ok(Err(format!("{}: {error}", archive.display()))),
        Err(error) => return Ok(Err(format!("{}: {error}", archive.display()))),
    };
    match shared.engine.load_image(bytes.into()).await {
        Ok(()) => Ok(Ok(())),
        Err(EngineError::Refused { message, .. }) => {
            Ok(Err(format!("{}: {message}", archive.display())))
        }
        Err(error) => Err(error),
    }
}
