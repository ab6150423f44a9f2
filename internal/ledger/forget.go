package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// forgottenText is stored in the records of a campaign instead of a number or a text that was
// removed.
const forgottenText = "forgotten"

// Forgetting is what Forget has done, or would do, in one campaign.
type Forgetting struct {
	// Rows is how many recipients have the number that Forget removes.
	Rows int
	// Open is true if the campaign has not ended. Then Forget has changed nothing.
	Open bool
	// NoRetry is true if the campaign cannot be retried afterwards, because the recipient was rejected or has an
	// unknown outcome.
	NoRetry bool
	// SetAside is true if the campaign has quarantined records. They may contain the number, and Forget does not change
	// them.
	SetAside bool
}

// forgetTries is how many times Forget tries to change a campaign. If the campaign has changed
// since it was read, Forget reads it again and makes another try.
const forgetTries = 5

// Forget removes a number from an ended campaign in which a search has found it. It removes the number from the
// uploaded pages, with the values of its merge fields and its reference. From the batches it removes the number, and
// each text that only this number got. The status, the cost and the gateway's message ID of the recipient stay. If the
// parameter "dry" is true, Forget only reports what it would change. Forgetting the same number again changes nothing.
func Forget(ctx context.Context, l *Ledger, found Searched, number sms.MSISDN, dry bool) (out Forgetting, err error) {
	id := found.Position.ID
	for range forgetTries {
		f := forgetter{l, id, number}
		if out, err = f.run(ctx, found, dry); !errors.Is(err, errChanged) {
			return out, err
		}
	}
	return out, err
}

var errChanged = errors.New("the campaign has changed meanwhile; run the command again")

// forgetter removes one number from one campaign.
type forgetter struct {
	ledger *Ledger
	id     string
	number sms.MSISDN
}

// forgetArgs and forgetChange are the arguments of forget.lua.
type forgetArgs struct{ Bare bool }

type forgetChange struct {
	Field         string
	Before, After []byte
}

// specChange is the name of the spec in a forgetChange. Every other name is a field of the ledger.
const specChange = "s"

func (f forgetter) run(ctx context.Context, found Searched, dry bool) (out Forgetting, err error) {
	sum, err := f.ledger.Summary(ctx, f.id)
	if err != nil {
		return out, err
	}
	out = Forgetting{Rows: len(found.Found), Open: sum.FinishedAt.IsZero(), SetAside: sum.Quarantined > 0, NoRetry: found.More && sum.Rejected+sum.Unknown > 0}
	for _, r := range found.Found {
		out.NoRetry = out.NoRetry || r.Status == campaign.Rejected || r.Status == campaign.Unknown
	}
	if out.Open || dry {
		return out, nil
	}
	// The pages are changed last, because a search reads them. If the command is interrupted before that, its next run
	// still finds the campaign.
	if err := f.batches(ctx, found.Spec, out.NoRetry); err != nil {
		return out, err
	}
	if sum.Total == 1 {
		if err := f.spec(ctx); err != nil {
			return out, err
		}
	}
	return out, f.pages(ctx, found)
}

// The method "change" replaces either all of the records or none.
func (f forgetter) change(ctx context.Context, bare bool, changes []forgetChange) error {
	if len(changes) == 0 && !bare {
		return nil
	}
	args := script.Args(forgetArgs{Bare: bare})
	for _, c := range changes {
		args = append(args, script.Args(c)...)
	}
	out, err := f.ledger.run(ctx, forgetScript, f.id, []string{specKey(f.id)}, args...)
	switch {
	case err != nil:
		return err
	case out[0] == "forgotten":
		return nil
	}
	return fmt.Errorf("forget a number in %s: %w", f.id, errChanged)
}

// batchesAtOnce is the number of batch records that one run of the script replaces.
const batchesAtOnce = 32

