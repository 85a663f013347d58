//! The queue of recorded actions: numbered without a gap, on disk before an action goes on, gone once the server has them.
//!
//! The file begins with the highest number that the server has, then one record a line. A last line that was cut off by a
//! crash was never acknowledged to anybody and is dropped.

use std::{collections::VecDeque, fs::File, io::Write};

use formats::agent_wire::{ActivityRecord, MAX_BATCH};
use serde::{Deserialize, Serialize};

use crate::disk::{Disk, DiskError, private};

const NAME: &str = "activity.ndjson";
/// The most bytes of records in one batch.
const MAX_BATCH_BYTES: usize = 2 << 20;

/// Records that wait for the server.
#[derive(Debug)]
pub struct Queue {
    /// The highest number that the server has.
    stored: u64,
    /// The records above it, each as its line.
    waiting: VecDeque<(u64, Box<str>)>,
    /// The end of the file, open for appending.
    file: Option<File>,
    /// Whether an append failed, so that the file may end in half a line.
    torn: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    stored: u64,
}

impl Queue {
    /// Reads the queue back.
    ///
    /// # Errors
    /// [`DiskError`]; [`DiskError::Damaged`] where a line that is not the last can't be read.
    pub fn open(disk: &Disk) -> Result<Self, DiskError> {
        let bytes = disk.read(NAME)?.unwrap_or_default();
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        let text = std::str::from_utf8(&bytes[..whole]).map_err(|e| disk.damaged(NAME, e))?;
        let mut lines = text.lines();
        let header: Header = match lines.next() {
            Some(line) => serde_json::from_str(line).map_err(|e| disk.damaged(NAME, e))?,
            None => Header { stored: 0 },
        };
        let mut queue = Self {
            stored: header.stored,
            waiting: VecDeque::new(),
            file: None,
            torn: false,
        };
        for line in lines {
            let record: ActivityRecord = serde_json::from_str(line).map_err(|e| disk.damaged(NAME, e))?;
            if record.seq <= queue.last() {
                return Err(disk.damaged(NAME, "the numbers do not rise"));
            }
            queue.waiting.push_back((record.seq, line.into()));
        }
        queue.rewrite(disk)?;
        Ok(queue)
    }

    /// The number of the newest record.
    fn last(&self) -> u64 {
        self.waiting.back().map_or(self.stored, |(seq, _)| *seq)
    }

    /// How many records wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Numbers the record and keeps it durably.
    ///
    /// # Errors
    /// [`DiskError`]; the record is not kept then, and the action must not go on.
    pub fn push(&mut self, disk: &Disk, mut record: ActivityRecord) -> Result<u64, DiskError> {
        if self.torn {
            self.rewrite(disk)?;
        }
        record.seq = self.last() + 1;
        let seq = record.seq;
        let mut line = serde_json::to_string(&record).map_err(|e| disk.damaged(NAME, e))?;
        if let Some(file) = &mut self.file {
            line.push('\n');
            let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_data());
            line.pop();
            if let Err(source) = written {
                self.torn = true;
                return Err(DiskError::Io {
                    path: disk.path(NAME).unwrap_or_default(),
                    source,
                });
            }
        }
        self.waiting.push_back((seq, line.into()));
        Ok(seq)
    }

    /// The oldest records, as many as one batch takes.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] where a kept line can't be read.
    pub fn batch(&self, disk: &Disk) -> Result<Vec<ActivityRecord>, DiskError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for (_, line) in self.waiting.iter().take(MAX_BATCH) {
            bytes += line.len();
            if bytes > MAX_BATCH_BYTES && !batch.is_empty() {
                break;
            }
            batch.push(serde_json::from_str(line).map_err(|e| disk.damaged(NAME, e))?);
        }
        Ok(batch)
    }

    /// Forgets what the server has. A server that has more than was ever numbered here (the disk was restored from a
    /// backup) moves the numbers up.
    ///
    /// # Errors
    /// [`DiskError`]; the records may be sent again then, which stores nothing twice.
    pub fn stored(&mut self, disk: &Disk, seq: u64) -> Result<(), DiskError> {
        if seq <= self.stored {
            return Ok(());
        }
        self.stored = seq;
        while self.waiting.pop_front_if(|(waiting, _)| *waiting <= seq).is_some() {}
        self.rewrite(disk)
    }

    fn rewrite(&mut self, disk: &Disk) -> Result<(), DiskError> {
        let Some(path) = disk.writable(NAME) else { return Ok(()) };
        let mut bytes = serde_json::to_vec(&Header { stored: self.stored }).map_err(|e| disk.damaged(NAME, e))?;
        bytes.push(b'\n');
        for (_, line) in &self.waiting {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        disk.replace(NAME, &[&bytes])?;
        let file = private()
            .append(true)
            .open(&path)
            .map_err(|source| DiskError::Io { path, source })?;
        self.file = Some(file);
        self.torn = false;
        Ok(())
    }
}
