//! Where a resource is: file and line in one number that sorts as the folder does.

/// Lines below this fit; a file of a trillion lines does not occur.
const LINES: i64 = 1 << 40;

/// The place of a line, counted from 1.
pub(super) fn place(file: usize, line: u64) -> i64 {
    let file = i64::try_from(file).unwrap_or(0);
    let line = i64::try_from(line).unwrap_or(0);
    file * LINES + line
}

/// The file of a place.
pub(super) fn file_of(place: i64) -> usize {
    usize::try_from(place / LINES).unwrap_or(usize::MAX)
}

/// The line of a place.
pub(super) fn line_of(place: i64) -> i64 {
    place % LINES
}