func (f forgetter) batches(ctx context.Context, spec campaign.Spec, bare bool) error {
	snapshot, _, err := f.ledger.Snapshot(ctx, f.id)
	if err != nil {
		return err
	}
	var changes []forgetChange
	for stream := range snapshot.Streams() {
		for b, err := range f.ledger.records.batches(ctx, f.id, stream, spec.Personalized()) {
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(b.To, func(p campaign.Planned) bool { return p.MSISDN == f.number }) {
				continue
			}
			changed, err := f.batch(ctx, b)
			if err != nil {
				return err
			}
			if changes = append(changes, changed...); len(changes) >= batchesAtOnce {
				if err := f.change(ctx, bare, changes); err != nil {
					return err
				}
				changes = nil
			}
		}
	}
	return f.change(ctx, bare, changes)
}

// batch returns the changes of a batch. The number is replaced by 0. A call that has no other number gets another
// text with the same number of segments.
func (f forgetter) batch(ctx context.Context, b *Batch) (changes []forgetChange, err error) {
	got, err := f.ledger.records.fields(ctx, f.id, batchField(b.Name), bodiesField(b.Name))
	if err != nil {
		return nil, fmt.Errorf("read batch %s of %s: %w", b.Name, f.id, err)
	}
	record := []byte(script.Text(got[0]))
	if b, err = readBatch(f.id, b.Name, got[0], got[1]); err != nil {
		return nil, err
	}
	bodies := slices.Clone(b.Bodies)
	for i, p := range b.To {
		if p.MSISDN == f.number {
			b.To[i].MSISDN = 0
		}
	}
	for k := range bodies {
		if !slices.ContainsFunc(b.call(k), func(p campaign.Planned) bool { return p.MSISDN != 0 }) {
			bodies[k] = forgottenBody(b.segments(k, 1))
		}
	}
	changes = append(changes, forgetChange{batchField(b.Name), record, encodeBatchAs(record[0], b.Calls, b.To)})
	if !slices.Equal(bodies, b.Bodies) {
		changes = append(changes, forgetChange{bodiesField(b.Name), []byte(script.Text(got[1])), encodeBodies(bodies)})
	}
	return changes, nil
}

// forgottenBody returns a text with the given number of segments.
func forgottenBody(segments int) string {
	if segments < 2 {
		return forgottenText
	}
	const perSegment = 153 // number of GSM-7 characters in each segment of a long message
	return strings.Repeat("-", perSegment*segments)
}

// The method "spec" removes the text and the reference of a campaign with one recipient.
func (f forgetter) spec(ctx context.Context) error {
	before, err := f.ledger.records.specOf(ctx, f.id)
	if err == nil && before == "" {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("read campaign %s: %w", f.id, err)
	}
	spec, err := decodeSpec([]byte(before))
	if err != nil {
		return unreadable(f.id, specRecord, before, err)
	}
	bare := false
	if !spec.Personalized() && spec.Purged == 0 {
		spec.Purged, spec.Body, bare = max(1, spec.Segments()), "", true
	}
	spec.Ref, spec.Notes = "", nil
	after, err := encodeSpec(spec)
	if err != nil {
		return err
	}
	return f.change(ctx, bare, []forgetChange{{specChange, []byte(before), after}})
}

