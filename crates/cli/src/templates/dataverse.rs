//! `dataverse`: accounts and contacts with version numbers, as in Microsoft Dataverse.

use super::Template;
use super::mixer::{FIRST_NAMES, LAST_NAMES, Mixer, PLACES, guid};
use super::rows::{Rows, row};

pub(super) const TEMPLATE: Template = Template {
    sqlite: include_str!("sqlite/dataverse.sql"),
    postgres: include_str!("postgres/dataverse.sql"),
    fill,
};

const ACCOUNTS: u64 = 21;
const CONTACTS: u64 = 22;

fn fill(rows: &mut dyn Rows, contacts: i64) -> anyhow::Result<()> {
    let accounts = 8 + contacts / 5;

    for row in 0..accounts {
        let mut mixer = Mixer::new(ACCOUNTS, row);
        let created = mixer.instant();
        let parent = (row > 0 && mixer.one_in(3)).then(|| guid(ACCOUNTS, (row - 1) / 4));
        rows.insert(
            "accounts",
            row![
                guid(ACCOUNTS, row),
                format!("{} & Sons {}", mixer.pick(&LAST_NAMES), row + 1),
                format!("ACC-{:06}", row + 1),
                (!mixer.one_in(5)).then(|| format!("555-{:04}", row % 10_000)),
                PLACES[mixer.below(8) as usize].0,
                (!mixer.one_in(4)).then(|| mixer.amount(1_000_000)),
                mixer.below(2_000),
                i64::from(mixer.one_in(10)),
                created.as_str(),
                created.as_str(),
                row + 1,
                parent,
            ],
        )?;
    }

    for row in 0..contacts {
        let mut mixer = Mixer::new(CONTACTS, row);
        let created = mixer.instant();
        let account = (!mixer.one_in(8)).then(|| guid(ACCOUNTS, mixer.below(accounts)));
        rows.insert(
            "contacts",
            row![
                guid(CONTACTS, row),
                mixer.pick(&FIRST_NAMES),
                mixer.pick(&LAST_NAMES),
                format!("contact{}@contoso.example", row + 1),
                (!mixer.one_in(3)).then(|| mixer.birthday().to_string()),
                (!mixer.one_in(2)).then(|| mixer.amount(20_000)),
                mixer.one_in(6),
                i64::from(mixer.one_in(20)),
                created.as_str(),
                created.as_str(),
                accounts + row + 1,
                account,
            ],
        )?;
    }
    Ok(())
}
