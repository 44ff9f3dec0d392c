//! `wabalake demo`: from made-up exports to a lake, three answers and the page.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use wabalake_data::words::counted;
use wabalake_sample::demo;

use super::output::{say, shown_path, to_file};
use super::{Run, Subcommand, run_command};
use crate::error::{Context as _, Error, Result};
use crate::place::Address;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("demo", "Try wabalake on made-up exports");

#[derive(Args)]
#[command(
    long_about = "Try wabalake on made-up exports, which the program brings along: they are written to a \
                  folder, loaded into a lake, and three queries and the page are made of it. Each command \
                  is printed behind a `+` before it runs. Nothing is read over a network, and no person, \
                  number or message is real.\n\n\
                  Running it again loads nothing and answers the same. Exports of your own in the folder \
                  `exports` are loaded too. A folder with other files in it is left alone.",
    after_help = "Examples:\n  wabalake demo\n  wabalake demo --out /tmp/demo"
)]
struct Options {
    /// Folder for the exports, the lake and the page, created if there is none
    #[arg(long, value_name = "DIR", default_value = "demo")]
    out: PathBuf,
}

/// The file that says what a folder of a demo is. Only a folder with it is written to again.
const README: &str = "README.txt";

/// The first line of [`README`].
const TITLE: &str = "Made up by `wabalake demo`";

/// What is in the folder.
const CONTENTS: &str = "\
No person, number or message in this folder is real.

exports     files as the platforms export them, with the flaws that such files have
lake        the tables that they are loaded into
page.html   the page of charts and tables

`wabalake demo` may be run again. Delete the folder when you are done with it.
";

/// The commands that are run, with words for the folders and files.
const COMMANDS: [&str; 5] = [
    "load EXPORTS --lake LAKE --quiet",
    "query drop-off --limit 6 --lake LAKE -f table",
    "query session-duration --by channel --lake LAKE -f table",
    "query failure-reasons --limit 6 --lake LAKE -f table",
    "report --lake LAKE -o PAGE",
];

impl Run for Options {
    fn run(self) -> Result<()> {
        let Address::Folder(folder) = Address::parse(&self.out)? else {
            return Err(Error::usage("a demo is made in a folder of this machine")
                .hint("name one: `wabalake demo --out DIR`"));
        };
        check(&folder)?;
        let [exports, lake, page] = ["exports", "lake", "page.html"].map(|name| folder.join(name));
        // The note comes first: a run that is stopped can be started again.
        create(&folder)?;
        to_file(&folder.join(README), |out| Ok(write!(out, "{TITLE}\n\n{CONTENTS}")?))?;
        create(&exports)?;
        let files = demo::exports()?;
        for (name, bytes) in &files {
            to_file(&exports.join(name), |out| Ok(out.write_all(bytes)?))?;
        }
        let count = counted(files.len() as u64, "made-up export");
        say(&format!("{count} in {}\n", shown_path(&exports)))?;
        for command in COMMANDS {
            let word = |word: &str| -> OsString {
                match word {
                    "EXPORTS" => exports.clone().into(),
                    "LAKE" => lake.clone().into(),
                    "PAGE" => page.clone().into(),
                    word => word.into(),
                }
            };
            let words: Vec<OsString> = command.split(' ').map(word).collect();
            say(&format!("\n+ wabalake {}\n", shown(&words)))?;
            run_command(&words)?;
        }
        let page = shown_path(&page);
        say(&format!(
            "\nOpen {page} in a browser. `wabalake queries` lists what else can be asked of the lake.\n"
        ))
    }
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).context(|| format!("creating `{}`", folder.display()))
}

/// Checks that the folder is new, empty, or that of a demo.
fn check(folder: &Path) -> Result<()> {
    let is_empty = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(error) => {
            return Err(error).context(|| format!("reading `{}`", folder.display()));
        }
    };
    let is_demo = || {
        fs::read_to_string(folder.join(README)).is_ok_and(|text| text.lines().next() == Some(TITLE))
    };
    if is_empty || is_demo() {
        return Ok(());
    }
    Err(Error::usage(format!("`{}` has files that are not of a demo", folder.display()))
        .hint("name a new folder: `wabalake demo --out DIR`"))
}

/// Formats the words of a command for a shell.
fn shown(words: &[OsString]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// Quotes a word if a shell would change it.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=,@%+".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.into_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, expected) in [
            ("demo/lake", "demo/lake"),
            ("my demo", "'my demo'"),
            ("it's", r"'it'\''s'"),
            ("a$b", "'a$b'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(OsStr::new(word)), expected);
        }
    }
}
