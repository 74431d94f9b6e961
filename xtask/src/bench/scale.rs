//! `bench scale`: more workers over a slow source, and a million patients planned.

mod million;
mod slow;
mod told;
mod widths;

use super::Benchmark;
use super::figures::Table;
use crate::stack;

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "scale",
    what: "First: an export of PostgreSQL in 160 chunks by 1 to 16 workers of one slot, and by one worker of 16 slots. The workers reach the database \
through a line on which each answer is 50 ms underway, and each further 64 KiB of it 50 ms more; gateway and coordinator reach it directly. Speed-up is against one worker of one slot in the same turn, \
processors are those of the whole machine, its servers included. Then: Patients of about 200 bytes, exported with two workers of two slots present; their number \
stands in each row. First work is a worker's first hint of a chunk, as its metrics tell every few milliseconds; memory and messages are of the whole export",
    run: || {
        stack::beside(|| {
            let mut table = Table::default();
            widths::measure(&mut table)?;
            million::measure(&mut table)?;
            Ok(table)
        })
    },
};
