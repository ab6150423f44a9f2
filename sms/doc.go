// Package sms is Tuma's vocabulary: phone numbers, sender IDs, segments, merge
// fields. It does no I/O and keeps no state; everything in it is safe for
// concurrent use.
//
// Numbers come in as people and spreadsheets write them. [ParseMSISDN] turns
// each into an [MSISDN], the one form the rest of Tuma stores, compares and
// sends, or says in a [NumberError] why it cannot; it never guesses. [Segments]
// counts what a body will be billed as, [ValidateSender] checks a sender ID
// against a gateway's limits.
package sms
