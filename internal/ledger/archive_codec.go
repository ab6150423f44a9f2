package ledger

import (
	"encoding/base64"
	"encoding/binary"
	"maps"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/sms"
)

// The stored form of an archive begins with the outline. The outline is enough to compute the fields of a usual
// message. After the outline follow the fields of the ledger hash whose real value differs from the computed value.
// So the archive holds every field, and an unusual message takes more bytes.
const (
	// archiveFormat is the first byte of an archive. A later format will begin with another byte below
	// firstOfTombstone. An archive and a tombstone have the same key. A tombstone begins with a letter, a digit, "-"
	// or "_", so the first byte tells which of the two the key holds.
	archiveFormat    = 1
	firstOfTombstone = '-'
	// archiveRecord is the value of Unreadable.Record if the archive of a message cannot be read.
	archiveRecord = "t"
	// archivedHash is how many of the 43 characters of the content hash an archive keeps: 144 bits.
	archivedHash = 24
)

// isArchive reports whether the value of a tombstone's key is an archive.
func isArchive(value string) bool { return value != "" && value[0] < firstOfTombstone }

// The bits of the second byte of an archive.
const (
	hasPlus   = 1 << iota // the uploaded number is + and the digits of the MSISDN
	hasInput              // the uploaded number is stored as text, because it has another form
	hasGen                // generation 0 is settled, and its record in the ledger has the usual form
	hasKey                // generation 0 has an idempotency key
	hasRecord             // the archive has the record of the call
	hasReport             // the overlay has two bytes
	hasStream             // the batch is in a stream other than 0
	hasCost               // the record ends with a cost and a currency
)

// outline has the parts of a message from which most fields of the message can be computed.
type outline struct {
	hash, upload    string // base64 of 18 and 9 bytes
	created, ended  int64  // ms
	input           string
	msisdn          sms.MSISDN
	stream          int
	gen             *settledRecord
	record          string // the record of the call, or empty
	overlay         string
	spec, snapshot  string // JSON
	account, nation string // account and country of the spec; the snapshot is likely to contain these names
	segments        int
}

// numberOf converts a text to a number. ok is false if the text is not a number, or if strconv would write that number
// differently.
func numberOf(text string) (n uint64, ok bool) {
	n, err := strconv.ParseUint(text, 10, 63)
	return n, err == nil && strconv.FormatUint(n, 10) == text
}

// rawOf decodes the base64 text of a token or hash. The second result is false unless the text stands for n bytes.
func rawOf(text string, n int) ([]byte, bool) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	return b, err == nil && len(b) == n && base64.RawURLEncoding.EncodeToString(b) == text
}

// outlineOf returns the outline of a message. ok is false if the message lacks a part that every message has.
func outlineOf(a *archived) (o outline, ok bool) {
	f := a.fields
	o = outline{hash: f[fieldContent], upload: f[fieldUpload], overlay: a.overlay, spec: a.spec, snapshot: f[fieldSnapshot]}
	_, hashOK := rawOf(o.hash, archivedHash*3/4)
	_, uploadOK := rawOf(o.upload, 9)
	created, createdOK := numberOf(f[fieldCreated])
	ended, endedOK := numberOf(f[fieldFinished])
	if !hashOK || !uploadOK || !createdOK || !endedOK || ended < created || len(o.overlay) != 0 && len(o.overlay) != 2 || !o.readSpec() {
		return o, false
	}
	o.created, o.ended = int64(created), int64(ended)
	if inputs, err := decodePage([]byte(f[pageField(0)])); err == nil && len(inputs) == 1 {
		o.input = inputs[0]
	}
	for name := range f {
		if stream, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(name, "b"), ".0")); err == nil && name == batchField(campaign.BatchName(stream, 0)) {
			o.stream = stream
		}
	}
	b := campaign.BatchName(o.stream, 0)
	if _, to, err := decodeBatch([]byte(f[batchField(b)])); err == nil && len(to) == 1 {
		o.msisdn = to[0].MSISDN
	}
	if _, settled := splitGeneration(f[generationField(b, generationName(0, 0))]); settled != nil {
		_, atOK := numberOf(settled.At)
		_, claimsOK := numberOf(settled.Claims)
		if _, keyOK := rawOf(settled.UUID, 16); (keyOK || settled.UUID == noWord) && atOK && claimsOK && len(settled.Token) == halfToken {
			o.gen = &settledRecord{UUID: settled.UUID, At: settled.At, Token: settled.Token, Claims: settled.Claims}
		}
	}
	if r := f[callResultField(b, 0)]; len(r) >= 4 && len(r) == 2+int(r[1]) && r[2:4] == "\x00\x00" {
		o.record = r
	}
	return o, true
}

