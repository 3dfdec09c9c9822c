//! A simulated disk with a file system on it: inodes and directory entries, each as it is seen and
//! as a power cut would find it. See the [module](super) for the model.
//!
//! Invariants: an entry, seen or durable, names an inode that exists; inodes go at a power cut
//! only, so that open handles, by inode number, stay good. There are no hard links.
//!
//! A directory change is one or two assignments `(directory, name) := inode or nothing`; those of
//! one rename survive together or not at all, until one of its directories is synced alone.

use super::Random;
use super::content::{Content, Fate};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

/// Names a file or directory of a [`Disk`], through renames and power cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeNumber(pub u64);

impl InodeNumber {
    /// The root directory.
    pub const ROOT: Self = Self(1);
}

/// What becomes of what was not synced at a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Survival {
    /// Nothing of it survives.
    Lost,
    /// All of it survives, but for what a failed sync has dropped.
    Kept,
    /// What came first survives, up to some moment; the write at that moment is torn at a sector.
    Ordered,
    /// Any sectors and directory changes survive, whatever their order.
    Scattered,
}

impl Survival {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Lost, Self::Kept, Self::Ordered, Self::Scattered];

    /// One of them.
    #[must_use]
    pub fn random(random: &mut Random) -> Self {
        Self::ALL.get(random.index(Self::ALL.len())).copied().unwrap_or(Self::Lost)
    }
}

/// What is known of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Is it a directory?
    pub is_dir: bool,
    /// A file's length in bytes; 0 for a directory.
    pub len: u64,
}

/// A disk: files and directories, seen and durable.
#[derive(Clone, Debug)]
pub struct Disk {
    nodes: BTreeMap<InodeNumber, Node>,
    /// Directory changes that are not durable, in order.
    unsynced: Vec<EntryChange>,
    last_inode: u64,
    last_change: u64,
    capacity_bytes: Option<u64>,
}

#[derive(Clone, Debug)]
enum Node {
    File(Content),
    Dir(Entries),
}

#[derive(Clone, Debug, Default)]
struct Entries {
    seen: BTreeMap<String, InodeNumber>,
    durable: BTreeMap<String, InodeNumber>,
}

#[derive(Clone, Debug)]
struct EntryChange {
    number: u64,
    assignments: Vec<Assignment>,
}

#[derive(Clone, Debug)]
struct Assignment {
    dir: InodeNumber,
    name: String,
    inode: Option<InodeNumber>,
}

impl Disk {
    /// An empty disk of unlimited size.
    #[must_use]
    pub fn new() -> Self {
        Self {
            nodes: BTreeMap::from([(InodeNumber::ROOT, Node::Dir(Entries::default()))]),
            unsynced: Vec::new(),
            last_inode: InodeNumber::ROOT.0,
            last_change: 0,
            capacity_bytes: None,
        }
    }

    /// Limits what all files together may hold; `None` for no limit.
    pub fn set_capacity(&mut self, capacity_bytes: Option<u64>) {
        self.capacity_bytes = capacity_bytes;
    }

