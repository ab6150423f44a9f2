package ledger

import "strconv"

// This file has the names of all fields of the ledger hash that Go code reads or writes. layout.go
// describes each field, and docs/redis-schema.md describes its value. In the functions, the parameter
// "batch" is the name of a batch, and "call" is the position of a call in the batch. The parameter
// "generation" is the number of a generation of the call, and "stream" is the number of a stream.

// These fields have fixed names, so a ledger hash has at most one of each.
const (
	fieldFormat  = "v"
	fieldContent = "hash"
	fieldUpload  = "up"
	fieldBefore  = "took"
	fieldTotal   = "total"
	fieldPages   = "pg"
	fieldCreated = "at"
	fieldStart   = "start"
	fieldExpiry  = "exp"

	fieldNextPage     = "cur"
	fieldCarry        = "carry"
	fieldSnapshot     = "frozen"
	fieldSendingHours = "win"
	fieldStreams      = "per"

	fieldPending       = "pending"
	fieldAccepted      = "accepted"
	fieldDelivered     = "delivered"
	fieldUndelivered   = "undelivered"
	fieldRejected      = "rejected"
	fieldUnknown       = "unknown"
	fieldSkipped       = "skipped"
	fieldInFlight      = "fly"
	fieldCallsInFlight = "flyc"
	fieldCalls         = "calls"
	fieldSegments      = "seg"
	fieldCost          = "cost"
	fieldCurrency      = "ccy"
	fieldResent        = "resent"
	fieldOtherText     = "xt"
	fieldReportReasons = "dr"

	fieldPaused          = "paused"
	fieldStop            = "stop"
	fieldFinished        = "fin"
	fieldThreshold       = "lim"
	fieldRetry           = "rt"
	fieldLastRetry       = "rlast"
	fieldExclusions      = "ex"
	fieldQuarantined     = "aside"
	fieldQuarantinedWork = "left"
	fieldBare            = "bare"
)

func pageField(page int) string        { return "p" + strconv.Itoa(page) }
func refsField(page int) string        { return "ref" + strconv.Itoa(page) }
func skippedField(page int) string     { return "k" + strconv.Itoa(page) }
func exclusionField(number int) string { return "e" + strconv.Itoa(number) }

func batchField(batch string) string     { return "b" + batch }
func bodiesField(batch string) string    { return "t" + batch }
func openCountField(batch string) string { return "l" + batch }
func wakeField(work string) string       { return "w" + work } // work is a batch or PlanWork
func openListField(batch string) string  { return "x" + batch }
func movedToField(batch string) string   { return "m" + batch }
func movedFromField(batch string) string { return "f" + batch }

// generationName names a generation within its batch.
func generationName(call, generation int) string {
	return strconv.Itoa(call) + "." + strconv.Itoa(generation)
}

func generationField(batch, generation string) string { return "g" + batch + "." + generation }
func positionsField(batch, generation string) string  { return "i" + batch + "." + generation }
func callResultField(batch string, call int) string   { return "r" + batch + "." + strconv.Itoa(call) }

func plannedField(stream int) string  { return "nb:" + strconv.Itoa(stream) }
func nextField(stream int) string     { return "h:" + strconv.Itoa(stream) }
func openField(stream int) string     { return "ob:" + strconv.Itoa(stream) }
func closedField(stream int) string   { return "z:" + strconv.Itoa(stream) }
func canaryField(stream int) string   { return "cb:" + strconv.Itoa(stream) }
func assignedField(stream int) string { return "to:" + strconv.Itoa(stream) }

// countField returns the name of the field that holds a count of one stream. The parameter "count" is the
// field of the same count of the whole campaign, e.g. fieldAccepted.
func countField(count string, stream int) string { return count + ":" + strconv.Itoa(stream) }

func skipReasonField(reason string) string { return "x:" + reason }
