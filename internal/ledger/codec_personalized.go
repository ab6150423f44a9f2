package ledger

import (
	"encoding/binary"
	"fmt"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/sms"
)

// A campaign with merge fields stores more than a plain campaign: values beside its numbers, carried-over
// calls that are not full yet, and bodies beside its batches.

func (r *reader) values() []string {
	n := r.uvarint()
	if n == 0 || n-1 > sms.MaxMergeFields {
		r.bad = r.bad || n != 0
		return nil
	}
	out := make([]string, n-1)
	for i := range out {
		out[i] = string(r.bytes(r.count()))
	}
	return out
}

// keptValues returns the values that a page stores for a recipient. It returns nil if the values
// are too long.
func keptValues(values []string) []string {
	all := 0
	for _, v := range values {
		if all += len(v) + 2; len(v) > campaign.MaxValue || all > campaign.MaxValues {
			return nil
		}
	}
	return values
}

// compressPersonalized compresses a page with values. The function "compress" does this for a page without values.
func compressPersonalized(b []byte) []byte {
	out := compress(b)
	out[0] += formatOwn
	return out
}

// decodeRows returns the recipients of a page as uploaded, in order. In a campaign with merge
// fields it also returns the values of each recipient, or nil if the values were too long to
// store.
func decodeRows(b []byte) (inputs []string, values [][]string, err error) {
	if len(b) == 0 || b[0] != formatOwn+formatPlain && b[0] != formatOwn+formatZstd {
		inputs, err = decodePage(b)
		return inputs, nil, err
	}
	raw, err := decompress(append([]byte{b[0] - formatOwn}, b[1:]...))
	if err != nil {
		return nil, nil, fmt.Errorf("page: %w", err)
	}
	r := reader{b: raw}
	for len(r.b) > 0 && !r.bad && len(inputs) < campaign.MaxPageRows {
		inputs = append(inputs, string(r.bytes(r.count())))
		values = append(values, r.values())
	}
	if r.bad || len(r.b) > 0 || len(inputs) == 0 {
		return nil, nil, fmt.Errorf("page: %w", campaign.ErrRecord)
	}
	return inputs, values, nil
}

// encodeCarry encodes the recipients that planning carries over from page to page, by stream. For a
// plain campaign it stores the recipients, but not how they are divided into calls.
func encodeCarry(carry [][]campaign.Call) []byte {
	empty := true
	var b []byte
	for _, c := range carry {
		empty = empty && len(c) == 0
		b = campaign.AppendCarry(b, c)
	}
	if empty {
		return nil
	}
	return compress(b)
}

// decodeCarry reverses encodeCarry for the given number of streams. The parameter "personalized" is
// true for a campaign with merge fields. The bodies are not stored: planning renders them again. In a plain
// campaign the result has one call for each stream, with all recipients of the stream.
func decodeCarry(b []byte, streams int, personalized bool) ([][]campaign.Call, error) {
	out := make([][]campaign.Call, streams)
	if len(b) == 0 {
		return out, nil
	}
	raw, err := decompress(b)
	if err != nil {
		return nil, fmt.Errorf("carry: %w", err)
	}
	r := reader{b: raw}
	for i := range out {
		out[i] = r.carried(personalized)
	}
	if r.bad {
		return nil, fmt.Errorf("carry: %w", campaign.ErrRecord)
	}
	return out, nil
}

func (r *reader) carried(personalized bool) []campaign.Call {
	to := r.planned()
	if len(to) == 0 {
		return nil
	}
	if !personalized {
		return []campaign.Call{{To: to}}
	}
	calls := r.uvarint()
	if calls > uint64(len(to)) {
		r.bad = true
		return nil
	}
	out := make([]campaign.Call, calls)
	for i := range out {
		n := r.uvarint()
		if n == 0 || n > uint64(len(to)) {
			r.bad = true
			return nil
		}
		out[i] = campaign.Call{To: to[:n:n], Values: r.values()}
		r.bad = r.bad || out[i].Values == nil
		to = to[n:]
	}
	r.bad = r.bad || len(to) > 0
	return out
}

// encodeBodies encodes the bodies of a batch, one for each call.
func encodeBodies(bodies []string) []byte {
	if len(bodies) == 0 {
		return nil
	}
	b := binary.AppendUvarint(nil, uint64(len(bodies)))
	for _, x := range bodies {
		b = binary.AppendUvarint(b, uint64(len(x)))
		b = append(b, x...)
	}
	return compress(b)
}

// decodeBodies decodes the bodies of a batch. There must be one body for each of the calls.
func decodeBodies(b []byte, calls int) ([]string, error) {
	raw, err := decompress(b)
	if err != nil {
		return nil, fmt.Errorf("bodies: %w", err)
	}
	r := reader{b: raw}
	if n := r.count(); n != calls {
		return nil, fmt.Errorf("bodies of %d calls, want %d: %w", n, calls, campaign.ErrRecord)
	}
	out := make([]string, calls)
	for i := range out {
		out[i] = string(r.bytes(r.count()))
		r.bad = r.bad || out[i] == ""
	}
	if r.bad || len(r.b) > 0 {
		return nil, fmt.Errorf("bodies: %w", campaign.ErrRecord)
	}
	return out, nil
}
