//! A server as many people write it, to show that the suite can tell: triggers note which accounts changed, and a link says where in
//! the notes to go on.
//!
//! With a sequence number as the place ([`Place::Sequence`]), it loses changes: a transaction that took number 7 may commit after number 9
//! was read. With a snapshot ([`Place::Snapshot`]), and not another line of difference, it loses none. What must hold: everything else about
//! it is right; each round is read by one statement, so it never mixes two states. It serves only the table of `money`.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use highwater_testkit::http::{Request, Response, Transport};
use highwater_testkit::serving::Server;
use highwater_throwaway::{Cluster, Row, Session};
use serde_json::{Value as Json, json};

/// What a link says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The largest number that was read.
    Sequence,
    /// Which transactions had ended.
    Snapshot,
}

const CAPTURE: &str = "
    CREATE TABLE IF NOT EXISTS noted(seq bigserial PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), id integer);
    CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP <> 'INSERT' THEN INSERT INTO public.noted(id) VALUES (OLD.id); END IF;
        IF TG_OP <> 'DELETE' THEN INSERT INTO public.noted(id) VALUES (NEW.id); END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON accounts FOR EACH ROW EXECUTE FUNCTION note();
    ALTER TABLE accounts ENABLE ALWAYS TRIGGER note";

const METADATA: &str = r#"<edmx:Edmx Version="4.01"><edmx:DataServices><Schema Namespace="N"><EntityType Name="account"><Key>
    <PropertyRef Name="id"/></Key><Property Name="id" Type="Edm.Int32" Nullable="false"/><Property Name="owner" Type="Edm.String"/>
    <Property Name="balance" Type="Edm.Int32"/></EntityType><EntityContainer Name="C"><EntitySet Name="accounts" EntityType="N.account"/>
    </EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"#;

/// The server side.
pub(crate) struct Naive(pub(crate) Place);

impl Server for Naive {
    fn start(&mut self, database: &str) -> Arc<dyn Transport> {
        let url = database.split('?').next().unwrap_or_default();
        let name = url.rsplit('/').next().unwrap_or_default();
        let mut session = Cluster::shared().session(name).expect("PostgreSQL runs");
        session.run(CAPTURE).expect("the table is there");
        Arc::new(Serving {
            place: self.0,
            session: Mutex::new(session),
            rounds: Mutex::default(),
        })
    }

    fn stop(&mut self) {}
}

struct Serving {
    place: Place,
    session: Mutex<Session>,
    /// What is left of rounds that were begun.
    rounds: Mutex<HashMap<u64, Round>>,
}

/// The rest of a round.
struct Round {
    rows: Vec<Row>,
    /// Where the next one begins.
    end: String,
    is_delta: bool,
}

impl Transport for Serving {
    fn get(&self, request: &Request) -> io::Result<Response> {
        if request.url.ends_with("$metadata") {
            return Ok(answer(Vec::new(), METADATA.into()));
        }
        let round = match request.url.split_once('=') {
            Some((url, number)) if url.ends_with("skip") => {
                let number = number.parse().map_err(io::Error::other)?;
                let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
                rounds.remove(&number)
            }
            Some((_, place)) => Some(self.changes(&decode(place))?),
            None => Some(self.all()?),
        };
        let round = round.ok_or_else(|| io::Error::other("no such round"))?;
        Ok(self.page(request, round))
    }
}

impl Serving {
    /// The whole table, and the place that belongs to it.
    fn all(&self) -> io::Result<Round> {
        let rows = self.run(&format!(
            "SELECT {}, id, owner, balance, false FROM accounts",
            self.now()
        ))?;
        Ok(Round {
            end: end(&rows).ok_or_else(|| io::Error::other("no accounts"))?,
            rows,
            is_delta: false,
        })
    }

    /// The accounts that were noted after a place, and the place that belongs to them.
    fn changes(&self, place: &str) -> io::Result<Round> {
        let after = match self.place {
            Place::Sequence => format!("seq > {place}"),
            Place::Snapshot => format!("NOT pg_visible_in_snapshot(xid, '{place}')"),
        };
        let rows = self.run(&format!(
            "SELECT {}, id, owner, balance, balance IS NULL FROM \
             (SELECT DISTINCT id FROM noted WHERE {after}) AS changed LEFT JOIN accounts USING (id)",
            self.now()
        ))?;
        Ok(Round {
            end: end(&rows).unwrap_or_else(|| place.to_owned()),
            rows,
            is_delta: true,
        })
    }

    /// The place of the moment.
    fn now(&self) -> &'static str {
        match self.place {
            Place::Sequence => "(SELECT coalesce(max(seq), 0) FROM noted)",
            Place::Snapshot => "pg_current_snapshot()",
        }
    }

    fn run(&self, sql: &str) -> io::Result<Vec<Row>> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(session.run(sql).map_err(io::Error::other)?.rows)
    }

    fn page(&self, request: &Request, mut round: Round) -> Response {
        let header = |wanted: &str| {
            let mut headers = request.headers.iter();
            headers
                .find(|(name, _)| *name == wanted)
                .map_or("", |(_, value)| value)
        };
        let version = header("odata-maxversion").to_owned();
        let prefix = if version == "4.0" { "@odata." } else { "@" };
        let size = header("prefer").rsplit('=').next();
        let size = size
            .and_then(|size| size.parse().ok())
            .unwrap_or(usize::MAX);
        let rest = round.rows.split_off(size.min(round.rows.len()));
        let items = round.rows.iter().map(|row| item(row, prefix));
        let delta = if round.is_delta { "/$delta" } else { "" };
        let mut page = json!({ "value": items.collect::<Vec<Json>>() });
        page[format!("{prefix}context")] = format!("$metadata#accounts{delta}").into();
        if rest.is_empty() {
            page[format!("{prefix}deltaLink")] =
                format!("/odata/accounts?delta={}", encode(&round.end)).into();
        } else {
            round.rows = rest;
            let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
            let number = rounds.keys().max().map_or(0, |last| last + 1);
            rounds.insert(number, round);
            page[format!("{prefix}nextLink")] = format!("/odata/accounts?skip={number}").into();
        }
        let headers = vec![
            ("odata-version".to_owned(), version),
            ("preference-applied".to_owned(), "track-changes".to_owned()),
        ];
        answer(headers, page.to_string().into_bytes())
    }
}

fn answer(headers: Vec<(String, String)>, body: Vec<u8>) -> Response {
    Response {
        status: 200,
        headers,
        body,
    }
}

fn end(rows: &[Row]) -> Option<String> {
    rows.first()?.first()?.clone()
}

/// Snapshots contain colons and commas, which mean nothing in a query; nothing else needs to be encoded.
fn encode(place: &str) -> String {
    place.replace(':', "%3A").replace(',', "%2C")
}

fn decode(place: &str) -> String {
    place.replace("%3A", ":").replace("%2C", ",")
}

fn item(row: &Row, prefix: &str) -> Json {
    let number = |at: usize| row[at].as_ref().and_then(|text| text.parse::<i64>().ok());
    let is_gone = row[4].as_deref() == Some("t");
    match (is_gone, prefix) {
        (false, _) => json!({"id": number(1), "owner": row[2], "balance": number(3)}),
        (true, "@") => json!({"@removed": {"reason": "deleted"}, "id": number(1)}),
        (true, _) => json!({
            "@odata.context": "$metadata#accounts/$deletedEntity",
            "id": format!("accounts({})", number(1).unwrap_or_default()),
            "reason": "deleted",
        }),
    }
}
