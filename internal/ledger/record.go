package ledger

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Status is the status of a recipient.
type Status uint8

// The statuses, with the numbers that settle.lua uses.
const (
	Pending Status = iota
	Unknown
	Rejected
	Accepted
	Delivered
	Undelivered
	Skipped
)

// optedStatus is the stored status of a recipient that was skipped because of an opt-out after
// planning (narrow.lua). It is read as Skipped.
const optedStatus = byte(8)

// movedStatus replaces the stored status of a recipient that has moved to another batch. The number
// of Skipped is free for this, because no recipient of a batch is stored as Skipped.
const movedStatus = byte(Skipped)

var statusNames = [...]string{"pending", "unknown", "rejected", "accepted", "delivered", "undelivered", "skipped"}

// String returns the status word that users see.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// ParseStatus reverses Status.String. ok is false for an unknown word.
func ParseStatus(s string) (Status, bool) {
	for i, n := range statusNames {
		if n == s {
			return Status(i), true
		}
	}
	return 0, false
}

// Record is the outcome of one recipient of a call. In Redis it is [status][length of the
// rest][generation, two bytes][tagged fields].
type Record struct {
	Status     Status
	Generation int
	MessageID  string
	Reason     string
	Code       string
	Cost       string
	Currency   string
	// RetryIn is how long a Pending recipient of a settle must wait, if longer than the others. It
	// is not stored.
	RetryIn time.Duration
	// Resent holds further message ids of a recipient that was submitted again, if both messages
	// went out.
	Resent []string
	// before is the unknown record of a recipient that a retry or a resend made pending again.
	before *Record
	// moved: the recipient is in another batch now, and the rest of the record is empty.
	moved bool
}

const (
	tagUUID     = 1 // message id that is a lower-case UUID, as 16 bytes
	tagID       = 2
	tagReason   = 3
	tagCode     = 4
	tagCost     = 5
	tagCurrency = 6
	tagAgain    = 8 // the rest of another record, for a recipient that went out twice
	tagBefore   = 9 // the rest of the unknown record, for a pending recipient that a retry or a resend took out of unknown

	maxDetail = 250
)

// appendRecord appends r in its stored form. Fields that do not fit into 250 bytes are cut.
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

// canonicalUUID parses s if it is a UUID in the form that uuid.UUID.String writes.
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

// decodeRecords decodes the results of a call's n recipients. Empty bytes mean that all are
// pending.
func decodeRecords(b []byte, n int) ([]Record, error) {
	out := make([]Record, n)
	if len(b) == 0 {
		return out, nil
	}
	for i := range out {
		if len(b) < 2 || len(b) < 2+int(b[1]) || b[0] > byte(Skipped) && b[0] != optedStatus {
			return nil, fmt.Errorf("decode results: %w", errRecord)
		}
		out[i].Status, out[i].moved = Status(b[0]), b[0] == movedStatus
		if b[0] == optedStatus {
			out[i].Status = Skipped
		}
		if err := out[i].detail(b[2 : 2+int(b[1])]); err != nil {
			return nil, fmt.Errorf("decode results: %w", err)
		}
		b = b[2+int(b[1]):]
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("decode results: %w", errRecord)
	}
	return out, nil
}

// callRecords is decodeRecords for a field as Redis returns it. A field that exists must not be
// empty.
func callRecords(field any, n int) ([]Record, error) {
	b := fieldString(field)
	if field != nil && b == "" {
		return nil, fmt.Errorf("decode results: empty record: %w", errRecord)
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
