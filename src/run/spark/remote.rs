//! The address of a cluster, its token and TLS.
//!
//! ```text
//! sc://host                                       port 15002, unencrypted
//! sc://host:443/;use_ssl=true;token=…             TLS, and a token
//! sc://host:443/;use_ssl=true;x-databricks-…=…    names that begin with x- are sent as headers
//! ```
//!
//! A token is only sent over TLS or to this machine, and never shown in a message. Certificates are
//! verified with those of the system, or of the file in `SSL_CERT_FILE`.

use std::fmt;

use spark_connect_core::ChannelBuilder;
use spark_connect_core::channel::{
    PARAM_GRPC_KEEPALIVE_ENABLED, PARAM_GRPC_KEEPALIVE_TIME_MS, PARAM_GRPC_KEEPALIVE_TIMEOUT_MS,
    PARAM_GRPC_KEEPALIVE_WITHOUT_CALLS, PARAM_TOKEN, PARAM_USE_SSL, PARAM_USER_AGENT,
    PARAM_USER_ID,
};
use wabalake_data::words::suggestion;

use crate::error::{Error, Result};

/// The environment variable that holds the token.
pub const TOKEN: &str = "WABALAKE_TOKEN";

/// The parameters of an address after `/;`, besides headers that begin with `x-`. A session id is not among
/// them: wabalake opens its own session and ends it with the answer.
const PARAMETERS: [&str; 8] = [
    PARAM_USE_SSL,
    PARAM_TOKEN,
    PARAM_USER_ID,
    PARAM_USER_AGENT,
    PARAM_GRPC_KEEPALIVE_ENABLED,
    PARAM_GRPC_KEEPALIVE_TIME_MS,
    PARAM_GRPC_KEEPALIVE_TIMEOUT_MS,
    PARAM_GRPC_KEEPALIVE_WITHOUT_CALLS,
];

/// The address of a Spark Connect server.
#[derive(Clone)]
pub struct Remote {
    channel: ChannelBuilder,
}

impl Remote {
    /// Parses an address. `token` is used if the address has none.
    ///
    /// # Errors
    ///
    /// The address is invalid, or a token would be sent unencrypted to another machine.
    pub fn parse(address: &str, token: Option<&str>) -> Result<Self> {
        let mut channel = ChannelBuilder::parse(address).map_err(|_| {
            Error::usage("not an address of a Spark Connect server")
                .hint("write it as sc://host:15002, with TLS as sc://host:443/;use_ssl=true")
        })?;
        parameters(address).try_for_each(check_parameter)?;
        if channel.get(PARAM_TOKEN).is_none()
            && let Some(token) = token.filter(|token| !token.is_empty())
        {
            channel.set(PARAM_TOKEN, token);
        }
        if channel.get(PARAM_USER_ID).is_none() {
            channel.set(PARAM_USER_ID, "wabalake");
        }
        if channel.get(PARAM_USER_AGENT).is_none() {
            channel.set(PARAM_USER_AGENT, concat!("wabalake/", env!("CARGO_PKG_VERSION")));
        }
        let remote = Self { channel };
        remote.check_token()?;
        Ok(remote)
    }

    fn check_token(&self) -> Result<()> {
        let Some(token) = self.channel.token() else { return Ok(()) };
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::usage("the token has invalid characters")
                .hint("it is printable ASCII without spaces: look for a line end at its end"));
        }
        if self.channel.use_ssl() || self.channel.is_loopback() {
            return Ok(());
        }
        Err(Error::usage(format!("the token would be sent to {} unencrypted", self.channel.host()))
            .hint(format!("use TLS: {self}/;use_ssl=true")))
    }

    /// Returns `true` if there is a token.
    pub(super) fn has_token(&self) -> bool {
        self.channel.token().is_some()
    }

    pub(super) fn uses_tls(&self) -> bool {
        self.channel.use_ssl()
    }

    pub(super) fn channel(&self) -> &ChannelBuilder {
        &self.channel
    }
}

