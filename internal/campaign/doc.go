// Package campaign describes campaigns: what the producer asked for, how planning divides the
// recipients into pages, batches and calls, and the statuses, counts and reasons of recipients. It
// does not use Redis. Package ledger stores these types there. Some encodings are stored and must
// not change; the comments of their types and fields mention it.
//
// Everything here is a value or a pure function, and safe for concurrent use.
package campaign
