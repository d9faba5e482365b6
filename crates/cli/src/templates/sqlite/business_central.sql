CREATE TABLE customers (
    id                   UUID NOT NULL PRIMARY KEY,
    number               VARCHAR(20) NOT NULL UNIQUE,
    displayName          VARCHAR(100) NOT NULL,
    type                 VARCHAR(10) NOT NULL DEFAULT 'Company',
    city                 VARCHAR(30),
    country              VARCHAR(10),
    email                VARCHAR(80),
    balanceDue           DECIMAL(18, 2) NOT NULL DEFAULT 0,
    blocked              BOOLEAN NOT NULL DEFAULT FALSE,
    lastModifiedDateTime DATETIME NOT NULL
);

CREATE TABLE items (
    id                   UUID NOT NULL PRIMARY KEY,
    number               VARCHAR(20) NOT NULL UNIQUE,
    displayName          VARCHAR(100) NOT NULL,
    unitPrice            DECIMAL(18, 2) NOT NULL DEFAULT 0,
    inventory            DECIMAL(18, 0) NOT NULL DEFAULT 0,
    lastModifiedDateTime DATETIME NOT NULL
);

CREATE TABLE salesOrders (
    id                      UUID NOT NULL PRIMARY KEY,
    number                  VARCHAR(20) NOT NULL UNIQUE,
    orderDate               DATE NOT NULL,
    customerId              UUID NOT NULL REFERENCES customers (id),
    customerNumber          VARCHAR(20) NOT NULL,
    currencyCode            VARCHAR(10) NOT NULL DEFAULT 'EUR',
    status                  VARCHAR(20) NOT NULL DEFAULT 'Draft',
    totalAmountExcludingTax DECIMAL(18, 2) NOT NULL DEFAULT 0,
    systemModifiedAt        DATETIME NOT NULL
);
CREATE INDEX salesOrdersByCustomer ON salesOrders (customerId);

CREATE TABLE salesOrderLines (
    id         UUID NOT NULL PRIMARY KEY,
    documentId UUID NOT NULL REFERENCES salesOrders (id) ON DELETE CASCADE,
    sequence   INTEGER NOT NULL,
    itemId     UUID NOT NULL REFERENCES items (id),
    quantity   DECIMAL(18, 0) NOT NULL DEFAULT 1,
    unitPrice  DECIMAL(18, 2) NOT NULL,
    UNIQUE (documentId, sequence)
);
CREATE INDEX salesOrderLinesByItem ON salesOrderLines (itemId);

CREATE TRIGGER customersUpdated AFTER UPDATE ON customers
WHEN NEW.lastModifiedDateTime IS OLD.lastModifiedDateTime
BEGIN
    UPDATE customers SET lastModifiedDateTime = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE id = NEW.id AND lastModifiedDateTime IS NOT strftime('%Y-%m-%dT%H:%M:%fZ', 'now');
END;
CREATE TRIGGER itemsUpdated AFTER UPDATE ON items
WHEN NEW.lastModifiedDateTime IS OLD.lastModifiedDateTime
BEGIN
    UPDATE items SET lastModifiedDateTime = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE id = NEW.id AND lastModifiedDateTime IS NOT strftime('%Y-%m-%dT%H:%M:%fZ', 'now');
END;
CREATE TRIGGER salesOrdersUpdated AFTER UPDATE ON salesOrders
WHEN NEW.systemModifiedAt IS OLD.systemModifiedAt
BEGIN
    UPDATE salesOrders SET systemModifiedAt = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE id = NEW.id AND systemModifiedAt IS NOT strftime('%Y-%m-%dT%H:%M:%fZ', 'now');
END;
