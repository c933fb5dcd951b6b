//! Files as numbered lines: gzip is read transparently, damage and binary junk become errors.

use crate::decimal::{self, NotDecimal, Rounding};
use crate::error::{Place, TraceError};
use crate::limits::Limit;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// A line longer than this is no line of a trace.
pub(crate) const LINE_BYTES_MAX: u64 = 1 << 20;

/// A file, line by line.
pub(crate) struct Lines {
    path: String,
    reader: Box<dyn BufRead>,
    buffer: Vec<u8>,
    line: u64,
    is_gzip: bool,
    /// Whether a line that is too long is cut, rather than refused.
    cuts: bool,
}

impl Lines {
    /// Opens a file; gzip is told by its first two bytes, not by its name.
    pub(crate) fn open(path: &Path) -> Result<Self, TraceError> {
        let name = path.display().to_string();
        let unreadable = |error: io::Error| TraceError::Unreadable {
            path: name.clone(),
            reason: error.to_string(),
        };
        let file = File::open(path).map_err(unreadable)?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let is_gzip = reader.fill_buf().map_err(unreadable)?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn BufRead> = if is_gzip {
            Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(reader)))
        } else {
            Box::new(reader)
        };
        Ok(Self { path: name, reader, buffer: Vec::new(), line: 0, is_gzip, cuts: false })
    }

    /// Takes the beginning of a line that is too long, and nothing behind it: for telling formats apart.
    pub(crate) fn cutting(self) -> Self {
        Self { cuts: true, ..self }
    }

    /// The file as it was opened.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The next line without its end, or `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Line<'_>>, TraceError> {
        self.buffer.clear();
        let mut limited = (&mut self.reader).take(LINE_BYTES_MAX);
        let read = limited.read_until(b'\n', &mut self.buffer).map_err(|error| {
            if self.is_gzip {
                TraceError::Damaged {
                    path: self.path.clone(),
                    line: self.line,
                    reason: error.to_string(),
                }
            } else {
                TraceError::Unreadable { path: self.path.clone(), reason: error.to_string() }
            }
        })?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        let mut is_cut =
            self.buffer.len() as u64 == LINE_BYTES_MAX && !self.buffer.ends_with(b"\n");
        if is_cut && self.cuts {
            let whole = self.buffer.utf8_chunks().next().map_or(0, |it| it.valid().len());
            self.buffer.truncate(whole);
            self.reader = Box::new(io::empty());
            is_cut = false;
        }
        Line::of(&self.path, self.line, &self.buffer, is_cut).map(Some)
    }

    /// The next line that is not blank.
    pub(crate) fn next_filled(&mut self) -> Result<Option<Line<'_>>, TraceError> {
        // Two steps, because the borrow checker does not let a borrow that is returned early go.
        loop {
            match self.next()? {
                None => return Ok(None),
                Some(line) if line.text.trim().is_empty() => {}
                Some(_) => break,
            }
        }
        Ok(Some(self.again()))
    }

    /// The line that was read last.
    fn again(&self) -> Line<'_> {
        let text = std::str::from_utf8(bare(self.line, &self.buffer));
        Line { path: &self.path, number: self.line, text: text.expect("checked when it was read") }
    }
}

/// A line's bytes without its end, and the first line's without a byte order mark.
fn bare(number: u64, bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    match number {
        1 => bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes),
        _ => bytes,
    }
}

/// A text that is read at once is no longer than this.
const TEXT_BYTES_MAX: u64 = 1 << 30;

/// A whole file as text; gzip is told by its first two bytes.
pub(crate) fn read_whole(path: &Path) -> Result<String, TraceError> {
    let Lines { path, reader, is_gzip, .. } = Lines::open(path)?;
    let mut bytes = Vec::new();
    reader.take(TEXT_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| {
        let (path, reason) = (path.clone(), error.to_string());
        match is_gzip {
            true => TraceError::Damaged { path, line: 0, reason },
            false => TraceError::Unreadable { path, reason },
        }
    })?;
    if bytes.len() as u64 == TEXT_BYTES_MAX {
        let reason = "it is longer than 2^30 bytes".to_owned();
        return Err(TraceError::Unreadable { path, reason });
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|it| **it == b'\n')
            .count() as u64;
        TraceError::NotText { place: Box::new(Place { path, line, ..Place::default() }) }
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// One line of a file.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    /// The file.
    pub(crate) path: &'a str,
    /// Counts from 1.
    pub(crate) number: u64,
    /// Without its end.
    pub(crate) text: &'a str,
}

