//! Writes a data set into a folder, one NDJSON file per type.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::SampleError;
use crate::generate::run;
use crate::kind::Kind;
use crate::scribe::Output;
use crate::summary::{SampleOptions, SampleProgress, SampleSummary};

/// Bytes that each file gathers before they are written.
const GATHERED: usize = 128 * 1024;

/// Makes a data set and writes it as `<Type>.ndjson` into a folder, which is made if need be.
///
/// A folder that holds NDJSON already is refused. The files bear another name until all of them
/// are complete, so that what an interrupted run leaves is not taken for a data set. After each
/// patient the progress is told.
pub fn write_folder(
    options: &SampleOptions,
    out: &Path,
    progress: &mut dyn FnMut(SampleProgress),
) -> Result<SampleSummary, SampleError> {
    fs::create_dir_all(out).map_err(SampleError::io("making the folder", out))?;
    refuse_if_in_use(out)?;
    let mut folder = Folder {
        out,
        files: [const { None }; Kind::COUNT],
        progress,
    };
    let made = run(options, &mut folder).and_then(|summary| folder.publish().map(|()| summary));
    if made.is_err() {
        folder.discard();
    }
    made
}

fn refuse_if_in_use(out: &Path) -> Result<(), SampleError> {
    let reading = || SampleError::io("reading the folder", out);
    for entry in fs::read_dir(out).map_err(reading())? {
        let name = entry.map_err(reading())?.file_name();
        if Path::new(&name)
            .extension()
            .is_some_and(|it| it == "ndjson")
        {
            let file = name.to_string_lossy().into_owned();
            return Err(SampleError::FolderInUse {
                folder: out.to_owned(),
                file,
            });
        }
    }
    Ok(())
}

/// A file that is not complete yet.
struct Part {
    file: BufWriter<File>,
    path: PathBuf,
    name: &'static str,
}

struct Folder<'a> {
    out: &'a Path,
    files: [Option<Part>; Kind::COUNT],
    progress: &'a mut dyn FnMut(SampleProgress),
}

impl Folder<'_> {
    /// Completes every file, then gives them their names.
    fn publish(&mut self) -> Result<(), SampleError> {
        for part in self.files.iter_mut().flatten() {
            part.file
                .flush()
                .map_err(SampleError::io("writing", &part.path))?;
        }
        for part in self.files.iter().flatten() {
            let whole = self.out.join(format!("{}.ndjson", part.name));
            fs::rename(&part.path, whole).map_err(SampleError::io("renaming", &part.path))?;
        }
        Ok(())
    }

    /// Removes what is not complete. What cannot be removed keeps its other name and does no harm.
    fn discard(&mut self) {
        for part in self.files.iter_mut().filter_map(Option::take) {
            drop(part.file);
            let _ = fs::remove_file(&part.path);
        }
    }
}

impl Part {
    fn start(out: &Path, name: &'static str) -> Result<Self, SampleError> {
        let path = out.join(format!("{name}.ndjson.partial"));
        let file = File::create(&path).map_err(SampleError::io("making", &path))?;
        Ok(Self {
            file: BufWriter::with_capacity(GATHERED, file),
            path,
            name,
        })
    }
}

impl Output for Folder<'_> {
    fn line(&mut self, kind: Kind, line: &[u8]) -> Result<(), SampleError> {
        let slot = &mut self.files[kind as usize];
        let part = match slot {
            Some(part) => part,
            None => slot.insert(Part::start(self.out, kind.name())?),
        };
        let written = part
            .file
            .write_all(line)
            .and_then(|()| part.file.write_all(b"\n"));
        written.map_err(SampleError::io("writing", &part.path))
    }

    fn progress(&mut self, so_far: SampleProgress) {
        (self.progress)(so_far);
    }
}
