//! The list of persons who are kept out of a lake: erased with `--keep-out`, they do not come back with
//! another export.
//!
//! ```text
//! .wabalake/keep-out        check b51c…       HMAC of the lines that follow, under the key
//!                           person 9c41…      HMAC of 573005550101
//!                           session 07be…     HMAC of the id of a session of theirs
//! .wabalake/keep-out.key    the key: 32 random bytes, in hexadecimal
//! ```
//!
//! The list holds only HMAC-SHA-256 values: without the key nobody can test whether a number is in it.
//! `keep_out_key` in `wabalake.toml` moves the key elsewhere, for example out of reach of backups of
//! the lake. A list without its key is an error, never an empty list.
//!
//! A load looks up the person of each row: by `user_phone`, or by the session if the row names nobody
//! (`crate::load`). It adds the sessions that it learns of to the list, and the user ids and numbers that
//! `identities` links to a person on it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wabalake_data::cells::phone::{earlier_forms, renormalise};

use super::{Lake, lock};
use crate::config::Config;
use crate::error::{Context as _, Error, Result};
use crate::files::{Access, synced_beside};
use crate::place::{Key, Made, OWN};

/// A key, or a keyed hash.
type Secret = [u8; 32];

/// The list, and the key that it was made with.
#[derive(Debug)]
pub(crate) struct KeepOut {
    keyed: Hmac<Sha256>,
    entries: BTreeSet<(EntryKind, Secret)>,
}

/// What an entry identifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum EntryKind {
    /// A `user_phone` or a user id.
    Person,
    /// A `session_id`.
    Session,
}

impl EntryKind {
    /// Its name in the list.
    fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Session => "session",
        }
    }
}

impl KeepOut {
    /// An empty list.
    fn new(key: &Secret) -> Result<Self> {
        let keyed = Hmac::new_from_slice(key).map_err(|e| Error::bug(format!("the key: {e}")))?;
        Ok(Self { keyed, entries: BTreeSet::new() })
    }

    /// Returns `true` if a person is kept out, by the current form of their number or an earlier
    /// one.
    pub(crate) fn has_person(&self, user_phone: &str) -> bool {
        self.has(EntryKind::Person, user_phone)
            || renormalise(user_phone).is_some_and(|now| self.has(EntryKind::Person, now.phone()))
            || earlier_forms(user_phone).iter().any(|phone| self.has(EntryKind::Person, phone))
    }

