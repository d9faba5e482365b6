//! `business-central`: customers, items and sales orders, as in Dynamics 365 Business Central.

use super::Template;
use super::mixer::{LAST_NAMES, Mixer, PLACES, guid};
use super::rows::{Rows, row};

pub(super) const TEMPLATE: Template = Template {
    sqlite: include_str!("sqlite/business_central.sql"),
    postgres: include_str!("postgres/business_central.sql"),
    fill,
};

const CUSTOMERS: u64 = 31;
const ITEMS: u64 = 32;
const ORDERS: u64 = 33;
const LINES: u64 = 34;

const FURNITURE: [&str; 6] = ["Chair", "Desk", "Lamp", "Shelf", "Sofa", "Table"];
const COLOURS: [&str; 4] = ["black", "blue", "green", "red"];
const STATUSES: [&str; 3] = ["Draft", "In Review", "Open"];

fn fill(rows: &mut dyn Rows, orders: i64) -> anyhow::Result<()> {
    let customers = 10 + orders / 10;
    let items = 12 + orders / 50;

    for row in 0..customers {
        let mut mixer = Mixer::new(CUSTOMERS, row);
        let (city, _, country) = PLACES[mixer.below(8) as usize];
        let company = !mixer.one_in(5);
        rows.insert(
            "customers",
            row![
                guid(CUSTOMERS, row),
                customer_number(row),
                format!("{} Interiors {}", mixer.pick(&LAST_NAMES), row + 1),
                if company { "Company" } else { "Person" },
                city,
                country,
                (!mixer.one_in(4)).then(|| format!("customer{}@contoso.example", row + 1)),
                mixer.amount(10_000),
                mixer.one_in(25),
                mixer.instant(),
            ],
        )?;
    }

    for row in 0..items {
        let mut mixer = Mixer::new(ITEMS, row);
        rows.insert(
            "items",
            row![
                guid(ITEMS, row),
                format!("{}-S", 1000 + row),
                format!("{}, {}", mixer.pick(&FURNITURE), mixer.pick(&COLOURS)),
                unit_price(row),
                mixer.below(500),
                mixer.instant(),
            ],
        )?;
    }

    for row in 0..orders {
        let mut mixer = Mixer::new(ORDERS, row);
        let customer = mixer.below(customers);
        let lines: Vec<(i64, i64)> = (0..1 + mixer.below(3))
            .map(|_| (mixer.below(items), 1 + mixer.below(9)))
            .collect();
        // In cents, so that the sum is exact.
        let total: i64 = lines
            .iter()
            .map(|(item, quantity)| unit_price_cents(*item) * quantity)
            .sum();
        rows.insert(
            "salesOrders",
            row![
                guid(ORDERS, row),
                format!("SO-{:07}", row + 1),
                mixer.day().to_string(),
                guid(CUSTOMERS, customer),
                customer_number(customer),
                "EUR",
                mixer.pick(&STATUSES),
                total as f64 / 100.0,
                mixer.instant(),
            ],
        )?;
        for (line, (item, quantity)) in (0i64..).zip(&lines) {
            rows.insert(
                "salesOrderLines",
                row![
                    guid(LINES, row * 8 + line),
                    guid(ORDERS, row),
                    (line + 1) * 10_000,
                    guid(ITEMS, *item),
                    *quantity,
                    unit_price(*item),
                ],
            )?;
        }
    }
    Ok(())
}

fn customer_number(row: i64) -> String {
    (10_000 + row * 10).to_string()
}

fn unit_price_cents(item: i64) -> i64 {
    1_000 + Mixer::new(ITEMS, item).below(90_000)
}

fn unit_price(item: i64) -> f64 {
    unit_price_cents(item) as f64 / 100.0
}
