//! The peers that a copy keeps in touch with: the file `peers` in its directory.
//!
//! ```text
//! laterbase-peers 1                       the format
//! # a comment, or an empty line
//! paris   http://127.0.0.1:7411           a name and an address, with blanks between them
//! hub     http://127.0.0.1:7412/db/port
//! ```
//! People may edit it; what they wrote around the peers stays as it is. A file of a newer format is
//! refused, not guessed at. It is replaced as a whole, so that no reader finds half of it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::address::{AddressError, PeerAddress};

/// The file's name in the directory of a database.
pub const PEERS_FILE: &str = "peers";

const HEADER: &str = "laterbase-peers";
const FORMAT: u32 = 1;
/// More than anybody writes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A peer that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What it is called here: letters, digits, `-` and `_`.
    pub name: String,
    /// Where it is.
    pub address: PeerAddress,
}

/// The peers of a copy, and the file that holds them.
#[derive(Clone, Debug)]
pub struct Peers {
    path: PathBuf,
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
enum Line {
    Peer(Peer),
    Other(String),
}

/// The peers cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A newer version wrote the file.
    #[error("{} has format {found}, and this build reads {FORMAT}: upgrade", path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The file is something else.
    #[error("{} does not begin with `{HEADER} {FORMAT}`: repair or remove it", path.display())]
    Header {
        /// Which.
        path: PathBuf,
    },
    /// A line is no peer.
    #[error("{}, line {line}: {reason}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: PeerError,
    },
    /// The peer is not to be added.
    #[error(transparent)]
    Peer(#[from] PeerError),
}

/// A name and an address are no peer, or no new one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// The name has other characters.
    #[error("`{name}` is no name of a peer: use 1 to 63 of a-z, 0-9, - and _")]
    Name {
        /// The name.
        name: String,
    },
    /// There is a peer of this name.
    #[error("there is a peer `{name}` already, at {address}: remove it first, or use another name")]
    Taken {
        /// The name.
        name: String,
        /// Its address.
        address: PeerAddress,
    },
    /// There is a peer at this address.
    #[error("{address} is the address of `{name}` already: use that, or remove it first")]
    SameAddress {
        /// The address.
        address: PeerAddress,
        /// Whose.
        name: String,
    },
    /// The address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A line has more or less than a name and an address.
    #[error("a line has a name and an address, with blanks between them")]
    Words,
}

impl Peer {
    /// A peer by its name and address.
    ///
    /// # Errors
    /// [`PeerError`] if one of them is none.
    pub fn new(name: &str, address: &str) -> Result<Self, PeerError> {
        if !is_peer_name(name) {
            return Err(PeerError::Name { name: name.to_owned() });
        }
        Ok(Self { name: name.to_owned(), address: address.parse()? })
    }
}

impl Peers {
    /// Reads the peers of the copy in `directory`; there are none if there is no file.
    ///
    /// # Errors
    /// [`PeersError`].
    pub fn read(directory: &Path) -> Result<Self, PeersError> {
        let path = directory.join(PEERS_FILE);
        let failed = |source| PeersError::File { path: path.clone(), source };
        let text = match fs::metadata(&path) {
            Ok(found) if found.len() > FILE_BYTES_MAX => return Err(PeersError::Header { path }),
            Ok(_) => fs::read_to_string(&path).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path, lines: Vec::new() });
            }
            Err(error) => return Err(failed(error)),
        };
        let mut all = text.lines();
        let first = all.next().unwrap_or_default().split_once(' ');
        match first.and_then(|(word, format)| Some((word, format.trim().parse().ok()?))) {
            Some((HEADER, FORMAT)) => {}
            Some((HEADER, found)) if found > FORMAT => {
                return Err(PeersError::Newer { path, found });
            }
            Some(_) | None => return Err(PeersError::Header { path }),
        }
        let mut peers = Self { path, lines: Vec::new() };
        for (index, line) in all.enumerate() {
            let line = peers.line(line).map_err(|reason| PeersError::Line {
                path: peers.path.clone(),
                line: index + 2,
                reason,
            })?;
            peers.lines.push(line);
        }
        Ok(peers)
    }

    /// The peers, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.lines.iter().filter_map(|line| match line {
            Line::Peer(peer) => Some(peer),
            Line::Other(_) => None,
        })
    }

    /// The peer of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Peer> {
        self.iter().find(|peer| peer.name == name)
    }

    /// Adds a peer and writes the file.
    ///
    /// # Errors
    /// [`PeersError`]; the file is as it was.
    pub fn add(&mut self, peer: Peer) -> Result<(), PeersError> {
        self.check(&peer)?;
        self.lines.push(Line::Peer(peer));
        self.write()
    }

    /// Removes a peer and writes the file. Whether there was one.
    ///
    /// # Errors
    /// [`PeersError`]; the file is as it was.
    pub fn remove(&mut self, name: &str) -> Result<bool, PeersError> {
        let before = self.lines.len();
        self.lines.retain(|line| !matches!(line, Line::Peer(peer) if peer.name == name));
        if self.lines.len() == before {
            return Ok(false);
        }
        self.write()?;
        Ok(true)
    }

    fn check(&self, peer: &Peer) -> Result<(), PeerError> {
        if let Some(other) = self.find(&peer.name) {
            let (name, address) = (other.name.clone(), other.address.clone());
            return Err(PeerError::Taken { name, address });
        }
        match self.iter().find(|other| other.address == peer.address) {
            Some(other) => Err(PeerError::SameAddress {
                address: peer.address.clone(),
                name: other.name.clone(),
            }),
            None => Ok(()),
        }
    }

    fn line(&self, text: &str) -> Result<Line, PeerError> {
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            return Ok(Line::Other(text.to_owned()));
        }
        let mut words = trimmed.split_whitespace();
        let (Some(name), Some(address), None) = (words.next(), words.next(), words.next()) else {
            return Err(PeerError::Words);
        };
        let peer = Peer::new(name, address)?;
        self.check(&peer)?;
        Ok(Line::Peer(peer))
    }

    fn write(&self) -> Result<(), PeersError> {
        let mut text = format!("{HEADER} {FORMAT}\n");
        for line in &self.lines {
            match line {
                Line::Peer(peer) => text.push_str(&format!("{:<10} {}\n", peer.name, peer.address)),
                Line::Other(other) => text.push_str(&format!("{other}\n")),
            }
        }
        replace(&self.path, text.as_bytes(), true)
            .map_err(|source| PeersError::File { path: self.path.clone(), source })
    }
}