    /// The list with further persons, by their numbers in normal form and user ids.
    pub(crate) fn with_persons<'a>(&self, people: impl IntoIterator<Item = &'a String>) -> Self {
        let people = people
            .into_iter()
            .map(|person| (EntryKind::Person, self.hmac(EntryKind::Person.name(), person)));
        let entries = self.entries.iter().copied().chain(people).collect();
        Self { keyed: self.keyed.clone(), entries }
    }

    /// Returns `true` if a session belongs to a person who is kept out.
    pub(crate) fn has_session(&self, session_id: &str) -> bool {
        self.has(EntryKind::Session, session_id)
    }

    /// Returns `true` if the list has sessions.
    pub(crate) fn has_sessions(&self) -> bool {
        self.entries.last().is_some_and(|(kind, _)| *kind == EntryKind::Session)
    }

    fn has(&self, kind: EntryKind, text: &str) -> bool {
        self.entries.contains(&(kind, self.hmac(kind.name(), text)))
    }

    fn hmac(&self, of: &str, text: &str) -> Secret {
        let mut mac = self.keyed.clone();
        for part in [of, " ", text] {
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    /// The content of the file.
    fn text(&self) -> String {
        let mut lines = String::new();
        for (kind, mark) in &self.entries {
            let _ = writeln!(lines, "{} {}", kind.name(), hex::encode(mark));
        }
        format!("{CHECK}{}\n{lines}", hex::encode(self.hmac("list", &lines)))
    }

    /// Parses the file; `None` if it was altered or made with another key.
    fn read(text: &str, key: &Secret) -> Result<Option<Self>> {
        let mut keep_out = Self::new(key)?;
        let entry = |line: &str| {
            let (name, mark) = line.split_once(' ')?;
            let kind =
                [EntryKind::Person, EntryKind::Session].into_iter().find(|k| k.name() == name)?;
            Some((kind, bytes(mark)?))
        };
        let Some((first, lines)) = text.split_once('\n') else { return Ok(None) };
        let check = first.strip_prefix(CHECK).and_then(bytes);
        let entries: Option<BTreeSet<_>> = lines.lines().map(entry).collect();
        if check != Some(keep_out.hmac("list", lines)) {
            return Ok(None);
        }
        Ok(entries.map(|entries| {
            keep_out.entries = entries;
            keep_out
        }))
    }
}

/// The prefix of the first line.
const CHECK: &str = "check ";

fn bytes(hexadecimal: &str) -> Option<Secret> {
    let mut bytes = Secret::default();
    hex::decode_to_slice(hexadecimal, &mut bytes).ok().map(|()| bytes)
}

/// Where the key is.
#[derive(Clone, Debug)]
enum KeyFile {
    /// A file of this machine.
    Path(PathBuf),
    /// A file of the lake, on a store.
    Object(Key),
}

impl Lake {
    /// The list; `None` if nobody is kept out.
    ///
    /// # Errors
    ///
    /// A missing or wrong key, a damaged list.
    pub(crate) fn keep_out(&self) -> Result<Option<KeepOut>> {
        let Some(text) = self.place().read(&list())? else { return Ok(None) };
        self.read_keep_out(&text).map(Some)
    }

    fn read_keep_out(&self, text: &[u8]) -> Result<KeepOut> {
        let file = self.keep_out_key()?;
        let shown = self.shown(list().as_str());
        let Some(key) = self.read_key(&file)? else {
            return Err(Error::lake("this lake keeps erased persons out, but the key is missing")
                .found(format!("no file `{}`", self.shown_key(&file)))
                .hint(format!(
                    "restore it, or set its path in wabalake.toml (keep_out_key, in [privacy]); {}",
                    if_lost(&shown)
                )));
        };
        let read = str::from_utf8(text).ok().map(|text| KeepOut::read(text, &key)).transpose()?;
        read.flatten().ok_or_else(|| {
            Error::lake(format!(
                "`{shown}` does not belong to the key `{}`, or is damaged",
                self.shown_key(&file)
            ))
            .hint(format!("restore both files; {}", if_lost(&shown)))
        })
    }

    /// Adds a person, by their numbers in normal form and user ids, and sessions of theirs. Creates the key
    /// if there is none.
    ///
    /// # Errors
    ///
    /// As [`Lake::keep_out`]; files that cannot be written.
    pub(crate) fn add_to_keep_out<'a>(
        &self,
        people: impl IntoIterator<Item = &'a String>,
        sessions: impl IntoIterator<Item = &'a String>,
    ) -> Result<()> {
        let people = people.into_iter().map(|person| (EntryKind::Person, person.as_str()));
        let sessions = sessions.into_iter().map(|id| (EntryKind::Session, id.as_str()));
        let entries: Vec<_> = people.chain(sessions).collect();
        if entries.is_empty() {
            return Ok(());
        }
        let _turn = match self.place().as_folder() {
            Some(_) => Some(lock::wait(&self.internal_folder("locks").join("keep-out"))?),
            None => None,
        };
        while !self.try_to_keep_out(&entries)? {}
        Ok(())
    }

    /// Adds entries; `false` if another process changed the list meanwhile, on a store.
    fn try_to_keep_out(&self, entries: &[(EntryKind, &str)]) -> Result<bool> {
        // Before the text is read, so that a change in between is noticed.
        let there = self.place().entry(&list())?;
        let mut keep_out = match self.keep_out()? {
            Some(known) => known,
            None => KeepOut::new(&self.made_key(&self.keep_out_key()?)?)?,
        };
        let before = keep_out.entries.len();
        for (kind, text) in entries {
            let mark = keep_out.hmac(kind.name(), text);
            keep_out.entries.insert((*kind, mark));
        }
        if keep_out.entries.len() == before {
            return Ok(true);
        }
        let text = keep_out.text();
        if self.place().as_folder().is_some() {
            self.place().replace(&list(), text.into())?;
            return Ok(true);
        }
        let made = match there.and_then(|there| there.tag) {
            Some(tag) => self.place().swap(&list(), text.into(), &tag)?,
            None => self.place().make(&list(), text.into())?,
        };
        Ok(made == Made::Done)
    }

    fn keep_out_key(&self) -> Result<KeyFile> {
        let said = Config::of(self)?.privacy.keep_out_key;
        if let Some(root) = self.place().as_folder() {
            let own = Path::new(OWN).join("keep-out.key");
            return Ok(KeyFile::Path(root.join(said.unwrap_or(own))));
        }
        if let Some(path) = said.clone().filter(|path| path.is_absolute()) {
            return Ok(KeyFile::Path(path));
        }
        Ok(KeyFile::Object(match &said {
            Some(path) => Key::parse(&path.to_string_lossy())?,
            None => Key::root().join(OWN).join("keep-out.key"),
        }))
    }

    fn shown_key(&self, file: &KeyFile) -> String {
        match file {
            KeyFile::Path(path) => path.display().to_string(),
            KeyFile::Object(key) => self.shown(key.as_str()),
        }
    }

    fn read_key(&self, file: &KeyFile) -> Result<Option<Secret>> {
        let text = match file {
            KeyFile::Path(path) => read(path)?,
            KeyFile::Object(key) => {
                let text = self.place().read(key)?;
                text.map(|text| String::from_utf8_lossy(&text).into_owned())
            }
        };
        let Some(text) = text else { return Ok(None) };
        bytes(text.trim()).map(Some).ok_or_else(|| {
            Error::lake(format!("`{}` is not a key", self.shown_key(file)))
                .hint("a key is 64 hexadecimal digits: restore the file")
        })
    }

    /// Reads the key, or creates one: that of a folder can be read by its owner only.
    fn made_key(&self, file: &KeyFile) -> Result<Secret> {
        if let Some(key) = self.read_key(file)? {
            return Ok(key);
        }
        let mut key = Secret::default();
        getrandom::fill(&mut key).map_err(|e| Error::lake(format!("no random key: {e}")))?;
        let text = format!("{}\n", hex::encode(key));
        match file {
            KeyFile::Path(path) => {
                let doing = || format!("writing `{}`", path.display());
                let whole = synced_beside(path, Access::Owner, text.as_bytes()).context(doing)?;
                whole.persist_noclobber(path).map_err(|error| error.error).context(doing)?;
                if let Some(folder) = path.parent().filter(|_| cfg!(unix)) {
                    // Not every system can sync a folder.
                    let _ = fs::File::open(folder).and_then(|folder| folder.sync_all());
                }
                Ok(key)
            }
            KeyFile::Object(object) => match self.place().make(object, text.into())? {
                Made::Done => Ok(key),
                Made::Taken => {
                    let made = self.read_key(file)?;
                    made.ok_or_else(|| Error::lake("the key was deleted while it was read"))
                }
            },
        }
    }
}

