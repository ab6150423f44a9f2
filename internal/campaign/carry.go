package campaign

import "encoding/binary"

// CarrySize returns the size in bytes, before compression, of the carried-over recipients of one
// stream.
func CarrySize(calls []Call) int { return len(AppendCarry(nil, calls)) }

// AppendCarry appends the stored form of the calls that planning carries over in one stream.
func AppendCarry(b []byte, calls []Call) []byte {
	var to []Planned
	personalized := false
	for _, c := range calls {
		to = append(to, c.To...)
		personalized = personalized || c.Values != nil
	}
	b = AppendPlanned(b, to)
	if !personalized {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(calls)))
	for _, c := range calls {
		b = binary.AppendUvarint(b, uint64(len(c.To)))
		b = AppendValues(b, c.Values)
	}
	return b
}

// AppendPlanned appends the stored form of recipients to b: the count of recipients, then the row
// and the MSISDN of each. A row is stored as the difference from the row before. An MSISDN is
// stored as its difference from the smallest MSISDN.
func AppendPlanned(b []byte, to []Planned) []byte {
	b = binary.AppendUvarint(b, uint64(len(to)))
	if len(to) == 0 {
		return b
	}
	base := to[0].MSISDN
	for _, p := range to {
		base = min(base, p.MSISDN)
	}
	b = binary.AppendUvarint(b, uint64(base))
	row := 0
	for _, p := range to {
		b = binary.AppendVarint(b, int64(p.Row-row))
		b = binary.AppendUvarint(b, uint64(p.MSISDN-base))
		row = p.Row
	}
	return b
}

// AppendValues appends the stored form of one recipient's values to b. If values is nil, the
// values were too long to store.
func AppendValues(b []byte, values []string) []byte {
	if values == nil {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(values)+1))
	for _, v := range values {
		b = binary.AppendUvarint(b, uint64(len(v)))
		b = append(b, v...)
	}
	return b
}
