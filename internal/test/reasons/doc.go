// Package reasons explains every reason in a table, and writes docs/reasons.md from the table and from
// the codes in the providers. Its test compares the table with the code.
package reasons
