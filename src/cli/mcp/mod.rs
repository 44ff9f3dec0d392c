//! `wabalake mcp`: answers an assistant's questions over the Model Context Protocol.
//!
//! ```text
//! assistant ─ standard input ─► server     speaks the protocol for as long as the session lasts
//!                                 │ drop_off {"by": ["country"]}
//!                                 ▼
//!                               answer     a process for each call: works it out, masks people
//!                                 │ rows
//! assistant ◄─ standard output ─ server
//! ```
//!
//! Polars does not stop a query that runs. A process can be stopped: the server kills that of an answer when
//! its time is up, and with it goes its memory. An answer that ends badly does not end the session.

// The process of an answer.
mod answer;
mod mask;
// What both processes tell each other.
mod reply;
mod schema;
mod server;
mod tools;

use clap::Args;

use super::shared::{LakeOption, MartsOption, ZoneOption};
use super::{Invocation, Subcommand};
use crate::error::Result;

pub(super) const SUBCOMMAND: Subcommand = Subcommand {
    name: "mcp",
    about: "Answer an assistant's questions: a server of the Model Context Protocol",
    define: Options::augment_args,
    run,
};

#[derive(Args)]
#[command(
    long_about = "Answer an assistant's questions about one lake: a server of the Model Context Protocol, \
                  which the assistant starts and talks to over standard input and output. It changes \
                  nothing, and opens no network connection but that to a lake on an object store.\n\n\
                  Each query is a tool, `drop_off` and so on, and its options are parameters. The tool \
                  `tables` lists the tables with their columns, rows and days. With `sql = true` in [mcp] of \
                  the lake's wabalake.toml there is a tool `sql`, too.\n\n\
                  Answers name nobody unless `people = true` stands there: a number, a user id or the id of \
                  a message is shown as `person-` and ten letters and digits, which are the same for the \
                  same person in one session, and what somebody wrote as `(hidden)`.",
    after_help = "Settings in [mcp] of the lake's wabalake.toml: `rows` and `seconds` limit an answer, `sql` \
                  and `people` allow more.\n\n\
                  Example, in the configuration of an assistant:\n  \
                  { \"mcpServers\": { \"wabalake\": { \"command\": \"wabalake\", \"args\": [\"mcp\", \
                  \"--lake\", \"/srv/lake\"] } } }"
)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    #[command(flatten)]
    zone: ZoneOption,

    #[command(flatten)]
    marts: MartsOption,

    /// Answer the call on standard input, in place of the server
    #[arg(long, hide = true)]
    answer: bool,
}

fn run(invocation: &Invocation<'_>) -> Result<()> {
    let options: Options = invocation.parse()?;
    match options.answer {
        true => answer::run(&options),
        false => server::run(&options, invocation.arguments),
    }
}
