package ledger

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// optedStatus is the stored status of a recipient that was skipped because of an opt-out after
// planning (narrow.lua). It is read as Skipped.
const optedStatus = byte(8)

// movedStatus replaces the stored status of a recipient that has moved to another batch. Both
// statuses, moved and Skipped, have the same number. This is unambiguous, because a batch never stores
// the status Skipped.
const movedStatus = byte(campaign.Skipped)

const (
	tagUUID     = 1 // message id that is a lower-case UUID, as 16 bytes
	tagID       = 2
	tagReason   = 3
	tagCode     = 4
	tagCost     = 5
	tagCurrency = 6
	tagAgain    = 8  // if a recipient's message went out twice, the record of the second message follows
	tagBefore   = 9  // if a pending recipient was unknown before a retry or a resend, its earlier record follows
	tagATXID    = 10 // message id "ATXid_" and 32 lower-case hex digits, as 16 bytes

	maxDetail = 250
)

// appendRecord appends r in its stored form. Fields that do not fit into 250 bytes are cut.
func appendRecord(b []byte, r campaign.Record) []byte {
	b = append(b, byte(r.Status), 0)
	at := len(b)
	b = append(b, byte(r.Generation>>8), byte(r.Generation))
	if id, ok := canonicalUUID(r.MessageID); ok {
		b = append(append(b, tagUUID), id[:]...)
	} else if id, ok := atxID(r.MessageID); ok {
		b = append(append(b, tagATXID, byte(len(id))), id[:]...)
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

// atxPrefix begins the message ids of Africa's Talking. A record holds only the hex digits after
// this prefix. The tag has a length byte, so that an older release can skip the field.
const atxPrefix = "ATXid_"

// atxID parses a message id of Africa's Talking with 32 lower-case hex digits.
func atxID(s string) (id [16]byte, ok bool) {
	digits, ok := strings.CutPrefix(s, atxPrefix)
	if !ok || len(digits) != 32 || strings.ToLower(digits) != digits {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(digits))
	return id, err == nil
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
func decodeRecords(b []byte, n int) ([]campaign.Record, error) {
	out := make([]campaign.Record, n)
	if len(b) == 0 {
		return out, nil
	}
	for i := range out {
		if len(b) < 2 || len(b) < 2+int(b[1]) || b[0] > byte(campaign.Skipped) && b[0] != optedStatus {
			return nil, fmt.Errorf("decode results: %w", campaign.ErrRecord)
		}
		out[i].Status, out[i].Moved = campaign.Status(b[0]), b[0] == movedStatus
		if b[0] == optedStatus {
			out[i].Status = campaign.Skipped
		}
		if err := decodeDetail(&out[i], b[2:2+int(b[1])]); err != nil {
			return nil, fmt.Errorf("decode results: %w", err)
		}
		b = b[2+int(b[1]):]
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("decode results: %w", campaign.ErrRecord)
	}
	return out, nil
}

// callRecords does what decodeRecords does, but decodes a field as Redis returns it. If the
// field exists, it must not be empty.
func callRecords(field any, n int) ([]campaign.Record, error) {
	b := script.Text(field)
	if field != nil && b == "" {
		return nil, fmt.Errorf("decode results: empty record: %w", campaign.ErrRecord)
	}
	return decodeRecords([]byte(b), n)
}

// decodeDetail decodes the part of a record after its status and length into r.
func decodeDetail(r *campaign.Record, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if len(b) < 2 {
		return campaign.ErrRecord
	}
	r.Generation = int(binary.BigEndian.Uint16(b))
	rd := reader{b: b[2:]}
	for len(rd.b) > 0 {
		tag := rd.bytes(1)[0]
		if tag == tagUUID {
			id, err := uuid.FromBytes(rd.bytes(16))
			if err != nil {
				return campaign.ErrRecord
			}
			r.MessageID = id.String()
			continue
		}
		v := rd.bytes(rd.length())
		if rd.bad {
			return campaign.ErrRecord
		}
		switch tag {
		case tagID:
			r.MessageID = string(v)
		case tagATXID:
			if len(v) != 16 {
				return campaign.ErrRecord
			}
			r.MessageID = atxPrefix + hex.EncodeToString(v)
		case tagReason:
			r.Reason = string(v)
		case tagCode:
			r.Code = string(v)
		case tagCost:
			r.Cost = string(v)
		case tagCurrency:
			r.Currency = string(v)
		case tagAgain, tagBefore:
			var other campaign.Record
			if err := decodeDetail(&other, v); err != nil {
				return err
			}
			if tag == tagBefore {
				other.Status = campaign.Unknown
				r.Before = &other
			} else {
				r.Resent = append(r.Resent, other.MessageID)
			}
		}
	}
	return rd.err()
}
