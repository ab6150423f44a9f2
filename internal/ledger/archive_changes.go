package ledger

import (
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
)

// archiveFields are names of fields that an archive may hold in full. The archive has one byte for a name: the
// position of the name in this list. Positions never change; add names at the end. After the byte 0 follows a name
// that is not in this list.
var archiveFields = []string{
	"", fieldFormat, fieldTotal, fieldPages, fieldNextPage, fieldBare, fieldContent, fieldUpload, fieldCreated, fieldFinished, "p0", "nb:0", "h:0", "w0.0", "b0.0", "g0.0.0", "r0.0.0",
	fieldCalls, fieldSegments, fieldAccepted, fieldDelivered, fieldUndelivered, fieldRejected, fieldUnknown, fieldSkipped, fieldCost, fieldCurrency, fieldReportReasons, fieldSnapshot,
	fieldSendingHours, fieldStart, fieldExpiry, fieldStop, "stop_at", fieldResent, "n0.0", "g0.0.1", "g0.0.2", "g0.0.3", "x:expired", "x:opted_out", "x:duplicate", "x:no_route",
	"x:invalid_number", "k0", "ref0", fieldBefore, "rop", fieldLastRetry, fieldPaused, fieldThreshold, fieldStreams, "nb:1", "h:1", "w1.0", "b1.0", "w0.1", "b0.1", "g0.1.0", "r0.1.0",
	"z:0", "z:1", "m0.0", "mt",
}

// These constants are the forms of a field in an archive. An archive has the form before the value of the field.
// missingField means that the field is missing. numberValue means that the value is a number. The sum of rawValue and
// n means that the value is a text of n bytes.
const (
	missingField = 0
	numberValue  = 1
	rawValue     = 2
)

// appendChanges compares two sets of fields, "usual" and "now". It appends to b the fields of "now" that differ, sorted
// by name.
func appendChanges(b []byte, usual, now map[string]string) []byte {
	names := slices.Collect(maps.Keys(now))
	for name := range usual {
		if _, ok := now[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		value, there := now[name]
		if was, ok := usual[name]; ok == there && was == value {
			continue
		}
		if code := slices.Index(archiveFields, name); code > 0 {
			b = append(b, byte(code))
		} else {
			b = appendBytes(append(b, 0), name)
		}
		switch n, ok := numberOf(value); {
		case !there:
			b = append(b, missingField)
		case ok:
			b = binary.AppendUvarint(append(b, numberValue), n)
		default:
			b = append(binary.AppendUvarint(b, rawValue+uint64(len(value))), value...)
		}
	}
	return b
}

// readChanges reads what appendChanges has appended, up to the end of the record. It changes the map "fields"
// accordingly.
func readChanges(r *reader, fields map[string]string) {
	for len(r.b) > 0 && !r.bad {
		code, name := r.length(), ""
		if code >= len(archiveFields) {
			r.bad = true
			return
		}
		if name = archiveFields[code]; code == 0 {
			name = string(r.bytes(r.count()))
		}
		switch form := r.uvarint(); form {
		case missingField:
			delete(fields, name)
		case numberValue:
			fields[name] = strconv.FormatUint(r.uvarint(), 10)
		default:
			if form-rawValue > uint64(len(r.b)) {
				r.bad = true
				return
			}
			fields[name] = string(r.bytes(int(form - rawValue)))
		}
	}
}
