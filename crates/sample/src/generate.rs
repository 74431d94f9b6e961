//! Makes a whole data set, line by line.

use crate::error::SampleError;
use crate::kind::Kind;
use crate::scribe::{Output, Scribe};
use crate::summary::{SampleOptions, SampleProgress, SampleSummary};
use crate::{groups, pool, resources};

/// Takes one line: the name of its type, and its bytes without the line end.
type Taker<'a> = &'a mut dyn FnMut(&'static str, &[u8]) -> Result<(), SampleError>;

/// Makes a data set and hands every line on: first the pool that patients share, then patient
/// after patient, then the groups. An error of the taker ends it.
pub fn generate(options: &SampleOptions, line: Taker<'_>) -> Result<SampleSummary, SampleError> {
    run(options, &mut LineByLine(line))
}

/// Makes a data set into an output.
pub(crate) fn run(
    options: &SampleOptions,
    output: &mut dyn Output,
) -> Result<SampleSummary, SampleError> {
    let mut scribe = Scribe::new(output);
    pool::write(options, &mut scribe)?;
    for n in 0..options.patients {
        resources::write(&mut scribe, options.seed, n)?;
        scribe.patients_done(n + 1);
    }
    groups::write(options, &mut scribe)?;
    Ok(scribe.finish())
}

struct LineByLine<'a>(Taker<'a>);

impl Output for LineByLine<'_> {
    fn line(&mut self, kind: Kind, line: &[u8]) -> Result<(), SampleError> {
        (self.0)(kind.name(), line)
    }

    fn progress(&mut self, _so_far: SampleProgress) {}
}
