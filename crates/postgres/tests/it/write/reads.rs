//! What the writing side says of a row is what the reading side shows.

use std::any::Any;
use std::sync::Arc;

use highwater_core::store::{PageLimit, ReadParams, RowSink};
use highwater_core::{Query, RemovedReason, Row, Store as _};
use highwater_odata::{PrimitiveType as T, Value};

use super::serving::Served;
use super::step::{insert, int, lex, text, update, upsert};

/// The entity tags of a page.
#[derive(Default)]
struct Tags(Vec<Option<u64>>);

impl RowSink for Tags {
    fn begin(&mut self, _: Option<u64>) {}

    fn entity(&mut self, row: &Row<'_>) {
        self.0.push(row.etag);
    }

    fn begin_expand(&mut self, _: usize, _: Option<u64>) {}

    fn end_expand(&mut self, _: usize, _: Option<u64>) {}

    fn end_entity(&mut self) {}

    fn removed(&mut self, _: &Row<'_>, _: RemovedReason) {}

    fn bytes(&self) -> usize {
        0
    }
}

async fn tags(served: &Served, table: &str) -> Vec<Option<u64>> {
    let catalog = served.catalog().await;
    let table = catalog
        .table(Some("public"), table)
        .expect("the table exists");
    let query = Query {
        table,
        columns: vec![0],
        filter: None,
        order: vec![],
        skip: 0,
        top: None,
        expand: vec![],
        count: false,
        etag: true,
        volatile: false,
    };
    let params = ReadParams {
        catalog,
        query: Arc::new(query),
        hi: None,
        after: None,
        limit: PageLimit {
            rows: 100,
            bytes: usize::MAX,
        },
    };
    let page = served
        .store
        .read(params, Box::new(Tags::default()))
        .await
        .expect("a page");
    let sink: Box<dyn Any> = page.sink;
    sink.downcast::<Tags>().expect("the sink that was given").0
}

#[tokio::test]
async fn tags_of_written_rows_are_those_of_rows_that_are_read() {
    let served = Served::new(
        "CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN amount AS numeric(8,3);
         CREATE TABLE t (id int PRIMARY KEY, b bool, n numeric, f4 real, f8 float8, c char(5), v varchar, u uuid DEFAULT gen_random_uuid(), d date, ti time,
            ts timestamp DEFAULT now(), tz timestamptz DEFAULT now(), iv interval, by bytea, j jsonb, m mood, a amount, ints int[], twice int GENERATED ALWAYS AS (id * 2) STORED);",
    )
    .await;
    for step in [
        insert("t").set("id", int(1)),
        insert("t")
            .set("id", int(2))
            .set("b", Value::Boolean(true))
            .set("n", lex(T::Decimal, "100.00"))
            .set("f4", Value::Double(0.5))
            .set("f8", Value::Double(f64::NAN))
            .set("c", text("ab"))
            .set("v", text("ab "))
            .set("d", text("infinity"))
            .set("ti", text("24:00:00"))
            .set("iv", text("1 mon"))
            .set("by", Value::Binary(vec![1]))
            .set("j", text("{\"b\":1,  \"a\":2}"))
            .set("m", text("sad"))
            .set("a", lex(T::Decimal, "1.5"))
            .set("ints", text("{1, 2}")),
        upsert("t", &[int(3)]).set("n", Value::Double(f64::NAN)),
        update("t", &[int(1)]).set("iv", lex(T::Duration, "-P1DT2H")),
        update("t", &[int(3)]).set("tz", lex(T::DateTimeOffset, "-0100-01-01T00:00:00.5Z")),
    ] {
        let written = served.write(vec![step.clone()]).await.unwrap().written;
        let Value::Integer(id) = written[0].key[0] else {
            panic!("a whole number");
        };
        let tags = tags(&served, "t").await;
        assert_eq!(tags[id as usize - 1], written[0].etag, "{step:?}");
    }
}
