//! Files in blocks of whole lines, for readers that look at bytes and not at texts.
//!
//! A gzip file that fits in memory is inflated at once by libdeflate, which takes a third of the time of a
//! decompressor that streams. That one reads what is larger, has several members, or is damaged: it knows how far
//! a damaged file can be read.

use crate::error::TraceError;
use crate::text::{LINE_BYTES_MAX, Line};
use flate2::bufread::MultiGzDecoder;
use libdeflater::Decompressor;
use memchr::memmem;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// As much is looked at together: less than a processor's second cache.
const BLOCK_BYTES: usize = 1 << 18;

/// What inflates to more is streamed.
const AT_ONCE_MAX: usize = 1 << 29;

/// No deflate stream inflates to more than this many times its length.
const INFLATION_MAX: usize = 1032;

/// A file in blocks.
pub(crate) struct Blocks {
    path: String,
    buffer: Vec<u8>,
    /// What of the buffer is a block already.
    given: usize,
    /// What of the buffer holds text.
    filled: usize,
    /// Where the rest comes from; none if the buffer holds it all.
    rest: Option<Box<dyn Read>>,
    is_gzip: bool,
    /// What went wrong behind the last whole line.
    error: Option<io::Error>,
}

/// Some lines of a file. All end in a line feed, except perhaps the file's last and one that is too long.
pub(crate) struct Block<'a> {
    pub(crate) path: &'a str,
    pub(crate) bytes: &'a [u8],
    /// Whether there are no quotes, NULs or characters beyond ASCII.
    pub(crate) is_plain: bool,
}

impl<'a> Block<'a> {
    /// The line that begins at this byte, with its end, and where the next one begins.
    pub(crate) fn line_at(&self, start: usize) -> (&'a [u8], usize) {
        let rest = &self.bytes[start..];
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |it| it + 1);
        (&rest[..length], start + length)
    }

    /// A line of the block as text.
    pub(crate) fn text(&self, number: u64, bytes: &'a [u8]) -> Result<Line<'a>, TraceError> {
        let max = LINE_BYTES_MAX as usize;
        let is_cut = bytes.len() >= max && !bytes[..max].ends_with(b"\n");
        Line::of(self.path, number, &bytes[..bytes.len().min(max)], is_cut)
    }
}

impl Blocks {
    /// Opens a file; gzip is told by its first two bytes, not by its name. `buffer` is room that another file
    /// has left.
    pub(crate) fn open(path: &Path, buffer: Vec<u8>) -> Result<Self, TraceError> {
        let name = path.display().to_string();
        let mut file = File::open(path).map_err(|it| unreadable(&name, &it))?;
        let mut start = Vec::new();
        (&mut file).take(2).read_to_end(&mut start).map_err(|it| unreadable(&name, &it))?;
        let is_gzip = start == [0x1f, 0x8b];
        let mut blocks =
            Self { path: name, buffer, given: 0, filled: 0, rest: None, is_gzip, error: None };
        if !is_gzip {
            blocks.rest = Some(Box::new(io::Cursor::new(start).chain(file)));
            return Ok(blocks);
        }
        // A file that does not tell its length (a pipe) is streamed.
        let length = file.metadata().map_or(0, |it| it.len() as usize);
        let mut packed = start;
        if length > 0 && length <= AT_ONCE_MAX {
            packed.reserve(length);
            file.read_to_end(&mut packed).map_err(|it| unreadable(&blocks.path, &it))?;
            if let Some(length) = inflate(&packed, &mut blocks.buffer) {
                blocks.filled = length;
                return Ok(blocks);
            }
        }
        let packed = BufReader::with_capacity(1 << 16, io::Cursor::new(packed).chain(file));
        blocks.rest = Some(Box::new(MultiGzDecoder::new(packed)));
        Ok(blocks)
    }