/// Shows host and port, without secrets.
impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sc://{}", self.channel.endpoint())
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({self})")
    }
}

/// Returns the names of an address's parameters.
fn parameters(address: &str) -> impl Iterator<Item = &str> {
    let listed = address.split_once(';').map_or("", |(_, listed)| listed);
    listed.split(';').filter(|one| !one.is_empty()).map(|one| one.split('=').next().unwrap_or(one))
}

/// Rejects unknown parameters: a misspelt `use_ssl` would become a header of an unencrypted connection.
fn check_parameter(name: &str) -> Result<()> {
    if PARAMETERS.contains(&name) || name.starts_with("x-") {
        return Ok(());
    }
    let hint = suggestion(name, PARAMETERS).unwrap_or_else(|| {
        "it takes `use_ssl`, `token` and `user_id`, and headers that begin with x-".to_owned()
    });
    Err(Error::usage(format!("an address has no parameter `{name}`")).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_secrets() {
        let address =
            "sc://Spark.example:443/;use_ssl=true;token=s3cret;x-databricks-cluster-id=c1";
        let remote = Remote::parse(address, None).unwrap();
        assert_eq!(remote.to_string(), "sc://spark.example:443");
        assert_eq!(format!("{remote:?}"), "Remote(sc://spark.example:443)");
        assert!(remote.has_token() && remote.uses_tls());
        assert_eq!(
            Remote::parse("sc://spark.example", None).unwrap().to_string(),
            "sc://spark.example:15002"
        );
    }

    #[test]
    fn a_token_in_the_address_comes_first() {
        let token = |address| {
            let remote = Remote::parse(address, Some("environment")).unwrap();
            remote.channel.token().unwrap()
        };
        assert_eq!(token("sc://localhost/;token=address"), "address");
        assert_eq!(token("sc://localhost"), "environment");
    }

    #[test]
    fn tokens_are_never_sent_unencrypted() {
        for (address, token) in [
            ("sc://10.0.0.7:15002/;token=s3cret", None),
            ("sc://spark.example", Some("s3cret")),
            ("sc://spark.example/;use_ssl=false", Some("s3cret")),
            ("sc://localhost.example", Some("s3cret")),
        ] {
            let error = Remote::parse(address, token).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.lines().contains("use_ssl=true"), "{}", error.lines());
            assert!(!error.lines().contains("s3cret"), "{}", error.lines());
        }
        for (address, token) in [
            ("sc://spark.example/;use_ssl=true", Some("s3cret")),
            ("sc://127.0.0.1:15002", Some("s3cret")),
            ("sc://[::1]:15002", Some("s3cret")),
            ("sc://spark.example", Some("")),
        ] {
            Remote::parse(address, token).unwrap();
        }
    }

    #[test]
    fn invalid_addresses_are_rejected_without_secrets() {
        for address in [
            "localhost:15002",
            "http://localhost",
            "sc://",
            "sc://host:port/;token=s3cret",
            "sc://host/path/;token=s3cret",
            "sc://host/;token",
        ] {
            let error = Remote::parse(address, None).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{address}");
            assert!(!error.lines().contains("s3cret"), "{}", error.lines());
        }
        assert!(
            Remote::parse("sc://host", Some("two\nlines")).unwrap_err().lines().contains("token")
        );
    }

    #[test]
    fn misspelt_parameters_are_rejected() {
        let error = Remote::parse("sc://host/;use_tls=true", None).unwrap_err();
        let lines = "error: an address has no parameter `use_tls`\n  hint: did you mean `use_ssl`?";
        assert_eq!(error.lines(), lines);
        for name in ["session_id", "authorization", "USE_SSL"] {
            assert!(Remote::parse(&format!("sc://host/;{name}=1"), None).is_err(), "{name}");
        }
    }
}