/// One field of a line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell<'a> {
    /// Byte offset in the line.
    pub(crate) at: usize,
    /// Its text, without blanks around it and without quotes.
    pub(crate) text: &'a str,
}

impl<'a> Line<'a> {
    /// A line from its bytes; its end and a byte order mark are taken off.
    pub(crate) fn of(
        path: &'a str,
        number: u64,
        bytes: &'a [u8],
        is_cut: bool,
    ) -> Result<Self, TraceError> {
        let bytes = bare(number, bytes);
        match std::str::from_utf8(bytes) {
            Ok(text) if !is_cut && !text.contains('\0') => Ok(Self { path, number, text }),
            broken => {
                let column = match broken {
                    Ok(text) => text.find('\0').unwrap_or(0),
                    Err(error) => error.valid_up_to(),
                };
                let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
                let text: String =
                    shown.chars().map(|it| if it.is_control() { '\u{fffd}' } else { it }).collect();
                let place = Place {
                    path: path.into(),
                    line: number,
                    column: column.min(text.len()) + 1,
                    length: 1,
                    text,
                };
                Err(TraceError::NotText { place: Box::new(place) })
            }
        }
    }

    /// Whether a field stands in quotes.
    pub(crate) fn is_quoted(&self, cell: Cell<'_>) -> bool {
        cell.at > 0 && self.text.as_bytes()[cell.at - 1] == b'"'
    }

    /// Splits at commas into `cells`. A field in double quotes may hold commas; a quote within one is
    /// not supported and is left as it stands.
    pub(crate) fn split_commas(&self, cells: &mut Vec<Cell<'a>>) {
        cells.clear();
        let (text, mut start, mut quoted) = (self.text, 0, false);
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'"' => quoted = !quoted,
                b',' if !quoted => {
                    cells.push(cell(text, start, at));
                    start = at + 1;
                }
                _ => {}
            }
        }
        cells.push(cell(text, start, text.len()));
    }

    /// Splits at blanks into `cells`.
    pub(crate) fn split_blanks(&self, cells: &mut Vec<Cell<'a>>) {
        cells.clear();
        let base = self.text.as_ptr() as usize;
        for word in self.text.split_ascii_whitespace() {
            cells.push(Cell { at: word.as_ptr() as usize - base, text: word });
        }
    }

    /// The place of the line.
    pub(crate) fn place(&self) -> Box<Place> {
        Box::new(Place {
            path: self.path.into(),
            line: self.number,
            column: 0,
            length: 0,
            text: self.text.into(),
        })
    }

    /// The place of one field.
    pub(crate) fn place_of(&self, cell: Cell<'_>) -> Box<Place> {
        Box::new(Place { column: cell.at + 1, length: cell.text.len(), ..*self.place() })
    }

    /// The error for a field that is not what it should be.
    pub(crate) fn bad(&self, cell: Cell<'_>, field: &str, wanted: &'static str) -> TraceError {
        TraceError::Field {
            place: self.place_of(cell),
            field: field.into(),
            found: cell.text.into(),
            wanted,
        }
    }

    /// The error for a line with the wrong number of columns.
    pub(crate) fn columns(&self, format: &'static str, found: usize, wanted: usize) -> TraceError {
        TraceError::Columns { place: self.place(), format, found, wanted: wanted.to_string() }
    }

    /// A whole number.
    pub(crate) fn whole(&self, cell: Cell<'_>, field: &str) -> Result<u64, TraceError> {
        let wanted = match decimal::parse(cell.text, 1, Rounding::Exact) {
            Ok(number) => return Ok(number),
            Err(NotDecimal::TooLarge) => "a whole number below 2^64",
            Err(_) => "a whole number of at least 0",
        };
        Err(self.bad(cell, field, wanted))
    }

    /// A whole number that fits a smaller type.
    pub(crate) fn small<T: TryFrom<u64>>(
        &self,
        cell: Cell<'_>,
        field: &str,
        wanted: &'static str,
    ) -> Result<T, TraceError> {
        let number = self.whole(cell, field)?;
        T::try_from(number).map_err(|_| self.bad(cell, field, wanted))
    }

    /// A decimal number times `units`, of at most `limit`.
    pub(crate) fn limited(
        &self,
        cell: Cell<'_>,
        field: &str,
        units: u64,
        rounding: Rounding,
        limit: Limit,
    ) -> Result<u64, TraceError> {
        match decimal::parse(cell.text, units, rounding) {
            Ok(number) if number <= limit.most => Ok(number),
            Ok(_) | Err(NotDecimal::TooLarge) => Err(self.bad(cell, field, limit.wanted)),
            Err(_) => self.scaled(cell, field, units, rounding),
        }
    }

    /// A decimal number times `units`.
    pub(crate) fn scaled(
        &self,
        cell: Cell<'_>,
        field: &str,
        units: u64,
        rounding: Rounding,
    ) -> Result<u64, TraceError> {
        decimal::parse(cell.text, units, rounding).map_err(|why| {
            let wanted = match why {
                NotDecimal::NotANumber => "a number",
                NotDecimal::Negative => "a number of at least 0",
                NotDecimal::TooFine if units == 1 => "a whole number",
                NotDecimal::TooFine => "a number with no more digits than the unit can hold",
                NotDecimal::TooLarge => "a number that 64 bits can hold in the smallest unit",
            };
            self.bad(cell, field, wanted)
        })
    }
}

