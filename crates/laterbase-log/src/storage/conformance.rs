//! The port's contract, checked on every implementation. What only a power cut shows is checked
//! where power can be cut, in `faulty/tests.rs`.

use super::{
    AlignedBuffer, BLOCK_BYTES, FaultyStorage, FileStorage, LockMode, MemoryStorage, OpenMode,
    ProcessStorage, Storage, StorageFile,
};
use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;

/// Checks the whole contract on an empty storage.
fn check(storage: &dyn Storage) {
    files_are_created_once_and_opened_as_asked(storage);
    reads_and_writes_meet_anywhere(storage);
    vectored_writes_join_their_slices(storage);
    lengths_change_and_gaps_are_zero(storage);
    entries_are_listed_renamed_and_removed(storage);
    directories_nest(storage);
    locks_exclude(storage);
    fingerprints_follow_the_file(storage);
    illegal_paths_are_refused(storage);
    direct_files_take_aligned_requests_only(storage);
}

#[test]
fn files_keep_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    check(&FileStorage::open(dir.path()).unwrap());
}

#[test]
fn files_in_memory_keep_the_contract() {
    check(&MemoryStorage::new());
    check(&MemoryStorage::with_block_bytes(BLOCK_BYTES));
}

#[test]
fn faulty_storage_without_faults_keeps_the_contract() {
    check(&FaultyStorage::new(1));
    check(&FaultyStorage::with_block_bytes(1, BLOCK_BYTES));
}

#[test]
fn the_storage_of_a_process_that_lives_keeps_the_contract() {
    check(&ProcessStorage::on(&FaultyStorage::new(1)));
}

fn create(storage: &dyn Storage, path: &str, content: &[u8]) -> Arc<dyn StorageFile> {
    let file = storage.open(path, OpenMode::CREATE).unwrap();
    file.write_at(0, content).unwrap();
    file
}

fn content(file: &dyn StorageFile) -> Vec<u8> {
    let mut buf = vec![0xee; usize::try_from(file.len().unwrap()).unwrap() + 10];
    let count = file.read_at(0, &mut buf).unwrap();
    buf.truncate(count);
    buf
}

fn files_are_created_once_and_opened_as_asked(storage: &dyn Storage) {
    let missing = storage.open("modes", OpenMode::READ).unwrap_err();
    assert!(missing.is_not_found());
    assert!(storage.open("modes", OpenMode::READ_WRITE).unwrap_err().is_not_found());
    assert!(storage.open("nowhere/modes", OpenMode::CREATE).unwrap_err().is_not_found());
    assert!(!storage.exists("modes").unwrap());

    create(storage, "modes", b"first");
    assert!(storage.open("modes", OpenMode::CREATE).unwrap_err().is_already_exists());
    assert!(storage.exists("modes").unwrap());

    let reader = storage.open("modes", OpenMode::READ).unwrap();
    assert!(reader.write_at(0, b"x").is_err());
    assert!(reader.set_len(0).is_err());
    assert_eq!(content(&*reader), b"first");
    assert_eq!(reader.block_bytes(), 1);
    storage.open("modes", OpenMode::READ_WRITE).unwrap().write_at(0, b"f").unwrap();
    storage.remove("modes").unwrap();
    assert_eq!(content(&*reader), b"first", "an open file outlives its name");
}

fn reads_and_writes_meet_anywhere(storage: &dyn Storage) {
    let file = create(storage, "rw", b"0123456789");
    let other = storage.open("rw", OpenMode::READ).unwrap();
    file.write_at(3, b"abc").unwrap();
    let mut buf = [0; 4];
    assert_eq!(other.read_at(2, &mut buf).unwrap(), 4);
    assert_eq!(&buf, b"2abc");
    assert_eq!(other.read_at(8, &mut buf).unwrap(), 2, "short at the end");
    assert_eq!(&buf[..2], b"89");
    assert_eq!(other.read_at(10, &mut buf).unwrap(), 0);
    assert_eq!(other.read_at(1_000_000, &mut buf).unwrap(), 0);
    assert_eq!(other.read_at(0, &mut []).unwrap(), 0);
    file.write_at(50, b"").unwrap();
    assert_eq!(file.len().unwrap(), 10, "writing nothing extends nothing");
    file.sync().unwrap();
    assert_eq!(content(&*other), b"012abc6789");
    storage.remove("rw").unwrap();
}

