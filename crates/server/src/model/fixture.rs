//! Catalogs for tests: Chinook, and tables whose names and shapes nobody would choose.

use std::sync::Arc;

use highwater_core::{Catalog, Column, Relation, Table, Tracking};
use highwater_odata::PrimitiveType;

/// The tables of the Chinook sample database, as a store describes them.
pub(crate) fn chinook() -> Arc<Catalog> {
    let mut tables = vec![
        table("Album", "AlbumId! Int64, Title String, ArtistId Int64"),
        table("Artist", "ArtistId! Int64, Name String?"),
        table(
            "Customer",
            "CustomerId! Int64, FirstName String, LastName String, Company String?, Address String?, City String?, \
             State String?, Country String?, PostalCode String?, Phone String?, Fax String?, Email String, \
             SupportRepId Int64?",
        ),
        table(
            "Employee",
            "EmployeeId! Int64, LastName String, FirstName String, Title String?, ReportsTo Int64?, \
             BirthDate DateTimeOffset?, HireDate DateTimeOffset?, Address String?, City String?, State String?, \
             Country String?, PostalCode String?, Phone String?, Fax String?, Email String?",
        ),
        table("Genre", "GenreId! Int64, Name String?"),
        table(
            "Invoice",
            "InvoiceId! Int64, CustomerId Int64, InvoiceDate DateTimeOffset, BillingAddress String?, BillingCity String?, \
             BillingState String?, BillingCountry String?, BillingPostalCode String?, Total Decimal",
        ),
        table(
            "InvoiceLine",
            "InvoiceLineId! Int64, InvoiceId Int64, TrackId Int64, UnitPrice Decimal, Quantity Int64",
        ),
        table("MediaType", "MediaTypeId! Int64, Name String?"),
        table("Playlist", "PlaylistId! Int64, Name String?"),
        table("PlaylistTrack", "PlaylistId! Int64, TrackId! Int64"),
        table(
            "Track",
            "TrackId! Int64, Name String, AlbumId Int64?, MediaTypeId Int64, GenreId Int64?, Composer String?, \
             Milliseconds Int64, Bytes Int64?, UnitPrice Decimal",
        ),
    ];
    for (child, column, parent, key) in [
        ("Album", "ArtistId", "Artist", "ArtistId"),
        ("Customer", "SupportRepId", "Employee", "EmployeeId"),
        ("Employee", "ReportsTo", "Employee", "EmployeeId"),
        ("Invoice", "CustomerId", "Customer", "CustomerId"),
        ("InvoiceLine", "InvoiceId", "Invoice", "InvoiceId"),
        ("InvoiceLine", "TrackId", "Track", "TrackId"),
        ("PlaylistTrack", "PlaylistId", "Playlist", "PlaylistId"),
        ("PlaylistTrack", "TrackId", "Track", "TrackId"),
        ("Track", "AlbumId", "Album", "AlbumId"),
        ("Track", "GenreId", "Genre", "GenreId"),
        ("Track", "MediaTypeId", "MediaType", "MediaTypeId"),
    ] {
        relate(&mut tables, child, &[column], parent, &[key]);
    }
    catalog(tables)
}

/// Names that need care, every type, keys of every kind, several relations between two tables, and rows without a key.
pub(crate) fn nasty() -> Arc<Catalog> {
    let mut tables = vec![
        table(
            "Types",
            "Id! Guid, Flag Boolean?, Small Int16?, Tiny Byte?, Whole Int32?, Big Int64?, Exact Decimal?, Wide Double?, \
             Narrow Single?, Day Date?, Clock TimeOfDay?, Moment DateTimeOffset?, Span Duration?, Blob Binary?, \
             Text String?, Free Any?",
        ),
        table(
            "Order Details",
            "order id! Int64, line no! Int64, unit price Decimal, null String?, a b String?, a_b String?",
        ),
        table("Größe", "Schlüssel! String, 2nd String?"),
        table("Day", "On! Date, Note String?"),
        table("Untyped", "k! Any, v Any?"),
        table(
            "Person",
            "id! Int64, name String, boss_id Int64?, boss String?, home_id Int64?, work_id Int64?",
        ),
        table("Place", "id! Int64, name String?, mayor Int64?"),
        table("Country", "code! String, region! Int64, name String?"),
        table("City", "id! Int64, country String?, region Int64?"),
        table("Log", "at DateTimeOffset, text String?"),
        table("Container", "id! Int64"),
    ];
    relate(&mut tables, "Person", &["boss_id"], "Person", &["id"]);
    relate(&mut tables, "Person", &["home_id"], "Place", &["id"]);
    relate(&mut tables, "Person", &["work_id"], "Place", &["id"]);
    relate(&mut tables, "Place", &["mayor"], "Person", &["id"]);
    relate(
        &mut tables,
        "City",
        &["country", "region"],
        "Country",
        &["code", "region"],
    );
    let log = position(&tables, "Log");
    tables[log].is_view = true;
    tables[log].tracking = Tracking::Untracked {
        reason: "Log is a view.".to_owned(),
    };
    catalog(tables)
}

/// A catalog of these tables.
pub(crate) fn catalog(tables: Vec<Table>) -> Arc<Catalog> {
    Arc::new(Catalog { version: 1, tables })
}

/// A tracked table; `!` marks key columns, `?` columns that can be null.
pub(crate) fn table(name: &str, columns: &str) -> Table {
    let mut key = Vec::new();
    let columns: Vec<Column> = columns
        .split(',')
        .enumerate()
        .map(|(position, text)| {
            let (name, ty) = text.trim().rsplit_once(' ').expect("a name and a type");
            let is_key = name.ends_with('!');
            if is_key {
                key.push(position);
            }
            let short = ty.trim_end_matches('?');
            Column {
                name: name.trim_end_matches('!').to_owned(),
                ty: match short {
                    "Any" => PrimitiveType::Any,
                    short => format!("Edm.{short}").parse().expect("a primitive type"),
                },
                nullable: ty.ends_with('?'),
                computed: false,
                has_default: is_key,
                scale: None,
            }
        })
        .collect();
    Table {
        schema: None,
        name: name.to_owned(),
        is_view: false,
        columns,
        key,
        relations: Vec::new(),
        tracking: Tracking::Tracked { incarnation: 1 },
    }
}

/// Adds a foreign key, in both directions.
pub(crate) fn relate(
    tables: &mut [Table],
    child: &str,
    columns: &[&str],
    parent: &str,
    key: &[&str],
) {
    let (child, parent) = (position(tables, child), position(tables, parent));
    let column = |table: usize, name: &str| tables[table].column(name).expect("a column");
    let pairs: Vec<(usize, usize)> = columns
        .iter()
        .zip(key)
        .map(|(here, there)| (column(child, here), column(parent, there)))
        .collect();
    let to_one = tables[child].relations.len();
    let to_many = tables[parent].relations.len() + usize::from(child == parent);
    tables[child].relations.push(Relation {
        target: parent,
        columns: pairs.clone(),
        many: false,
        inverse: to_many,
        owns_key: true,
    });
    tables[parent].relations.push(Relation {
        target: child,
        columns: pairs
            .into_iter()
            .map(|(here, there)| (there, here))
            .collect(),
        many: true,
        inverse: to_one,
        owns_key: false,
    });
}

fn position(tables: &[Table], name: &str) -> usize {
    tables
        .iter()
        .position(|table| table.name == name)
        .expect("a table")
}
