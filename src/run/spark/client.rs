//! A session at a Spark Connect server: creates views, runs statements, can be interrupted, and is
//! released.
//!
//! ```text
//! open      connects and sets what answers depend on: UTC, ANSI   never retried
//!   │ probe      SELECT :p        does the server take parameters beside a statement?
//!   ▼
//! view, ask ── each an operation of its own ──► reply             complete, or an error
//!   ▼
//! release   ends the session and its views
//! ```

use std::future::Future;
use std::time::Duration;

use spark_connect_core::{RetryPolicy, SparkConnectClient, SparkError};
use spark_connect_proto as proto;
use spark_connect_proto::config_request::operation::OpType;
use spark_connect_proto::execute_plan_request::{RequestOption, request_option};
use spark_connect_proto::execute_plan_response::ArrowBatch;
use spark_connect_proto::interrupt_request::InterruptType;
use spark_connect_proto::plan::OpType as PlanType;
use spark_connect_proto::relation::RelType;
use spark_connect_proto::release_execute_request::{Release, ReleaseAll};
use spark_connect_proto::{command, config_request};
use uuid::Uuid;
use wabalake_queries::query::Bindings;

use super::fault::Fault;
use super::literal;
use super::remote::Remote;
use super::reply::{self, Patience, Server, Stream};
use crate::error::Result;

/// Timeout of calls that need no computation.
const PROMPT: Duration = Duration::from_secs(30);
/// Time without a message after which the server is asked whether it is still there.
const SILENCE: Duration = Duration::from_mins(1);
/// Timeout of calls whose failure does not matter.
const COURTESY: Duration = Duration::from_secs(5);

/// Settings of the session that answers depend on; they override those of the cluster.
const SETTINGS: [(&str, &str); 3] = [
    ("spark.sql.session.timeZone", "UTC"),
    ("spark.sql.timestampType", "TIMESTAMP_LTZ"),
    // An overflow is an error, not a wrong number.
    ("spark.sql.ansi.enabled", "true"),
];

/// A session for one caller.
pub(super) struct Session {
    client: SparkConnectClient,
    remote: Remote,
    /// `true` if the server takes parameters beside a statement. A parser extension of the server, such
    /// as Delta's, may drop them.
    takes_parameters: bool,
}

impl Session {
    /// Connects and opens a session.
    pub(super) async fn open(remote: &Remote) -> Result<Self> {
        let client = SparkConnectClient::connect(remote.channel()).await;
        let mut client = client.map_err(|error| Fault::from(error).while_connecting(remote))?;
        // The default retries for minutes if no server listens.
        client.set_retry_policy(RetryPolicy::no_retries());
        let mut session = Self { client, remote: remote.clone(), takes_parameters: true };
        session.set_up().await.map_err(|fault| fault.while_connecting(remote))?;
        session.takes_parameters = session.probe().await?;
        Ok(session)
    }

    async fn set_up(&self) -> Result<(), Fault> {
        let pair = |(key, value): (&str, &str)| proto::KeyValue {
            key: key.to_owned(),
            value: Some(value.to_owned()),
        };
        let set = config_request::Set { pairs: SETTINGS.map(pair).into(), ..Default::default() };
        self.configure(OpType::Set(set)).await
    }

    /// Waits for a call as long as the server is there. The protocol has no heartbeat, so the server is
    /// asked for a setting after each minute of silence.
    async fn wait_for<T>(
        &self,
        mut call: impl Future<Output = Result<T, SparkError>> + Unpin,
    ) -> Result<T, Fault> {
        loop {
            match tokio::time::timeout(SILENCE, &mut call).await {
                Ok(done) => return Ok(done?),
                Err(_) => self.ping().await?,
            }
        }
    }

    async fn ping(&self) -> Result<(), Fault> {
        let get = config_request::Get { keys: vec![SETTINGS[0].0.to_owned()] };
        self.configure(OpType::Get(get)).await
    }

    async fn configure(&self, operation: OpType) -> Result<(), Fault> {
        let request = proto::ConfigRequest {
            session_id: self.client.session_id().to_owned(),
            user_context: Some(self.user()),
            operation: Some(config_request::Operation { op_type: Some(operation) }),
            ..Default::default()
        };
        in_time(PROMPT, self.client.config(request)).await.map(drop)
    }

    async fn probe(&self) -> Result<bool> {
        let one = Bindings::new().integer("p", 1);
        match self.run(PlanType::Root(statement("SELECT :p AS p".to_owned(), Some(&one)))).await {
            Ok(_) => Ok(true),
            Err(fault) if fault.is_unbound_parameter() => Ok(false),
            Err(fault) => Err(fault.while_running(&self.remote)),
        }
    }

    /// Creates a temporary view of a relation.
    pub(super) async fn view(&self, name: &str, of: proto::Relation) -> Result<()> {
        let view = proto::CreateDataFrameViewCommand {
            input: Some(of),
            name: name.to_owned(),
            is_global: false,
            replace: true,
        };
        let command = command::CommandType::CreateDataframeView(view);
        let command = proto::Command { command_type: Some(command) };
        let made = self.run(PlanType::Command(command)).await;
        made.map(drop).map_err(|fault| fault.while_running(&self.remote))
    }