fn vectored_writes_join_their_slices(storage: &dyn Storage) {
    let file = create(storage, "vectored", b"");
    let parts: Vec<Vec<u8>> = (0..300_u16).map(|n| n.to_be_bytes().repeat(50)).collect();
    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    slices.insert(7, IoSlice::new(&[]));
    file.write_vectored_at(5, &slices).unwrap();
    let expected = [vec![0; 5], parts.concat()].concat();
    assert_eq!(content(&*file), expected);
    storage.remove("vectored").unwrap();
}

fn lengths_change_and_gaps_are_zero(storage: &dyn Storage) {
    let file = create(storage, "len", b"abcdef");
    assert!(!file.is_empty().unwrap());
    file.set_len(3).unwrap();
    file.set_len(5).unwrap();
    assert_eq!(content(&*file), b"abc\0\0", "what was cut off does not come back");
    file.write_at(7, b"x").unwrap();
    assert_eq!(content(&*file), b"abc\0\0\0\0x");
    file.set_len(0).unwrap();
    assert!(file.is_empty().unwrap());
    storage.remove("len").unwrap();
}

fn entries_are_listed_renamed_and_removed(storage: &dyn Storage) {
    storage.create_dir("entries").unwrap();
    let two = create(storage, "entries/2", b"two");
    create(storage, "entries/1", b"one");
    create(storage, "entries/10", b"ten");
    assert_eq!(storage.list("entries").unwrap(), ["1", "10", "2"]);

    let ten = storage.open("entries/10", OpenMode::READ).unwrap();
    storage.rename("entries/2", "entries/10").unwrap();
    assert_eq!(storage.list("entries").unwrap(), ["1", "10"]);
    assert_eq!(content(&*ten), b"ten", "a replaced file is read on through open handles");
    two.write_at(0, b"TWO").unwrap();
    let renamed = storage.open("entries/10", OpenMode::READ).unwrap();
    assert_eq!(content(&*renamed), b"TWO", "an open file follows its new name");

    assert!(storage.rename("entries/2", "entries/3").unwrap_err().is_not_found());
    assert!(storage.rename("entries/1", "nowhere/1").unwrap_err().is_not_found());
    assert!(storage.remove("entries/2").unwrap_err().is_not_found());
    storage.remove("entries/1").unwrap();
    storage.remove("entries/10").unwrap();
    assert!(storage.list("entries").unwrap().is_empty());
    storage.sync_dir("entries").unwrap();
}