// readSpec sets the parts of the outline that depend on the spec. It returns false if the spec cannot be read.
func (o *outline) readSpec() bool {
	spec, err := decodeSpec([]byte(o.spec))
	if err != nil {
		return false
	}
	o.account, o.nation, o.segments = spec.Via, spec.Country, spec.Segments()
	if spec.Defaults != nil && o.nation == "" {
		o.nation = spec.Defaults.Country
	}
	return true
}

// halfToken is the number of characters of a token that a settled generation keeps (function "half" in prelude.lua).
const halfToken = 6

// encodeArchive returns the stored form of the archive of a message. ok is false if the message must keep its
// full form, because decodeArchive would not return it exactly.
func encodeArchive(a *archived) (record []byte, ok bool) {
	o, ok := outlineOf(a)
	if !ok {
		return nil, false
	}
	b := o.append([]byte{archiveFormat, 0})
	b = appendChanges(b, o.message().fields, a.fields)
	again, err := decodeArchive(string(b))
	if err != nil || !maps.Equal(again.fields, a.fields) || !maps.Equal(again.delays, a.delays) || again.spec != a.spec || again.overlay != a.overlay {
		return nil, false
	}
	return b, true
}

// append appends the outline to b, and sets the second byte of b.
func (o *outline) append(b []byte) []byte {
	hash, _ := rawOf(o.hash, archivedHash*3/4)
	upload, _ := rawOf(o.upload, 9)
	b = append(append(b, hash...), upload...)
	b = binary.AppendUvarint(b, uint64(o.created))
	b = binary.AppendUvarint(b, uint64(o.ended-o.created))
	b = binary.AppendUvarint(b, uint64(o.msisdn))
	digits := o.msisdn.String()
	switch o.input {
	case "+" + digits:
		b[1] |= hasPlus
	case digits:
	default:
		b[1] |= hasInput
		b = appendBytes(b, o.input)
	}
	if o.stream != 0 {
		b[1] |= hasStream
		b = binary.AppendUvarint(b, uint64(o.stream))
	}
	if o.gen != nil {
		b[1] |= hasGen
		if key, ok := rawOf(o.gen.UUID, 16); ok {
			b[1] |= hasKey
			b = append(b, key...)
		}
		at, _ := numberOf(o.gen.At)
		claims, _ := numberOf(o.gen.Claims)
		b = binary.AppendVarint(b, o.ended-int64(at))
		b = append(b, o.gen.Token...)
		b = binary.AppendUvarint(b, claims)
	}
	if o.record != "" {
		b[1] |= hasRecord
		rest, cost := packCost(o.record[4:])
		if cost != nil {
			b[1] |= hasCost
		}
		b = append(appendBytes(append(b, o.record[0]), rest), cost...)
	}
	if o.overlay != "" {
		b[1] |= hasReport
		b = append(b, o.overlay...)
	}
	b = appendBytes(b, string(packText(o.spec)))
	return appendBytes(b, string(packText(o.snapshot, o.account, o.nation)))
}

