//! The server: speaks the protocol, and has each call answered by a process of its own.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer, ServerInitializeError};
use rmcp::{ErrorData, ServerHandler};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::timeout;
use wabalake_data::words::{counted, elapsed};

use super::Options;
use super::mask::MaskKey;
use super::reply::{Call, Reply};
use super::tools::{self, Kind};
use crate::cli::output::to_stderr;
use crate::config::{Config, McpSettings};
use crate::error::{Context as _, Error, Result};

/// Serves one session: until standard input ends.
///
/// # Errors
/// A lake that cannot be opened; standard input of something else than a client.
pub(super) fn run(options: &Options, arguments: &[OsString]) -> Result<()> {
    let server = Server::of(options, arguments)?;
    if io::stdin().is_terminal() {
        to_stderr("waiting for an assistant, which should start this command itself: see --help\n");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context(|| "starting the server")?;
    let outcome = runtime.block_on(serve(server));
    // A thread may still be reading standard input.
    runtime.shutdown_background();
    outcome
}

async fn serve(server: Server) -> Result<()> {
    // Its errors quote messages, and with them maybe people.
    let session = match rmcp::serve_server(server, rmcp::transport::stdio()).await {
        Ok(session) => session,
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(_) => {
            return Err(Error::usage("standard input is no client of the Model Context Protocol")
                .hint("register the command in an assistant: see `wabalake mcp --help`"));
        }
    };
    session.waiting().await.map(drop).map_err(|_| Error::bug("the server stopped"))
}

struct Server {
    config: ServerConfig,
    tools: Vec<Tool>,
    /// The command that answers a call.
    program: PathBuf,
    arguments: Vec<OsString>,
    /// What people are masked with in this session.
    key: MaskKey,
    /// The time limit of an answer.
    limit: Duration,
    /// Held while an answer is worked out: one uses all cores.
    turn: Mutex<()>,
}

impl Server {
    fn of(options: &Options, arguments: &[OsString]) -> Result<Self> {
        let lake = options.lake.open()?;
        let mut config = Config::of(&lake)?;
        options.zone.apply(&mut config);
        let zone = config.timezone.unwrap_or(Tz::UTC);
        let mut key = MaskKey::default();
        getrandom::fill(&mut key).map_err(|e| Error::bug(format!("no random key: {e}")))?;
        let own = arguments.iter().skip(1).cloned();
        Ok(Self {
            config: described(config.mcp, zone),
            tools: tools::all(config.mcp, zone),
            program: program()?,
            arguments: own.chain(["--answer".into()]).collect(),
            key,
            limit: config.mcp.time_limit(),
            turn: Mutex::new(()),
        })
    }

    /// Has a call answered.
    ///
    /// # Errors
    /// No answer in time; a process that fails.
    async fn answer(&self, call: &Call) -> Result<Reply> {
        let mut line = serde_json::to_vec(call)
            .map_err(|error| Error::bug(format!("a call as JSON: {error}")))?;
        line.push(b'\n');
        let _turn = self.turn.lock().await;
        let too_late = |_| {
            let limit = counted(self.limit.as_secs(), "second");
            Error::data(format!("there was no answer within {limit}")).hint(
                "ask about fewer days or people; `seconds` in [mcp] of wabalake.toml is the limit",
            )
        };
        let output = timeout(self.limit, self.output(&line)).await.map_err(too_late)??;
        let reply = output.status.success().then(|| serde_json::from_slice(&output.stdout).ok());
        // What happened is on standard error, which the process shares.
        let failed = || Error::bug("the process of the answer failed").hint("see the server's log");
        reply.flatten().ok_or_else(failed)
    }

    /// The output of a process. Dropped before it ends, it kills the process.
    async fn output(&self, line: &[u8]) -> Result<Output> {
        let mut process = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context(|| "starting the process of an answer")?;
        // Held to the end: the process ends with it.
        let mut input = process.stdin.take();
        if let Some(input) = &mut input {
            // A process that fails before it reads says why.
            let _ = input.write_all(line).await;
        }
        let output = process.wait_with_output().await;
        drop(input);
        output.context(|| "reading an answer")
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        self.config.clone()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.clone()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let tool = request.name.into_owned();
        if Kind::of(&tool).is_none() {
            return Err(ErrorData::invalid_params("there is no such tool", None));
        }
        let arguments = request.arguments.unwrap_or_default();
        let call = Call { tool, arguments, key: self.key };
        let started = Instant::now();
        let reply = tokio::select! {
            reply = self.answer(&call) => reply.unwrap_or_else(|error| Reply::of_error(&error)),
            () = context.ct.cancelled() => Reply::of_error(&Error::interrupted("cancelled")),
        };
        let outcome = match &reply {
            Reply::Answer(answered) => counted(answered.rows_total as u64, "row"),
            Reply::Error(_) => "an error".to_owned(),
        };
        let seconds = elapsed(started.elapsed().as_secs_f64());
        to_stderr(&format!("{}: {outcome} in {seconds}\n", call.tool));
        Ok(reply.into_result().into())
    }
}

/// What the server says of itself.
fn described(settings: McpSettings, zone: Tz) -> ServerConfig {
    let people = match settings.people {
        true => "Numbers and texts of people are shown: do not repeat them without need.",
        false => {
            "People are masked: `person-` and ten letters and digits stand for a number, a user id or the \
             id of a message, the same for the same one in this session, and `(hidden)` for a text that \
             somebody wrote."
        }
    };
    let instructions = format!(
        "Questions about exports of WhatsApp Business conversations: sessions, sends (deployments), \
         messages, prices, answers of people. Each tool but `tables` answers one question, and says which rows \
         count; its parameters filter rows (by country, flow, tag, …) and split the answer (`by`). `tables` \
         tells which tables and which days there are. Dates and times are those of {zone} unless `timezone` \
         says otherwise. An answer is csv, where an empty cell is a null, and the same rows as structured \
         content; of a longer one there are the first {} rows. {people}",
        settings.rows(),
    );
    let capabilities = ServerCapabilities::builder().enable_tools().build();
    let server = Implementation::new("wabalake", env!("CARGO_PKG_VERSION"));
    ServerConfig::new(capabilities).with_server_info(server).with_instructions(instructions)
}

/// The program itself, also after another version was put in its place.
fn program() -> Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    std::env::current_exe().context(|| "finding the program")
}
