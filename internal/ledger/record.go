package ledger

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Status is what is known of a recipient.
type Status uint8

// The statuses, as settle.lua numbers them.
const (
	Pending Status = iota
	Unknown
	Rejected
	Accepted
	Delivered
	Undelivered
	Skipped
)

// optedStatus is stored for a recipient who was skipped because of an opt-out after
// planning (narrow.lua); as the others, it is Skipped where it is read.
const optedStatus = byte(8)

// movedStatus stands in the stored results of a call for a recipient that is in another
// batch now; nobody who is in a batch is stored as skipped.
const movedStatus = byte(Skipped)

var statusNames = [...]string{"pending", "unknown", "rejected", "accepted", "delivered", "undelivered", "skipped"}

// String returns the status as users see it.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// ParseStatus is the reverse of String.
func ParseStatus(s string) (Status, bool) {
	for i, n := range statusNames {
		if n == s {
			return Status(i), true
		}
	}
	return 0, false
}

// Record is what is known of one recipient of a call. In Redis it is
// [status][length of the rest][generation, two bytes][tagged fields].
type Record struct {
	Status     Status
	Generation int
	MessageID  string
	Reason     string
	Code       string
	Cost       string
	Currency   string
	// RetryIn is how long a Pending recipient of a settle has to wait, if longer than the
	// others. It is not stored.
	RetryIn time.Duration
	// Resent holds further message ids, where the recipient was submitted again
	// and both went out.
	Resent []string
	// before is what a pending recipient was until a retry or a resend: unknown.
	before *Record
	// moved: another batch has the recipient now; the rest says nothing.
	moved bool
}

const (
	tagUUID     = 1 // a message id that is a lower-case UUID, as 16 bytes
	tagID       = 2
	tagReason   = 3
	tagCode     = 4
	tagCost     = 5
	tagCurrency = 6
	tagAgain    = 8 // another record's rest, for a recipient that went out twice
	tagBefore   = 9 // the rest of an unknown record, for a pending recipient that a retry or a resend took out of it

	maxDetail = 250
)

// appendRecord writes r; fields that do not fit into 250 bytes are cut.
func appendRecord(b []byte, r Record) []byte {
	b = append(b, byte(r.Status), 0)
	at := len(b)
	b = append(b, byte(r.Generation>>8), byte(r.Generation))
	if id, ok := canonicalUUID(r.MessageID); ok {
		b = append(append(b, tagUUID), id[:]...)
	} else {
		b = appendTag(b, at, tagID, r.MessageID)
	}
	b = appendTag(b, at, tagReason, r.Reason)
	b = appendTag(b, at, tagCode, r.Code)
	b = appendTag(b, at, tagCost, r.Cost)
	b = appendTag(b, at, tagCurrency, r.Currency)
	b[at-1] = byte(len(b) - at)
	return b
}

func appendTag(b []byte, at int, tag byte, s string) []byte {
	room := maxDetail - (len(b) - at) - 2
	if s == "" || room <= 0 {
		return b
	}
	s = s[:min(len(s), room)]
	return append(append(b, tag, byte(len(s))), s...)
}

// canonicalUUID parses ids that can be written back as they were.
func canonicalUUID(s string) (uuid.UUID, bool) {
	if len(s) != 36 {
		return uuid.UUID{}, false
	}
	id, err := uuid.Parse(s)
	if err != nil {
		return id, false
	}
	var text [36]byte
	if t, err := id.MarshalText(); err == nil {
		copy(text[:], t)
	}
	return id, string(text[:]) == s
}

// decodeRecords reads the results of a call's n recipients; nothing stored means
// that all are pending.
func decodeRecords(b []byte, n int) ([]Record, error) {
	out := make([]Record, n)
	if len(b) == 0 {
		return out, nil
	}
	for i := range out {
		if len(b) < 2 || len(b) < 2+int(b[1]) || b[0] > byte(Skipped) && b[0] != optedStatus {
			return nil, fmt.Errorf("results: %w", errRecord)
		}
		out[i].Status, out[i].moved = Status(b[0]), b[0] == movedStatus
		if b[0] == optedStatus {
			out[i].Status = Skipped
		}
		if err := out[i].detail(b[2 : 2+int(b[1])]); err != nil {
			return nil, fmt.Errorf("results: %w", err)
		}
		b = b[2+int(b[1]):]
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("results: %w", errRecord)
	}
	return out, nil
}

// callRecords is decodeRecords for a field as Redis gives it: one that is there holds something.
func callRecords(field any, n int) ([]Record, error) {
	b := fieldString(field)
	if field != nil && b == "" {
		return nil, fmt.Errorf("results: empty: %w", errRecord)
	}
	return decodeRecords([]byte(b), n)
}

func (r *Record) detail(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if len(b) < 2 {
		return errRecord
	}
	r.Generation = int(binary.BigEndian.Uint16(b))
	rd := reader{b: b[2:]}
	for len(rd.b) > 0 {
		tag := rd.bytes(1)[0]
		if tag == tagUUID {
			id, err := uuid.FromBytes(rd.bytes(16))
			if err != nil {
				return errRecord
			}
			r.MessageID = id.String()
			continue
		}
		v := rd.bytes(rd.length())
		if rd.bad {
			return errRecord
		}
		switch tag {
		case tagID:
			r.MessageID = string(v)
		case tagReason:
			r.Reason = string(v)
		case tagCode:
			r.Code = string(v)
		case tagCost:
			r.Cost = string(v)
		case tagCurrency:
			r.Currency = string(v)
		case tagAgain, tagBefore:
			var other Record
			if err := other.detail(v); err != nil {
				return err
			}
			if tag == tagBefore {
				other.Status = Unknown
				r.before = &other
			} else {
				r.Resent = append(r.Resent, other.MessageID)
			}
		}
	}
	return rd.err()
}