/// Whether a text can be the name of a peer: `[a-z0-9][a-z0-9_-]{0,62}`.
fn is_peer_name(name: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut bytes = name.bytes();
    bytes.next().is_some_and(is_first)
        && bytes.all(|byte| is_first(byte) || byte == b'_' || byte == b'-')
        && name.len() <= 63
}

/// Replaces a file by one with these bytes: readers find the old one or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8], is_lasting: bool) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    if is_lasting {
        file.sync_all()?;
    }
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file as the first release wrote it.
    const FIXTURE: &str = include_str!("../tests/fixtures/peers-v1");

    fn directory_with(text: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(PEERS_FILE), text).unwrap();
        directory
    }

    #[test]
    fn version_1_is_read_and_what_people_wrote_stays() {
        let directory = directory_with(FIXTURE);
        let mut peers = Peers::read(directory.path()).unwrap();
        let found: Vec<String> =
            peers.iter().map(|peer| format!("{} {}", peer.name, peer.address)).collect();
        assert_eq!(found, ["paris http://127.0.0.1:7411", "hub http://[::1]:7412/db/port"]);
        peers.add(Peer::new("lyon", "127.0.0.1:7413").unwrap()).unwrap();
        assert!(peers.remove("paris").unwrap());
        assert!(!peers.remove("paris").unwrap());
        let text = fs::read_to_string(directory.path().join(PEERS_FILE)).unwrap();
        let kept = FIXTURE.lines().filter(|line| !line.starts_with("paris"));
        let expected: Vec<&str> = kept.chain(["lyon       http://127.0.0.1:7413"]).collect();
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_no_list_of_peers_is_refused_with_its_line() {
        let message = |text: &str| {
            let directory = directory_with(text);
            let error = Peers::read(directory.path()).unwrap_err().to_string();
            error.replace(&directory.path().display().to_string(), "")
        };
        assert!(message("").starts_with("/peers does not begin with"));
        assert!(message("laterbase-peers 2\n").contains("has format 2"));
        assert!(message("laterbase-peers 1\n\na b c\n").starts_with("/peers, line 3: a line has"));
        let twice = "laterbase-peers 1\na localhost:1\na localhost:2\n";
        assert!(message(twice).contains("line 3: there is a peer `a` already"));
        let same = "laterbase-peers 1\na localhost:1\nb localhost:1\n";
        assert!(message(same).contains("is the address of `a` already"));
        assert!(message("laterbase-peers 1\nA localhost:1\n").contains("no name of a peer"));
    }

    #[test]
    fn a_copy_without_the_file_has_no_peers_and_the_first_one_makes_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut peers = Peers::read(directory.path()).unwrap();
        assert_eq!(peers.iter().count(), 0);
        peers.add(Peer::new("hub", "localhost:7410").unwrap()).unwrap();
        assert!(Peers::read(directory.path()).unwrap().find("hub").is_some());
    }
}