fn directories_nest(storage: &dyn Storage) {
    storage.sync_dir("").unwrap();
    assert!(storage.create_dir("dir/inner").unwrap_err().is_not_found());
    storage.create_dir("dir").unwrap();
    storage.create_dir("dir").unwrap();
    storage.create_dir("dir/inner").unwrap();
    create(storage, "dir/file", b"");
    assert_eq!(storage.list("dir").unwrap(), ["file", "inner"]);
    assert!(storage.list("").unwrap().contains(&"dir".to_owned()));
    assert!(storage.exists("dir/inner").unwrap());
    assert!(!storage.exists("dir/file/inner").unwrap_or(false));

    assert_eq!(storage.create_dir("dir/file").unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert!(storage.open("dir/inner", OpenMode::READ_WRITE).is_err());
    assert!(storage.remove("dir/inner").is_err(), "it is a directory");
    assert!(storage.rename("dir/file", "dir/inner").is_err());
    assert_eq!(storage.remove_dir("dir").unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
    assert!(storage.list("nowhere").unwrap_err().is_not_found());
    assert!(storage.sync_dir("nowhere").unwrap_err().is_not_found());
    assert!(storage.remove_dir("nowhere").unwrap_err().is_not_found());
    storage.remove("dir/file").unwrap();
    storage.remove_dir("dir/inner").unwrap();
    storage.remove_dir("dir").unwrap();
    assert!(!storage.exists("dir").unwrap());
}

fn locks_exclude(storage: &dyn Storage) {
    let exclusive = storage.try_lock("lock", LockMode::Exclusive).unwrap();
    assert!(exclusive.is_some());
    assert!(storage.exists("lock").unwrap(), "the file is created");
    assert!(storage.try_lock("lock", LockMode::Exclusive).unwrap().is_none());
    assert!(storage.try_lock("lock", LockMode::Shared).unwrap().is_none());
    assert!(storage.try_lock("other", LockMode::Exclusive).unwrap().is_some());
    let file = storage.open("lock", OpenMode::READ_WRITE).unwrap();
    file.write_at(0, b"who").unwrap();
    drop(exclusive);
    let shared = storage.try_lock("lock", LockMode::Shared).unwrap();
    let second = storage.try_lock("lock", LockMode::Shared).unwrap();
    assert!(shared.is_some() && second.is_some());
    drop(shared);
    assert!(storage.try_lock("lock", LockMode::Exclusive).unwrap().is_none());
    drop(second);
    assert!(storage.try_lock("lock", LockMode::Exclusive).unwrap().is_some());
    assert_eq!(content(&*file), b"who", "locking leaves the content alone");
    storage.remove("lock").unwrap();
    storage.remove("other").unwrap();
}

fn fingerprints_follow_the_file(storage: &dyn Storage) {
    let file = create(storage, "identity", b"bytes");
    create(storage, "copy", b"bytes");
    let fingerprint = storage.fingerprint("identity").unwrap();
    assert_ne!(fingerprint, storage.fingerprint("copy").unwrap());
    file.write_at(0, b"other").unwrap();
    file.sync().unwrap();
    storage.rename("identity", "renamed").unwrap();
    assert_eq!(fingerprint, storage.fingerprint("renamed").unwrap());
    assert!(fingerprint.as_str().is_ascii());
    assert!(storage.fingerprint("identity").unwrap_err().is_not_found());
    storage.remove("renamed").unwrap();
    storage.remove("copy").unwrap();
}

fn illegal_paths_are_refused(storage: &dyn Storage) {
    for path in ["/etc/passwd", "..", "a/../../b", "a//b"] {
        let illegal = |kind| assert_eq!(kind, ErrorKind::InvalidInput, "{path}");
        illegal(storage.open(path, OpenMode::READ).unwrap_err().kind());
        illegal(storage.rename(path, "a").unwrap_err().kind());
        illegal(storage.rename("a", path).unwrap_err().kind());
        illegal(storage.remove(path).unwrap_err().kind());
        illegal(storage.list(path).unwrap_err().kind());
        illegal(storage.create_dir(path).unwrap_err().kind());
        illegal(storage.remove_dir(path).unwrap_err().kind());
        illegal(storage.sync_dir(path).unwrap_err().kind());
        illegal(storage.exists(path).unwrap_err().kind());
        illegal(storage.try_lock(path, LockMode::Shared).unwrap_err().kind());
        illegal(storage.fingerprint(path).unwrap_err().kind());
    }
}

fn direct_files_take_aligned_requests_only(storage: &dyn Storage) {
    let file = storage.open("direct", OpenMode::CREATE.with_direct()).unwrap();
    assert!(file.is_empty().unwrap(), "probing leaves nothing behind");
    let mut buffer = AlignedBuffer::with_capacity(3 * BLOCK_BYTES);
    buffer.resize(2 * BLOCK_BYTES);
    buffer.fill(7);
    let (first, second) = buffer.split_at(BLOCK_BYTES);
    let slices = [IoSlice::new(first), IoSlice::new(second)];
    file.write_vectored_at(BLOCK_BYTES as u64, &slices).unwrap();
    file.sync().unwrap();
    buffer.resize(3 * BLOCK_BYTES);
    assert_eq!(file.read_at(0, &mut buffer).unwrap(), 3 * BLOCK_BYTES);
    assert!(buffer[..BLOCK_BYTES].iter().all(|byte| *byte == 0));
    assert!(buffer[BLOCK_BYTES..].iter().all(|byte| *byte == 7));

    let reader = storage.open("direct", OpenMode::READ).unwrap();
    assert_eq!(content(&*reader).len(), 3 * BLOCK_BYTES, "others see what was written");
    if file.block_bytes() > 1 {
        let refused = |kind| assert_eq!(kind, ErrorKind::InvalidInput);
        refused(file.write_at(1, &buffer).unwrap_err().kind());
        refused(file.write_at(0, &buffer[..100]).unwrap_err().kind());
        refused(file.write_at(0, &buffer[1..=BLOCK_BYTES]).unwrap_err().kind());
        refused(file.read_at(0, &mut buffer[..512]).unwrap_err().kind());
    }
    let again = storage.open("direct", OpenMode::READ_WRITE.with_direct()).unwrap();
    assert_eq!(again.block_bytes(), file.block_bytes());
    assert_eq!(again.len().unwrap(), 3 * BLOCK_BYTES as u64);
    storage.remove("direct").unwrap();
}
