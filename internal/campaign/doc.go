// Package campaign describes campaigns: what the producer asked for, how planning divides the
// recipients into pages, batches and calls, and the statuses, counts and reasons of recipients. It reaches no
// Redis. Package ledger stores these types, and the comments name what of their form is stored.
//
// Everything here is a value or a pure function, and safe for concurrent use.
package campaign
