use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, DataType, PrimitiveType, StructField, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::DeltaTable;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Instant;

fn add(i: usize) -> Add {
    let day = format!("2025-{:02}-{:02}", 1 + i / 28 % 12, 1 + i % 28);
    Add {
        path: format!("utc_day={day}/{}.parquet", uuid::Uuid::new_v4()),
        partition_values: HashMap::from([("utc_day".into(), Some(day.clone()))]),
        size: 1000,
        modification_time: 0,
        data_change: true,
        stats: Some(json!({"numRecords": 1000, "minValues": {"session_started_timestamp": format!("{day}T00:00:00.123456Z"), "session_finished_timestamp": format!("{day}T00:00:00.123456Z"), "conversation_id": "1234"},
          "maxValues": {"session_started_timestamp": format!("{day}T23:00:00.123456Z"), "session_finished_timestamp": format!("{day}T23:00:00.123456Z"), "conversation_id": "9234"},
          "nullCount": {"session_started_timestamp": 0, "session_finished_timestamp": 10, "conversation_id": 0}}).to_string()),
        ..Default::default()
    }
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let url = url::Url::from_directory_path(dir.path()).unwrap();
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    rt.block_on(async {
        let mut cols: Vec<StructField> = (0..24).map(|i| StructField::nullable(format!("c{i}"), DataType::Primitive(PrimitiveType::String))).collect();
        for c in ["session_started_timestamp", "session_finished_timestamp"] { cols.push(StructField::nullable(c, DataType::Primitive(PrimitiveType::Timestamp))); }
        cols.push(StructField::nullable("conversation_id", DataType::Primitive(PrimitiveType::String)));
        cols.push(StructField::nullable("utc_day", DataType::Primitive(PrimitiveType::Date)));
        let t = DeltaTable::try_from_url(url.clone()).await.unwrap();
        t.create().with_columns(cols).with_partition_columns(["utc_day"]).await.unwrap();
        for c in 0..30 {
            let mut t = DeltaTable::try_from_url(url.clone()).await.unwrap();
            t.load().await.unwrap();
            let n = if c == 0 { 365 } else { 5 };
            let t1 = Instant::now();
            let mut props = CommitProperties::default().with_max_retries(0);
            for k in 0..10 { props = props.with_application_transaction(Transaction::new(format!("app{c}-{k}"), 1)); }
            CommitBuilder::from(props).with_actions((0..n).map(|i| Action::Add(add(i))).collect())
                .build(Some(t.snapshot().unwrap()), t.log_store(), DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None }).await.unwrap();
            if c < 3 { println!("commit {:?}", t1.elapsed()); }
        }
        for _ in 0..3 {
            let t0 = Instant::now();
            let mut t = DeltaTable::try_from_url(url.clone()).await.unwrap();
            println!("url {:?}", t0.elapsed());
            t.load().await.unwrap();
            println!("load {:?}", t0.elapsed());
            let st = t.snapshot().unwrap();
            let mut n = 0;
            for f in st.log_data().iter() { n += f.path().len() + f.stats().map_or(0, |s| s.len()) + f.partition_values_map().len(); }
            println!("iter {n} {:?}", t0.elapsed());
            let t1 = Instant::now();
            println!("{:?}", st.transaction_version(t.log_store().as_ref(), "app3-2").await);
            println!("txn {:?}", t1.elapsed());
            if let Some(f) = st.log_data().iter().next() { println!("{:?}", f.stats()); }
        }
    });
    let t0 = Instant::now();
    let mut n = 0;
    for e in std::fs::read_dir(dir.path().join("_delta_log")).unwrap() {
        let p = e.unwrap().path();
        if p.extension().is_some_and(|x| x == "json") {
            for l in std::fs::read_to_string(p).unwrap().lines() {
                let v: Value = serde_json::from_str(l).unwrap();
                if let Some(s) = v["add"]["stats"].as_str() { let s: Value = serde_json::from_str(s).unwrap(); n += s["numRecords"].as_i64().unwrap(); }
            }
        }
    }
    println!("own {n} {:?}", t0.elapsed());
}
