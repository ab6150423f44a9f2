package ledger

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/sms"
)

const (
	formatPlain = 0
	formatZstd  = 1
	// Records of format formatOwn or higher belong to a campaign with merge fields. They hold the
	// bodies of each call, or the values from which the bodies are rendered. An older release does not
	// know these formats, and refuses the records instead of reading them as records of a plain
	// campaign.
	formatOwn = 2
	// maxPageRaw bounds the text of a page before compression, in bytes, so that the page stays
	// below 64 KB in Redis, compressed or not.
	maxPageRaw = 48 << 10
)

// zstdWriter uses the fastest level. It compresses phone numbers better than the slower levels,
// and text nearly as well.
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

// compress returns a format byte followed by b. It compresses b if the result is shorter.
func compress(b []byte) []byte {
	if len(b) > 64 {
		out := zstdWriter().EncodeAll(b, append(make([]byte, 0, len(b)/2), formatZstd))
		if len(out) < len(b) {
			return out
		}
	}
	return append(append(make([]byte, 0, len(b)+1), formatPlain), b...)
}

// lastFormat is the highest format byte that a later release may use. No release writes a byte
// above it.
const lastFormat = 31

func wrongFormat(b byte) error {
	if b > lastFormat {
		return fmt.Errorf("format %d: %w", b, campaign.ErrRecord)
	}
	return fmt.Errorf("format %d: %w", b, ErrNewer)
}

func decompress(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("empty record: %w", campaign.ErrRecord)
	}
	switch b[0] {
	case formatPlain:
		return b[1:], nil
	case formatZstd:
		out, err := zstdReader().DecodeAll(b[1:], nil)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", campaign.ErrRecord, err)
		}
		return out, nil
	}
	return nil, wrongFormat(b[0])
}

// reader reads varints and runs of bytes from a record. After the first failure every further read
// fails too.
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

// count reads a varint that counts items of at least one byte each.
func (r *reader) count() int {
	v := r.uvarint()
	if v > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(v)
}

// length reads one byte, and returns it as a length.
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
		return campaign.ErrRecord
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
	out := make([]string, 0, campaign.MaxPageRows)
	text := string(raw) // one string, so that all inputs share its memory
	for len(r.b) > 0 && !r.bad && len(out) < campaign.MaxPageRows {
		n := len(r.bytes(r.count()))
		end := len(text) - len(r.b)
		out = append(out, text[end-n:end])
	}
	if r.bad || len(r.b) > 0 {
		return nil, fmt.Errorf("page: %w", campaign.ErrRecord)
	}
	return out, nil
}

// encodeSkipped encodes the skipped recipients of one page. lastRow is the number of the last
// row before the page.
func encodeSkipped(lastRow int, rows []campaign.SkippedRecipient) []byte {
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
	last := lastRow
	for _, x := range rows {
		b = binary.AppendUvarint(b, uint64(x.Row-last))
		b = binary.AppendUvarint(b, index[x.Reason+":"+x.Code])
		last = x.Row
	}
	return compress(b)
}

func decodeSkipped(before int, b []byte) ([]campaign.SkippedRecipient, error) {
	raw, err := decompress(b)
	if err != nil {
		return nil, fmt.Errorf("skipped recipients: %w", err)
	}
	r := reader{b: raw}
	words := make([]string, r.count())
	for i := range words {
		words[i] = string(r.bytes(r.count()))
	}
	var out []campaign.SkippedRecipient
	row := before
	for len(r.b) > 0 && !r.bad {
		row += int(r.uvarint())
		i := r.uvarint()
		if i >= uint64(len(words)) {
			return nil, fmt.Errorf("skipped recipients: %w", campaign.ErrRecord)
		}
		reason, code, _ := strings.Cut(words[i], ":")
		out = append(out, campaign.SkippedRecipient{Row: row, Reason: reason, Code: code})
	}
	if r.bad {
		return nil, fmt.Errorf("skipped recipients: %w", campaign.ErrRecord)
	}
	return out, nil
}

// encodeBatch encodes a batch: the sizes of its calls, then its recipients in the order of the
// calls. A row is stored as the difference from the row before. A number is stored as its
// difference from the smallest number.
func encodeBatch(calls []int, to []campaign.Planned) []byte {
	return encodeBatchAs(formatPlain, calls, to)
}

func encodeBatchAs(format byte, calls []int, to []campaign.Planned) []byte {
	b := append(make([]byte, 0, 16+6*len(to)), format)
	b = binary.AppendUvarint(b, uint64(len(calls)))
	for _, n := range calls {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return campaign.AppendPlanned(b, to)
}

func (r *reader) planned() []campaign.Planned {
	n := r.count()
	if n == 0 {
		return nil
	}
	base := r.uvarint()
	out := make([]campaign.Planned, 0, n)
	row := 0
	for range n {
		v, w := binary.Varint(r.b)
		if w <= 0 {
			r.bad, r.b = true, nil
			return nil
		}
		r.b = r.b[w:]
		row += int(v)
		out = append(out, campaign.Planned{Row: row, MSISDN: sms.MSISDN(base + r.uvarint())})
	}
	return out
}

func decodeBatch(b []byte) (calls []int, to []campaign.Planned, err error) {
	if len(b) == 0 {
		return nil, nil, fmt.Errorf("batch: %w", campaign.ErrRecord)
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
		return nil, nil, fmt.Errorf("batch: %w", campaign.ErrRecord)
	}
	return calls, to, nil
}
