package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/tuma-sms/tuma/sms"
)

// Records in Redis are binary and bounded: what cannot be read is an error,
// never a panic and never a guess.
var errRecord = errors.New("record cannot be read")

const (
	formatPlain = 0
	formatZstd  = 1
	// formatOwn is the first of the formats of what has bodies, or their values, of its
	// own, which an older release must not take for a plain campaign's.
	formatOwn = 2
	// maxPageRaw bounds the text of a page before compression, so that neither
	// form passes 64 KB in Redis.
	maxPageRaw = 48 << 10
	// MaxPageRows is how many recipients a page holds at most: of plain numbers about as
	// many as there is room for in its text. What a page costs Redis is hardly more for many.
	MaxPageRows = 4096
	// MaxInput is how many bytes of a recipient as uploaded are kept; no number
	// is longer.
	MaxInput = 64
)

// The lowest level packs numbers better than those above it, and text nearly as well.
var zstdWriter = sync.OnceValue(func() *zstd.Encoder {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(64<<10), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic("ledger: zstd: " + err.Error())
	}
	return w
})

var zstdReader = sync.OnceValue(func() *zstd.Decoder {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(1<<20))
	if err != nil {
		panic("ledger: zstd: " + err.Error())
	}
	return r
})

// squeeze puts a format byte before b, compressed where that is shorter.
func compress(b []byte) []byte {
	if len(b) > 64 {
		out := zstdWriter().EncodeAll(b, append(make([]byte, 0, len(b)/2), formatZstd))
		if len(out) < len(b) {
			return out
		}
	}
	return append(append(make([]byte, 0, len(b)+1), formatPlain), b...)
}

// lastFormat is the highest format that a later release may come to use: a byte above
// it was not written by any.
const lastFormat = 31

func wrongFormat(b byte) error {
	if b > lastFormat {
		return fmt.Errorf("format %d: %w", b, errRecord)
	}
	return fmt.Errorf("format %d: %w", b, ErrNewer)
}

func decompress(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("empty: %w", errRecord)
	}
	switch b[0] {
	case formatPlain:
		return b[1:], nil
	case formatZstd:
		out, err := zstdReader().DecodeAll(b[1:], nil)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errRecord, err)
		}
		return out, nil
	}
	return nil, wrongFormat(b[0])
}

// reader takes varints and runs of bytes off a record; after the first failure
// every further take fails too.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count takes a varint that counts things of at least one byte each.
func (r *reader) count() int {
	v := r.uvarint()
	if v > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(v)
}

// length takes a length of one byte.
func (r *reader) length() int {
	b := r.bytes(1)
	if r.bad {
		return 0
	}
	return int(b[0])
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) err() error {
	if r.bad {
		return errRecord
	}
	return nil
}

// decodePage returns the recipients of a plain campaign's page as uploaded, in order.
func decodePage(b []byte) ([]string, error) {
	raw, err := decompress(b)
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	r := reader{b: raw}
	out := make([]string, 0, MaxPageRows)
	text := string(raw) // one string that all of them are parts of
	for len(r.b) > 0 && !r.bad && len(out) < MaxPageRows {
		n := len(r.bytes(r.count()))
		end := len(text) - len(r.b)
		out = append(out, text[end-n:end])
	}
	if r.bad || len(r.b) > 0 {
		return nil, fmt.Errorf("page: %w", errRecord)
	}
	return out, nil
}

// LeftOut is a recipient that planning did not put into a batch.
type SkippedRecipient struct {
	Row    int    // in the upload, from 1
	Reason string // one of the Reason words
	Code   string // more exactly, or empty
}

// encodeLeftOut writes the rows of one page, which begins after row before.
func encodeSkipped(before int, rows []SkippedRecipient) []byte {
	if len(rows) == 0 {
		return nil
	}
	var words []string
	index := map[string]uint64{}
	for _, x := range rows {
		word := x.Reason + ":" + x.Code
		if _, ok := index[word]; !ok {
			index[word] = uint64(len(words))
			words = append(words, word)
		}
	}
	b := binary.AppendUvarint(nil, uint64(len(words)))
	for _, w := range words {
		b = binary.AppendUvarint(b, uint64(len(w)))
		b = append(b, w...)
	}
	last := before
	for _, x := range rows {
		b = binary.AppendUvarint(b, uint64(x.Row-last))
		b = binary.AppendUvarint(b, index[x.Reason+":"+x.Code])
		last = x.Row
	}
	return compress(b)
}

func decodeSkipped(before int, b []byte) ([]SkippedRecipient, error) {
	raw, err := decompress(b)
	if err != nil {
		return nil, fmt.Errorf("left-out record: %w", err)
	}
	r := reader{b: raw}
	words := make([]string, r.count())
	for i := range words {
		words[i] = string(r.bytes(r.count()))
	}
	var out []SkippedRecipient
	row := before
	for len(r.b) > 0 && !r.bad {
		row += int(r.uvarint())
		i := r.uvarint()
		if i >= uint64(len(words)) {
			return nil, fmt.Errorf("left-out record: %w", errRecord)
		}
		reason, code, _ := strings.Cut(words[i], ":")
		out = append(out, SkippedRecipient{Row: row, Reason: reason, Code: code})
	}
	if r.bad {
		return nil, fmt.Errorf("left-out record: %w", errRecord)
	}
	return out, nil
}

// Planned is a recipient that goes out: its row in the upload, from 1, and its number.
type Planned struct {
	Row    int
	MSISDN sms.MSISDN
}

// encodeBatch writes a batch: the sizes of its calls, then its recipients in the
// order of the calls, rows as differences, numbers above the smallest of them.
func encodeBatch(calls []int, to []Planned) []byte { return encodeBatchAs(formatPlain, calls, to) }

func encodeBatchAs(format byte, calls []int, to []Planned) []byte {
	b := append(make([]byte, 0, 16+6*len(to)), format)
	b = binary.AppendUvarint(b, uint64(len(calls)))
	for _, n := range calls {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return appendPlanned(b, to)
}

func appendPlanned(b []byte, to []Planned) []byte {
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

func (r *reader) planned() []Planned {
	n := r.count()
	if n == 0 {
		return nil
	}
	base := r.uvarint()
	out := make([]Planned, 0, n)
	row := 0
	for range n {
		v, w := binary.Varint(r.b)
		if w <= 0 {
			r.bad, r.b = true, nil
			return nil
		}
		r.b = r.b[w:]
		row += int(v)
		out = append(out, Planned{Row: row, MSISDN: sms.MSISDN(base + r.uvarint())})
	}
	return out
}

func decodeBatch(b []byte) (calls []int, to []Planned, err error) {
	if len(b) == 0 {
		return nil, nil, fmt.Errorf("batch: %w", errRecord)
	}
	if b[0] != formatPlain && b[0] != formatOwn {
		return nil, nil, fmt.Errorf("batch: %w", wrongFormat(b[0]))
	}
	r := reader{b: b[1:]}
	calls = make([]int, r.count())
	sum := 0
	for i := range calls {
		calls[i] = int(min(r.uvarint(), 1<<20))
		sum += calls[i]
	}
	to = r.planned()
	if r.bad || sum != len(to) || len(r.b) > 0 {
		return nil, nil, fmt.Errorf("batch: %w", errRecord)
	}
	return calls, to, nil
}
