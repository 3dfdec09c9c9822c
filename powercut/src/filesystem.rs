//! The kernel's requests, answered from a simulated disk.
//!
//! Inode numbers of the disk are inode numbers of the kernel, through renames and power cuts. Open
//! files and directories have no state of their own. Locks are left to the kernel, which keeps
//! `flock` itself if it is not told otherwise. Left out: links, attributes other than the length,
//! permissions, times, preallocation, memory mapping.

use fuser::{
    BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request,
    TimeOrNow, WriteFlags,
};
use laterbase_log::storage::{
    Attributes, DiskError, FaultyDisk, InodeNumber, Request as DiskRequest, StorageOp,
};
use std::ffi::OsStr;
use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The kernel may keep nothing: after a cut, all of it would be wrong.
const VALID_FOR: Duration = Duration::ZERO;

/// What the kernel is told of an open file: ask for every read.
const OPENED: FopenFlags = FopenFlags::FOPEN_DIRECT_IO;

/// A file system on a simulated disk.
#[derive(Debug)]
pub(crate) struct CutFilesystem {
    disk: Arc<FaultyDisk>,
    mounted_at: SystemTime,
}

impl CutFilesystem {
    pub(crate) fn new(disk: Arc<FaultyDisk>) -> Self {
        Self { disk, mounted_at: SystemTime::now() }
    }

