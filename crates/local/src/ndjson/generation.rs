//! A state of the folder with its index: made once, found again after a restart, and removed
//! when the folder has changed.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use sluice_fhir::{Instant, ResourceType};

use super::error::LoadError;
use super::fingerprint::{Found, Stamp, fingerprint, survey};
use super::kinds::kind;
use super::lines::unpacked_path;
use super::load::{Listener, Load, LoadProgress, total_bytes};
use super::options::{NdjsonOptions, Undated};
use super::place::file_of;
use super::tables;

const HAS_PERIODS: &str = "SELECT EXISTS
    (SELECT 1 FROM group_members WHERE starts IS NOT NULL OR ends IS NOT NULL)";

/// States kept. Exports that began with an older one go on with it, as long as its files are there;
/// and tenants that read one folder in several ways do not take each other's.
const KEPT: usize = 4;

/// What a folder holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Resources that can be exported.
    pub resources: u64,
    /// Their bytes as NDJSON.
    pub bytes: u64,
    /// Files.
    pub files: usize,
    /// Resources of each type.
    pub per_type: BTreeMap<ResourceType, u64>,
    /// Lines left out, empty files counted as one.
    pub skipped: u64,
    /// Names of files that hold no resources, as far as can be seen, and are not read.
    pub ignored: Vec<String>,
}

/// A type's share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Total {
    pub(super) undated: i64,
    pub(super) newest: Option<i64>,
    /// Those that name only patients who are not in the folder.
    pub(super) strangers: i64,
}

/// A data file and where its lines are read.
#[derive(Debug)]
pub(super) struct DataFile {
    pub(super) path: PathBuf,
    /// What the file at `path` must look like; of unpacked ones only the size is known.
    pub(super) stamp: Stamp,
    pub(super) unpacked: bool,
    /// Stands in for missing times, if it shall.
    updated: Option<Instant>,
}

/// A state of the folder with its index.
#[derive(Debug)]
pub(super) struct Generation {
    /// Its name; tokens are made of it.
    pub(super) id: String,
    pub(super) folder: PathBuf,
    pub(super) files: Vec<DataFile>,
    pub(super) totals: BTreeMap<ResourceType, Total>,
    pub(super) catalog: Catalog,
    /// Whether the time decides about the membership of some Group.
    pub(super) has_periods: bool,
}

impl Generation {
    /// Opens the index that fits the folder as it is now, building it where there is none.
    pub(super) fn open(options: &NdjsonOptions, listener: Listener<'_>) -> Result<Self, LoadError> {
        // A folder that is not there must not come to be by being indexed.
        survey(options)?;
        let base = options.index_dir();
        make_private(&base).map_err(LoadError::io(
            "making the index folder (index=PATH names another)",
            &base,
        ))?;
        let lock = base.join("lock");
        let lock_file = File::create(&lock).map_err(LoadError::io("locking", &lock))?;
        lock_file.lock().map_err(LoadError::io("locking", &lock))?;
        let survey = survey(options)?;
        let id = fingerprint(options, &survey.found);
        remove(&base.join("building"))?;
        let mut generation = match Self::read(options, &id) {
            Ok(generation) => {
                let bytes = total_bytes(&survey.found);
                listener(LoadProgress {
                    files: survey.found.len(),
                    file_bytes_total: bytes,
                    bytes_done: bytes,
                    resources: generation.catalog.resources,
                    reused: true,
                });
                generation
            }
            Err(_) => Self::build(options, (&survey.found, &id), listener)?,
        };
        clean(&base, &generation.folder)?;
        generation.catalog.ignored = survey.ignored;
        Ok(generation)
    }

    fn build(
        options: &NdjsonOptions,
        (files, id): (&[Found], &str),
        listener: Listener<'_>,
    ) -> Result<Self, LoadError> {
        let base = options.index_dir();
        let (building, folder) = (base.join("building"), folder_of(options, id));
        remove(&folder)?;
        let load = Load {
            files,
            lenient: options.lenient,
            listener,
        };
        load.build(&building)?;
        if fingerprint(options, &survey(options)?.found) != id {
            return Err(LoadError::Changed);
        }
        let publish = || {
            File::open(building.join("unpacked"))?.sync_all()?;
            File::open(&building)?.sync_all()?;
            fs::rename(&building, &folder)?;
            File::open(&base)?.sync_all()
        };
        publish().map_err(LoadError::io("publishing", &folder))?;
        Self::read(options, id)
    }

