//! `sample`: a trading company. It has a composite key, a table that refers to itself, a name with a space, text keys, dates,
//! decimals, rows that refer to nothing, and a view.

use super::Template;
use super::mixer::{FIRST_NAMES, LAST_NAMES, Mixer, PLACES};
use super::rows::{Rows, row};

pub(super) const TEMPLATE: Template = Template {
    sqlite: include_str!("sqlite/sample.sql"),
    postgres: include_str!("postgres/sample.sql"),
    fill,
};

const CUSTOMERS: u64 = 1;
const EMPLOYEES: u64 = 2;
const PRODUCTS: u64 = 3;
const ORDERS: u64 = 4;

const TRADES: [&str; 8] = [
    "Foods", "Books", "Tools", "Textiles", "Bikes", "Garden", "Music", "Coffee",
];
const GOODS: [&str; 8] = [
    "Tea", "Rice", "Olives", "Honey", "Almonds", "Cheese", "Bread", "Jam",
];
const KINDS: [&str; 4] = ["Fresh", "Organic", "Smoked", "Alpine"];
const ORDER_LINES_MAX: i64 = 3;

fn fill(rows: &mut dyn Rows, orders: i64) -> anyhow::Result<()> {
    let customers = 16 + orders / 10;
    let employees = 5 + orders / 1000;
    let products = 12 + orders / 100;

    for row in 0..customers {
        let mut mixer = Mixer::new(CUSTOMERS, row);
        let (city, country, _) = PLACES[(row % 8) as usize];
        let owner = mixer.pick(&LAST_NAMES);
        let company = format!("{owner} {}", mixer.pick(&TRADES));
        let contact = format!("{} {owner}", mixer.pick(&FIRST_NAMES));
        let contact = (!mixer.one_in(6)).then_some(contact);
        let since = mixer.day().to_string();
        rows.insert(
            "Customers",
            row![
                customer_id(row),
                company,
                contact,
                city,
                country,
                mixer.amount(5000),
                since
            ],
        )?;
    }

    for row in 0..employees {
        let mut mixer = Mixer::new(EMPLOYEES, row);
        let manager = (row > 0).then(|| 1 + (row - 1) / 4);
        let title = if row == 0 {
            "Managing Director"
        } else {
            "Sales Representative"
        };
        let (last, first) = (mixer.pick(&LAST_NAMES), mixer.pick(&FIRST_NAMES));
        rows.insert(
            "Employees",
            row![
                row + 1,
                last,
                first,
                title,
                mixer.birthday().to_string(),
                manager
            ],
        )?;
    }

    for row in 0..products {
        let mut mixer = Mixer::new(PRODUCTS, row);
        let name = format!("{} {}", mixer.pick(&KINDS), mixer.pick(&GOODS));
        rows.insert(
            "Products",
            row![
                row + 1,
                name,
                unit_price(row),
                mixer.below(200),
                mixer.one_in(10)
            ],
        )?;
    }

    for row in 0..orders {
        let mut mixer = Mixer::new(ORDERS, row);
        let customer = customer_id(mixer.below(customers));
        let employee = (!mixer.one_in(12)).then_some(1 + mixer.below(employees));
        let ordered = mixer.instant();
        // Shipped on the same day, later.
        let shipped = (!mixer.one_in(5)).then(|| format!("{}T23:59:59Z", &ordered[..10]));
        rows.insert(
            "Orders",
            row![
                row + 1,
                customer,
                employee,
                ordered,
                shipped,
                mixer.amount(100)
            ],
        )?;
        let first = mixer.below(products);
        for line in 0..1 + mixer.below(ORDER_LINES_MAX) {
            let product = (first + line) % products;
            let discount = if mixer.one_in(4) { 0.05 } else { 0.0 };
            rows.insert(
                "Order Details",
                row![
                    row + 1,
                    product + 1,
                    unit_price(product),
                    1 + mixer.below(40),
                    discount
                ],
            )?;
        }
    }
    Ok(())
}

fn customer_id(row: i64) -> String {
    format!("C{:04}", row + 1)
}

fn unit_price(product: i64) -> f64 {
    // From cents, so that it has no more than two decimals in any database.
    (100 + Mixer::new(PRODUCTS, product).below(9_000)) as f64 / 100.0
}