    /// Runs a statement with slots and parameters, with at most `limit` rows. Returns Arrow streams.
    pub(super) async fn ask(
        &self,
        sql: &str,
        bindings: &Bindings,
        limit: Option<u64>,
    ) -> Result<Vec<ArrowBatch>> {
        let plan = if self.takes_parameters {
            statement(bindings.fill_slots(sql), Some(bindings))
        } else {
            statement(bindings.fill(sql), None)
        };
        let limited = match limit.and_then(|rows| i32::try_from(rows).ok()) {
            Some(limit) => {
                let input = Some(Box::new(plan));
                relation(RelType::Limit(Box::new(proto::Limit { input, limit })))
            }
            None => plan,
        };
        self.run(PlanType::Root(limited)).await.map_err(|fault| fault.while_running(&self.remote))
    }

    /// Stops all operations of this session.
    pub(super) async fn interrupt(&self) {
        let request = proto::InterruptRequest {
            session_id: self.client.session_id().to_owned(),
            user_context: Some(self.user()),
            interrupt_type: InterruptType::All.into(),
            ..Default::default()
        };
        // The process is about to end, so a failure does not matter.
        let _ = in_time(COURTESY, self.client.interrupt(request)).await;
    }

    /// Ends the session and its views.
    pub(super) async fn release(&self) {
        // The server ends idle sessions by itself if this fails.
        let _ = in_time(COURTESY, self.client.release_session()).await;
    }

    async fn run(&self, plan: PlanType) -> Result<Vec<ArrowBatch>, Fault> {
        let operation = Operation { session: self, id: Uuid::new_v4().to_string(), plan };
        reply::whole(&operation, Patience::default()).await
    }

    fn user(&self) -> proto::UserContext {
        let user_id = self.client.user_id().unwrap_or_default().to_owned();
        proto::UserContext { user_id, ..Default::default() }
    }
}

/// An operation of a session.
struct Operation<'a> {
    session: &'a Session,
    id: String,
    plan: PlanType,
}

/// The responses of an operation.
struct Responses<'a> {
    session: &'a Session,
    stream: tonic::Streaming<proto::ExecutePlanResponse>,
}

impl Stream for Responses<'_> {
    async fn next(&mut self) -> Result<Option<proto::ExecutePlanResponse>, Fault> {
        let stream = &mut self.stream;
        let message = async { stream.message().await.map_err(SparkError::from_grpc_status) };
        self.session.wait_for(Box::pin(message)).await
    }
}

impl<'a> Server for Operation<'a> {
    type Stream = Responses<'a>;

    async fn start(&self) -> Result<Self::Stream, Fault> {
        let reattachable = proto::ReattachOptions { reattachable: true };
        let option = request_option::RequestOption::ReattachOptions(reattachable);
        let request = proto::ExecutePlanRequest {
            session_id: self.session.client.session_id().to_owned(),
            user_context: Some(self.session.user()),
            operation_id: Some(self.id.clone()),
            client_type: Some("wabalake".to_owned()),
            tags: vec!["wabalake".to_owned()],
            request_options: vec![RequestOption { request_option: Some(option) }],
            plan: Some(proto::Plan { op_type: Some(self.plan.clone()) }),
            ..Default::default()
        };
        let call = Box::pin(self.session.client.execute_plan(request));
        let stream = self.session.wait_for(call).await?;
        Ok(Responses { session: self.session, stream })
    }

    async fn reattach(&self, after: Option<&str>) -> Result<Self::Stream, Fault> {
        let request = proto::ReattachExecuteRequest {
            session_id: self.session.client.session_id().to_owned(),
            user_context: Some(self.session.user()),
            operation_id: self.id.clone(),
            last_response_id: after.map(str::to_owned),
            ..Default::default()
        };
        let call = Box::pin(self.session.client.reattach_execute(request));
        let stream = self.session.wait_for(call).await?;
        Ok(Responses { session: self.session, stream })
    }

    async fn release(&self) {
        let all = Release::ReleaseAll(ReleaseAll::default());
        let request = proto::ReleaseExecuteRequest {
            session_id: self.session.client.session_id().to_owned(),
            user_context: Some(self.session.user()),
            operation_id: self.id.clone(),
            release: Some(all),
            ..Default::default()
        };
        // Releasing the session does the same later.
        let _ = in_time(COURTESY, self.session.client.release_execute(request)).await;
    }
}

/// Waits for a call until a timeout.
async fn in_time<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, SparkError>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(limit, call).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Fault::timeout(limit.as_secs())),
    }
}

/// Builds a relation.
pub(super) fn relation(of: RelType) -> proto::Relation {
    proto::Relation { common: None, rel_type: Some(of) }
}

/// Builds the relation of a statement with named parameters.
pub(super) fn statement(query: String, parameters: Option<&Bindings>) -> proto::Relation {
    let parameters = parameters.into_iter().flat_map(Bindings::parameters);
    let named_arguments =
        parameters.map(|(name, value)| (name.to_owned(), literal::expression(value))).collect();
    relation(RelType::Sql(proto::Sql { query, named_arguments, ..Default::default() }))
}
