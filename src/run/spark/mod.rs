//! Answers a question on a cluster of Spark 4, Databricks or Sail, over the Spark Connect protocol.
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
//! | `client` | a session |
//! | `reply` | the complete reply of one operation |
//! | `literal` | parameters as literals of the protocol |
//! | `views`, [`paths`] | temporary views over the lake's files |
//! | `people` | the person in place of a missing number |
//! | `answer` | Arrow streams as rows of the declared columns |
//! | `fault` | errors of a server |
//!
//! Nothing is stored on the cluster: the views are temporary and end with the session.

mod answer;
mod client;
mod fault;
mod literal;
pub mod paths;
mod people;
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

/// A session on a cluster. Dropping it ends the session.
pub struct Cluster {
    runtime: Runtime,
    session: Session,
}

impl Cluster {
    /// Opens a session.
    ///
    /// # Errors
    ///
    /// The server does not answer or denies access.
    pub fn connect(remote: &Remote) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context(|| "starting a thread")?;
        let session = runtime.block_on(unless_interrupted(Session::open(remote)))?;
        Ok(Self { runtime, session })
    }

    /// Answers a question with at most `limit` rows: the same columns, types, rows and order as
    /// [`polars`](super::polars).
    ///
    /// # Errors
    ///
    /// The lake cannot be read, here or on the cluster; the cluster fails; Ctrl-C, which also stops the
    /// query on the cluster.
    pub fn answer(
        &self,
        lake: &Lake,
        question: &Question,
        paths: &Paths,
        limit: Option<u64>,
    ) -> Result<DataFrame> {
        let columns = question.columns();
        self.runtime.block_on(async {
            let asking = Box::pin(self.ask(lake, question, paths, limit));
            let replied = unless_interrupted(asking).await;
            if replied.as_ref().is_err_and(|error| error.fault() == Fault::Interrupted) {
                self.session.interrupt().await;
            }
            let answer = replied.and_then(|batches| answer::rows(&batches, &columns));
            answer.context(|| format!("answering `{}`", question.spec().name))
        })
    }

    /// Runs a function on the next Ctrl-C. Without it Ctrl-C has no effect once a session was opened.
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
        paths.check(lake.place())?;
        let views = View::of(lake, question, paths)?;
        for view in &views {
            self.session.view(&view.name(), view.relation()?).await?;
        }
        let counted = self.session.ask(&views::count(&views), &Bindings::new(), None).await?;
        let counted = answer::counts(&counted)?;
        for (place, view) in views.iter().enumerate() {
            view.check(counted.get(place).copied(), lake.place())?;
        }
        for view in &views {
            if let Some(seen) = &view.seen {
                self.session.view(view.table.name, client::statement(seen.clone(), None)).await?;
            }
        }
        self.session.ask(&question.twin(), &question.bindings(), limit).await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.runtime.block_on(self.session.release());
    }
}

/// Waits for a future until Ctrl-C.
async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        // The pattern ignores a failure to listen for Ctrl-C.
        Ok(()) = tokio::signal::ctrl_c() => Err(Error::interrupted("interrupted")),
    }
}
