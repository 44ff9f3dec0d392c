//! Answers a question on a cluster, over Spark Connect: Spark 4, Databricks or Sail.
//!
//! ```text
//! question ──► twin.sql and its parameters ───────────┐
//! lake ──► snapshot ──► views of the files in range ──┤
//!                                                     ▼
//! Remote ──► session ── views ── count ── ask ──► Arrow streams ──► the declared columns
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`remote`] | the address, the token, TLS |
//! | `client` | a session of one's own |
//! | `reply` | one operation's responses, to the last |
//! | `literal` | parameters as the protocol has them |
//! | `views`, [`paths`] | the lake's files as a cluster is shown them |
//! | `answer` | Arrow streams as the rows that were declared |
//! | `fault` | what a server says went wrong |
//!
//! Nothing is loaded on the cluster and nothing stays there: the views are the session's own, and
//! end with it.

mod answer;
mod client;
mod fault;
mod literal;
pub mod paths;
pub mod remote;
mod reply;
mod views;

use std::future::Future;

use polars::prelude::DataFrame;
use tokio::runtime::Runtime;
use wabalake_queries::query::{Bindings, Question};

use self::client::Session;
pub use self::paths::Paths;
pub use self::remote::Remote;
use self::views::View;
use crate::error::{Context as _, Error, Fault, Result};
use crate::lake::Lake;

/// A session on a cluster; it ends when this is dropped.
pub struct Cluster {
    runtime: Runtime,
    session: Session,
}

impl Cluster {
    /// Opens a session.
    ///
    /// # Errors
    ///
    /// A server that does not answer, or does not let one in.
    pub fn connect(remote: &Remote) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context(|| "starting a thread")?;
        let session = runtime.block_on(unless_interrupted(Session::open(remote)))?;
        Ok(Self { runtime, session })
    }

    /// The answer to a question over a lake, of which at most so many rows are wanted: as
    /// [`polars`](super::polars) has it, columns, types, rows, order.
    ///
    /// # Errors
    ///
    /// A lake that cannot be read, here or there; whatever goes wrong on the cluster; Ctrl-C, upon
    /// which the cluster is told to stop.
    pub fn answer(
        &self,
        lake: &Lake,
        question: &Question,
        paths: &Paths,
        limit: Option<u64>,
    ) -> Result<DataFrame> {
        let columns = question.columns();
        self.runtime.block_on(async {
            let asked = Box::pin(self.ask(lake, question, paths, limit));
            let replied = unless_interrupted(asked).await;
            if replied.as_ref().is_err_and(|error| error.fault() == Fault::Interrupted) {
                self.session.interrupt().await;
            }
            let answer = replied.and_then(|batches| answer::rows(&batches, &columns));
            answer.context(|| format!("answering `{}`", question.spec().name))
        })
    }

    /// Does something on the next Ctrl-C, which otherwise does nothing once a session was opened.
    pub fn on_interrupt(&self, act: impl FnOnce() + Send + 'static) {
        self.runtime.spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                act();
            }
        });
    }

    async fn ask(
        &self,
        lake: &Lake,
        question: &Question,
        paths: &Paths,
        limit: Option<u64>,
    ) -> Result<Vec<answer::Batch>> {
        paths.check(lake.root())?;
        let views = View::of(lake, question, paths)?;
        for view in &views {
            self.session.view(view.table.name, view.relation()?).await?;
        }
        let counted = self.session.ask(&views::count(&views), &Bindings::new(), None).await?;
        let counted = answer::counts(&counted)?;
        for (place, view) in views.iter().enumerate() {
            view.check(counted.get(place).copied())?;
        }
        self.session.ask(question.spec().sql, &question.bindings(), limit).await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.runtime.block_on(self.session.release());
    }
}

/// Waits for something, unless Ctrl-C comes first.
async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        // Where there is no Ctrl-C to wait for, there is none.
        Ok(()) = tokio::signal::ctrl_c() => Err(Error::interrupted("interrupted")),
    }
}
