CREATE TABLE customers (
    id                     UUID NOT NULL,
    number                 VARCHAR(20) NOT NULL,
    "displayName"          VARCHAR(100) NOT NULL,
    type                   VARCHAR(10) NOT NULL DEFAULT 'Company',
    city                   VARCHAR(30),
    country                VARCHAR(10),
    email                  VARCHAR(80),
    "balanceDue"           NUMERIC(18, 2) NOT NULL DEFAULT 0,
    blocked                BOOLEAN NOT NULL DEFAULT FALSE,
    "lastModifiedDateTime" TIMESTAMPTZ NOT NULL
);

CREATE TABLE items (
    id                     UUID NOT NULL,
    number                 VARCHAR(20) NOT NULL,
    "displayName"          VARCHAR(100) NOT NULL,
    "unitPrice"            NUMERIC(18, 2) NOT NULL DEFAULT 0,
    inventory              NUMERIC(18, 0) NOT NULL DEFAULT 0,
    "lastModifiedDateTime" TIMESTAMPTZ NOT NULL
);

CREATE TABLE "salesOrders" (
    id                        UUID NOT NULL,
    number                    VARCHAR(20) NOT NULL,
    "orderDate"               DATE NOT NULL,
    "customerId"              UUID NOT NULL,
    "customerNumber"          VARCHAR(20) NOT NULL,
    "currencyCode"            VARCHAR(10) NOT NULL DEFAULT 'EUR',
    status                    VARCHAR(20) NOT NULL DEFAULT 'Draft',
    "totalAmountExcludingTax" NUMERIC(18, 2) NOT NULL DEFAULT 0,
    "systemModifiedAt"        TIMESTAMPTZ NOT NULL
);

CREATE TABLE "salesOrderLines" (
    id           UUID NOT NULL,
    "documentId" UUID NOT NULL,
    sequence     INTEGER NOT NULL,
    "itemId"     UUID NOT NULL,
    quantity     NUMERIC(18, 0) NOT NULL DEFAULT 1,
    "unitPrice"  NUMERIC(18, 2) NOT NULL
);

-- After the rows

ALTER TABLE customers ADD PRIMARY KEY (id), ADD UNIQUE (number);
ALTER TABLE items ADD PRIMARY KEY (id), ADD UNIQUE (number);
ALTER TABLE "salesOrders" ADD PRIMARY KEY (id), ADD UNIQUE (number);
ALTER TABLE "salesOrderLines" ADD PRIMARY KEY (id), ADD UNIQUE ("documentId", sequence);

ALTER TABLE "salesOrders" ADD FOREIGN KEY ("customerId") REFERENCES customers;
ALTER TABLE "salesOrderLines"
    ADD FOREIGN KEY ("documentId") REFERENCES "salesOrders" ON DELETE CASCADE,
    ADD FOREIGN KEY ("itemId") REFERENCES items;

CREATE INDEX "salesOrdersByCustomer" ON "salesOrders" ("customerId");
CREATE INDEX "salesOrderLinesByItem" ON "salesOrderLines" ("itemId");

CREATE FUNCTION last_modified() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW."lastModifiedDateTime" = OLD."lastModifiedDateTime" THEN
        NEW."lastModifiedDateTime" := date_trunc('milliseconds', clock_timestamp());
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION system_modified() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW."systemModifiedAt" = OLD."systemModifiedAt" THEN
        NEW."systemModifiedAt" := date_trunc('milliseconds', clock_timestamp());
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER "customersUpdated" BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION last_modified();
CREATE TRIGGER "itemsUpdated" BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION last_modified();
CREATE TRIGGER "salesOrdersUpdated" BEFORE UPDATE ON "salesOrders" FOR EACH ROW EXECUTE FUNCTION system_modified();
