//! Collects the complete reply to an operation, or fails.
//!
//! ```text
//! start ──► batch, rows from 0 ── batch, rows from 10,000 ── end of the stream
//! reattach after the last ──► batch, rows from 20,000 ── complete ──► release
//! ```
//!
//! The end of a stream is not the end of the reply: Spark ends a stream after two minutes or a gigabyte,
//! and expects the client to reattach. Only `ResultComplete` ends the reply. The client library stops at the
//! end of the first stream and silently loses rows, which is why this module exists.

use std::time::{Duration, Instant};

use spark_connect_proto::ExecutePlanResponse;
use spark_connect_proto::execute_plan_response::{ArrowBatch, ResponseType};

use super::fault::Fault;

/// A server that runs one operation and can be reattached to it.
pub(super) trait Server {
    type Stream: Stream;

    /// Starts the operation.
    async fn start(&self) -> Result<Self::Stream, Fault>;
    /// Continues after a response, or from the first.
    async fn reattach(&self, after: Option<&str>) -> Result<Self::Stream, Fault>;
    /// Lets the server forget the operation.
    async fn release(&self);
}

/// A stream of responses.
pub(super) trait Stream {
    async fn next(&mut self) -> Result<Option<ExecutePlanResponse>, Fault>;
}

/// Retry policy: how often in a row to reattach without a new response, and how soon.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) tries: u32,
    /// The pause before the first retry, doubled each time.
    pub(super) pause: Duration,
    /// A stream that lasted this long ended normally, and resets the retries.
    pub(super) lasting: Duration,
}

impl Default for Patience {
    /// Gives up after half a minute.
    fn default() -> Self {
        let (pause, lasting) = (Duration::from_millis(125), Duration::from_secs(1));
        Self { tries: 8, pause, lasting }
    }
}

/// Runs an operation to its end. Returns its batches, each a complete Arrow stream, in order.
///
/// A start that fails is not retried.
pub(super) async fn whole(
    server: &impl Server,
    patience: Patience,
) -> Result<Vec<ArrowBatch>, Fault> {
    let mut reply = Reply::default();
    let mut tries = 0;
    let mut opened = Instant::now();
    let mut stream = server.start().await;
    loop {
        let before = reply.responses;
        let taken = match &mut stream {
            Ok(stream) => reply.take(stream).await,
            Err(fault) => Err(fault.clone()),
        };
        let (news, fault) = match taken {
            Ok(true) => break,
            Ok(false) => (
                reply.responses > before || opened.elapsed() >= patience.lasting,
                Fault::here("its reply ends repeatedly without being complete"),
            ),
            // An operation that never started is not retried, so the user sees the error at once.
            Err(fault) if reply.attached && fault.is_broken_connection() => {
                (reply.responses > before, fault)
            }
            Err(fault) => return Err(fault),
        };
        reply.attached = true;
        tries = if news { 0 } else { tries + 1 };
        if tries > patience.tries {
            return Err(fault);
        }
        if tries > 0 {
            tokio::time::sleep(patience.pause * 2_u32.pow(tries - 1)).await;
        }
        opened = Instant::now();
        stream = server.reattach(reply.last.as_deref()).await;
    }
    server.release().await;
    Ok(reply.batches)
}

/// The reply so far.
#[derive(Default)]
struct Reply {
    batches: Vec<ArrowBatch>,
    rows: i64,
    responses: u64,
    last: Option<String>,
    /// `true` once the server has started the operation.
    attached: bool,
}

impl Reply {
    /// Reads a stream to its end. Returns `true` if the reply is complete.
    async fn take(&mut self, stream: &mut impl Stream) -> Result<bool, Fault> {
        while let Some(response) = stream.next().await? {
            self.responses += 1;
            self.attached = true;
            self.last = Some(response.response_id);
            match response.response_type {
                Some(ResponseType::ArrowBatch(batch)) => self.add(batch)?,
                Some(ResponseType::ResultComplete(_)) => return Ok(true),
                // The schema, metrics, progress.
                _ => {}
            }
        }
        Ok(false)
    }

    fn add(&mut self, batch: ArrowBatch) -> Result<(), Fault> {
        if let Some(start) = batch.start_offset.filter(|start| *start != self.rows) {
            let rows = self.rows;
            return Err(Fault::here(format!(
                "its reply continues at row {start} after {rows} rows"
            )));
        }
        if batch.num_chunks_in_batch.is_some_and(|chunks| chunks != 1) {
            return Err(Fault::here("its reply comes in chunks that were not requested"));
        }
        self.rows += batch.row_count;
        self.batches.push(batch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use spark_connect_proto::execute_plan_response::{ExecutionProgress, ResultComplete};

    use super::*;

    const UNAVAILABLE: i32 = 14;

    /// The next event of a scripted stream.
    #[derive(Clone)]
    enum Event {
        /// A batch: its start offset and its number of rows.
        Rows(i64, i64),
        Progress,
        Complete,
        Breaks,
        Fails,
    }
    use Event::{Breaks, Complete, Fails, Progress, Rows};

    /// A server in this process whose streams follow scripts.
    #[derive(Default)]
    struct Scripted {
        streams: RefCell<VecDeque<Vec<Event>>>,
        reattached: RefCell<Vec<Option<String>>>,
        released: RefCell<u32>,
        responses: RefCell<u32>,
    }

    struct Script<'a>(&'a Scripted, VecDeque<Event>);

    impl Scripted {
        fn of(streams: &[&[Event]]) -> Self {
            let streams = streams.iter().map(|stream| stream.to_vec()).collect();
            Self { streams: RefCell::new(streams), ..Self::default() }
        }

        fn open(&self) -> Script<'_> {
            let stream = self.streams.borrow_mut().pop_front().unwrap_or_default();
            Script(self, stream.into())
        }

        fn ask_rows(&self) -> Result<i64, Fault> {
            let patience = Patience { tries: 3, pause: Duration::ZERO, ..Patience::default() };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            let batches = runtime.unwrap().block_on(whole(&self, patience))?;
            Ok(batches.iter().map(|batch| batch.row_count).sum())
        }
    }