    /// What the files that are seen hold together, in bytes.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        let seen = self.reachable(|entries| &entries.seen);
        seen.iter().filter_map(|inode| self.attributes(*inode).ok()).map(|known| known.len).sum()
    }

    /// What is known of an inode.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn attributes(&self, inode: InodeNumber) -> Result<Attributes, ErrorKind> {
        match self.nodes.get(&inode) {
            Some(Node::File(content)) => Ok(Attributes { is_dir: false, len: content.len() }),
            Some(Node::Dir(_)) => Ok(Attributes { is_dir: true, len: 0 }),
            None => Err(ErrorKind::NotFound),
        }
    }

    /// The inode of this name in a directory.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`.
    pub fn lookup(&self, dir: InodeNumber, name: &str) -> Result<InodeNumber, ErrorKind> {
        self.entries(dir)?.seen.get(name).copied().ok_or(ErrorKind::NotFound)
    }

    /// The entries of a directory, sorted by name.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`.
    pub fn list(
        &self,
        dir: InodeNumber,
    ) -> Result<impl Iterator<Item = (&str, InodeNumber)>, ErrorKind> {
        let entries = self.entries(dir)?;
        Ok(entries.seen.iter().map(|(name, inode)| (name.as_str(), *inode)))
    }

    /// Creates an empty file.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`, `AlreadyExists`.
    pub fn create_file(&mut self, dir: InodeNumber, name: &str) -> Result<InodeNumber, ErrorKind> {
        self.create(dir, name, Node::File(Content::default()))
    }

    /// Creates an empty directory.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`, `AlreadyExists`.
    pub fn create_dir(&mut self, dir: InodeNumber, name: &str) -> Result<InodeNumber, ErrorKind> {
        self.create(dir, name, Node::Dir(Entries::default()))
    }

    /// Removes a file's name.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`, `IsADirectory`.
    pub fn remove_file(&mut self, dir: InodeNumber, name: &str) -> Result<(), ErrorKind> {
        if self.attributes(self.lookup(dir, name)?)?.is_dir {
            return Err(ErrorKind::IsADirectory);
        }
        self.assign(vec![Assignment { dir, name: name.to_owned(), inode: None }])
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`, `DirectoryNotEmpty`.
    pub fn remove_dir(&mut self, dir: InodeNumber, name: &str) -> Result<(), ErrorKind> {
        if !self.entries(self.lookup(dir, name)?)?.seen.is_empty() {
            return Err(ErrorKind::DirectoryNotEmpty);
        }
        self.assign(vec![Assignment { dir, name: name.to_owned(), inode: None }])
    }

    /// Renames a file or directory; replaces a file of the new name.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`, `IsADirectory` (a directory has the new name).
    pub fn rename(
        &mut self,
        (from_dir, from): (InodeNumber, &str),
        (to_dir, to): (InodeNumber, &str),
    ) -> Result<(), ErrorKind> {
        let inode = self.lookup(from_dir, from)?;
        if let Some(replaced) = self.entries(to_dir)?.seen.get(to) {
            if *replaced == inode {
                return Ok(());
            }
            if self.attributes(*replaced)?.is_dir {
                return Err(ErrorKind::IsADirectory);
            }
        }
        self.assign(vec![
            Assignment { dir: from_dir, name: from.to_owned(), inode: None },
            Assignment { dir: to_dir, name: to.to_owned(), inode: Some(inode) },
        ])
    }

    /// Reads from a file; fewer bytes than asked for only at its end.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`.
    pub fn read(
        &self,
        inode: InodeNumber,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize, ErrorKind> {
        match self.nodes.get(&inode) {
            Some(Node::File(content)) => Ok(content.read(offset, buf)),
            Some(Node::Dir(_)) => Err(ErrorKind::IsADirectory),
            None => Err(ErrorKind::NotFound),
        }
    }

    /// Writes to a file; returns how much: less than all where the disk is full.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`, `StorageFull` if not one byte fits.
    pub fn write(
        &mut self,
        inode: InodeNumber,
        offset: u64,
        bytes: &[u8],
    ) -> Result<usize, ErrorKind> {
        let room = self.room(inode, offset, bytes.len())?;
        if room == 0 && !bytes.is_empty() {
            return Err(ErrorKind::StorageFull);
        }
        let number = self.next_change();
        let fitting = bytes.get(..room).unwrap_or_default();
        self.content_mut(inode)?.write(number, offset, fitting);
        Ok(room)
    }

    /// Cuts a file, or extends it with zeroes.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`, `StorageFull`.
    pub fn set_len(&mut self, inode: InodeNumber, len: u64) -> Result<(), ErrorKind> {
        let longer_by = len.saturating_sub(self.attributes(inode)?.len);
        if self.free_bytes() < longer_by {
            return Err(ErrorKind::StorageFull);
        }
        let number = self.next_change();
        self.content_mut(inode)?.set_len(number, len);
        Ok(())
    }

    /// Makes a file's data and length durable, and nothing else.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`.
    pub fn sync_file(&mut self, inode: InodeNumber) -> Result<(), ErrorKind> {
        self.content_mut(inode)?.sync();
        Ok(())
    }

    /// Makes some of a file's unsynced sectors durable and drops the others, which are still seen:
    /// what a sync does that fails.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`.
    pub fn fail_sync_file(
        &mut self,
        inode: InodeNumber,
        random: &mut Random,
    ) -> Result<(), ErrorKind> {
        self.content_mut(inode)?.fail_sync(random);
        Ok(())
    }

    /// Makes a directory's entries durable, and nothing else.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`.
    pub fn sync_dir(&mut self, dir: InodeNumber) -> Result<(), ErrorKind> {
        self.entries(dir)?;
        self.settle_dir(dir, |_| true);
        Ok(())
    }

    /// Makes some of a directory's changes durable and drops the others, which are still seen.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`.
    pub fn fail_sync_dir(
        &mut self,
        dir: InodeNumber,
        random: &mut Random,
    ) -> Result<(), ErrorKind> {
        self.entries(dir)?;
        self.settle_dir(dir, |_| random.flip());
        Ok(())
    }

    /// Flips one bit of a file, in what is seen and in what is durable.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`.
    pub fn flip_bit(&mut self, inode: InodeNumber, offset: u64, bit: u32) -> Result<(), ErrorKind> {
        self.content_mut(inode)?.flip_bit(offset, bit);
        Ok(())
    }

    /// Is there anything that a power cut could take?
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.unsynced_numbers().is_empty()
    }

    /// The disk as it is found after a power cut; this one stays as it is.
    #[must_use]
    pub fn survivor(&self, survival: Survival, random: &mut Random) -> Self {
        let fate = self.fate(survival, random);
        let nodes = self.nodes.iter().map(|(inode, node)| (*inode, node.without_files()));
        let mut survivor = Self { nodes: nodes.collect(), unsynced: Vec::new(), ..*self };
        for change in self.unsynced.iter().filter(|change| change.survives(fate, random)) {
            for assignment in &change.assignments {
                survivor.apply_durably(assignment);
            }
        }
        let found = survivor.reachable(|entries| &entries.durable);
        survivor.nodes.retain(|inode, _| found.contains(inode));
        for (inode, node) in &mut survivor.nodes {
            match (node, self.nodes.get(inode)) {
                (Node::File(content), Some(Node::File(before))) => {
                    *content = before.survivor(fate, random);
                }
                (Node::Dir(entries), _) => entries.seen = entries.durable.clone(),
                (Node::File(_), Some(Node::Dir(_)) | None) => {}
            }
        }
        survivor
    }

    /// A copy of all that is seen, and all of it durable.
    #[must_use]
    pub fn settled(&self) -> Self {
        let mut copy = Self { nodes: self.nodes.clone(), unsynced: Vec::new(), ..*self };
        for node in copy.nodes.values_mut() {
            match node {
                Node::File(content) => content.settle(),
                Node::Dir(entries) => entries.durable = entries.seen.clone(),
            }
        }
        let found = copy.reachable(|entries| &entries.seen);
        copy.nodes.retain(|inode, _| found.contains(inode));
        copy
    }

    fn fate(&self, survival: Survival, random: &mut Random) -> Fate {
        match survival {
            Survival::Lost => Fate::Lost,
            Survival::Kept => Fate::Kept,
            Survival::Ordered => {
                let numbers: Vec<u64> = self.unsynced_numbers().into_iter().collect();
                let after_all = self.last_change + 1;
                let moment = numbers.get(random.index(numbers.len() + 1)).copied();
                Fate::OrderedBelow(moment.unwrap_or(after_all))
            }
            Survival::Scattered => {
                let percents = [10, 50, 90];
                let percent = percents.get(random.index(percents.len())).copied().unwrap_or(50);
                Fate::Scattered { percent }
            }
        }
    }

    fn unsynced_numbers(&self) -> BTreeSet<u64> {
        let entries = self.unsynced.iter().map(|change| change.number);
        let contents = self.nodes.values().filter_map(|node| match node {
            Node::File(content) => Some(content.unsynced()),
            Node::Dir(_) => None,
        });
        entries.chain(contents.flatten()).collect()
    }

    fn entries(&self, dir: InodeNumber) -> Result<&Entries, ErrorKind> {
        match self.nodes.get(&dir) {
            Some(Node::Dir(entries)) => Ok(entries),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory),
            None => Err(ErrorKind::NotFound),
        }
    }

    fn entries_mut(&mut self, dir: InodeNumber) -> Result<&mut Entries, ErrorKind> {
        match self.nodes.get_mut(&dir) {
            Some(Node::Dir(entries)) => Ok(entries),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory),
            None => Err(ErrorKind::NotFound),
        }
    }

    fn content_mut(&mut self, inode: InodeNumber) -> Result<&mut Content, ErrorKind> {
        match self.nodes.get_mut(&inode) {
            Some(Node::File(content)) => Ok(content),
            Some(Node::Dir(_)) => Err(ErrorKind::IsADirectory),
            None => Err(ErrorKind::NotFound),
        }
    }

    fn create(
        &mut self,
        dir: InodeNumber,
        name: &str,
        node: Node,
    ) -> Result<InodeNumber, ErrorKind> {
        if self.entries(dir)?.seen.contains_key(name) {
            return Err(ErrorKind::AlreadyExists);
        }
        self.last_inode += 1;
        let inode = InodeNumber(self.last_inode);
        self.nodes.insert(inode, node);
        self.assign(vec![Assignment { dir, name: name.to_owned(), inode: Some(inode) }])?;
        Ok(inode)
    }

    /// Makes one change of directory entries: seen at once, durable once synced.
    fn assign(&mut self, assignments: Vec<Assignment>) -> Result<(), ErrorKind> {
        let number = self.next_change();
        for Assignment { dir, name, inode } in &assignments {
            assign_to(&mut self.entries_mut(*dir)?.seen, name, *inode);
        }
        self.unsynced.push(EntryChange { number, assignments });
        Ok(())
    }

    /// Takes this directory's part out of all unsynced changes, and makes durable what is kept.
    fn settle_dir(&mut self, dir: InodeNumber, mut keep: impl FnMut(u64) -> bool) {
        for mut change in std::mem::take(&mut self.unsynced) {
            let touches = |assignment: &Assignment| assignment.dir == dir;
            let touched = change.assignments.iter().any(touches);
            if touched && keep(change.number) {
                for assignment in change.assignments.iter().filter(|one| touches(one)) {
                    self.apply_durably(assignment);
                }
            }
            change.assignments.retain(|assignment| !touches(assignment));
            if !change.assignments.is_empty() {
                self.unsynced.push(change);
            }
        }
    }

    fn apply_durably(&mut self, assignment: &Assignment) {
        if let Ok(entries) = self.entries_mut(assignment.dir) {
            assign_to(&mut entries.durable, &assignment.name, assignment.inode);
        }
    }

    fn reachable(
        &self,
        names: impl Fn(&Entries) -> &BTreeMap<String, InodeNumber>,
    ) -> BTreeSet<InodeNumber> {
        let mut found = BTreeSet::from([InodeNumber::ROOT]);
        let mut open = vec![InodeNumber::ROOT];
        while let Some(inode) = open.pop() {
            let Ok(entries) = self.entries(inode) else { continue };
            open.extend(names(entries).values().copied().filter(|inode| found.insert(*inode)));
        }
        found
    }

    fn next_change(&mut self) -> u64 {
        self.last_change += 1;
        self.last_change
    }

    fn free_bytes(&self) -> u64 {
        let capacity = self.capacity_bytes.unwrap_or(u64::MAX);
        if capacity == u64::MAX { capacity } else { capacity.saturating_sub(self.used_bytes()) }
    }

    /// How many of `count` bytes at `offset` of a file fit on the disk.
    fn room(&self, inode: InodeNumber, offset: u64, count: usize) -> Result<usize, ErrorKind> {
        let fits_until = self.attributes(inode)?.len.saturating_add(self.free_bytes());
        let room = usize::try_from(fits_until.saturating_sub(offset)).unwrap_or(usize::MAX);
        Ok(room.min(count))
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

impl Node {
    /// A copy of a directory, and an empty file for a file.
    fn without_files(&self) -> Self {
        match self {
            Self::File(_) => Self::File(Content::default()),
            Self::Dir(entries) => Self::Dir(entries.clone()),
        }
    }
}

impl EntryChange {
    fn survives(&self, fate: Fate, random: &mut Random) -> bool {
        match fate {
            Fate::Lost => false,
            Fate::Kept => true,
            Fate::OrderedBelow(number) => self.number < number,
            Fate::Scattered { percent } => random.chance(percent, 100),
        }
    }
}

fn assign_to(names: &mut BTreeMap<String, InodeNumber>, name: &str, inode: Option<InodeNumber>) {
    match inode {
        Some(inode) => names.insert(name.to_owned(), inode),
        None => names.remove(name),
    };
}
