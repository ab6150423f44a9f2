// Package reasons has a table that explains every reason. It writes docs/reasons.md from this table and
// from the gateways' codes in the packages of the providers. Its test compares the table with the code.
package reasons
