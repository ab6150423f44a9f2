package campaign

import "github.com/tuma-sms/tuma/sms"

// Limits of a stored page, and of what planning carries over to the next page.
const (
	// MaxPageRows is the maximum number of recipients in a page. A page with 4,096 phone numbers
	// and without merge fields is nearly as large, in bytes, as a page may be. Large pages are
	// cheaper, because a page with many recipients costs Redis hardly more than a page with few.
	MaxPageRows = 4096
	// MaxInput is how many bytes of a recipient's uploaded text are kept. No phone number is
	// longer.
	MaxInput = 64
	// MaxRef is the maximum length of the caller's own reference for a recipient, in bytes.
	MaxRef = 64
	// MaxValue is the maximum length of the value of a merge field, in bytes. A recipient with a
	// longer value is skipped.
	MaxValue = 4 << 10
	// MaxValues is the maximum length of all values of one recipient together, in bytes.
	MaxValues = 16 << 10
	// MaxBodies is the maximum length of all bodies of one batch together, in bytes before
	// compression. It is also the limit for what planning carries over to the next page.
	MaxBodies = 48 << 10
	// CarryRows is the maximum number of rows for which planning may carry over a recipient, so that
	// recipients with the same body share a call. After this number of rows, planning puts the
	// recipient's call into a batch, even if the call is not full. Batches of a stream are out of row
	// order by at most CarryRows rows and one page. A later release may lower CarryRows only if it
	// keeps the present value for campaigns that this release has planned.
	CarryRows = 5000
)

// Page is a page of recipients as uploaded. First is the row of its first recipient, from 1.
type Page struct {
	Number, First int
	Inputs        []string
	// Values holds the values of the merge fields for each input. An element is nil if the
	// values of the input are too long. Values is nil in a plain campaign.
	Values [][]string
	// Refs holds the caller's own reference for each input. It is nil if no recipient of the page
	// has a reference, or if references were not read.
	Refs []string
}

// PlannedPage is the plan of one page.
type PlannedPage struct {
	Page    int
	First   int // row of the page's first recipient, from 1
	Skipped []SkippedRecipient
	Batches []PlannedBatch
	Carry   [][]Call
	// OpenBatchLimits has, by stream, how many batches may be open at once.
	OpenBatchLimits map[int]int
}

// PlannedBatch is a batch of recipients for one stream, divided into calls. Stream is the number
// of the stream. Bodies has one body for each call. It is empty in a plain campaign.
type PlannedBatch struct {
	Stream int
	Calls  []int
	To     []Planned
	Bodies []string
}

// Call is a list of recipients that get the same body, in the order of sending.
type Call struct {
	// Body is empty in a plain campaign, where every call sends the campaign's body.
	Body string
	// Values are the values from which the body was rendered. It is nil in a plain campaign.
	Values []string
	To     []Planned
}

// SkippedRecipient is a recipient that planning did not put into a batch.
type SkippedRecipient struct {
	Row    int    // row in the upload, from 1
	Reason string // one of the Reason constants
	Code   string // more detail, or empty
}

// Planned is a recipient in a batch: its row in the upload, from 1, and its number.
type Planned struct {
	Row    int
	MSISDN sms.MSISDN
}
