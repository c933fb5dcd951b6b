//! Removing what nobody wants: containers, and the volumes that live and die with a task.

use super::runner::Shared;
use super::{Key, News, key};
use crate::engine::{Container, Engine, EngineError, Force, VolumeRemoved};
use futures_util::future::join_all;
use std::time::Duration;

/// Grace of containers that nobody wants, at most.
const GRACE_MAX: Duration = Duration::from_secs(30);
/// Docker's own grace.
const GRACE: Duration = Duration::from_secs(10);

/// Stops a container that nobody wants, with the grace it was created with, and removes it.
pub(super) async fn clear(engine: &Engine, container: &Container) -> Result<(), EngineError> {
    let Some(details) = engine.inspect(container).await? else { return Ok(()) };
    let grace = details.stop_timeout.unwrap_or(GRACE).min(GRACE_MAX);
    engine.stop(container, grace).await?;
    engine.remove(container, Force::Yes).await?;
    Ok(())
}

/// Removes all of one start of a task, or all of ours; gives the number of containers.
pub(super) async fn remove(shared: &Shared, which: Option<Key>) -> Result<usize, EngineError> {
    let listed = shared.engine.list().await?;
    let chosen = listed.iter().filter(|it| which.is_none() || key(&it.labels) == which);
    let done = join_all(chosen.map(|it| clear(&shared.engine, &it.container))).await;
    let count = done.len();
    done.into_iter().collect::<Result<(), _>>()?;
    remove_volumes(shared, |it| which.is_none() || it == which).await?;
    Ok(count)
}

/// Removes those of our volumes whose task is chosen. Named ones are not ours.
pub(super) async fn remove_volumes(
    shared: &Shared,
    is_chosen: impl Fn(Option<Key>) -> bool,
) -> Result<(), EngineError> {
    for volume in shared.engine.volumes().await? {
        if !is_chosen(key(&volume.labels)) {
            continue;
        }
        let name = volume.name();
        // A container that is just being removed has it for a moment longer.
        let mut tries = 10;
        let stays = loop {
            match shared.engine.remove_volume(&volume).await {
                Ok(VolumeRemoved::Now | VolumeRemoved::AlreadyGone) => break None,
                Ok(VolumeRemoved::InUse) if tries > 1 => tries -= 1,
                Ok(VolumeRemoved::InUse) => break Some("a container uses it".to_owned()),
                Err(error @ EngineError::Refused { .. }) => break Some(error.to_string()),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        if let Some(why) = stays {
            shared.tell(News::Warning(format!("stale volume {name} stays: {why}")));
        }
    }
    Ok(())
}