    /// The room, for another file.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// The next lines, or `None` after the last. `lines` is how many there were before.
    pub(crate) fn next(&mut self, lines: u64) -> Result<Option<Block<'_>>, TraceError> {
        let mut end = self.block_end();
        if end.is_none() && self.rest.is_some() {
            self.fill();
            end = self.block_end();
        }
        // A last line may lack its end; before an error it is cut, and not shown.
        let last = if self.error.is_some() { self.given } else { self.filled };
        let (start, end) = (self.given, end.unwrap_or(last));
        if start == end {
            let Some(error) = self.error.take() else { return Ok(None) };
            let (path, reason) = (self.path.clone(), error.to_string());
            return Err(match self.is_gzip {
                true => TraceError::Damaged { path, line: lines, reason },
                false => TraceError::Unreadable { path, reason },
            });
        }
        self.given = end;
        let bytes = &self.buffer[start..end];
        Ok(Some(Block { path: &self.path, bytes, is_plain: is_plain(bytes) }))
    }

    /// Where the block that begins at `given` ends: behind a line feed, or where a line is too long.
    fn block_end(&self) -> Option<usize> {
        let rest = &self.buffer[self.given..self.filled];
        let near = &rest[..rest.len().min(BLOCK_BYTES)];
        let end = memchr::memrchr(b'\n', near).or_else(|| memchr::memchr(b'\n', rest));
        match end {
            Some(end) => Some(self.given + end + 1),
            None if rest.len() as u64 >= LINE_BYTES_MAX => Some(self.filled),
            None => None,
        }
    }

    /// Moves what is left to the front, and reads on behind it.
    fn fill(&mut self) {
        self.buffer.copy_within(self.given..self.filled, 0);
        self.filled -= self.given;
        self.given = 0;
        let room = LINE_BYTES_MAX as usize + BLOCK_BYTES;
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        let Some(rest) = &mut self.rest else { return };
        while self.filled < self.buffer.len() {
            match rest.read(&mut self.buffer[self.filled..]) {
                Ok(0) => {
                    self.rest = None;
                    return;
                }
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.error = Some(error);
                    self.rest = None;
                    return;
                }
            }
        }
    }
}

/// Whether there are no quotes, NULs or characters beyond ASCII.
fn is_plain(bytes: &[u8]) -> bool {
    // Every byte of a piece is looked at, so that many are at once.
    let is_other = |it: u8| !it.is_ascii() | (it == b'"') | (it == 0);
    let (pieces, rest) = bytes.as_chunks::<64>();
    let has_other = |piece: &[u8]| piece.iter().fold(false, |any, it| any | is_other(*it));
    !pieces.iter().any(|it| has_other(it)) && !has_other(rest)
}

fn unreadable(path: &str, error: &io::Error) -> TraceError {
    TraceError::Unreadable { path: path.into(), reason: error.to_string() }
}

