//! Getting in, and being told why not.

use std::os::unix::fs::PermissionsExt as _;

use highwater_core::Error;
use highwater_postgres::Access;
use highwater_throwaway::{Cluster, Options};

/// Connects and asks who is there.
pub(crate) async fn user_at(url: &str) -> Result<String, Error> {
    let client = Access::parse(url)?.connect().await?;
    let rows = client.query_typed("SELECT current_user::text", &[]).await;
    Ok(rows.unwrap()[0].get(0))
}

/// Connecting fails with a text that contains all of these, and no password.
pub(crate) async fn refused(url: &str, expected: &[&str]) {
    let error = user_at(url).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{url}: {error:?}");
    let text = error.to_string();
    for expected in expected {
        assert!(text.contains(expected), "{url}: {text}");
    }
    assert!(!text.contains("secret"), "{url}: {text}");
}

#[tokio::test]
async fn what_is_wrong_with_an_address_is_said() {
    let cluster = Cluster::shared();
    let port = cluster.port();
    let database = cluster.database().unwrap();
    assert_eq!(user_at(&database.url()).await.unwrap(), "postgres");
    assert_eq!(user_at(&database.socket_url()).await.unwrap(), "postgres");
    refused(
        &format!("postgres://postgres:secret@127.0.0.1:{port}/no_such_database"),
        &["no database \"no_such_database\""],
    )
    .await;
    refused(
        &format!("postgres://nobody_known:secret@127.0.0.1:{port}/postgres"),
        &["nobody_known"],
    )
    .await;
    refused(
        "postgres://ann:secret@127.0.0.1:1/shop",
        &["Nothing listens at 127.0.0.1:1"],
    )
    .await;
    refused("postgres://ann:secret@/shop?host=/nowhere", &["no socket"]).await;
    refused(
        "postgres://ann:secret@no-such-host.invalid/shop",
        &["no-such-host.invalid"],
    )
    .await;
    // The second of several hosts is the one that answers.
    let url = format!("postgres://postgres@127.0.0.1:1,127.0.0.1:{port}/postgres");
    assert_eq!(user_at(&url).await.unwrap(), "postgres");
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres?target_session_attrs=standby");
    refused(&url, &["target_session_attrs"]).await;
    for wanted in ["primary", "read-write", "prefer-standby"] {
        let url =
            format!("postgres://postgres@127.0.0.1:{port}/postgres?target_session_attrs={wanted}");
        assert_eq!(user_at(&url).await.unwrap(), "postgres", "{wanted}");
    }
}

#[tokio::test]
async fn something_else_than_postgresql_is_recognised() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        // Accepts and closes.
        let _ = listener.accept().await;
    });
    refused(
        &format!("postgres://ann@{address}/shop"),
        &["closed the connection"],
    )
    .await;
    server.await.unwrap();
}

#[tokio::test]
async fn passwords_come_from_the_url_or_the_password_file() {
    let cluster =
        Cluster::start(&Options::new().admit("host all all 127.0.0.1/32 scram-sha-256")).unwrap();
    let port = cluster.port();
    cluster
        .sql("postgres", "CREATE ROLE ann LOGIN PASSWORD 'top:secret\\'")
        .unwrap();
    let url = |user: &str, more: &str| format!("postgres://{user}@127.0.0.1:{port}/postgres{more}");
    assert_eq!(
        user_at(&url("ann:top%3Asecret%5C", "")).await.unwrap(),
        "ann"
    );
    refused(&url("ann:secret", ""), &["ann", "PGPASSWORD"]).await;

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pgpass");
    std::fs::write(
        &file,
        format!("# mine\nother:*:*:*:x\n127.0.0.1:{port}:*:ann:top\\:secret\\\\\n"),
    )
    .unwrap();
    let more = format!("?passfile={}", file.display());
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode));
    mode(0o644).unwrap();
    refused(&url("ann", &more), &["wants a password"]).await;
    mode(0o600).unwrap();
    assert_eq!(user_at(&url("ann", &more)).await.unwrap(), "ann");
    // The URL goes before the file.
    refused(&url("ann:secret", &more), &["ann"]).await;
}
