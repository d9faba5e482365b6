//! `highwater inspect`: what is sealed inside a link.
//!
//! What must hold: a link that has expired, or that leads nowhere any more for another reason, is shown like any other, with the
//! reason. Only a damaged link and one of another database cannot be opened.

use std::io::Write as _;

use anyhow::anyhow;
use highwater::core::link::{Dialect, Position};
use highwater::core::{Gone, Link, LinkError, Snapshot};
use serde::Serialize;

use super::database::{Administration, Place};
use crate::args::Inspect;
use crate::failure::Usage;
use crate::output::{hex, instant};

pub(crate) fn run(args: &Inspect) -> anyhow::Result<()> {
    super::log_to_stderr("warn")?;
    let token = token(&args.link)?;
    let mut database = Place::existing(&args.database)?.look_at()?;
    let Some(seal) = database.seal()? else {
        return Err(foreign());
    };
    let link = Link::open(token, &seal.keys).map_err(|e| match e {
        LinkError::Damaged => anyhow!(
            "the link is damaged; copy it whole and put it in quotes, because shells change '$' and '&'"
        ),
        LinkError::Gone(Gone::Restored) => foreign(),
        LinkError::Gone(other) => anyhow!("{other}; it cannot be opened"),
    })?;
    let now_unix_s = jiff::Timestamp::now().as_second();
    let current_epoch = link.epoch == seal.epoch;
    let gone = gone(&mut *database, &link, current_epoch, now_unix_s)?;
    let describe = |snapshot: &Snapshot| database.describe(snapshot);
    let report = Report::new(&link, describe, current_epoch, gone, now_unix_s);
    let text = if args.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        report.text()
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Why the service answers the link 410 Gone, if it does, as far as the database knows. The order is the service's.
fn gone(
    database: &mut dyn Administration,
    link: &Link,
    current_epoch: bool,
    now_unix_s: i64,
) -> anyhow::Result<Option<Gone>> {
    if !current_epoch {
        return Ok(Some(Gone::Restored));
    }
    let snapshots: Vec<&Snapshot> = match &link.position {
        Position::Delta { lo } => vec![lo],
        Position::Read { hi, .. } => hi.iter().collect(),
        Position::Changes { lo, hi, .. } => vec![lo, hi],
    };
    let gone = match link.incarnation {
        // The table was not tracked: nothing can be missing.
        0 => None,
        incarnation => database.gone(incarnation, &snapshots)?,
    };
    let expired = link.has_expired(now_unix_s).then_some(Gone::Expired);
    Ok(match gone {
        Some(Gone::Recreated) => gone,
        _ => expired.or(gone),
    })
}

fn foreign() -> anyhow::Error {
    anyhow!(
        "the link was issued for another database, or before this one was created anew; name the right one with --database"
    )
}

/// The sealed part of a link; the whole text if it is that part alone.
fn token(link: &str) -> Result<&str, Usage> {
    let link = link.trim();
    let Some((_, query)) = link.split_once('?') else {
        // A link whose query a shell swallowed must not be taken for a token.
        return if link.contains('/') {
            Err(Usage(
                "the link has no token; put it in quotes, because shells change '?' and '$'".into(),
            ))
        } else {
            Ok(link)
        };
    };
    let is_token_name = |name: &str| {
        let name = name.trim_start_matches("%24").trim_start_matches('$');
        ["deltatoken", "skiptoken"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    };
    query
        .split('&')
        .filter_map(|option| option.split_once('='))
        .find_map(|(name, value)| is_token_name(name).then_some(value))
        .ok_or_else(|| {
            Usage("the link has no $deltatoken or $skiptoken; put it in quotes, because shells change '$' and '&'".into())
        })
}

/// The machine-readable form. Its names are an interface: add, never change.
#[derive(Serialize)]
struct Report {
    kind: &'static str,
    dialect: &'static str,
    path: String,
    options: Vec<QueryOption>,
    page_size: Option<u32>,
    track: bool,
    lo: Option<String>,
    hi: Option<String>,
    after: Option<String>,
    shown: Option<u64>,
    issued: String,
    expires: String,
    expired: bool,
    epoch: String,
    current_epoch: bool,
    incarnation: u64,
    scope: String,
    gone_because: Option<String>,
}

#[derive(Serialize)]
struct QueryOption {
    name: String,
    value: String,
}

impl Report {
    fn new(
        link: &Link,
        describe: impl Fn(&Snapshot) -> Option<String>,
        current_epoch: bool,
        gone: Option<Gone>,
        now_unix_s: i64,
    ) -> Report {
        let bytes = |snapshot: &Snapshot| describe(snapshot).unwrap_or_else(|| hex(&snapshot.0));
        let (kind, lo, hi, after, shown) = match &link.position {
            Position::Delta { lo } => ("delta link", Some(bytes(lo)), None, None, None),
            Position::Read { hi, after, shown } => (
                "skip link of a first round",
                None,
                hi.as_ref().map(bytes),
                Some(hex(&after.0)),
                Some(*shown),
            ),
            Position::Changes { lo, hi, after } => (
                "skip link of a later round",
                Some(bytes(lo)),
                Some(bytes(hi)),
                Some(hex(&after.0)),
                None,
            ),
        };
        let hour = |hour: i64| instant(hour * 3600);
        Report {
            kind,
            dialect: match link.dialect {
                Dialect::OData => "standard OData",
            },
            path: link.path.clone(),
            options: (link.options.iter())
                .map(|(name, value)| QueryOption {
                    name: name.clone(),
                    value: value.clone(),
                })
                .collect(),
            page_size: link.page_size,
            track: link.track,
            lo,
            hi,
            after,
            shown,
            issued: hour(i64::from(link.issued_h)),
            // The whole last hour counts.
            expires: hour(i64::from(link.expires_h) + 1),
            expired: link.has_expired(now_unix_s),
            epoch: super::epoch_text(link.epoch),
            current_epoch,
            incarnation: link.incarnation,
            scope: format!("{:016x}", link.scope),
            gone_because: gone.map(|gone| gone.to_string()),
        }
    }

    fn text(&self) -> String {
        let mut lines: Vec<(&str, String)> = vec![
            ("kind", self.kind.to_owned()),
            ("dialect", self.dialect.to_owned()),
            ("path", self.path.clone()),
        ];
        let options = self.options.iter().map(|option| {
            let sigil = if option.name.starts_with('@') {
                ""
            } else {
                "$"
            };
            (
                "option",
                format!("{sigil}{} = {}", option.name, option.value),
            )
        });
        lines.extend(options);
        lines.push((
            "page size",
            self.page_size
                .map_or("as the service likes".into(), |rows| format!("{rows} rows")),
        ));
        lines.push((
            "tracking",
            if self.track {
                "yes".into()
            } else {
                "no: the last page has no delta link".into()
            },
        ));
        let known = [("lo", &self.lo), ("hi", &self.hi), ("after", &self.after)];
        lines.extend(
            known
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.clone()?))),
        );
        lines.extend(
            self.shown
                .map(|shown| ("shown", format!("{shown} rows on the pages before"))),
        );
        lines.push(("issued", format!("in the hour from {}", self.issued)));
        lines.push(("expires", self.expires.clone()));
        let foreign = if self.current_epoch {
            ""
        } else {
            " (not that of the database now)"
        };
        lines.push(("epoch", format!("{}{foreign}", self.epoch)));
        lines.push(("incarnation", self.incarnation.to_string()));
        lines.push(("scope", self.scope.clone()));
        let answer = match &self.gone_because {
            None => {
                "good: the service answers it, unless its settings for this set have changed".into()
            }
            Some(why) => format!("void: the service answers 410 Gone, because {why}"),
        };
        lines.push(("answer", answer));
        lines
            .iter()
            .map(|(name, value)| format!("{name:<12} {value}\n"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater::core::{Cursor, Epoch};

    #[test]
    fn the_token_is_found_in_every_spelling_of_a_link() {
        for (link, expected) in [
            ("AbC-_9", Some("AbC-_9")),
            (" AbC\n", Some("AbC")),
            ("http://h/odata/A?$deltatoken=x", Some("x")),
            ("A?$skiptoken=x&$format=json", Some("x")),
            ("A?%24DeltaToken=x", Some("x")),
            ("A?skiptoken=x", Some("x")),
            ("http://h/odata/A?=x", None),
            ("http://h/odata/A?$filter=a", None),
            ("http://h/odata/A", None),
        ] {
            assert_eq!(token(link).ok(), expected, "{link}");
        }
    }

    #[test]
    fn every_field_of_every_kind_of_link_is_shown() {
        let lo = Snapshot([&[5][..], &258_u64.to_be_bytes()].concat());
        let hi = Snapshot(vec![9, 1]);
        let after = Cursor(vec![7]);
        for (position, current, now_unix_s, expected) in [
            (
                Position::Delta { lo: lo.clone() },
                true,
                0,
                "\
kind         delta link
dialect      standard OData
path         Customers
option       $filter = City eq @c
option       @c = 'Ulm'
page size    as the service likes
tracking     yes
lo           version 5, anchor 0000000000000102
issued       in the hour from 2023-11-14T22:00:00Z
expires      2023-11-15T00:00:00Z
epoch        00000000000000ff
incarnation  3
scope        0000000000000004
answer       good: the service answers it, unless its settings for this set have changed
",
            ),
            (
                Position::Changes {
                    lo,
                    hi: hi.clone(),
                    after: after.clone(),
                },
                false,
                1_700_010_000,
                "\
kind         skip link of a later round
dialect      standard OData
path         Customers
option       $filter = City eq @c
option       @c = 'Ulm'
page size    as the service likes
tracking     yes
lo           version 5, anchor 0000000000000102
hi           0901
after        07
issued       in the hour from 2023-11-14T22:00:00Z
expires      2023-11-15T00:00:00Z
epoch        00000000000000ff (not that of the database now)
incarnation  3
scope        0000000000000004
answer       void: the service answers 410 Gone, because the database was restored or replaced after the link was issued
",
            ),
            (
                Position::Read {
                    hi: Some(hi),
                    after,
                    shown: 40,
                },
                true,
                0,
                "\
kind         skip link of a first round
dialect      standard OData
path         Customers
option       $filter = City eq @c
option       @c = 'Ulm'
page size    as the service likes
tracking     yes
hi           0901
after        07
shown        40 rows on the pages before
issued       in the hour from 2023-11-14T22:00:00Z
expires      2023-11-15T00:00:00Z
epoch        00000000000000ff
incarnation  3
scope        0000000000000004
answer       good: the service answers it, unless its settings for this set have changed
",
            ),
        ] {
            let link = Link {
                dialect: Dialect::OData,
                epoch: Epoch(255),
                incarnation: 3,
                scope: 4,
                path: "Customers".into(),
                options: vec![
                    ("filter".into(), "City eq @c".into()),
                    ("@c".into(), "'Ulm'".into()),
                ],
                page_size: None,
                track: true,
                position,
                issued_h: 472_222,
                expires_h: 472_223,
            };
            let gone = (!current).then_some(Gone::Restored);
            let report = Report::new(
                &link,
                highwater::sqlite::describe_snapshot,
                current,
                gone,
                now_unix_s,
            );
            assert_eq!(report.text(), expected);
        }
    }
}