    impl<'a> Server for &'a Scripted {
        type Stream = Script<'a>;

        async fn start(&self) -> Result<Script<'a>, Fault> {
            Ok(self.open())
        }

        async fn reattach(&self, after: Option<&str>) -> Result<Script<'a>, Fault> {
            self.reattached.borrow_mut().push(after.map(str::to_owned));
            Ok(self.open())
        }

        async fn release(&self) {
            *self.released.borrow_mut() += 1;
        }
    }

    impl Stream for Script<'_> {
        async fn next(&mut self) -> Result<Option<ExecutePlanResponse>, Fault> {
            let response_type = match self.1.pop_front() {
                None => return Ok(None),
                Some(Breaks) => {
                    return Err(Fault { code: Some(UNAVAILABLE), message: "reset".into() });
                }
                Some(Fails) => return Err(Fault { code: Some(13), message: "[ANY]".into() }),
                Some(Progress) => ResponseType::ExecutionProgress(ExecutionProgress::default()),
                Some(Complete) => ResponseType::ResultComplete(ResultComplete::default()),
                Some(Rows(start, rows)) => ResponseType::ArrowBatch(ArrowBatch {
                    row_count: rows,
                    start_offset: Some(start),
                    ..Default::default()
                }),
            };
            *self.0.responses.borrow_mut() += 1;
            let response_id = self.0.responses.borrow().to_string();
            let response_type = Some(response_type);
            Ok(Some(ExecutePlanResponse { response_id, response_type, ..Default::default() }))
        }
    }

    #[test]
    fn complete_replies_are_released() {
        let server = Scripted::of(&[&[Progress, Rows(0, 10), Rows(10, 5), Complete]]);
        assert_eq!(server.ask_rows(), Ok(15));
        assert_eq!(*server.released.borrow(), 1);
        assert!(server.reattached.borrow().is_empty());
    }

    #[test]
    fn reply_continues_after_the_end_of_a_stream() {
        let server =
            Scripted::of(&[&[Rows(0, 10)], &[Rows(10, 10)], &[], &[Rows(20, 1), Complete]]);
        assert_eq!(server.ask_rows(), Ok(21));
        let after: Vec<_> = server.reattached.borrow().iter().flatten().cloned().collect();
        assert_eq!(after, ["1", "2", "2"]);
    }

    #[test]
    fn replies_may_have_no_rows() {
        assert_eq!(Scripted::of(&[&[], &[Complete]]).ask_rows(), Ok(0));
    }

    #[test]
    fn gaps_in_a_reply_are_errors() {
        let server = Scripted::of(&[&[Rows(0, 10)], &[Rows(12, 10), Complete]]);
        let fault = server.ask_rows().unwrap_err();
        assert_eq!(fault, Fault::here("its reply continues at row 12 after 10 rows"));
        assert!(Scripted::of(&[&[Rows(0, 10), Rows(0, 10), Complete]]).ask_rows().is_err());
    }

    #[test]
    fn broken_connections_are_reattached_a_limited_number_of_times() {
        let server = Scripted::of(&[&[Rows(0, 10), Breaks], &[Breaks], &[Rows(10, 1), Complete]]);
        assert_eq!(server.ask_rows(), Ok(11));
        let server =
            Scripted::of(&[&[Progress, Breaks], &[Breaks], &[Breaks], &[Breaks], &[Breaks]]);
        assert_eq!(server.ask_rows().unwrap_err().code, Some(UNAVAILABLE));
        assert_eq!(server.reattached.borrow().len(), 4);
    }

    #[test]
    fn failed_starts_are_not_retried() {
        let server = Scripted::of(&[&[Breaks], &[Complete]]);
        assert_eq!(server.ask_rows().unwrap_err().code, Some(UNAVAILABLE));
        assert!(server.reattached.borrow().is_empty());
    }

    #[test]
    fn servers_that_never_complete_are_given_up() {
        let server = Scripted::of(&[&[Rows(0, 10)]]);
        assert!(server.ask_rows().unwrap_err().message.contains("repeatedly"));
    }

    #[test]
    fn other_faults_are_not_retried() {
        let server = Scripted::of(&[&[Rows(0, 10), Fails], &[Complete]]);
        assert_eq!(server.ask_rows().unwrap_err().message, "[ANY]");
        assert!(server.reattached.borrow().is_empty());
    }
}
