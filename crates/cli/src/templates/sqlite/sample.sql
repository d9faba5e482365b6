CREATE TABLE Customers (
    CustomerID    TEXT NOT NULL PRIMARY KEY,
    CompanyName   VARCHAR(80) NOT NULL,
    ContactName   VARCHAR(60),
    City          VARCHAR(40) NOT NULL,
    Country       VARCHAR(40) NOT NULL,
    Balance       DECIMAL(12, 2) NOT NULL DEFAULT 0,
    CustomerSince DATE NOT NULL
);

CREATE TABLE Employees (
    EmployeeID INTEGER PRIMARY KEY,
    LastName   VARCHAR(40) NOT NULL,
    FirstName  VARCHAR(40) NOT NULL,
    Title      VARCHAR(60) NOT NULL,
    BirthDate  DATE,
    ReportsTo  INTEGER REFERENCES Employees (EmployeeID) ON DELETE SET NULL
);
CREATE INDEX EmployeesByManager ON Employees (ReportsTo);

CREATE TABLE Products (
    ProductID    INTEGER PRIMARY KEY,
    ProductName  VARCHAR(60) NOT NULL,
    UnitPrice    DECIMAL(10, 2) NOT NULL CHECK (UnitPrice >= 0),
    UnitsInStock INTEGER NOT NULL DEFAULT 0,
    Discontinued BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE TABLE Orders (
    OrderID     INTEGER PRIMARY KEY,
    CustomerID  TEXT NOT NULL REFERENCES Customers (CustomerID) ON UPDATE CASCADE,
    EmployeeID  INTEGER REFERENCES Employees (EmployeeID) ON DELETE SET NULL,
    OrderDate   DATETIME NOT NULL,
    ShippedDate DATETIME,
    Freight     DECIMAL(10, 2) NOT NULL DEFAULT 0
);
CREATE INDEX OrdersByCustomer ON Orders (CustomerID);
CREATE INDEX OrdersByEmployee ON Orders (EmployeeID);

CREATE TABLE "Order Details" (
    OrderID   INTEGER NOT NULL REFERENCES Orders (OrderID) ON DELETE CASCADE,
    ProductID INTEGER NOT NULL REFERENCES Products (ProductID),
    UnitPrice DECIMAL(10, 2) NOT NULL,
    Quantity  INTEGER NOT NULL DEFAULT 1 CHECK (Quantity > 0),
    Discount  REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (OrderID, ProductID)
);
CREATE INDEX OrderDetailsByProduct ON "Order Details" (ProductID);

CREATE VIEW "Order Totals" AS
SELECT OrderID, count(*) AS Lines, sum(UnitPrice * Quantity * (1 - Discount)) AS Total
FROM "Order Details"
GROUP BY OrderID;