    /// Whether the index is still there; a process with other options may have replaced it.
    pub(super) fn is_there(&self) -> bool {
        self.index_path().is_file()
    }

    /// Opens the index of a state, whether the folder still is in it or not.
    pub(super) fn read(options: &NdjsonOptions, id: &str) -> Result<Self, LoadError> {
        let folder = folder_of(options, id);
        let index = tables::open(&folder.join("index.sqlite"))?;
        let files = data_files(&index, &folder, options)?;
        let mut generation = Self {
            id: id.to_owned(),
            folder,
            catalog: Catalog {
                files: files.len(),
                ..Catalog::default()
            },
            files,
            totals: BTreeMap::new(),
            has_periods: index.query_row(HAS_PERIODS, [], |row| row.get(0))?,
        };
        generation.count(&index)?;
        Ok(generation)
    }

    fn count(&mut self, index: &Connection) -> rusqlite::Result<()> {
        let mut totals = index.prepare("SELECT * FROM totals")?;
        let mut rows = totals.query([])?;
        let catalog = &mut self.catalog;
        while let Some(row) = rows.next()? {
            let Some(kind) = kind(row.get(0)?) else {
                continue;
            };
            let resources = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
            catalog.resources += resources;
            catalog.bytes += u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
            catalog.per_type.insert(kind, resources);
            let total = Total {
                undated: row.get(3)?,
                newest: row.get(4)?,
                strangers: row.get(5)?,
            };
            self.totals.insert(kind, total);
        }
        let skipped = "SELECT coalesce(sum(count), 0) FROM skips";
        let skipped: i64 = index.query_row(skipped, [], |row| row.get(0))?;
        catalog.skipped = u64::try_from(skipped).unwrap_or(0);
        Ok(())
    }

    /// The index, on a connection of its own.
    pub(super) fn index(&self) -> rusqlite::Result<Connection> {
        tables::open(&self.index_path())
    }

    pub(super) fn index_path(&self) -> PathBuf {
        self.folder.join("index.sqlite")
    }

    /// When an entry changed, as far as is known.
    pub(super) fn updated(&self, place: i64, nanos: Option<i64>) -> Option<Instant> {
        match nanos {
            Some(nanos) => Some(Instant::from_nanos(nanos)),
            None => self.files.get(file_of(place))?.updated,
        }
    }
}

fn folder_of(options: &NdjsonOptions, id: &str) -> PathBuf {
    options.index_dir().join(format!("gen-{id}"))
}

/// It holds ids of patients, and whole resources where files were packed.
fn make_private(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))
}

fn data_files(
    index: &Connection,
    folder: &Path,
    options: &NdjsonOptions,
) -> Result<Vec<DataFile>, LoadError> {
    let mut rows = index.prepare("SELECT name, size, mtime, unpacked FROM files ORDER BY file")?;
    let mut rows = rows.query([])?;
    let mut files: Vec<DataFile> = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let stamp = Stamp {
            size: row.get(1)?,
            mtime: row.get(2)?,
        };
        let unpacked: Option<i64> = row.get(3)?;
        let by_file = options.undated == Undated::FileTime;
        let mut data = DataFile {
            path: options.dir.join(name),
            stamp,
            unpacked: unpacked.is_some(),
            updated: by_file.then(|| Instant::from_nanos(stamp.mtime).floor_to_millis()),
        };
        if let Some(size) = unpacked {
            data.path = unpacked_path(&folder.join("unpacked"), files.len());
            data.stamp.size = size;
            let there = fs::metadata(&data.path).map_err(LoadError::io("finding", &data.path))?;
            if Stamp::of(&there).size != size {
                return Err(LoadError::Changed);
            }
        }
        files.push(data);
    }
    Ok(files)
}

/// Removes the oldest states of the folder.
fn clean(base: &Path, keep: &Path) -> Result<(), LoadError> {
    let failed = || LoadError::io("listing", base);
    let mut others = Vec::new();
    for entry in fs::read_dir(base).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let is_state = entry.file_name().to_string_lossy().starts_with("gen-");
        if is_state && entry.path() != keep {
            let made = entry.metadata().and_then(|found| found.modified());
            others.push((made.map_err(failed())?, entry.path()));
        }
    }
    others.sort_unstable();
    for (_, path) in others.iter().rev().skip(KEPT - 1) {
        remove(path)?;
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<(), LoadError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(LoadError::io("removing", folder)(error))
        }
        _ => Ok(()),
    }
}
