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
//! (`crate::load`). It adds the sessions that it learns of to the list.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wabalake_data::cells::phone::{earlier_forms, renormalise};

use super::stage::sync;
use super::{Lake, lock};
use crate::config::Config;
use crate::error::{Context as _, Error, Result};
use crate::files::{Access, synced_beside, write_synced};

type Bytes = [u8; 32];

/// The list, and the key that it was made with.
#[derive(Debug)]
pub(crate) struct KeepOut {
    keyed: Hmac<Sha256>,
    entries: BTreeSet<(EntryKind, Bytes)>,
}

/// What an entry identifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum EntryKind {
    /// A `user_phone`.
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
    fn new(key: &Bytes) -> Result<Self> {
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

    fn hmac(&self, of: &str, text: &str) -> Bytes {
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
    fn read(text: &str, key: &Bytes) -> Result<Option<Self>> {
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

fn bytes(hexadecimal: &str) -> Option<Bytes> {
    let mut bytes = Bytes::default();
    hex::decode_to_slice(hexadecimal, &mut bytes).ok().map(|()| bytes)
}

impl Lake {
    /// The list; `None` if nobody is kept out.
    ///
    /// # Errors
    ///
    /// A missing or wrong key, a damaged list.
    pub(crate) fn keep_out(&self) -> Result<Option<KeepOut>> {
        let list = self.keep_out_list();
        let Some(text) = read(&list)? else { return Ok(None) };
        let file = self.keep_out_key()?;
        let Some(key) = read_key(&file)? else {
            return Err(Error::lake("this lake keeps erased persons out, but the key is missing")
                .found(format!("no file `{}`", file.display()))
                .hint(format!(
                    "restore it, or set its path in wabalake.toml (keep_out_key, in [privacy]); {}",
                    if_lost(&list)
                )));
        };
        KeepOut::read(&text, &key)?.map(Some).ok_or_else(|| {
            Error::lake(format!(
                "`{}` does not belong to the key `{}`, or is damaged",
                list.display(),
                file.display()
            ))
            .hint(format!("restore both files; {}", if_lost(&list)))
        })
    }

    /// Adds a person, by their number in its normal form, and sessions of theirs. Creates the key
    /// if there is none.
    ///
    /// # Errors
    ///
    /// As [`Lake::keep_out`]; files that cannot be written.
    pub(crate) fn add_to_keep_out<'a>(
        &self,
        user_phone: Option<&str>,
        sessions: impl IntoIterator<Item = &'a String>,
    ) -> Result<()> {
        let person = user_phone.map(|phone| (EntryKind::Person, phone));
        let sessions = sessions.into_iter().map(|id| (EntryKind::Session, id.as_str()));
        let entries: Vec<_> = person.into_iter().chain(sessions).collect();
        if entries.is_empty() {
            return Ok(());
        }
        let _turn = lock::wait(&self.internal_folder("locks").join("keep-out"))?;
        let mut keep_out = match self.keep_out()? {
            Some(known) => known,
            None => KeepOut::new(&made_key(&self.keep_out_key()?)?)?,
        };
        let before = keep_out.entries.len();
        for (kind, text) in entries {
            let mark = keep_out.hmac(kind.name(), text);
            keep_out.entries.insert((kind, mark));
        }
        if keep_out.entries.len() > before {
            let list = self.keep_out_list();
            write_synced(&list, Access::Usual, keep_out.text().as_bytes())?;
            sync(&[&list], self.root())?;
        }
        Ok(())
    }

    fn keep_out_list(&self) -> PathBuf {
        self.internal_folder("keep-out")
    }

    fn keep_out_key(&self) -> Result<PathBuf> {
        let said = Config::of(self)?.privacy.keep_out_key;
        Ok(said.map_or_else(|| self.internal_folder("keep-out.key"), |path| self.root().join(path)))
    }
}

fn if_lost(list: &Path) -> String {
    format!(
        "if it is lost for good, delete `{}` and erase these persons again with --keep-out: until \
         then a load may bring them back",
        list.display()
    )
}

fn read(file: &Path) -> Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context(|| format!("reading `{}`", file.display())),
    }
}

fn read_key(file: &Path) -> Result<Option<Bytes>> {
    let Some(text) = read(file)? else { return Ok(None) };
    bytes(text.trim()).map(Some).ok_or_else(|| {
        Error::lake(format!("`{}` is not a key", file.display()))
            .hint("a key is 64 hexadecimal digits: restore the file")
    })
}

/// Reads the key, or creates one that only its owner can read.
fn made_key(file: &Path) -> Result<Bytes> {
    if let Some(key) = read_key(file)? {
        return Ok(key);
    }
    let mut key = Bytes::default();
    getrandom::fill(&mut key).map_err(|e| Error::lake(format!("no random key: {e}")))?;
    let doing = || format!("writing `{}`", file.display());
    let text = format!("{}\n", hex::encode(key));
    let whole = synced_beside(file, Access::Owner, text.as_bytes()).context(doing)?;
    whole.persist_noclobber(file).map_err(|error| error.error).context(doing)?;
    sync(&[file], file.parent().unwrap_or(Path::new(".")))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const KEY: Bytes = [7; 32];

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
    fn adding_is_idempotent_and_a_lost_key_is_an_error() {
        let folder = TempDir::new().unwrap();
        let lake = Lake::open(folder.path()).unwrap();
        assert!(lake.keep_out().unwrap().is_none());
        let sessions = ["s1".to_owned()];
        lake.add_to_keep_out(Some("529991234567"), &sessions).unwrap();
        let files = || {
            let key = fs::read(lake.keep_out_key().unwrap());
            (fs::read(lake.keep_out_list()).unwrap(), key.ok())
        };
        let before = files();
        lake.add_to_keep_out(Some("529991234567"), &sessions).unwrap();
        lake.add_to_keep_out(None, &sessions).unwrap();
        assert_eq!(files(), before);
        let keep_out = lake.keep_out().unwrap().unwrap();
        assert!(keep_out.has_person("529991234567") && keep_out.has_session("s1"));

        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let key = fs::metadata(lake.keep_out_key().unwrap()).unwrap();
            assert_eq!(key.permissions().mode() & 0o077, 0, "only its owner reads the key");
        }
        let key = fs::read(lake.keep_out_key().unwrap()).unwrap();
        for wrong in [None, Some("00".repeat(32)), Some("no key".to_owned())] {
            match &wrong {
                None => fs::remove_file(lake.keep_out_key().unwrap()).unwrap(),
                Some(text) => fs::write(lake.keep_out_key().unwrap(), text).unwrap(),
            }
            let error = lake.keep_out().unwrap_err();
            assert!(error.lines().contains("hint: "), "{}", error.lines());
            assert!(lake.add_to_keep_out(Some("12025550143"), &sessions).is_err(), "{wrong:?}");
            assert_eq!(files().0, before.0, "no other key is put over a list");
        }
        fs::write(folder.path().join("elsewhere"), key).unwrap();
        fs::write(folder.path().join("wabalake.toml"), "[privacy]\nkeep_out_key = 'elsewhere'\n")
            .unwrap();
        assert!(lake.keep_out().unwrap().unwrap().has_session("s1"));
    }
}