    /// Two threads, so that a delayed call does not hold up the others.
    pub(crate) fn config() -> Config {
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName("powercut".to_owned()),
            MountOption::NoDev,
            MountOption::NoSuid,
            MountOption::NoAtime,
        ];
        config.n_threads = Some(2);
        config
    }

    /// Does what is done at once or not at all.
    fn run<T>(
        &self,
        request: DiskRequest<'_>,
        act: impl FnOnce(&mut laterbase_log::storage::Disk) -> Result<T, ErrorKind>,
    ) -> Result<T, Errno> {
        self.disk.run(request, act).map_err(errno)
    }

    fn found(&self, request: &Request, inode: INodeNo, known: Attributes) -> FileAttr {
        let (kind, perm) = if known.is_dir {
            (FileType::Directory, 0o755)
        } else {
            (FileType::RegularFile, 0o644)
        };
        FileAttr {
            ino: inode,
            size: known.len,
            blocks: known.len.div_ceil(512),
            atime: self.mounted_at,
            mtime: self.mounted_at,
            ctime: self.mounted_at,
            crtime: self.mounted_at,
            kind,
            perm,
            nlink: 1,
            uid: request.uid(),
            gid: request.gid(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    fn attributes(&self, request: &Request, inode: INodeNo) -> Result<FileAttr, Errno> {
        let look = DiskRequest::look(StorageOp::Len, "");
        let known = self.run(look, |disk| disk.attributes(InodeNumber(inode.0)))?;
        Ok(self.found(request, inode, known))
    }

    /// Finds or makes an entry with `act`, and says what is known of it.
    fn entry(
        &self,
        request: &Request,
        what: DiskRequest<'_>,
        act: impl FnOnce(&mut laterbase_log::storage::Disk) -> Result<InodeNumber, ErrorKind>,
    ) -> Result<FileAttr, Errno> {
        let (inode, known) = self.run(what, |disk| {
            let inode = act(disk)?;
            Ok((inode, disk.attributes(inode)?))
        })?;
        Ok(self.found(request, INodeNo(inode.0), known))
    }

    fn read_bytes(&self, inode: INodeNo, offset: u64, size: u32) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let look = DiskRequest::look(StorageOp::Read, "").at(offset, u64::from(size));
        let count = self.run(look, |disk| disk.read(InodeNumber(inode.0), offset, &mut bytes))?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn names(&self, dir: INodeNo) -> Result<Vec<(String, InodeNumber, FileType)>, Errno> {
        self.run(DiskRequest::look(StorageOp::List, ""), |disk| {
            let entries = disk.list(InodeNumber(dir.0))?;
            let described = entries.map(|(name, inode)| {
                let is_dir = disk.attributes(inode)?.is_dir;
                let kind = if is_dir { FileType::Directory } else { FileType::RegularFile };
                Ok((name.to_owned(), inode, kind))
            });
            described.collect()
        })
    }
}

impl Filesystem for CutFilesystem {
    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = text(name).and_then(|name| {
            let look = DiskRequest::look(StorageOp::Inspect, name);
            self.entry(request, look, |disk| disk.lookup(InodeNumber(parent.0), name))
        });
        answer_entry(found, reply);
    }

    fn getattr(&self, request: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(request, ino) {
            Ok(attributes) => reply.attr(&VALID_FOR, &attributes),
            Err(errno) => reply.error(errno),
        }
    }

    fn setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let resized = size.map_or(Ok(()), |len| {
            let change = DiskRequest::change(StorageOp::SetLen, "").at(len, 0);
            self.run(change, |disk| disk.set_len(InodeNumber(ino.0), len))
        });
        match resized.and_then(|()| self.attributes(request, ino)) {
            Ok(attributes) => reply.attr(&VALID_FOR, &attributes),
            Err(errno) => reply.error(errno),
        }
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let made = text(name).and_then(|name| {
            let change = DiskRequest::change(StorageOp::CreateDir, name);
            self.entry(request, change, |disk| disk.create_dir(InodeNumber(parent.0), name))
        });
        answer_entry(made, reply);
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let made = text(name).and_then(|name| {
            let change = DiskRequest::change(StorageOp::Open, name);
            self.entry(request, change, |disk| disk.create_file(InodeNumber(parent.0), name))
        });
        match made {
            Ok(found) => reply.created(&VALID_FOR, &found, Generation(0), FileHandle(0), OPENED),
            Err(errno) => reply.error(errno),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = text(name).and_then(|name| {
            let change = DiskRequest::change(StorageOp::Remove, name);
            self.run(change, |disk| disk.remove_file(InodeNumber(parent.0), name))
        });
        answer(removed, reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = text(name).and_then(|name| {
            let change = DiskRequest::change(StorageOp::Remove, name);
            self.run(change, |disk| disk.remove_dir(InodeNumber(parent.0), name))
        });
        answer(removed, reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        let renamed = text(name).and_then(|from| {
            let to = (InodeNumber(newparent.0), text(newname)?);
            let change = DiskRequest::change(StorageOp::Rename, from);
            self.run(change, |disk| disk.rename((InodeNumber(parent.0), from), to))
        });
        answer(renamed, reply);
    }

    fn open(&self, request: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        match self.attributes(request, ino) {
            Ok(_) => reply.opened(FileHandle(0), OPENED),
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.read_bytes(ino, offset, size) {
            Ok(bytes) => reply.data(&bytes),
            Err(errno) => reply.error(errno),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let change = DiskRequest::change(StorageOp::Write, "").at(offset, data.len() as u64);
        let written = self.disk.write(change, InodeNumber(ino.0), &[IoSlice::new(data)]);
        match written {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let change = DiskRequest::change(StorageOp::Sync, "");
        answer(self.disk.sync_file(change, InodeNumber(ino.0)).map_err(errno), reply);
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let names = match self.names(ino) {
            Ok(names) => names,
            Err(errno) => return reply.error(errno),
        };
        // The kernel needs no parent's number here, as it knows it.
        let dots =
            [".", ".."].map(|name| (name.to_owned(), InodeNumber(ino.0), FileType::Directory));
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        let entries = dots.into_iter().chain(names).zip(1..).skip(skipped);
        for ((name, inode, kind), next) in entries {
            if reply.add(INodeNo(inode.0), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let change = DiskRequest::change(StorageOp::SyncDir, "");
        answer(self.disk.sync_dir(change, InodeNumber(ino.0)).map_err(errno), reply);
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        const BLOCKS: u64 = 1 << 30;
        reply.statfs(BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCKS, 4096, 255, 4096);
    }
}

/// Names are UTF-8 here; the program under test has no others.
fn text(name: &OsStr) -> Result<&str, Errno> {
    name.to_str().ok_or(Errno::EINVAL)
}

fn answer(outcome: Result<(), Errno>, reply: ReplyEmpty) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

fn answer_entry(outcome: Result<FileAttr, Errno>, reply: ReplyEntry) {
    match outcome {
        Ok(attributes) => reply.entry(&VALID_FOR, &attributes, Generation(0)),
        Err(errno) => reply.error(errno),
    }
}

fn errno(error: DiskError) -> Errno {
    let known = [
        (ErrorKind::NotFound, Errno::ENOENT),
        (ErrorKind::NotADirectory, Errno::ENOTDIR),
        (ErrorKind::IsADirectory, Errno::EISDIR),
        (ErrorKind::AlreadyExists, Errno::EEXIST),
        (ErrorKind::DirectoryNotEmpty, Errno::ENOTEMPTY),
        (ErrorKind::StorageFull, Errno::ENOSPC),
    ];
    match error {
        DiskError::Injected(_) => Errno::EIO,
        DiskError::Refused(kind) => {
            let found = known.into_iter().find(|(known, _)| *known == kind);
            found.map_or(Errno::EIO, |(_, errno)| errno)
        }
    }
}
