CREATE TABLE users (
    id                  UUID NOT NULL,
    "displayName"       VARCHAR(256) NOT NULL,
    "givenName"         VARCHAR(64),
    surname             VARCHAR(64),
    "userPrincipalName" VARCHAR(113) NOT NULL,
    mail                VARCHAR(256),
    "jobTitle"          VARCHAR(128),
    department          VARCHAR(64),
    "accountEnabled"    BOOLEAN NOT NULL DEFAULT TRUE,
    "createdDateTime"   TIMESTAMPTZ NOT NULL,
    "managerId"         UUID
);

CREATE TABLE groups (
    id                UUID NOT NULL,
    "displayName"     VARCHAR(256) NOT NULL,
    description       VARCHAR(1024),
    "mailNickname"    VARCHAR(64) NOT NULL,
    "securityEnabled" BOOLEAN NOT NULL DEFAULT TRUE,
    "createdDateTime" TIMESTAMPTZ NOT NULL
);

CREATE TABLE members (
    "groupId" UUID NOT NULL,
    "userId"  UUID NOT NULL
);

-- After the rows

ALTER TABLE users ADD PRIMARY KEY (id), ADD UNIQUE ("userPrincipalName");
ALTER TABLE groups ADD PRIMARY KEY (id), ADD UNIQUE ("mailNickname");
ALTER TABLE members ADD PRIMARY KEY ("groupId", "userId");

ALTER TABLE users ADD FOREIGN KEY ("managerId") REFERENCES users ON DELETE SET NULL;
ALTER TABLE members
    ADD FOREIGN KEY ("groupId") REFERENCES groups ON DELETE CASCADE,
    ADD FOREIGN KEY ("userId") REFERENCES users ON DELETE CASCADE;

CREATE INDEX "usersByManager" ON users ("managerId");
CREATE INDEX "membersByUser" ON members ("userId");
