//! As whom the programs of PostgreSQL run: they refuse to run as root.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::error::Error;

/// Who owns a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    /// Who runs this process.
    pub(crate) caller: u32,
    /// Whom to become; `None` to stay who one is.
    other: Option<(u32, u32)>,
}

impl Owner {
    /// Oneself; for root, `postgres` or else `nobody`.
    pub(crate) fn of_this_process() -> Result<Owner, Error> {
        let caller = caller()?;
        if caller != 0 {
            return Ok(Owner {
                caller,
                other: None,
            });
        }
        let accounts = std::fs::read_to_string("/etc/passwd")
            .map_err(|e| Error::io("/etc/passwd cannot be read", &e))?;
        let other = account(&accounts, "postgres").or_else(|| account(&accounts, "nobody"));
        match other {
            None => Err(Error(
                "PostgreSQL refuses to run as root, and there is neither a user 'postgres' nor 'nobody' to run it as."
                    .to_owned(),
            )),
            other => Ok(Owner { caller, other }),
        }
    }

    /// Makes a command run as the owner.
    pub(crate) fn run_as<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        match self.other {
            // Also drops root's other groups.
            Some((user, group)) => command.uid(user).gid(group),
            None => command,
        }
    }

    /// Gives a file or directory to the owner.
    pub(crate) fn give(&self, path: &Path) -> Result<(), Error> {
        let Some((user, group)) = self.other else {
            return Ok(());
        };
        std::os::unix::fs::chown(path, Some(user), Some(group))
            .map_err(|e| Error::io(format_args!("{} cannot be given away", path.display()), &e))
    }
}

/// Who runs this process. The standard library does not tell.
fn caller() -> Result<u32, Error> {
    let output = Command::new("id")
        .arg("-u")
        .output()
        .map_err(|e| Error::io("cannot run 'id -u'", &e))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.trim()
        .parse()
        .map_err(|_| Error(format!("'id -u' says {text:?}")))
}

/// User and group of an account, from the text of `/etc/passwd`.
fn account(accounts: &str, name: &str) -> Option<(u32, u32)> {
    accounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let &[account, _, user, group, ..] = fields.as_slice() else {
            return None;
        };
        (account == name).then_some((user.parse().ok()?, group.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\npostgresql:x:7:8::/:\npostgres:x:101:104:administrator:/:/bin/sh\n";
        assert_eq!(account(accounts, "postgres"), Some((101, 104)));
        assert_eq!(account(accounts, "nobody"), None);
    }
}
