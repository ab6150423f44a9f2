package tracking

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/script"
)

// notedKey is the hash of the calls of a login whose message IDs are not in the index yet. A field
// of this hash is the token of a call. The value of the field is the time in ms, followed by the
// note of the call.
func notedKey(login string) string { return segmentsKey(login) + ":n" }

const (
	// maxNoted is the maximum number of calls in the hash notedKey.
	maxNoted = 10_000
	// entrySize is the number of bytes of an entry. Four bytes are from the ID's hash, two have the
	// bits of the fingerprint, and two have the position in the batch.
	entrySize = 8
)

// note is a call whose message IDs will be entered in the index. The field "entries" has
// entrySize bytes for each ID. The field "token" is "" if Redis does not have the note.
type note struct {
	token            string
	batch            ledger.BatchRef
	batchSize, total int
	entries          []byte
}

// noteOf returns the note of the given messages. It omits messages without an ID.
func noteOf(s Sent) note {
	n := note{batch: s.BatchRef, batchSize: s.BatchSize, total: s.Total, entries: make([]byte, 0, entrySize*len(s.IDs))}
	for i, id := range s.IDs {
		if id == "" {
			continue
		}
		f := fingerprintOf(id)
		n.entries = binary.BigEndian.AppendUint32(n.entries, f.hash)
		n.entries = binary.BigEndian.AppendUint16(n.entries, f.bits)
		n.entries = binary.BigEndian.AppendUint16(n.entries, uint16(s.Positions[i]))
	}
	return n
}

// encode returns the note as note.lua stores it: two numbers, the batch, and the entries after a
// line feed.
func (n note) encode() []byte {
	head := strconv.Itoa(n.batchSize) + " " + strconv.Itoa(n.total) + " " + member(n.batch) + "\n"
	return append([]byte(head), n.entries...)
}

// parseNote reads a value of the hash notedKey. ok is false if the value cannot be read.
func parseNote(token, value string) (n note, at time.Time, ok bool) {
	head, entries, found := strings.Cut(value, "\n")
	words := strings.SplitN(head, " ", 4)
	if !found || len(words) != 4 || len(entries)%entrySize != 0 {
		return n, at, false
	}
	ms, err1 := strconv.ParseInt(words[0], 10, 64)
	size, err2 := strconv.Atoi(words[1])
	total, err3 := strconv.Atoi(words[2])
	batch, ok := parseMember(words[3])
	if !ok || err1 != nil || err2 != nil || err3 != nil || size < 0 || total < 0 {
		return n, at, false
	}
	return note{token, batch, size, total, []byte(entries)}, time.UnixMilli(ms), true
}

// Note stores the IDs of the messages of a call, so that Enter can enter them later. Redis keeps the notes of a login
// for the duration "life" after the last note. The caller may repeat Note. The result "parked" is true if the login has
// parked reports.
func (x *Index) Note(ctx context.Context, login string, n note, life time.Duration) (parked bool, err error) {
	out, err := x.scripts.Run(ctx, noteScript, []string{notedKey(login), parkedKey(login)}, script.Args(noteArgs{Most: maxNoted, Token: n.token, Note: n.encode(), Life: life})...)
	if err == nil && len(out) != 1 {
		err = script.ErrAnswer
	}
	if err != nil {
		return false, fmt.Errorf("note message ids of %s %s: %w", n.batch.Campaign, n.batch.Name, err)
	}
	return out[0] == "1", nil
}

// entry is one ID that enter.lua enters.
type entry struct {
	segment, bucket int
	member          int32
}

// enterAtOnce is the number of IDs that one run of enter.lua enters.
const enterAtOnce = 4096

// Enter enters the IDs of noted calls of a login in the index, and removes the notes. The index keeps
// the IDs for at least the duration "life". A call with many IDs needs fewer commands for each ID than
// several calls with few IDs. The caller may repeat Enter.
func (x *Index) Enter(ctx context.Context, login string, notes []note, life time.Duration) error {
	if len(notes) == 0 {
		return nil
	}
	if err := x.list(ctx, login); err != nil {
		return err
	}
	entries, err := x.place(ctx, login, notes, life)
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.segment, b.segment), cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.member, b.member))
	})
	for len(entries) > 0 {
		n := 1
		for n < min(enterAtOnce, len(entries)) && entries[n].segment == entries[0].segment {
			n++
		}
		args := script.Args(enterArgs{Segment: entries[0].segment, Members: members(entries[:n])})
		if _, err := x.scripts.Run(ctx, enterScript, []string{segmentsKey(login)}, args...); err != nil {
			return fmt.Errorf("index message ids: %w", err)
		}
		entries = entries[n:]
	}
	var tokens []string
	for _, n := range notes {
		if n.token != "" {
			tokens = append(tokens, n.token)
		}
	}
	if len(tokens) == 0 {
		return nil
	}
	if err := x.rdb.HDel(ctx, notedKey(login), tokens...).Err(); err != nil {
		return fmt.Errorf("remove noted message ids: %w", err)
	}
	return nil
}

// The method "list" adds a login to the set of logins that have an index, unless this process has done so lately.
func (x *Index) list(ctx context.Context, login string) error {
	if at, ok := x.listed.Load(login); ok && time.Since(at.(time.Time)) <= listEvery {
		return nil
	}
	if err := x.rdb.SAdd(ctx, loginsKey, login).Err(); err != nil {
		return fmt.Errorf("index message ids: %w", err)
	}
	x.listed.Store(login, time.Now())
	return nil
}

// The method "place" returns the entries of the notes with the segment and the bucket of each entry.
func (x *Index) place(ctx context.Context, login string, notes []note, life time.Duration) ([]entry, error) {
	args, count := script.Args(placeArgs{Life: life}), 0
	for _, n := range notes {
		args = append(args, script.Args(placedArgs{Batch: member(n.batch), BatchSize: n.batchSize, Expected: n.total})...)
		count += len(n.entries) / entrySize
	}
	out, err := x.scripts.Run(ctx, placeScript, []string{segmentsKey(login)}, args...)
	if err == nil && len(out) != 3*len(notes) {
		err = script.ErrAnswer
	}
	if err != nil {
		return nil, fmt.Errorf("index message ids: %w", err)
	}
	entries := make([]entry, 0, count)
	for i, n := range notes {
		segment, buckets, base := script.Int(out[3*i]), script.Int(out[3*i+1]), script.Int(out[3*i+2])
		if buckets <= 0 {
			return nil, fmt.Errorf("index message ids: %w", script.ErrAnswer)
		}
		for b := n.entries; len(b) >= entrySize; b = b[entrySize:] {
			bits, at := int64(binary.BigEndian.Uint16(b[4:])), int64(binary.BigEndian.Uint16(b[6:]))
			entries = append(entries, entry{segment, int(binary.BigEndian.Uint32(b) % uint32(buckets)), int32(bits<<22 + int64(base) + at - 1<<31)})
		}
	}
	return entries, nil
}

// members returns the entries of one segment in the form that enter.lua reads. The entries must be
// sorted by bucket.
func members(entries []entry) []byte {
	out := make([]byte, 0, 14*len(entries))
	number := func(n int64) {
		at := len(out)
		out = strconv.AppendInt(append(out, 0), n, 10)
		out[at] = byte(len(out) - at - 1)
	}
	for len(entries) > 0 {
		n := 1
		for n < min(len(entries), 255) && entries[n].bucket == entries[0].bucket {
			n++
		}
		out = append(out, byte(n))
		number(int64(entries[0].bucket))
		for _, e := range entries[:n] {
			number(int64(e.member))
		}
		entries = entries[n:]
	}
	return out
}
