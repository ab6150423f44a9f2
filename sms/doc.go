// Package sms has the functions about SMS that all parts of Tuma use. They handle
// phone numbers, sender IDs, segments, and templates with merge fields. The package
// does no I/O and keeps no state. All its functions and types are safe for
// concurrent use.
//
// [ParseMSISDN] reads a phone number as people and spreadsheets write it. It
// returns an [MSISDN], the form that the rest of Tuma stores, compares and sends.
// It never guesses: for any other input it returns a [NumberError] with the reason.
//
// [Segments] and [Measure] return the number of segments for which a body is
// billed, and [ExplainUCS2] names the characters that make the body longer.
// [Transliterate] replaces such characters. [ParseTemplate] reads a body with merge
// fields, and [ValidateSender] checks a sender ID against the limits of a gateway.
package sms