fn cell(text: &str, start: usize, end: usize) -> Cell<'_> {
    let raw = &text[start..end];
    let left = raw.trim_start();
    let at = start + raw.len() - left.len();
    let trimmed = left.trim_end();
    match trimmed.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
        Some(inner) => Cell { at: at + 1, text: inner },
        None => Cell { at, text: trimmed },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn lines_of(bytes: &[u8]) -> Result<Vec<String>, TraceError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        std::fs::write(&path, bytes).unwrap();
        let mut lines = Lines::open(&path)?;
        let mut got = Vec::new();
        while let Some(line) = lines.next_filled()? {
            got.push(line.text.to_owned());
        }
        Ok(got)
    }

    #[test]
    fn gzip_of_several_members_reads_as_one_text() {
        let joined = [gzip("a\nb"), gzip("c\r\n\nd\n")].concat();
        assert_eq!(lines_of(&joined).unwrap(), ["a", "bc", "d"]);
    }

    #[test]
    fn a_cut_gzip_is_an_error_not_an_end() {
        let text: String = (0..20_000).map(|it| format!("{}\n", it * 7919)).collect();
        let whole = gzip(&text);
        let error = lines_of(&whole[..whole.len() - 9]).unwrap_err();
        assert!(matches!(error, TraceError::Damaged { line: 1.., .. }), "{error:?}");
    }

    #[test]
    fn junk_is_not_text() {
        for junk in [&b"a\n\xff\xfe"[..], b"ok\nb\0c\n", &[0x1f, 0x8b, 1, 2, 3, 4, 5, 6, 7, 8, 9]] {
            assert!(lines_of(junk).is_err(), "{junk:?}");
        }
        assert!(
            matches!(lines_of(b"x\n\xff"), Err(TraceError::NotText { place }) if place.line == 2)
        );
        assert!(lines_of(&vec![b'x'; LINE_BYTES_MAX as usize + 1]).is_err());
    }

    #[test]
    fn byte_order_marks_and_quotes_are_taken_off() {
        assert_eq!(lines_of(b"\xef\xbb\xbfid,x\r\n").unwrap(), ["id,x"]);
        let line = Line { path: "p", number: 1, text: "a, \"b,c\" ,d" };
        let mut cells = Vec::new();
        line.split_commas(&mut cells);
        let got: Vec<(usize, &str)> = cells.iter().map(|it| (it.at, it.text)).collect();
        assert_eq!(got, [(0, "a"), (4, "b,c"), (10, "d")]);
    }
}
