package ledger

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/tuma-sms/tuma/internal/campaign"
)

func FuzzDecodePage(f *testing.F) {
	f.Add(encodedPage("+254700000001", "", "x"))
	f.Add([]byte{0, 200, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodePage(b)
		if err != nil {
			return
		}
		if len(got) > campaign.MaxPageRows {
			t.Fatalf("decoded %d rows, want at most MaxPageRows", len(got))
		}
		again, err := decodePage(encodedPage(got...))
		if err != nil || !cmp.Equal(got, again) {
			t.Fatalf("%q encoded and decoded again as %q, %v; want the same", got, again, err)
		}
	})
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add(encodeBatch([]int{1, 2}, plannedRows(1, 3)))
	f.Add([]byte{0, 1, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		calls, to, err := decodeBatch(b)
		if err != nil {
			return
		}
		if len(calls) > len(b) || len(to) > len(b) {
			t.Fatalf("%d calls and %d recipients decoded from %d bytes, want at most one of each per byte", len(calls), len(to), len(b))
		}
		batch := Batch{Calls: calls, To: to}
		for k := range calls {
			batch.call(k) // the method "call" panics if the sizes of the calls do not match the recipients
		}
		c2, t2, err := decodeBatch(encodeBatch(calls, to))
		if err != nil || !cmp.Equal(calls, c2) || !cmp.Equal(to, t2) {
			t.Fatalf("%v %v encoded and decoded again as %v %v, %v; want the same", calls, to, c2, t2, err)
		}
	})
}

func FuzzDecodeCarry(f *testing.F) {
	f.Add(encodeCarry(plainCarry(plannedRows(1, 2), nil)), 2, false)
	f.Add(encodeCarry([][]campaign.Call{{{To: plannedRows(1, 2), Values: []string{"Amina", ""}}}, nil}), 2, true)
	f.Fuzz(func(t *testing.T, b []byte, accounts int, personalized bool) {
		accounts = 1 + accounts&7
		got, err := decodeCarry(b, accounts, personalized)
		if err != nil {
			return
		}
		again, err := decodeCarry(encodeCarry(got), accounts, personalized)
		if err != nil || !cmp.Equal(got, again, cmpopts.EquateEmpty()) {
			t.Fatalf("%v encoded and decoded again as %v, %v; want the same", got, again, err)
		}
	})
}

func FuzzDecodeSkipped(f *testing.F) {
	f.Add(encodeSkipped(0, []campaign.SkippedRecipient{{Row: 1, Reason: "a", Code: "b"}, {Row: 9, Reason: "c"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeSkipped(0, b)
		if err != nil {
			return
		}
		if raw, err := decompress(b); err != nil || len(got) > len(raw) {
			t.Fatalf("%d rows decoded from %d bytes, want at most one per byte after decompression", len(got), len(raw))
		}
		if len(got) == 0 {
			return
		}
		again, err := decodeSkipped(0, encodeSkipped(0, got))
		if err != nil || !cmp.Equal(got, again) {
			t.Fatalf("%v encoded and decoded again as %v, %v; want the same", got, again, err)
		}
	})
}

func FuzzDecodeRecords(f *testing.F) {
	f.Add(appendRecord(nil, campaign.Record{Status: campaign.Accepted, MessageID: "0191d7a0-0000-7000-8000-000000000001", Cost: "1"}), 1)
	f.Add([]byte{3, 6, 0, 0, 8, 2, 0, 1}, 1)
	f.Add([]byte{0, 6, 0, 1, 9, 2, 0, 0}, 1)
	f.Add([]byte{optedStatus, 2, 0, 1}, 1)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		got, err := decodeRecords(b, n&0xff)
		if err != nil {
			return
		}
		if len(got) != n&0xff {
			t.Fatalf("%d records, want %d", len(got), n&0xff)
		}
		for _, r := range got {
			if r.Before != nil || len(r.Resent) > 0 || r.Status == campaign.Skipped {
				continue // only scripts write records with these values
			}
			again, err := decodeRecords(appendRecord(nil, r), 1)
			if err != nil || !cmp.Equal(again[0], r, cmpopts.IgnoreUnexported(campaign.Record{})) {
				t.Fatalf("%+v encoded and decoded again as %+v, %v; want the same", r, again, err)
			}
		}
	})
}

func FuzzParseSubmission(f *testing.F) {
	f.Add("t AAAAAAAAAAAAAAAAAAAAAA 1700000000000 tok 1")
	f.Add("s tok 9 1700000000000 1 0 0 0 0 AAAAAAAAAAAAAAAAAAAAAA login 0 3 1")
	f.Fuzz(func(t *testing.T, record string) {
		got, err := parseSubmission(record)
		if err == nil && got.uuid != "" {
			if _, err := uuid.Parse(got.uuid); err != nil {
				t.Fatalf("%q gives the uuid %q, want a valid UUID", record, got.uuid)
			}
		}
	})
}

// Both Go and the scripts write the members of a generation and the records of a call. Go and
// the scripts must read these records the same way.
func FuzzParseGeneration(f *testing.F) {
	f.Add("0.0", "r - 0 0 0 0 0 0 0 - - 0 1 0", "\x00\x00")
	f.Add("0.1", "t x", "\x00")
	f.Add("0.0", " ", "")
	f.Fuzz(func(t *testing.T, name, record, positions string) {
		w := &Work{Batch: &Batch{Name: "0.0", Calls: []int{2, 1}, To: plannedRows(1, 3)}}
		g, _, err := w.generation(name, record, positions)
		if err != nil || g == nil {
			return
		}
		if _, _, err := parseGeneration(record); len(g.To) > max(g.CallSize, len(positions)/2) || g.Call > 1 || err != nil {
			t.Fatalf("%q with positions %q gives %+v, want an error or a valid generation", name, record, g)
		}
	})
}
