package simulator

import (
	"net/http"
	"strconv"
	"strings"
)

// Vendor simulates the API of one vendor: its endpoints and its state.
//
// An endpoint parses a request as strictly as the vendor's documentation demands. It calls
// State.ValidLogin (or HasPassword, if the login is only a token), HasCredit, and ReplyTo for each
// number. Then it calls Accept with the accepted numbers. The endpoint makes all these calls
// between Lock and Unlock of the State. A vendor's package shares no code with the client.
//
// The function Refuse of an endpoint gets an error code of the vendor. The code is one of the endpoint's
// FaultReplies, or the text after "code_" in a fault's name. If the code is about numbers, Refuse applies it to
// every number of the call.
//
// An endpoint lists in FaultReplies the vendor's error codes for the faults "later", "campaign", "credit", "text" and
// "blacklist". If the endpoint's replies name numbers, the endpoint sets Answer.Rows, so that faults can
// leave a number out. An endpoint must copy the parts of a request's body that it keeps, because
// the server reuses the body's memory after the reply.
type Vendor interface {
	// Endpoints returns the endpoints. The key is the path of the endpoint in the vendor's API. The server calls
	// Endpoints once.
	Endpoints() map[string]Endpoint
	// Reset restores the initial state. The caller holds the lock of the State.
	Reset()
	// ReplyScope returns the part of a call that the gateway refuses if State.SetReply has set this reply for one
	// number of the call.
	ReplyScope(Reply) ReplyScope
}

// NewVendor returns a vendor that uses the given state. Every simulator's package has a function New of this type.
type NewVendor func(*State) Vendor

// OptionSetter is implemented by a Vendor that has further options. POST /_sandbox/options sets them.
type OptionSetter interface {
	// SetOption sets an option. The result "known" is false if the vendor has no option with this name.
	SetOption(name, value string) (known bool, err error)
}

// Repeat is the reply to a repeated idempotency key.
type Repeat string

// These are the replies to a repeated key.
const (
	// RepeatAccepts repeats the reply to an accepted call. If the call got an error, the gateway
	// handles the next call with this key as a new call.
	RepeatAccepts Repeat = ""
	// RepeatAll repeats the reply to an accepted call, and also errors, except an error about a
	// malformed request or about the login.
	RepeatAll Repeat = "all"
	// RepeatError replies with an error if the call with this key was accepted. The value is
	// KoboMobile's error code.
	RepeatError Repeat = "error_msgid"
)

// Repeater is implemented by a Vendor with idempotency keys whose documentation does not define the
// reply to a repeated key.
type Repeater interface {
	// SetRepeat sets the reply to a repeated idempotency key. The default is RepeatAccepts. It is safe for
	// concurrent use.
	SetRepeat(repeat Repeat)
}

// Endpoint is one path of a gateway.
type Endpoint struct {
	// Send is true if requests to this endpoint are calls. The server counts calls, and injects faults into
	// calls. If a path also serves other functions, IsSend reports whether a request is a call. Otherwise
	// IsSend is nil.
	Send   bool
	IsSend func(r *http.Request, body []byte) bool
	// AllowGet allows GET requests besides POST requests.
	AllowGet bool
	// Answer returns the reply to a request. The parameter "body" is the body of the request, which has been
	// read.
	Answer func(r *http.Request, body []byte) Answer
	// Refuse returns the reply of a simulated fault that uses one of the vendor's error codes. The parameter
	// "word" is the error code. Refuse is nil if the vendor has no error codes.
	Refuse func(r *http.Request, body []byte, word string) Answer
	// FaultReplies are the vendor's error codes about a whole call, by the fault's name: FaultLater,
	// FaultCampaign, FaultCredit, FaultText, FaultBlacklist. If a fault has no entry, the vendor has no code for it.
	FaultReplies map[string]string
}

// Answer is a gateway's reply.
type Answer struct {
	Status      int    // 0 means 200
	ContentType string // "" means PlainText
	Body        []byte
	Accepted    bool // true if the gateway accepted the messages, in this call or in an earlier call with the same key
	// Rows splits the reply into one row for each number. It also returns a function that joins rows into
	// a reply. If Rows is nil, the reply names no numbers.
	Rows func() ([]Row, func([]Row) []byte)
}

// TextAnswer returns a reply with status 200 and a plain text.
func TextAnswer(text string) Answer { return Answer{Body: []byte(text)} }

// Row is the part of a reply about one number.
type Row struct {
	Number uint64
	Text   string // the text of the reply about the number
}

// ParseNumbers parses a comma-separated list of numbers in international format, digits only. It
// returns a number for each part of the list, even if wellFormed is false.
func ParseNumbers(list string) (numbers []uint64, wellFormed bool) {
	numbers = make([]uint64, 0, strings.Count(list, ",")+1)
	wellFormed = true
	for part := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseUint(part, 10, 64)
		if err != nil || len(part) < 10 || len(part) > 15 || part[0] == '0' {
			wellFormed = false
		}
		numbers = append(numbers, n)
	}
	return numbers, wellFormed
}
