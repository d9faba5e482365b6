//! TLS with a real authority of our own.

use std::path::{Path, PathBuf};
use std::process::Command;

use highwater_postgres::Access;
use highwater_throwaway::{Cluster, Options};

use super::connect::{refused, user_at};

/// An authority, and a certificate of it for `localhost` and one for another host.
struct Certificates {
    directory: tempfile::TempDir,
}

impl Certificates {
    fn make() -> Certificates {
        let directory = tempfile::tempdir().unwrap();
        let made = Certificates { directory };
        made.openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt");
        made.openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=stranger -keyout other.key -out other.crt");
        made.signed("localhost", "DNS:localhost,IP:127.0.0.1");
        made.signed("elsewhere", "DNS:elsewhere.example");
        made.openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout self.key -out self.crt");
        made
    }

    fn signed(&self, name: &str, alternatives: &str) {
        std::fs::write(
            self.path("extensions"),
            format!("subjectAltName={alternatives}"),
        )
        .unwrap();
        self.openssl(&format!(
            "req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -days 2 -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile extensions -out {name}.crt"
        ));
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.directory.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Gives a cluster a certificate.
    fn install(&self, name: &str, cluster: &Cluster) {
        for kind in ["crt", "key"] {
            let contents = std::fs::read(self.path(&format!("{name}.{kind}"))).unwrap();
            let place = cluster
                .write_file(&format!("server.{kind}"), &contents)
                .unwrap();
            let setting = if kind == "crt" {
                "ssl_cert_file"
            } else {
                "ssl_key_file"
            };
            let sql = format!("ALTER SYSTEM SET {setting} = '{}'", place.display());
            cluster.sql("postgres", &sql).unwrap();
        }
        cluster
            .sql("postgres", "ALTER SYSTEM SET ssl = on")
            .unwrap();
        cluster.restart(highwater_throwaway::Stop::Fast).unwrap();
    }
}

#[tokio::test]
async fn certificates_are_checked_as_far_as_asked() {
    let certificates = Certificates::make();
    let cluster = Cluster::start(&Options::new().admit("host all all 127.0.0.1/32 trust")).unwrap();
    let port = cluster.port();
    let url = |host: &str, mode: &str, roots: Option<&Path>| {
        let roots = roots.map_or(String::new(), |path| {
            format!("&sslrootcert={}", path.display())
        });
        format!("postgres://postgres@{host}:{port}/postgres?sslmode={mode}{roots}")
    };
    let authority = certificates.path("ca.crt");
    let stranger = certificates.path("other.crt");

    assert!(!is_encrypted(&url("127.0.0.1", "prefer", None)).await);
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = url("127.0.0.1", mode, Some(&authority));
        refused(&url, &["does not offer encryption"]).await;
    }

    certificates.install("localhost", &cluster);
    assert!(!is_encrypted(&url("127.0.0.1", "disable", None)).await);
    assert!(is_encrypted(&url("127.0.0.1", "prefer", None)).await);
    assert!(is_encrypted(&url("localhost", "require", None)).await);
    for host in ["localhost", "127.0.0.1"] {
        for mode in ["require", "verify-ca", "verify-full"] {
            assert!(is_encrypted(&url(host, mode, Some(&authority))).await);
            let url = url(host, mode, Some(&stranger));
            refused(
                &url,
                &["not signed by an authority that is trusted", "sslrootcert"],
            )
            .await;
        }
    }

    certificates.install("elsewhere", &cluster);
    assert!(is_encrypted(&url("localhost", "verify-ca", Some(&authority))).await);
    let wrong_name = url("localhost", "verify-full", Some(&authority));
    refused(&wrong_name, &["not for this host name"]).await;

    certificates.install("self", &cluster);
    let itself = certificates.path("self.crt");
    assert!(is_encrypted(&url("localhost", "verify-full", Some(&itself))).await);
    let wrong_name = url("127.0.0.1", "verify-full", Some(&itself));
    refused(&wrong_name, &["not for this host name"]).await;
    let error = user_at(&url(
        "localhost",
        "verify-full",
        Some(Path::new("/nowhere")),
    ))
    .await
    .unwrap_err();
    assert!(error.to_string().contains("/nowhere"), "{error}");
}

async fn is_encrypted(url: &str) -> bool {
    let client = Access::parse(url).unwrap().connect().await.unwrap();
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    client.query_typed(sql, &[]).await.unwrap()[0].get(0)
}
