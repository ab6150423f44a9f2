// Package campaign describes campaigns. It has types for what the producer asked for, and for the
// pages, batches and calls into which planning divides the recipients. It also has the statuses,
// counts and reasons of recipients. It does not use Redis. Package ledger stores these types
// there. The stored form of some types and fields must not change. The comments of these types and
// fields mention this.
//
// Everything here is a value or a pure function, and safe for concurrent use.
package campaign