// The method "pages" removes the number from the uploaded pages.
func (f forgetter) pages(ctx context.Context, found Searched) error {
	for at := 0; at < len(found.Found); {
		page, end := found.Found[at].page.Number, at
		for end < len(found.Found) && found.Found[end].page.Number == page {
			end++
		}
		changes, err := f.page(ctx, found.Found[at:end])
		if err != nil {
			return err
		}
		if err := f.change(ctx, false, changes); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// The method "page" returns the changes of one page in which the search has found rows.
func (f forgetter) page(ctx context.Context, rows []FoundRow) (changes []forgetChange, err error) {
	page := rows[0].page
	got, err := f.ledger.records.fields(ctx, f.id, pageField(page.Number), refsField(page.Number))
	if err != nil {
		return nil, fmt.Errorf("read pages of %s: %w", f.id, err)
	}
	record := []byte(script.Text(got[0]))
	inputs, values, err := decodeRows(record)
	if err != nil {
		return nil, unreadable(f.id, pageField(page.Number), string(record), err)
	}
	var refs []string
	if got[1] != nil {
		if refs, err = decodeRefs([]byte(script.Text(got[1])), campaign.MaxPageRows); err != nil {
			return nil, unreadable(f.id, refsField(page.Number), script.Text(got[1]), err)
		}
	}
	for _, row := range rows {
		i := row.Row.Row - page.First
		inputs[i] = forgottenText
		if values != nil && values[i] != nil {
			values[i] = make([]string, len(values[i]))
		}
		if refs != nil {
			refs[i] = ""
		}
	}
	var raw []byte
	for i, input := range inputs {
		raw = append(binary.AppendUvarint(raw, uint64(len(input))), input...)
		if values != nil {
			raw = campaign.AppendValues(raw, values[i])
		}
	}
	after := compress(raw)
	if values != nil {
		after = compressPersonalized(raw)
	}
	changes = []forgetChange{{pageField(page.Number), record, after}}
	if refs != nil {
		var w refsWriter
		for i, ref := range refs {
			w.add(i, ref)
		}
		changes = append(changes, forgetChange{refsField(page.Number), []byte(script.Text(got[1])), compress(w.take())})
	}
	return changes, nil
}

// ForgetExclusions removes a number from the opt-outs that a campaign received while it was open. It returns how many
// entries had the number. If the campaign has not ended, or if the parameter "dry" is true, it changes nothing.
func ForgetExclusions(ctx context.Context, l *Ledger, id string, number sms.MSISDN, dry bool) (int, error) {
	got, err := l.rdb.HMGet(ctx, ledgerKey(id), fieldExclusions, fieldFinished).Result()
	if err != nil {
		return 0, fmt.Errorf("read opt-outs of %s: %w", id, err)
	}
	last, _ := versionParts(script.Text(got[0]))
	if last == 0 || got[1] == nil {
		return 0, nil
	}
	f, entries := forgetter{l, id, number}, 0
	const step = 500
	for at := 1; at <= last; at += step {
		var fields []string
		for n := at; n <= min(last, at+step-1); n++ {
			fields = append(fields, exclusionField(n))
		}
		got, err := l.rdb.HMGet(ctx, ledgerKey(id), fields...).Result()
		if err != nil {
			return entries, fmt.Errorf("read opt-outs of %s: %w", id, err)
		}
		for i, v := range got {
			before := script.Text(v)
			after, had := withoutNumber(before, number)
			if !had {
				continue
			}
			if entries++; dry {
				continue
			}
			if err := f.change(ctx, false, []forgetChange{{fields[i], []byte(before), []byte(after)}}); err != nil {
				return entries, err
			}
		}
	}
	return entries, nil
}

// withoutNumber replaces a number by 0 in an entry of a campaign's opt-outs, and returns the new entry. The result
// "had" is false if the entry does not contain the number.
func withoutNumber(entry string, number sms.MSISDN) (without string, had bool) {
	parts := strings.SplitN(entry, "\n", 3)
	if len(parts) < 3 || !strings.Contains(parts[2], number.String()) {
		return entry, false
	}
	words := strings.Fields(parts[2])
	for i, word := range words {
		if word == number.String() {
			words[i], had = "0", true
		}
	}
	parts[2] = strings.Join(words, " ") + " "
	return strings.Join(parts, "\n"), had
}

// Again searches one campaign for the second time.
func (s *Search) Again(ctx context.Context, p Position) (Searched, error) {
	heads, err := s.heads(ctx, []IndexEntry{{ID: p.ID, Since: p.At}})
	if err != nil || len(heads) == 0 {
		return Searched{Position: p}, err
	}
	return s.read(ctx, heads[0])
}

// String returns the position as a text that ParsePosition reads.
func (p Position) String() string { return strconv.FormatInt(p.At.UnixMilli(), 10) + "_" + p.ID }

// ParsePosition reads what Position.String returns. An empty text means the beginning of the list.
func ParsePosition(text string) (Position, error) {
	if text == "" {
		return Position{}, nil
	}
	at, id, ok := strings.Cut(text, "_")
	ms, err := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil || ms < 0 || !ValidID(id) {
		return Position{}, fmt.Errorf("%.60q: must be a position in the list of campaigns", text)
	}
	return Position{At: time.UnixMilli(ms), ID: id}, nil
}