/// Inflates a gzip file of one member into `buffer` and returns the length; `None` if it is something else.
fn inflate(packed: &[u8], buffer: &mut Vec<u8>) -> Option<usize> {
    let length_bytes = packed.last_chunk::<4>()?;
    let length = u32::from_le_bytes(*length_bytes) as usize;
    if length > AT_ONCE_MAX || length / INFLATION_MAX > packed.len() {
        return None;
    }
    // A member ends with the length of its text. If that is also the file's end, and stands nowhere else, then
    // the file is that one member: libdeflate does not say how much of its input it took.
    if memmem::find(packed, length_bytes) != Some(packed.len() - 4) {
        return None;
    }
    if buffer.len() < length {
        // Pages that are zero already, and cost nothing before they are written to.
        *buffer = vec![0; length];
    }
    let inflated = Decompressor::new().gzip_decompress(packed, &mut buffer[..length]).ok()?;
    (inflated == length).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// All lines by their numbers, as [`Blocks`] finds them.
    fn by_blocks(path: &Path) -> (Vec<(u64, String)>, Option<TraceError>) {
        let mut got = Vec::new();
        let result = (|| {
            let mut blocks = Blocks::open(path, Vec::new())?;
            while let Some(block) = blocks.next(got.len() as u64)? {
                let mut start = 0;
                while start < block.bytes.len() {
                    let (bytes, next) = block.line_at(start);
                    let number = got.len() as u64 + 1;
                    got.push((number, block.text(number, bytes)?.text.to_owned()));
                    start = next;
                }
            }
            Ok(())
        })();
        (got, result.err())
    }

    /// All lines by their numbers, as [`crate::text::Lines`] finds them.
    fn by_lines(path: &Path) -> (Vec<(u64, String)>, Option<TraceError>) {
        let mut got = Vec::new();
        let result = (|| {
            let mut lines = crate::text::Lines::open(path)?;
            while let Some(line) = lines.next()? {
                got.push((line.number, line.text.to_owned()));
            }
            Ok(())
        })();
        (got, result.err())
    }

    #[track_caller]
    fn check(bytes: &[u8]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        std::fs::write(&path, bytes).unwrap();
        let (want, want_error) = by_lines(&path);
        let (got, error) = by_blocks(&path);
        assert!(got == want, "{} lines and {} lines", got.len(), want.len());
        assert_eq!(error, want_error);
    }

    fn many_lines() -> Vec<u8> {
        (0..90_000)
            .flat_map(|it: u64| format!("{},{}\n", it, it * 7919 % 1013).into_bytes())
            .collect()
    }

    #[test]
    fn blocks_hold_the_lines_of_the_file() {
        let many = many_lines();
        assert!(many.len() > 3 * BLOCK_BYTES);
        for text in [
            &many[..],
            &many[..many.len() - 1],
            b"",
            b"\n",
            b"a",
            b"\xef\xbb\xbfa\r\n\r\nb\"",
            b"a\0",
        ] {
            check(text);
            check(&gzip(text));
        }
    }

    #[test]
    fn one_member_is_inflated_at_once_and_several_are_found() {
        let many = many_lines();
        let one = gzip(&many);
        assert_eq!(inflate(&one, &mut Vec::new()), Some(many.len()));
        // The same member twice has the same end twice.
        let twice = [&one[..], &one[..]].concat();
        assert_eq!(inflate(&twice, &mut Vec::new()), None);
        check(&twice);
        check(&[one, gzip(b"more\n")].concat());
    }

    #[test]
    fn damage_is_told_with_the_line_it_follows() {
        let whole = gzip(&many_lines());
        for cut in [5, 9, whole.len() / 2, whole.len() - 30] {
            check(&whole[..whole.len() - cut]);
        }
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 0x55;
        check(&flipped);
        check(&[&whole[..], b"junk"].concat());
        let mut lies = whole.clone();
        let end = lies.len() - 4;
        lies[end..].copy_from_slice(&u32::MAX.to_le_bytes());
        check(&lies);
    }

    #[test]
    fn a_line_that_is_too_long_is_refused() {
        let max = LINE_BYTES_MAX as usize;
        for length in [max - 2, max - 1, max, max + 1, 3 * max] {
            let text = [b"first\n".to_vec(), vec![b'x'; length], b"\nlast\n".to_vec()].concat();
            check(&text);
            check(&gzip(&text));
        }
    }

    proptest! {
        #[test]
        fn what_is_plain_is_so(bytes in prop::collection::vec(prop::sample::select(b"a,\n\r\"\0\xc3\xa4".to_vec()), 0..50)) {
            check(&bytes);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("t");
            std::fs::write(&path, &bytes).unwrap();
            if let Some(block) = Blocks::open(&path, Vec::new()).unwrap().next(0).unwrap() {
                let is_plain = block.bytes.iter().all(|it| it.is_ascii() && !b"\"\0".contains(it));
                prop_assert_eq!(block.is_plain, is_plain);
            }
        }
    }
}
