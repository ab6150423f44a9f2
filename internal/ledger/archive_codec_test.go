package ledger

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// usualArchive is what Redis holds of a usual message.
func usualArchive() *archived {
	return &archived{spec: `{"v":"main","b":"","c":"t","d":{"c":"KE"},"sm":true,"pb":true,"pd":1}`, delays: map[string]string{}, fields: map[string]string{
		"v": "1", "hash": strings.Repeat("a", archivedHash), "up": "AAAAAAAAAAAA", "at": "1764323173000", "fin": "1764323174000", "frozen": `{"cc":"KE","a":[{"n":"main","m":1000}]}`,
		"p0": "\x00\x0d+254700000001", "total": "1", "accepted": "1",
	}}
}

// The archive of an unusual message has every field of the message, whatever the value of
// the field.
func TestEncodeArchive_KeepsEveryField(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(a *archived){
		"nothing":            func(*archived) {},
		"number with a zero": func(a *archived) { a.fields["calls"] = "01" },
		"negative number":    func(a *archived) { a.fields["calls"] = "-1" },
		"largest number":     func(a *archived) { a.fields["calls"] = "9223372036854775807" },
		"larger number":      func(a *archived) { a.fields["calls"] = "18446744073709551616" },
		"empty value":        func(a *archived) { a.fields["new"] = "" },
		"long value":         func(a *archived) { a.fields["new"] = strings.Repeat("\xff\x00", 200) },
		"no page":            func(a *archived) { delete(a.fields, "p0") },
		"national number":    func(a *archived) { a.fields["p0"] = "\x00\x0a0700000001" },
		"bytes in the spec":  func(a *archived) { a.spec = strings.Replace(a.spec, "main", "mäin\x7f", 1) },
		"another batch":      func(a *archived) { a.fields["b3.0"], a.fields["b3.1"] = "\x00", "\x00" },
		"claimed generation": func(a *archived) { a.fields["g0.0.0"] = "s AAAAAAAAAAAA 1 2 3 0 0 0 0 - login 0 1 1" },
		"settled before":     func(a *archived) { a.fields["g0.0.0"] = "t AAAAAAAAAAAAAAAAAAAAAA 1764323173500 abcdef 1" },
		"settled, with more": func(a *archived) { a.fields["g0.0.0"] = "t - 1764323175500 abcdef 2 - ghijkl" },
		"half a record":      func(a *archived) { a.fields["r0.0.0"] = "\x03\x09\x00\x00" },
		"moved":              func(a *archived) { a.fields["r0.0.0"] = "\x06\x02\x00\x00" },
		"another generation": func(a *archived) { a.fields["r0.0.0"] = "\x03\x02\x00\x01" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := usualArchive()
			change(a)
			record, ok := encodeArchive(a)
			if !ok {
				t.Fatal("the message is not archived")
			}
			got, err := decodeArchive(string(record))
			if err != nil || !isArchive(string(record)) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(a, got, compareAll); diff != "" {
				t.Errorf("the archive holds something else (-want +got):\n%s", diff)
			}
		})
	}
}

// A message that the archive cannot hold exactly keeps its full form.
func TestEncodeArchive_OnlyIfItHoldsEverything(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(a *archived){
		"no hash":           func(a *archived) { delete(a.fields, "hash") },
		"no upload":         func(a *archived) { a.fields["up"] = "short" },
		"ended before":      func(a *archived) { a.fields["fin"] = "1" },
		"unreadable spec":   func(a *archived) { a.spec = "{" },
		"half a report":     func(a *archived) { a.overlay = "x" },
		"a delay too many":  func(a *archived) { a.delays["7"] = "1" },
		"delivered at once": func(a *archived) { a.overlay, a.delays["7"] = "\x40\x07", "2" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := usualArchive()
			change(a)
			if record, ok := encodeArchive(a); ok {
				t.Errorf("archived as %q", record)
			}
		})
	}
}

// For any bytes, decodeArchive returns an archive or an error. If the archive is encoded
// and decoded again, its content is the same.
func FuzzDecodeArchive(f *testing.F) {
	a := &archived{spec: `{"v":"main","b":"","c":"t","sm":true,"pb":true,"pd":1}`, delays: map[string]string{}, fields: map[string]string{
		"v": "1", "hash": strings.Repeat("a", archivedHash), "up": "AAAAAAAAAAAA", "at": "1764323173000", "fin": "1764323174000", "p0": "\x00\x0d+254700000001", "b0.0": string(encodeBatch([]int{1}, plannedRows(1, 1))),
		"g0.0.0": "t AAAAAAAAAAAAAAAAAAAAAA 1764323173500 abcdef 1", "r0.0.0": string(appendRecord(nil, priced(atID(1)))), "new": "x",
	}}
	record, _ := encodeArchive(a)
	f.Add(string(record))
	f.Add("\x01")
	f.Add("\x02")
	f.Fuzz(func(t *testing.T, record string) {
		if !isArchive(record) {
			return
		}
		a, err := decodeArchive(record)
		if err != nil {
			return
		}
		again, ok := encodeArchive(a)
		if !ok {
			return // Tuma does not archive a message that encodeArchive cannot encode
		}
		b, err := decodeArchive(string(again))
		if err != nil || !maps.Equal(a.fields, b.fields) || !maps.Equal(a.delays, b.delays) || a.spec != b.spec || a.overlay != b.overlay {
			t.Fatalf("%q was archived again as %q, %v", record, again, err)
		}
	})
}

func TestPackText_AnyText(t *testing.T) {
	t.Parallel()
	if len(archiveWords) > nameWord-firstWord {
		t.Errorf("%d words, at most %d have a byte", len(archiveWords), nameWord-firstWord)
	}
	for _, text := range []string{"", "main", `{"v":"main"}`, "\x80\xff\xf0", "ä", strings.Join(archiveWords, "x")} {
		packed := packText(text, "main", "")
		if got, ok := unpackText(packed, "main", ""); !ok || got != text {
			t.Errorf("%q was read as %q, %t", text, got, ok)
		}
	}
	for _, b := range []string{"\xff", "\xf3", "\xef"} {
		if got, ok := unpackText([]byte(b), "main"); ok {
			t.Errorf("%q was read as %q", b, got)
		}
	}
}
