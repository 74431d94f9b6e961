//! Sample data, made once below target/bench.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::home;
use crate::run::{program, remove, sluice};

/// A folder of NDJSON.
pub(super) struct Sample {
    pub(super) folder: PathBuf,
    bytes: u64,
}

impl Sample {
    /// A million bytes each.
    pub(super) fn megabytes(&self) -> f64 {
        float(self.bytes) / 1e6
    }

    /// Its files of NDJSON.
    pub(super) fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.path()));
        let mut files: Vec<PathBuf> = entries.collect::<anyhow::Result<_>>()?;
        files.retain(|file| {
            file.extension()
                .is_some_and(|extension| extension == "ndjson")
        });
        files.sort();
        Ok(files)
    }
}

/// So many made-up patients, each about 450 kB in as many resources.
pub(super) fn patients(count: u32) -> anyhow::Result<Sample> {
    made(&format!("patients-{count}"), |folder| {
        let (count, out) = (count.to_string(), folder.to_string_lossy());
        program(&sluice(), &["sample", "--patients", &count, "--out", &out])
    })
}

/// A folder that `fill` fills unless that was done before.
pub(super) fn made(
    name: &str,
    fill: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<Sample> {
    let (folder, is_made) = (home().join(name), home().join(format!("{name}.made")));
    if !is_made.exists() {
        remove(&folder)?;
        fill(&folder)?;
        fs::write(is_made, "made by cargo xtask bench\n")?;
    }
    let mut sample = Sample { folder, bytes: 0 };
    for file in sample.files()? {
        sample.bytes += fs::metadata(file)?.len();
    }
    Ok(sample)
}

/// Adds documents of a patient, each with a scan of so many MiB.
pub(super) fn add_giants(folder: &Path, count: u32, mebibytes: u32) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(folder.join("giants.ndjson"))?);
    let mebibyte = "QUJD".repeat(256 * 1024);
    for number in 0..count {
        write!(
            file,
            r#"{{"resourceType":"DocumentReference","id":"giant-{number}","content":[{{"attachment":{{"data":""#
        )?;
        for _ in 0..mebibytes {
            file.write_all(mebibyte.as_bytes())?;
        }
        file.write_all(b"\"}}]}\n")?;
    }
    Ok(file.flush()?)
}

#[expect(clippy::cast_precision_loss, reason = "figures to be read")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}
