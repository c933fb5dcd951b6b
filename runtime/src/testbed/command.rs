//! Other programs, run with a time-out.

use super::TestbedError;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a step of plumbing may take; each is a matter of milliseconds.
pub(super) const STEP: Duration = Duration::from_secs(15);

/// Names a process as belonging to one testbed: inherited by all that it starts.
pub(super) const MARK: &str = "BAYPLAN_TESTBED";

/// How often something is looked at again while it is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Calls `look` until it gives something, or `limit` has passed.
pub(super) fn wait_for<T>(
    step: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>, TestbedError>,
) -> Result<T, TestbedError> {
    let began = Instant::now();
    loop {
        if let Some(it) = look()? {
            return Ok(it);
        }
        if began.elapsed() >= limit {
            return Err(TestbedError::TimedOut { step: step.to_owned(), after: limit });
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Runs a program to its end and gives what it wrote.
///
/// # Errors
///
/// If it cannot be run, fails, or is not done after [`STEP`]; then it is killed.
pub(super) fn run(
    step: &str,
    mark: &str,
    words: &[&str],
    input: Option<&str>,
) -> Result<String, TestbedError> {
    let failed = |reason: String| TestbedError::Command {
        step: step.to_owned(),
        command: words.join(" "),
        reason,
    };
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .env(MARK, mark)
        .env("PATH", super::machine::search_path())
        .env("LC_ALL", "C")
        // Ctrl-C at a terminal is for the one who waits, not for half a step.
        .process_group(0)
        .current_dir("/")
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|it| failed(it.to_string()))?;
    if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
        // A program that ends early has its own words for why.
        let _ = stdin.write_all(text.as_bytes());
    }
    let out = collect(child.stdout.take());
    let err = collect(child.stderr.take());
    let ended = wait_for(step, STEP, || child.try_wait().map_err(|it| failed(it.to_string())));
    let status = match ended {
        Ok(status) => status,
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
    };
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    if status.success() {
        Ok(out)
    } else {
        let words = err.trim();
        Err(failed(if words.is_empty() { status.to_string() } else { words.to_owned() }))
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gives_its_output_or_its_words() {
        assert_eq!(run("t", "-", &["cat"], Some("hello")).unwrap(), "hello");
        let error = run("t", "-", &["sh", "-c", "echo no >&2; exit 3"], None).unwrap_err();
        assert_eq!(error.to_string(), "t: sh -c echo no >&2; exit 3: no");
        let error = run("t", "-", &["sh", "-c", "exit 3"], None).unwrap_err();
        assert!(error.to_string().ends_with("exit status: 3"), "{error}");
        assert!(run("t", "-", &["no-such-program-here"], None).is_err());
    }

    #[test]
    fn waiting_ends() {
        let limit = Duration::from_millis(20);
        let error = wait_for::<()>("the moon", limit, || Ok(None)).unwrap_err();
        assert_eq!(error.to_string(), "the moon: not done after 0 s");
    }
}