/// The key of the list.
fn list() -> Key {
    Key::root().join(OWN).join("keep-out")
}

fn if_lost(list: &str) -> String {
    format!(
        "if it is lost for good, delete `{list}` and erase these persons again with --keep-out: \
         until then a load may bring them back"
    )
}

fn read(file: &Path) -> Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context(|| format!("reading `{}`", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::ObjectStore;
    use object_store::memory::InMemory;
    use tempfile::TempDir;

    use super::*;
    use crate::place::Place;

    const KEY: Secret = [7; 32];

    fn key_path(lake: &Lake) -> PathBuf {
        match lake.keep_out_key().unwrap() {
            KeyFile::Path(path) => path,
            KeyFile::Object(key) => panic!("{key} is no file"),
        }
    }

    fn list() -> KeepOut {
        let mut list = KeepOut::new(&KEY).unwrap();
        for (kind, text) in [(EntryKind::Person, "573005550101"), (EntryKind::Session, "s1")] {
            let mark = list.hmac(kind.name(), text);
            list.entries.insert((kind, mark));
        }
        list
    }

    #[test]
    fn altered_list_is_not_read() {
        let text = list().text();
        let read = KeepOut::read(&text, &KEY).unwrap().unwrap();
        assert!(read.has_person("573005550101") && !read.has_person("0573005550101"));
        assert!(read.has_session("s1") && read.has_sessions());
        assert!(!read.has_person("s1") && !read.has_session("573005550101"));
        assert!(!read.has_person("57300555010") && !read.has_session("s"));
        assert!(KeepOut::read(&text, &[8; 32]).unwrap().is_none(), "another key");
        for end in 0..text.len() {
            assert!(KeepOut::read(&text[..end], &KEY).unwrap().is_none(), "cut at {end}");
        }
        for at in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] ^= 1;
            let other = String::from_utf8(other).unwrap();
            let read = KeepOut::read(&other, &KEY).unwrap();
            assert!(read.is_none(), "another byte at {at}");
        }
    }

    /// The HMAC is that of RFC 2104 with SHA-256, whatever library computes it.
    #[test]
    fn entries_are_hmac_sha256() {
        // printf 'person 573005550101' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…07
        let expected = "ac70d1203e122d933cb62dde7e6bce7e4eda7a8bb81e0e1d4b078baa23740acc";
        assert_eq!(hex::encode(list().hmac("person", "573005550101")), expected);
    }

    #[test]
    fn list_and_key_on_a_store_are_objects() {
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let lake = || Lake::at(Place::over(Arc::clone(&objects), "lake").unwrap());
        assert!(lake().keep_out().unwrap().is_none());
        std::thread::scope(|scope| {
            for number in 0..8 {
                let lake = lake();
                scope.spawn(move || {
                    let session = [format!("s{number}")];
                    lake.add_to_keep_out(&["529991234567".to_owned()], &session).unwrap();
                });
            }
        });
        let keep_out = lake().keep_out().unwrap().unwrap();
        assert!(keep_out.has_person("529991234567"));
        assert!((0..8).all(|number| keep_out.has_session(&format!("s{number}"))));
    }

    #[test]
    fn adding_is_idempotent_and_a_lost_key_is_an_error() {
        let folder = TempDir::new().unwrap();
        let lake = Lake::open(folder.path()).unwrap();
        assert!(lake.keep_out().unwrap().is_none());
        let sessions = ["s1".to_owned()];
        lake.add_to_keep_out(&["529991234567".to_owned()], &sessions).unwrap();
        let files = || {
            let key = fs::read(key_path(&lake));
            (fs::read(lake.internal_folder("keep-out")).unwrap(), key.ok())
        };
        let before = files();
        lake.add_to_keep_out(&["529991234567".to_owned()], &sessions).unwrap();
        lake.add_to_keep_out(&[], &sessions).unwrap();
        assert_eq!(files(), before);
        let keep_out = lake.keep_out().unwrap().unwrap();
        assert!(keep_out.has_person("529991234567") && keep_out.has_session("s1"));

        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let key = fs::metadata(key_path(&lake)).unwrap();
            assert_eq!(key.permissions().mode() & 0o077, 0, "only its owner reads the key");
        }
        let key = fs::read(key_path(&lake)).unwrap();
        for wrong in [None, Some("00".repeat(32)), Some("no key".to_owned())] {
            match &wrong {
                None => fs::remove_file(key_path(&lake)).unwrap(),
                Some(text) => fs::write(key_path(&lake), text).unwrap(),
            }
            let error = lake.keep_out().unwrap_err();
            assert!(error.lines().contains("hint: "), "{}", error.lines());
            assert!(
                lake.add_to_keep_out(&["12025550143".to_owned()], &sessions).is_err(),
                "{wrong:?}"
            );
            assert_eq!(files().0, before.0, "no other key is put over a list");
        }
        fs::write(folder.path().join("elsewhere"), key).unwrap();
        fs::write(folder.path().join("wabalake.toml"), "[privacy]\nkeep_out_key = 'elsewhere'\n")
            .unwrap();
        assert!(lake.keep_out().unwrap().unwrap().has_session("s1"));
    }
}