func appendBytes(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// decodeArchive reads the stored form of an archive. It returns ErrNewer if a later release wrote it.
func decodeArchive(record string) (*archived, error) {
	if record[0] != archiveFormat {
		return nil, wrongFormat(record[0])
	}
	r := reader{b: []byte(record[1:])}
	o := outline{}
	o.read(&r)
	if r.bad || !o.readSpec() {
		return nil, campaign.ErrRecord
	}
	a := o.message()
	readChanges(&r, a.fields)
	return a, r.err()
}

// The method "read" reads an outline. The stored form lacks the parts that readSpec sets, so the method calls
// readSpec to compute them.
func (o *outline) read(r *reader) {
	has := r.length()
	o.hash = base64.RawURLEncoding.EncodeToString(r.bytes(archivedHash * 3 / 4))
	o.upload = base64.RawURLEncoding.EncodeToString(r.bytes(9))
	o.created = int64(r.uvarint())
	o.ended = o.created + int64(r.uvarint())
	o.msisdn = sms.MSISDN(r.uvarint())
	o.input = o.msisdn.String()
	if has&hasPlus != 0 {
		o.input = "+" + o.input
	}
	if has&hasInput != 0 {
		o.input = string(r.bytes(r.count()))
	}
	if has&hasStream != 0 {
		o.stream = int(min(r.uvarint(), 1<<20))
	}
	if has&hasGen != 0 {
		o.gen = &settledRecord{UUID: noWord}
		if has&hasKey != 0 {
			o.gen.UUID = base64.RawURLEncoding.EncodeToString(r.bytes(16))
		}
		o.gen.At = strconv.FormatInt(o.ended-r.varint(), 10)
		o.gen.Token = string(r.bytes(halfToken))
		o.gen.Claims = strconv.FormatUint(r.uvarint(), 10)
	}
	if has&hasRecord != 0 {
		status, rest := r.bytes(1), string(r.bytes(r.count()))
		if has&hasCost != 0 {
			rest += readCost(r)
		}
		if r.bad || len(rest) > 253 {
			r.bad = true
			return
		}
		o.record = string(status) + string([]byte{byte(len(rest) + 2), 0, 0}) + rest
	}
	if has&hasReport != 0 {
		o.overlay = string(r.bytes(2))
	}
	spec, ok := unpackText(r.bytes(r.count()))
	if o.spec = spec; r.bad || !ok || !o.readSpec() {
		r.bad = true
		return
	}
	if o.snapshot, ok = unpackText(r.bytes(r.count()), o.account, o.nation); !ok {
		r.bad = true
	}
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// message returns a message that has only the fields that follow from the outline.
func (o *outline) message() *archived {
	one, b := "1", campaign.BatchName(o.stream, 0)
	f := map[string]string{fieldFormat: one, fieldTotal: one, fieldPages: one, fieldNextPage: one, fieldBare: one, plannedField(o.stream): one, nextField(o.stream): one, wakeField(b): one,
		fieldContent: o.hash, fieldUpload: o.upload, fieldCreated: strconv.FormatInt(o.created, 10), fieldFinished: strconv.FormatInt(o.ended, 10),
		pageField(0): string(appendBytes([]byte{formatPlain}, o.input)), batchField(b): string(encodeBatch([]int{1}, []campaign.Planned{{Row: 1, MSISDN: o.msisdn}}))}
	if o.snapshot != "" {
		f[fieldSnapshot] = o.snapshot
	}
	if o.gen != nil {
		f[fieldCalls] = one
		f[generationField(b, generationName(0, 0))] = strings.Join([]string{stateSettled, o.gen.UUID, o.gen.At, o.gen.Token, o.gen.Claims}, " ")
	}
	if o.record != "" {
		f[callResultField(b, 0)] = o.record
		o.counts(f)
	}
	delays := map[string]string{}
	if len(o.overlay) == 2 && o.overlay[0]&reportBits == deliveredBit && o.overlay[1] != 0 {
		delays[strconv.Itoa(int(o.overlay[1]))] = "1"
	}
	return &archived{f, o.spec, o.overlay, delays}
}

// The overlay has two bytes for each row. These bits of the first byte hold the status in the row's final report.
const (
	deliveredBit   = 64
	undeliveredBit = 128
	reportBits     = deliveredBit | undeliveredBit
)

// The method "counts" computes the counts from the record of the recipient and from the overlay. It stores them in f.
func (o *outline) counts(f map[string]string) {
	records, err := decodeRecords([]byte(o.record), 1)
	if err != nil {
		return
	}
	count := map[campaign.Status]string{campaign.Rejected: fieldRejected, campaign.Accepted: fieldAccepted, campaign.Delivered: fieldDelivered, campaign.Undelivered: fieldUndelivered}[records[0].Status]
	if count == "" {
		return
	}
	if records[0].Status >= campaign.Accepted {
		f[fieldSegments] = strconv.Itoa(o.segments)
		if amount, ok := costOf(records[0]); ok && amount > 0 {
			f[fieldCost], f[fieldCurrency] = strconv.FormatInt(amount, 10), records[0].Currency
		}
	}
	if count == fieldAccepted && len(o.overlay) == 2 {
		switch o.overlay[0] & reportBits {
		case deliveredBit:
			count = fieldDelivered
		case undeliveredBit:
			count = fieldUndelivered
		}
	}
	f[count] = "1"
}
