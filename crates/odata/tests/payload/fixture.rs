//! A model that has one of everything.

use highwater_odata::PrimitiveType;
use highwater_odata::edm::{
    Capabilities, ComplexType, ConformanceLevel, EntitySet, EntityType, FunctionImport, Model,
    ModelParts, Navigation, Property, ReferentialConstraint, Tracking,
};

pub(crate) const CUSTOMERS: usize = 0;
pub(crate) const ORDERS: usize = 1;
pub(crate) const LINES: usize = 2;
pub(crate) const THINGS: usize = 3;

/// Position of the navigation property from customers to orders.
pub(crate) const CUSTOMER_ORDERS: usize = 0;
/// Position of the navigation property from orders to their customer.
pub(crate) const ORDER_CUSTOMER: usize = 0;
/// Position of the navigation property from orders to their lines.
pub(crate) const ORDER_LINES: usize = 1;

pub(crate) fn property(name: &str, ty: PrimitiveType, source: usize) -> Property {
    Property {
        name: name.to_owned(),
        ty,
        nullable: true,
        computed: false,
        has_default: false,
        scale: None,
        source,
    }
}

fn navigation(name: &str, target_set: usize, collection: bool, partner: usize) -> Navigation {
    Navigation {
        name: name.to_owned(),
        target_set,
        collection,
        nullable: true,
        partner: Some(partner),
        constraints: Vec::new(),
        source: 0,
    }
}

fn set(name: &str, entity_type: usize, tracking: Tracking) -> EntitySet {
    EntitySet {
        name: name.to_owned(),
        entity_type,
        tracking,
        insertable: true,
        updatable: true,
        deletable: true,
        requires_etag: false,
        source: entity_type,
    }
}

/// Customers, orders and lines (a composite key), things with a property of each type, and a view.
pub(crate) fn model() -> Model {
    use PrimitiveType as T;
    let customer = EntityType::new(
        "Customer",
        vec![
            Property {
                nullable: false,
                has_default: true,
                ..property("ID", T::Int32, 0)
            },
            property("Name", T::String, 1),
            Property {
                scale: Some(2),
                ..property("Balance", T::Decimal, 2)
            },
            Property {
                computed: true,
                ..property("Größe", T::Any, 3)
            },
        ],
        vec![0],
        vec![navigation("Orders", ORDERS, true, ORDER_CUSTOMER)],
    );
    let order = EntityType::new(
        "Order",
        vec![
            property("ID", T::Int64, 0),
            property("CustomerID", T::Int32, 1),
            property("Placed", T::DateTimeOffset, 2),
        ],
        vec![0],
        vec![
            Navigation {
                constraints: vec![ReferentialConstraint {
                    property: 1,
                    referenced: 0,
                }],
                ..navigation("Customer", CUSTOMERS, false, CUSTOMER_ORDERS)
            },
            navigation("Lines", LINES, true, 0),
        ],
    );
    let line = EntityType::new(
        "Line",
        vec![
            // Another type than the key of orders has, as databases allow: metadata must not declare the constraint.
            property("OrderID", T::Int32, 0),
            property("Product", T::String, 1),
            property("Amount", T::Double, 2),
        ],
        vec![0, 1],
        vec![Navigation {
            nullable: false,
            constraints: vec![ReferentialConstraint {
                property: 0,
                referenced: 0,
            }],
            ..navigation("Order", ORDERS, false, ORDER_LINES)
        }],
    );
    let thing =
        EntityType::new(
            "Thing",
            std::iter::once(property("Key", T::String, 0))
                .chain(T::ALL.into_iter().enumerate().map(|(position, ty)| {
                    property(&format!("A{}", ty.short_name()), ty, position + 1)
                }))
                .collect(),
            vec![0],
            Vec::new(),
        );
    let reason = "The table \"<T> & Co\" has\ta trigger \u{1} that nobody knows.".to_owned();
    Model::new(ModelParts {
        namespace: "Shop".to_owned(),
        container: "Container".to_owned(),
        entity_types: vec![customer, order, line, thing],
        entity_sets: vec![
            set("Customers", 0, Tracking::Tracked),
            EntitySet {
                requires_etag: true,
                ..set("Orders", 1, Tracking::Tracked)
            },
            EntitySet {
                insertable: false,
                updatable: false,
                deletable: false,
                ..set("Zeilen_ü", 2, Tracking::Untracked { reason })
            },
            set("Things", 3, Tracking::Tracked),
        ],
        complex_types: vec![ComplexType::new(
            "TotalsRow",
            vec![property("Year", T::Int32, 0), property("Sum", T::Any, 1)],
        )],
        function_imports: vec![FunctionImport {
            name: "Totals".to_owned(),
            complex_type: 0,
            description: Some("A view has no key, so its rows cannot be addressed.".to_owned()),
            source: 4,
        }],
        capabilities: Capabilities {
            conformance: ConformanceLevel::Intermediate,
            filter_functions: vec!["contains".to_owned(), "length".to_owned()],
            key_as_segment: true,
            query_segment: true,
            deep_insert: true,
        },
    })
    .unwrap()
}
