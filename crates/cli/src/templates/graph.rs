//! `graph`: a directory with users, groups and memberships, as in Microsoft Graph.

use super::Template;
use super::mixer::{FIRST_NAMES, LAST_NAMES, Mixer, guid};
use super::rows::{Rows, row};

pub(super) const TEMPLATE: Template = Template {
    sqlite: include_str!("sqlite/graph.sql"),
    postgres: include_str!("postgres/graph.sql"),
    fill,
};

const USERS: u64 = 11;
const GROUPS: u64 = 12;

const DEPARTMENTS: [&str; 5] = ["Engineering", "Finance", "Legal", "Operations", "Sales"];
const TITLES: [&str; 4] = ["Analyst", "Engineer", "Manager", "Director"];

fn fill(rows: &mut dyn Rows, users: i64) -> anyhow::Result<()> {
    let groups = 4 + users / 20;

    for row in 0..users {
        let mut mixer = Mixer::new(USERS, row);
        let (given, surname) = (mixer.pick(&FIRST_NAMES), mixer.pick(&LAST_NAMES));
        let address = format!("user{}@contoso.example", row + 1);
        let mail = (!mixer.one_in(9)).then(|| address.clone());
        let title = (!mixer.one_in(7)).then(|| mixer.pick(&TITLES));
        let manager = (row > 0).then(|| guid(USERS, (row - 1) / 8));
        rows.insert(
            "users",
            row![
                guid(USERS, row),
                format!("{given} {surname}"),
                given,
                surname,
                address,
                mail,
                title,
                mixer.pick(&DEPARTMENTS),
                !mixer.one_in(15),
                mixer.instant(),
                manager,
            ],
        )?;
    }

    for row in 0..groups {
        let mut mixer = Mixer::new(GROUPS, row);
        let department = mixer.pick(&DEPARTMENTS);
        let name = format!("{department} {}", row + 1);
        let description = mixer
            .one_in(2)
            .then(|| format!("Everybody who works on {name}"));
        let nickname = format!("group{}", row + 1);
        rows.insert(
            "groups",
            row![
                guid(GROUPS, row),
                name,
                description,
                nickname,
                !mixer.one_in(4),
                mixer.instant()
            ],
        )?;
    }

    for row in 0..users {
        let mut mixer = Mixer::new(USERS, row);
        let first = mixer.below(groups);
        for membership in 0..1 + mixer.below(3) {
            rows.insert(
                "members",
                row![
                    guid(GROUPS, (first + membership) % groups),
                    guid(USERS, row)
                ],
            )?;
        }
    }
    Ok(())
}
