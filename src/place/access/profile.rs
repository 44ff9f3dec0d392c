//! Profiles of the AWS command line: `~/.aws/config` and `~/.aws/credentials`.
//!
//! ```text
//! [profile reports]                     in config; `[reports]` in credentials
//! region = eu-west-1
//! credential_process = aws configure export-credentials --profile reports-sso
//! ```

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use super::Environment;
use crate::error::{Error, Result, in_words};

/// The settings of a profile. It may hold secrets, so it has no `Debug`.
pub(super) struct Profile {
    pub(super) name: String,
    settings: BTreeMap<String, String>,
}

impl Profile {
    /// Reads the profile that the environment names, else `default`.
    ///
    /// # Errors
    ///
    /// A file that cannot be read; a profile that is named and does not exist.
    pub(super) fn read(environment: &Environment) -> Result<Self> {
        let named = environment.first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]);
        let name = named.unwrap_or("default").to_owned();
        let folder = environment.home().map(|home| home.join(".aws"));
        let mut settings = BTreeMap::new();
        let mut is_there = false;
        // The second file precedes the first.
        for (variable, file) in
            [("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials")]
        {
            let path = environment.get(variable).map(PathBuf::from);
            let Some(path) = path.or_else(|| Some(folder.as_ref()?.join(file))) else { continue };
            let text = match std::fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    return Err(Error::lake(format!(
                        "the profiles in `{}` cannot be read: {}",
                        path.display(),
                        in_words(&error)
                    ))
                    .hint("check that this user may read the file"));
                }
            };
            is_there |= section(&text, &name, file == "config", &mut settings);
        }
        if let (Some(_), false) = (named, is_there) {
            return Err(Error::lake(format!("the profile `{name}` does not exist"))
                .hint("check `AWS_PROFILE`; `aws configure list-profiles` lists profiles"));
        }
        Ok(Self { name, settings })
    }

    pub(super) fn get(&self, setting: &str) -> Option<&str> {
        self.settings.get(setting).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A setting that only the AWS command line can use to get credentials.
    pub(super) fn foreign(&self) -> Option<&'static str> {
        let foreign = ["sso_session", "sso_start_url", "role_arn", "login_session"];
        foreign.into_iter().find(|setting| self.get(setting).is_some())
    }
}

/// Reads the settings of a section. Returns `true` if there is one.
fn section(
    text: &str,
    profile: &str,
    is_config: bool,
    settings: &mut BTreeMap<String, String>,
) -> bool {
    let (mut within, mut is_there) = (false, false);
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(title) = trimmed.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            let title = title.trim();
            let name = match title.strip_prefix("profile") {
                Some(rest) if is_config && rest.starts_with(char::is_whitespace) => rest.trim(),
                _ if is_config && title != "default" => "",
                _ => title,
            };
            within = name.trim_matches(['"', '\'']) == profile;
            is_there |= within;
        // An indented line belongs to a setting of settings, such as `s3 =`.
        } else if within
            && !line.starts_with(char::is_whitespace)
            && let Some((name, value)) = trimmed.split_once('=')
        {
            // A comment may follow after a space.
            let value = value.split(" #").next().unwrap_or_default();
            settings.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    is_there
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &str, credentials: &str, profile: Option<&str>) -> Result<Profile> {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".aws");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("config"), config).unwrap();
        std::fs::write(folder.join("credentials"), credentials).unwrap();
        let mut variables = vec![("HOME", home.path().to_str().unwrap())];
        variables.extend(profile.map(|profile| ("AWS_PROFILE", profile)));
        Profile::read(&Environment::of(variables))
    }

    #[test]
    fn profile_is_read_from_both_files() {
        let config = "# ours\n[default]\nregion = us-west-2\ns3 =\n  region = nested\n\
            [profile reports]\nregion=eu-west-1 # Ireland\naws_secret_access_key = of config\n\
            [services reports]\nregion = other\n[reports]\nregion = wrong file\n";
        let credentials = "[default]\naws_access_key_id = a=b\n[reports]\n\
            aws_access_key_id = id\naws_secret_access_key = of credentials\n";
        let profile = read(config, credentials, None).unwrap();
        assert_eq!(profile.get("region"), Some("us-west-2"));
        assert_eq!(profile.get("aws_access_key_id"), Some("a=b"));
        let profile = read(config, credentials, Some("reports")).unwrap();
        assert_eq!(profile.get("region"), Some("eu-west-1"));
        assert_eq!(profile.get("aws_secret_access_key"), Some("of credentials"));
        assert!(read(config, credentials, Some("other")).is_err_and(|e| e.exit_code() == 1));
        assert!(read("", "", None).is_ok_and(|profile| profile.get("region").is_none()));
    }

    #[test]
    fn settings_for_the_aws_command_line_are_recognised() {
        let profile = read("[default]\nsso_session = ours\n", "", None).unwrap();
        assert_eq!(profile.foreign(), Some("sso_session"));
        assert_eq!(read("[default]\nregion = a\n", "", None).unwrap().foreign(), None);
    }
}
