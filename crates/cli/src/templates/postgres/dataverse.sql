CREATE TABLE accounts (
    accountid         UUID NOT NULL,
    name              VARCHAR(160) NOT NULL,
    accountnumber     VARCHAR(20),
    telephone1        VARCHAR(50),
    address1_city     VARCHAR(80),
    revenue           NUMERIC(18, 2),
    numberofemployees INTEGER,
    statecode         INTEGER NOT NULL DEFAULT 0,
    createdon         TIMESTAMPTZ NOT NULL,
    modifiedon        TIMESTAMPTZ NOT NULL,
    versionnumber     BIGINT,
    parentaccountid   UUID
);

CREATE TABLE contacts (
    contactid        UUID NOT NULL,
    firstname        VARCHAR(50),
    lastname         VARCHAR(50) NOT NULL,
    emailaddress1    VARCHAR(100),
    birthdate        DATE,
    creditlimit      NUMERIC(18, 2),
    donotphone       BOOLEAN NOT NULL DEFAULT FALSE,
    statecode        INTEGER NOT NULL DEFAULT 0,
    createdon        TIMESTAMPTZ NOT NULL,
    modifiedon       TIMESTAMPTZ NOT NULL,
    versionnumber    BIGINT,
    parentcustomerid UUID
);

-- After the rows

ALTER TABLE accounts ADD PRIMARY KEY (accountid), ADD UNIQUE (accountnumber);
ALTER TABLE contacts ADD PRIMARY KEY (contactid);

ALTER TABLE accounts ADD FOREIGN KEY (parentaccountid) REFERENCES accounts ON DELETE SET NULL;
ALTER TABLE contacts ADD FOREIGN KEY (parentcustomerid) REFERENCES accounts ON DELETE SET NULL;

CREATE INDEX "accountsByParent" ON accounts (parentaccountid);
CREATE INDEX "accountsByVersion" ON accounts (versionnumber);
CREATE INDEX "contactsByParent" ON contacts (parentcustomerid);
CREATE INDEX "contactsByVersion" ON contacts (versionnumber);

-- As in the real service, each write of a row takes the next number of one sequence for all tables.
CREATE SEQUENCE versionnumbers;
SELECT setval('versionnumbers', 1 + greatest(
    (SELECT coalesce(max(versionnumber), 0) FROM accounts),
    (SELECT coalesce(max(versionnumber), 0) FROM contacts)), false);

CREATE FUNCTION row_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.versionnumber := coalesce(NEW.versionnumber, nextval('versionnumbers'));
    ELSIF NEW.versionnumber IS NOT DISTINCT FROM OLD.versionnumber THEN
        NEW.versionnumber := nextval('versionnumbers');
        NEW.modifiedon := date_trunc('second', clock_timestamp());
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER "accountsVersion" BEFORE INSERT OR UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION row_version();
CREATE TRIGGER "contactsVersion" BEFORE INSERT OR UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION row_version();
